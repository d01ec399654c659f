//! A matrix that is gone through cell by cell: each combination is a run of its own, and what belongs to all is in the folder
//! around them.
//!
//! In come the suite's text and how it is to be read ([`Reading`]); out come the cells ([`CellsPlan`]), and from these the
//! runs, one after the other ([`go_through`]), whose state is on the disk before and after each, so that a matrix that was cut
//! off goes on where it was. It knows nothing of how a run is made or what is in its results.

mod hook;
mod plan;
mod progress;
mod resume;

pub use plan::{CellRefused, CellsPlan, PlannedCell, Reading, planned_time};

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exit::Exit;
use crate::plan::Plan;
use crate::report::{
    self, AxisInfo, CELLS_FOLDER, CellChange, CellState, CellsError, CellsLog, CellsOpening, CellsStory, Summary,
};
use crate::run::{self, CleanupError, Interrupts, RunError};
use crate::terminal::{self, Display};
use hook::Hooks;
use progress::Progress;

/// How the cells are to be run.
pub struct Options {
    /// The folder of the whole; none for `results/<suite>/<run id>`.
    pub out: Option<PathBuf>,
    /// Go on in this folder, at the first cell that is not finished.
    pub resume: Option<PathBuf>,
    /// Whether to leave on the target what the cells create there.
    pub keep: bool,
    /// Where Prometheus may fetch series, in place of what the suite says.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Where progress is shown.
    pub display: Display,
}

/// What came of the cells.
pub struct Ended {
    /// How the process should end.
    pub exit: Exit,
    /// The results of the whole.
    pub summary: Summary,
    /// The folder of the whole.
    pub out: PathBuf,
    /// How many messages of reporters about the whole have not been delivered.
    pub undelivered: usize,
}

/// Why the cells could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CellsRunError {
    /// What a run needs is not there.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state of the cells can't be kept.
    #[error(transparent)]
    Log(#[from] CellsError),
    /// The folder can't be gone on in.
    #[error("{0}")]
    Resume(String),
    /// What a cell has left before it runs again can't be removed.
    #[error("cell {cell} is to run again, and what it has left can't be removed: {error}")]
    Cleanup {
        /// Its combination.
        cell: String,
        /// Why.
        error: CleanupError,
    },
    /// Something that a cell has left is still on its target.
    #[error(
        "cell {cell} is to run again, and something that it has left is still on its target; `kperf-host cleanup {folder}` \
             tries again"
    )]
    Left {
        /// Its combination.
        cell: String,
        /// Its folder.
        folder: String,
    },
    /// The machine refused something.
    #[error("{0}")]
    Machine(String),
}

/// Runs the cells that have not run. Needs a `LocalRuntime`.
///
/// # Errors
/// When the first can't even start, or the state of the cells can't be kept.
pub async fn go_through(plan: &CellsPlan, options: &Options) -> Result<Ended, CellsRunError> {
    let interrupts = Interrupts::listen().map_err(|error| CellsRunError::Machine(error.to_string()))?;
    let identity = run::identify(&plan.first)?;
    let (out, log, story) = match &options.resume {
        Some(dir) => {
            let (log, story) = resume::open(dir, plan, &identity)?;
            (dir.clone(), log, story)
        }
        None => {
            let results = || Path::new("results").join(&plan.first.suite.name).join(&identity.run.id);
            let out = options.out.clone().unwrap_or_else(results);
            let opening = CellsOpening {
                run: identity.run,
                axes: axes(&plan.first),
                repeat: plan.cells_of.repeat,
                scenarios: identity.scenarios,
                cells: plan.cells.iter().map(|it| it.info.clone()).collect(),
            };
            let log = CellsLog::create(&out, opening.clone())?;
            let write = |error| RunError::Folder { dir: out.clone(), error };
            std::fs::write(out.join("suite.toml"), &identity.suite).map_err(write)?;
            (out, log, CellsStory { opening, histories: std::collections::BTreeMap::new() })
        }
    };
    let mut walk = Walk { plan, options, out, log, interrupts, progress: Progress::new(plan, &story) };
    walk.all(&story).await?;
    walk.conclude(&story).await
}

/// The axes for the results.
fn axes(plan: &Plan) -> Vec<AxisInfo> {
    let axes = plan.suite.cells.iter().flat_map(|cells| &cells.axes);
    axes.map(|axis| AxisInfo { name: axis.name.clone(), values: axis.values.iter().map(plan::json).collect() })
        .collect()
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// One walk through the cells.
struct Walk<'a> {
    plan: &'a CellsPlan,
    options: &'a Options,
    out: PathBuf,
    log: CellsLog,
    interrupts: Interrupts,
    progress: Progress,
}

/// How a cell ended.
struct CellEnd {
    state: CellState,
    exit: Exit,
    message: Option<String>,
}

impl CellEnd {
    fn failed(exit: Exit, message: String) -> Self {
        Self { state: CellState::Failed, exit, message: Some(message) }
    }
}

impl Walk<'_> {
    async fn all(&mut self, story: &CellsStory) -> Result<(), CellsRunError> {
        let mut first = true;
        for cell in &self.plan.cells {
            let state = story.histories.get(&cell.info.number).map_or(CellState::NotRun, report::CellHistory::state);
            if state == CellState::Finished {
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
            if state != CellState::NotRun {
                resume::set_aside(self.plan, cell, &self.out, &self.options.display).await?;
            }
            let line = self.progress.before(cell);
            self.display().line(&line);
            self.tell(cell, CellState::Started, None, None)?;
            let end = self.cell(cell).await;
            if let Some(message) = &end.message {
                terminal::error(&format!("{}: {message}", cell.label));
            }
            self.tell(cell, end.state, Some(end.exit), end.message.clone())?;
            let line = self.progress.after(cell, end.state, &self.folder(cell));
            self.display().line(&line);
        }
        Ok(())
    }

    fn display(&self) -> &Display {
        &self.options.display
    }

    fn folder(&self, cell: &PlannedCell) -> PathBuf {
        self.out.join(CELLS_FOLDER).join(&cell.info.folder)
    }

    fn tell(
        &mut self,
        cell: &PlannedCell,
        state: CellState,
        exit: Option<Exit>,
        message: Option<String>,
    ) -> Result<(), CellsError> {
        let exit_code = exit.map(|exit| exit as u8);
        self.log.change(CellChange { cell: cell.info.number, state, unix_ns: unix_ns(), exit_code, message })
    }

    async fn pause(&self) {
        let pause = self.plan.cells_of.pause;
        if pause.is_zero() {
            return;
        }
        self.display().line(&format!("pause of {}", kperf_suite::DurationText(pause)));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.interrupts.once() => {}
        }
    }

    /// One cell with the commands around it.
    async fn cell(&self, cell: &PlannedCell) -> CellEnd {
        let folder = self.folder(cell);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            return CellEnd::failed(Exit::Internal, format!("can't make {}: {error}", folder.display()));
        }
        let suite = match self.plan.reading.suite(&cell.sets) {
            Ok(suite) => suite,
            Err(refused) => return CellEnd::failed(Exit::Usage, refused.to_string()),
        };
        let commands = suite.cells.unwrap_or_else(|| self.plan.cells_of.clone());
        let hooks = Hooks {
            cell,
            rounds: self.plan.cells_of.repeat,
            folder: &folder,
            suite_folder: &self.plan.reading.folder,
            timeout: commands.hook_timeout,
            interrupts: &self.interrupts,
        };
        let before = hooks.run("before", &commands.before).await;
        let mut end = match before {
            _ if self.interrupts.any() => {
                CellEnd { state: CellState::Interrupted, exit: Exit::Interrupted, message: None }
            }
            Err(message) => CellEnd::failed(Exit::NotReady, message),
            Ok(()) => self.measured(cell, folder.clone()).await,
        };
        if let Err(message) = hooks.run("after", &commands.after).await {
            end.message = Some(end.message.map_or(message.clone(), |before| format!("{before}; {message}")));
        }
        end
    }

    /// The run of a cell, on a thread of its own: a run gives way to its workers for good, which the next one's would inherit.
    async fn measured(&self, cell: &PlannedCell, out: PathBuf) -> CellEnd {
        let (reading, sets) = (self.plan.reading.clone(), cell.sets.clone());
        let options = run::Options {
            out: Some(out),
            keep: self.options.keep,
            metrics_listen: self.options.metrics_listen,
            cell: Some(cell.info.clone()),
            display: self.display().clone(),
        };
        let interrupts = self.interrupts.clone();
        let work = async move || {
            let plan = reading.plan(&sets).await.map_err(|refused| refused.to_string())?;
            let ended = run::run_until(&plan, &options, interrupts).await.map_err(|error| error.to_string())?;
            run::tell_undelivered(&ended.out, ended.undelivered);
            run::tell_left(&ended.out, ended.left);
            let unready = || {
                let incidents = ended.summary.iter().flat_map(|summary| &summary.incidents);
                incidents.map(|it| format!("{}: {}", it.source, it.message)).next_back()
            };
            let message = (ended.exit == Exit::NotReady).then(unready).flatten();
            Ok::<_, String>((ended.exit, message))
        };
        match on_thread(work).await {
            Err(message) => CellEnd::failed(Exit::NotReady, message),
            Ok((exit, message)) => {
                let state = match exit {
                    Exit::Interrupted => CellState::Interrupted,
                    Exit::NotReady | Exit::Internal | Exit::Usage => CellState::Failed,
                    _ => CellState::Finished,
                };
                let unknown = (state == CellState::Failed).then(|| "it ended before load".to_owned());
                CellEnd { state, exit, message: message.or(unknown) }
            }
        }
    }

    async fn conclude(self, story: &CellsStory) -> Result<Ended, CellsRunError> {
        let summary = report::finish_cells(&self.out)?;
        let mut exit = Exit::of_verdict(summary.verdict.exit_code);
        let mut undelivered = 0;
        if !self.plan.first.reporters.is_empty() {
            let text = std::fs::read_to_string(self.out.join("summary.json"));
            let text = text.map_err(|error| RunError::Folder { dir: self.out.clone(), error })?;
            let (first, id, pass) = (&self.plan.first, &story.opening.run.id, exit == Exit::Pass);
            let untold = run::report_whole(first, &self.out, id, &text, pass, &self.interrupts).await?;
            if untold.required && exit == Exit::Pass {
                exit = Exit::ReporterFailed;
            }
            undelivered = untold.undelivered;
        }
        Ok(Ended { exit, summary, out: self.out, undelivered })
    }
}

/// Runs a future on a new thread with a runtime of its own.
async fn on_thread<T: Send + 'static, F: Future<Output = Result<T, String>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let (answer, heard) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("cell".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default());
        let ended = match runtime {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => Err(format!("can't make a runtime: {error}")),
        };
        let _ = answer.send(ended);
    });
    thread.map_err(|error| format!("can't start a thread: {error}"))?;
    heard.await.unwrap_or_else(|_| Err("the run broke down".to_owned()))
}

/// A time for people, in whole seconds.
fn rounded(time: Duration) -> kperf_suite::DurationText {
    kperf_suite::DurationText(Duration::from_secs(time.as_secs_f64().round() as u64))
}
