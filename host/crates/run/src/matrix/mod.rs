//! A matrix that is gone through cell by cell: each combination is a run of its own, and what belongs to all is in the folder
//! around them.
//!
//! In come the suite's text and how it is to be read ([`SuiteInput`](kperf_plan::SuiteInput)); out come the cells ([`MatrixPlan`]), and
//! from these the runs, one after the other, whose state is on the disk before and after each, so that a matrix that was cut
//! off goes on where it was. It knows nothing of how a run is made or what is in its results.

mod plan;
mod progress;
mod report;
mod resume;

pub use plan::{MatrixPlan, PlannedCell, planned_time};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kperf_metrics::Registry;
use kperf_plan::{Plan, PlanError};
use kperf_results::{
    AxisInfo, CellChange, CellHistory, CellState, CommandChange, Exit, MatrixError, MatrixHeader, MatrixJournal,
    MatrixState, RunEvent, RunFolder, Summary, finish_matrix,
};

use self::progress::Progress;
use self::report::{Identity, MatrixResult};
use crate::cleanup::CleanupError;
use crate::clock::unix_ns;
use crate::command::{Command, CommandError};
use crate::error::RunError;
use crate::interrupts::Interrupts;
use crate::listeners::{Attaching, Terms, Until};
use crate::run::{MakeSink, Results, RunOptions, run};
use crate::servers::LocalServers;
use crate::stream::EventStream;
use crate::thread::runtime;

/// How the cells are to be run.
pub struct MatrixOptions {
    /// The folder of the whole; none for `results/<suite>/<run id>`.
    pub out: Option<PathBuf>,
    /// Go on in this folder, at the first cell that is not finished.
    pub resume: Option<PathBuf>,
    /// Whether to leave on the target what the cells create there.
    pub keep: bool,
    /// Where Prometheus may fetch series, in place of what the suite says.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Makes those who listen to the matrix and to each of its cells, by name.
    pub sinks: Arc<dyn Fn() -> Vec<(String, MakeSink)> + Send + Sync>,
    /// Starts the servers inside this process that the suite uses.
    pub servers: Arc<dyn LocalServers + Send + Sync>,
}

/// What came of the cells.
pub struct MatrixEnd {
    /// How the process should end.
    pub exit: Exit,
    /// The results of the whole.
    pub summary: Arc<Summary>,
    /// The folder of the whole.
    pub folder: RunFolder,
    /// How many messages of reporters about the whole have not been delivered.
    pub undelivered: usize,
    /// What cells have left on their targets, and messages of theirs that were not delivered.
    pub leftovers: Vec<Leftovers>,
}

/// What a cell has left behind.
pub struct Leftovers {
    /// The cell's folder.
    pub folder: RunFolder,
    /// How many things are still on its targets.
    pub left: usize,
    /// How many messages of reporters have not been delivered.
    pub undelivered: usize,
}

/// Why the cells could not be run.
#[derive(Debug, thiserror::Error)]
pub enum MatrixRunError {
    /// What a run needs is not there.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state of the cells can't be kept.
    #[error(transparent)]
    Journal(#[from] MatrixError),
    /// The folder can't be gone on in.
    #[error("{0}")]
    Resume(String),
    /// What a cell has left before it runs again can't be removed.
    #[error("cell {cell} is to run again, and what it has left can't be removed: {source}")]
    Cleanup {
        /// The cell's combination of values: `tenants=10`.
        cell: String,
        /// What was said about it below.
        source: CleanupError,
    },
    /// Something that a cell has left is still on its target.
    #[error(
        "cell {cell} is to run again, and something that it has left is still on its target; `kperf-host cleanup {folder}` \
             tries again"
    )]
    Left {
        /// The cell's combination of values: `tenants=10`.
        cell: String,
        /// The cell's folder.
        folder: String,
    },
    /// The folder of a cell that runs again can't be set aside.
    #[error("can't rename {folder}: {source}")]
    Rename {
        /// The cell's folder, as it is now.
        folder: String,
        /// What was said about it below.
        source: std::io::Error,
    },
}

/// Runs the cells that have not run. Needs a `LocalRuntime`.
///
/// # Errors
/// When the first can't even start, or the state of the cells can't be kept.
pub async fn run_matrix(
    plan: &MatrixPlan,
    options: &MatrixOptions,
    interrupts: &Interrupts,
) -> Result<MatrixEnd, MatrixRunError> {
    let identity = Identity::new(&plan.first)?;
    let (folder, journal, state) = match &options.resume {
        Some(dir) => {
            let folder = RunFolder::new(dir);
            let (journal, state) = resume::open(&folder, plan, &identity)?;
            (folder, journal, state)
        }
        None => {
            let results = || Path::new("results").join(&plan.first.suite.name).join(&identity.run.id);
            let folder = RunFolder::new(options.out.clone().unwrap_or_else(results));
            let header = MatrixHeader {
                run: identity.run,
                axes: axes(&plan.first),
                repeat: plan.cells_of.repeat,
                scenarios: identity.scenarios,
                cells: plan.cells.iter().map(|it| it.info.clone()).collect(),
            };
            let write = |source| RunError::Folder { dir: folder.path().to_owned(), source };
            folder.claim().map_err(write)?;
            let journal = MatrixJournal::create(&folder, header.clone())?;
            std::fs::write(folder.suite(), &identity.suite).map_err(write)?;
            (folder, journal, MatrixState { header, histories: BTreeMap::new() })
        }
    };
    let stream = EventStream::of_matrix(&state.header, Registry::default());
    for (name, make) in (options.sinks)() {
        let sink = Attaching::start(&name, Terms::usual(Until::Last), stream.incidents(), make);
        stream.attach(sink.map_err(RunError::Thread)?);
    }
    stream.emit(RunEvent::MatrixPlanned { cells: plan.cells.len() });
    let progress = Progress::new(plan, &state);
    let mut walk = Walk { plan, options, folder, journal, interrupts, progress, stream, leftovers: Vec::new() };
    walk.all(&state).await?;
    walk.conclude(&state).await
}

/// The axes for the results.
fn axes(plan: &Plan) -> Vec<AxisInfo> {
    let axes = plan.suite.cells.iter().flat_map(|cells| &cells.axes);
    axes.map(|axis| AxisInfo { name: axis.name.clone(), values: axis.values.iter().map(plan::json).collect() })
        .collect()
}

/// One walk through the cells.
struct Walk<'a> {
    plan: &'a MatrixPlan,
    options: &'a MatrixOptions,
    folder: RunFolder,
    journal: MatrixJournal,
    interrupts: &'a Interrupts,
    progress: Progress,
    stream: EventStream,
    leftovers: Vec<Leftovers>,
}

/// How a cell ended.
struct CellEnd {
    state: CellState,
    exit: Exit,
    message: Option<String>,
    leftovers: Option<Leftovers>,
}

impl CellEnd {
    fn failed(exit: Exit, message: String) -> Self {
        Self { state: CellState::Failed, exit, message: Some(message), leftovers: None }
    }
}

impl Walk<'_> {
    async fn all(&mut self, state: &MatrixState) -> Result<(), MatrixRunError> {
        let mut first = true;
        for cell in &self.plan.cells {
            let before = state.histories.get(&cell.info.number).map_or(CellState::NotRun, CellHistory::state);
            if before == CellState::Finished {
                continue;
            }
            if self.interrupts.any() {
                return Ok(());
            }
            if !first {
                self.pause().await;
                if self.interrupts.any() {
                    return Ok(());
                }
            }
            first = false;
            if before != CellState::NotRun {
                let mut tell = |event| self.stream.emit(event);
                resume::set_aside(self.plan, cell, &self.folder, &mut tell).await?;
            }
            self.run(cell).await?;
        }
        Ok(())
    }

    async fn run(&mut self, cell: &PlannedCell) -> Result<(), MatrixError> {
        let (of, left) = (self.plan.cells.len(), self.progress.began());
        self.stream.emit(RunEvent::CellBegan { cell: cell.info.clone(), label: cell.label.clone(), of, left });
        self.write(cell, CellState::Started, None, None)?;
        let end = self.cell(cell).await;
        self.write(cell, end.state, Some(end.exit), end.message.clone())?;
        let summary = std::fs::read(self.folder.cell(&cell.info.folder).summary()).ok();
        self.stream.emit(RunEvent::CellEnded {
            cell: cell.info.clone(),
            label: cell.label.clone(),
            state: end.state,
            took: self.progress.ended(cell, end.state),
            summary: summary.and_then(|text| serde_json::from_slice(&text).ok()).map(Arc::new),
            message: end.message,
        });
        self.leftovers.extend(end.leftovers.filter(|it| it.left > 0 || it.undelivered > 0));
        Ok(())
    }

    fn write(
        &mut self,
        cell: &PlannedCell,
        state: CellState,
        exit: Option<Exit>,
        message: Option<String>,
    ) -> Result<(), MatrixError> {
        let exit_code = exit.map(|exit| exit as u8);
        self.journal.change(CellChange { cell: cell.info.number, state, unix_ns: unix_ns(), exit_code, message })
    }

    async fn pause(&self) {
        let pause = self.plan.cells_of.pause;
        if pause.is_zero() {
            return;
        }
        self.stream.emit(RunEvent::CellPause(pause));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.interrupts.once() => {}
        }
    }

    /// One cell with the commands around it.
    async fn cell(&self, cell: &PlannedCell) -> CellEnd {
        let folder = self.folder.cell(&cell.info.folder);
        if let Err(error) = std::fs::create_dir_all(folder.path()) {
            return CellEnd::failed(Exit::Internal, format!("can't make {}: {error}", folder.path().display()));
        }
        let suite = match self.plan.input.suite(&cell.sets) {
            Ok(suite) => suite,
            Err(refused) => return CellEnd::failed(Exit::Usage, refused.to_string()),
        };
        let commands = suite.cells.unwrap_or_else(|| self.plan.cells_of.clone());
        let command = |name, words| Command {
            name,
            words,
            folder: &self.plan.input.folder,
            environment: self.variables(cell, &folder),
            deadline: commands.hook_timeout,
            log: folder.command_log(name),
        };
        // The first ends when the user wants to stop, the second, which may have to put things in order, only when the user wants to
        // leave at once.
        let before = self.command(command("before", &commands.before), self.interrupts.once()).await;
        let mut end = match before {
            _ if self.interrupts.any() => {
                CellEnd { state: CellState::Interrupted, exit: Exit::Interrupted, message: None, leftovers: None }
            }
            Err(error) => CellEnd::failed(Exit::NotReady, error.to_string()),
            Ok(()) => self.measured(cell, &folder).await,
        };
        if let Err(error) = self.command(command("after", &commands.after), self.interrupts.twice()).await {
            let message = error.to_string();
            end.message = Some(end.message.map_or(message.clone(), |before| format!("{before}; {message}")));
        }
        end
    }

    async fn command(&self, command: Command<'_>, stop: impl Future<Output = ()>) -> Result<(), CommandError> {
        if command.words.is_empty() {
            return Ok(());
        }
        let name = || command.name.to_owned();
        let began = CommandChange::Began { name: name(), command: command.words.to_vec(), unix_ns: unix_ns() };
        self.stream.emit(RunEvent::Command(began));
        let result = command.run(stop).await;
        let error = result.as_ref().err().map(ToString::to_string);
        self.stream.emit(RunEvent::Command(CommandChange::Ended { name: name(), unix_ns: unix_ns(), error }));
        result
    }

    /// What the commands of a cell know of it.
    fn variables(&self, cell: &PlannedCell, folder: &RunFolder) -> Vec<(String, String)> {
        let path = folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned());
        let own = [
            ("NUMBER", cell.info.number.to_string()),
            ("REPEAT", cell.info.repeat.to_string()),
            ("ROUNDS", self.plan.cells_of.repeat.to_string()),
            ("LABEL", cell.label.clone()),
            ("FOLDER", path.display().to_string()),
        ];
        let axes = cell.info.values.iter().map(|(axis, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("KPERF_CELL_AXIS_{}", axis.to_ascii_uppercase().replace('-', "_")), value)
        });
        own.into_iter().map(|(name, value)| (format!("KPERF_CELL_{name}"), value)).chain(axes).collect()
    }

    /// The run of a cell, on a thread of its own: a run gives way to its workers for good, which the next one's would inherit.
    async fn measured(&self, cell: &PlannedCell, folder: &RunFolder) -> CellEnd {
        let (input, sets, interrupts) = (self.plan.input.clone(), cell.sets.clone(), self.interrupts.clone());
        let (out, keep, metrics_listen) = (folder.path().to_owned(), self.options.keep, self.options.metrics_listen);
        let (info, sinks, servers) =
            (cell.info.clone(), Arc::clone(&self.options.sinks), Arc::clone(&self.options.servers));
        let work = async move || {
            let plan = input.plan(&sets).await?;
            let (out, cell, sinks, servers) = (Some(out), Some(info), sinks(), &*servers);
            let options = RunOptions { out, keep, metrics_listen, cell, sinks, servers };
            let end = run(&plan, options, &interrupts).await?;
            let last_incident = match &end.results {
                Results::Written(summary) if end.exit == Exit::NotReady => summary.incidents.last(),
                _ => None,
            };
            let message = last_incident.map(|it| format!("{}: {}", it.source, it.message));
            let leftovers = Leftovers { folder: end.folder, left: end.left, undelivered: end.undelivered };
            Ok::<_, CellError>((end.exit, message, leftovers))
        };
        match on_thread(work).await {
            Err(error) => CellEnd::failed(Exit::NotReady, error.to_string()),
            Ok((exit, message, leftovers)) => {
                let state = match exit {
                    Exit::Interrupted => CellState::Interrupted,
                    Exit::NotReady | Exit::Internal | Exit::Usage => CellState::Failed,
                    _ => CellState::Finished,
                };
                let unknown = (state == CellState::Failed).then(|| "it ended before load".to_owned());
                CellEnd { state, exit, message: message.or(unknown), leftovers: Some(leftovers) }
            }
        }
    }

    async fn conclude(self, state: &MatrixState) -> Result<MatrixEnd, MatrixRunError> {
        let Self { plan, options, folder, interrupts, stream, leftovers, .. } = self;
        let summary = Arc::new(finish_matrix(&folder)?);
        let exit = Exit::of_verdict(summary.verdict.exit_code);
        let (exit, undelivered) = if plan.first.reporters.is_empty() {
            stream.close(Until::Last).finish(None).await;
            (exit, 0)
        } else {
            let (run, summary) = (state.header.run.id.as_str(), Arc::clone(&summary));
            let result = MatrixResult { plan: &plan.first, folder: &folder, run, summary, exit };
            result.report(&*options.servers, &stream, interrupts).await?
        };
        Ok(MatrixEnd { exit, summary, folder, undelivered, leftovers })
    }
}

/// Why the run of a cell did not come to an end of its own.
#[derive(Debug, thiserror::Error)]
enum CellError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("can't start a thread for the run: {0}")]
    Start(#[source] std::io::Error),
    #[error("the run broke down")]
    Panicked,
}

/// Runs a future on a new thread with a runtime of its own.
async fn on_thread<T: Send + 'static, F: Future<Output = Result<T, CellError>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, CellError> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("cell".to_owned()).spawn(move || {
        let ended = match runtime() {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => Err(CellError::Start(error)),
        };
        let _ = answer.send(ended);
    });
    thread.map_err(CellError::Start)?;
    answered.await.unwrap_or(Err(CellError::Panicked))
}
