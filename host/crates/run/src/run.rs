//! A run, from a plan to the results in its folder.
//!
//! Preflight, setup, load, teardown, removal, results: in this order on this thread, while workers, collectors and sinks have
//! threads of their own. What goes wrong before load starts ends the run with [`Exit::NotReady`]; teardown follows whatever
//! happened, and so does the removal of what the ledger knows; the folder is readable whenever the process ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kperf_metrics::{Registry, Tags};
use kperf_plan::{Plan, PlannedScenario, Secrets, TargetAddress};
use kperf_plugin::{Isolation, Ledger, Outbox, PluginContext, Runner};
use kperf_results::{CellInfo, End, Exit, Phase, RunEvent, RunFolder, Sink, SinkError, Summary, finish_live};
use kperf_suite::Scenario;
use tokio::sync::watch;

use crate::clock::unix_ns;
use crate::error::RunError;
use crate::header::{header, target_of};
use crate::interrupts::Interrupts;
use crate::listeners::{Attaching, Terms, Until};
use crate::monitor::LoadEnd;
use crate::observers::ObserverFailed;
use crate::phases::{Load, Preflight, PreparedScenario, Removal, Setup, SetupState, Teardown, fail};
use crate::servers::{LocalServers, RunningServers};
use crate::session::Session;
use crate::sinks::{
    export::{ExportSink, Exports},
    reporter,
};
use crate::stream::EventStream;
use crate::tables;

/// How long sinks may take for what they hold back when the user leaves at once.
const LEAVING: Duration = Duration::from_millis(500);

/// Makes a sink on the thread that it will run on.
pub type MakeSink = Box<dyn FnOnce() -> Result<Box<dyn Sink>, SinkError> + Send>;

/// How a run is to be made.
pub struct RunOptions<'a> {
    /// The results' folder; none for `results/<suite>/<run id>`.
    pub out: Option<PathBuf>,
    /// Whether to leave on the target what the run creates there.
    pub keep: bool,
    /// Where Prometheus may fetch series, in place of what the suite says.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// The cell of a matrix that the run is, if it is one.
    pub cell: Option<CellInfo>,
    /// Who listens beside those that the suite asks for, by name; they hear everything, and are finished last.
    pub sinks: Vec<(String, MakeSink)>,
    /// Starts the servers inside this process that the suite uses.
    pub servers: &'a dyn LocalServers,
}

/// How a run ended.
pub struct RunEnd {
    /// How the process should end.
    pub exit: Exit,
    /// What was made of it.
    pub results: Results,
    /// The run's folder.
    pub folder: RunFolder,
    /// How many things that the run has created are still on its targets.
    pub left: usize,
    /// How many messages of reporters have not arrived.
    pub undelivered: usize,
}

/// What was made of a run.
pub enum Results {
    /// The results are in the folder.
    Written(Arc<Summary>),
    /// The user left at once: the folder holds what there is to make results of.
    LeftAtOnce,
}

/// Runs a plan to its end. Needs a `LocalRuntime`.
///
/// # Errors
/// When the run can't even start, or its results can't be written.
pub async fn run(plan: &Plan, options: RunOptions<'_>, interrupts: &Interrupts) -> Result<RunEnd, RunError> {
    let secrets = Secrets::read(plan).map_err(RunError::Suite)?;
    let header = header(plan, &secrets, options.cell.clone());
    let id = header.run.id.clone();
    let common = kperf_export::Common {
        suite: plan.suite.name.clone(),
        run: id.clone(),
        start_unix_ns: header.run.start_unix_ns,
        ..kperf_export::Common::default()
    };
    let exports = Exports::of(plan, &secrets, &common, options.metrics_listen)?;
    let out = options.out.clone().unwrap_or_else(|| Path::new("results").join(&plan.suite.name).join(&id));
    let folder = RunFolder::new(out);
    let write = |source| RunError::Folder { dir: folder.path().to_owned(), source };
    let registry = Registry::new(series_limit(plan));
    folder.claim().map_err(write)?;
    let stream = EventStream::begin(&folder, header.clone(), registry.clone()).map_err(write)?;
    for (name, make) in options.sinks {
        let sink = Attaching::start(&name, Terms::usual(Until::Last), stream.incidents(), make);
        stream.attach(sink.map_err(RunError::Thread)?);
    }
    if let Some(exports) = exports {
        let sink = exports.start(stream.incidents())?;
        let sink = Attaching::start(ExportSink::NAME, ExportSink::terms(), stream.incidents(), || Ok(Box::new(sink)));
        stream.attach(sink.map_err(RunError::Thread)?);
    }
    stream.emit(RunEvent::Prepared(Box::new(header)));
    // For a cleanup after a crash, which has to make the same plan again.
    let suite = secrets.redactor.redact(plan.suite.sources.text()).into_owned();
    std::fs::write(folder.suite(), suite).map_err(write)?;
    let ledger = Ledger::create(&folder.ledger())?;
    let servers = RunningServers::start(plan, options.servers, true)?;
    let outbox = Arc::new(Outbox::create(&folder.outbox()));
    let run = Run {
        plan,
        secrets: &secrets,
        folder: &folder,
        id: &id,
        keep: options.keep,
        ledger,
        interrupts,
        outbox: Arc::clone(&outbox),
        servers: &servers,
        stream: &stream,
        registry,
    };
    let end = tokio::select! {
        end = run.phases() => end,
        never = secrets.keep_fresh() => match never {},
    };
    let left = run.left();
    let forced = match end {
        PhasesEnd::InOrder if interrupts.any() => Some(Exit::Interrupted),
        PhasesEnd::InOrder => None,
        PhasesEnd::NotReady if interrupts.any() => Some(Exit::Interrupted),
        PhasesEnd::NotReady => Some(Exit::NotReady),
        PhasesEnd::LeftAtOnce => {
            stream.close(Until::Last).finish(Some(LEAVING)).await;
            let (exit, results, undelivered) = (Exit::Interrupted, Results::LeftAtOnce, outbox.waiting());
            return Ok(RunEnd { exit, results, folder, left, undelivered });
        }
    };
    stream.close(Until::Measured).finish(None).await;
    stream.emit_reported();
    let interrupted = interrupts.any();
    let exit_code = forced.map(|exit| exit as u8);
    stream.emit(RunEvent::Ended(End { unix_ns: unix_ns(), interrupted, exit_code }));
    let summary = Arc::new(finish_live(&folder, stream.take_fold())?);
    let mut exit = forced.unwrap_or_else(|| Exit::of_verdict(summary.verdict.exit_code));
    let json = std::fs::read_to_string(folder.summary()).map_err(write)?;
    stream.emit(RunEvent::Verdict { summary: Arc::clone(&summary), json: json.into() });
    exit = report(&stream, interrupts, exit).await;
    stream.emit_reported();
    for (source, path) in folder.written_artifacts() {
        stream.emit(RunEvent::ArtifactWritten { source, path });
    }
    for end in stream.close(Until::Last).finish(None).await {
        // Too late for the results.
        if let Err(message) = end.result {
            tracing::warn!("{}: {message}", end.name);
        }
    }
    servers.write(&folder, &secrets.redactor).map_err(write)?;
    Ok(RunEnd { exit, results: Results::Written(summary), undelivered: outbox.waiting(), folder, left })
}

/// Waits for the reporters, and emits which of them failed.
pub(crate) async fn report(stream: &EventStream, interrupts: &Interrupts, mut exit: Exit) -> Exit {
    let ends = tokio::select! {
        ends = stream.close(Until::Verdict).finish(None) => ends,
        () = interrupts.twice() => Vec::new(),
    };
    for end in ends {
        let Err(message) = end.result else { continue };
        if end.required && exit == Exit::Pass {
            exit = Exit::ReporterFailed;
        }
        let sink = format!("reporter {}", end.name);
        stream.emit(RunEvent::SinkFailed { sink, required: end.required, message });
    }
    exit
}

fn series_limit(plan: &Plan) -> usize {
    plan.suite.plugins().map(|plugin| plugin.limits.series as usize).max().unwrap_or(Registry::DEFAULT_LIMIT)
}

/// How far a run came.
enum PhasesEnd {
    /// To its end, or to where the user wanted it to stop.
    InOrder,
    /// Not to load; the reason has been emitted.
    NotReady,
    /// The user left at once.
    LeftAtOnce,
}

struct Run<'a> {
    plan: &'a Plan,
    secrets: &'a Secrets,
    folder: &'a RunFolder,
    id: &'a str,
    keep: bool,
    ledger: Ledger,
    interrupts: &'a Interrupts,
    outbox: Arc<Outbox>,
    servers: &'a RunningServers,
    stream: &'a EventStream,
    registry: Registry,
}

impl Run<'_> {
    async fn phases(&self) -> PhasesEnd {
        let incidents = self.stream.incidents().clone();
        let session = Session::new(self.plan, self.secrets, self.folder, self.id, incidents)
            .map(|session| session.with_servers(self.servers).with_registry(self.registry.clone()));
        let (_stop, stopped) = watch::channel(false);
        let prepared = session.map_err(|error| error.to_string());
        let prepared = prepared.and_then(|session| Ok((self.scenarios(&session, &stopped)?, session)));
        let (mut scenarios, session) = match prepared {
            Ok(prepared) => prepared,
            Err(message) => {
                let _ = fail(self.stream, Phase::Preflight, "host", "target", message);
                return PhasesEnd::NotReady;
            }
        };
        let reporters = tokio::select! {
            reporters = reporter::attach(self.plan, &session, self.stream, &self.outbox) => reporters,
            () = self.interrupts.once() => Ok(()),
        };
        if let Err(ObserverFailed { name, message }) = reporters {
            let _ = fail(self.stream, Phase::Setup, &name, "start", message);
            return PhasesEnd::NotReady;
        }
        let stream = self.stream;
        let ready = tokio::select! {
            ready = async {
                Preflight { stream }.run(&scenarios).await?;
                Setup { stream }.run(&mut scenarios).await
            } => ready.is_ok(),
            () = self.interrupts.once() => false,
        };
        let load = Load { plan: self.plan, session: &session, stream, interrupts: self.interrupts, run: self.id };
        let end = match if ready { load.run(&scenarios).await } else { LoadEnd::NotReady } {
            LoadEnd::InOrder => PhasesEnd::InOrder,
            LoadEnd::NotReady => PhasesEnd::NotReady,
            LoadEnd::LeftAtOnce => return PhasesEnd::LeftAtOnce,
        };
        // Also when the journal can't be written any more: what is on the target has to go all the same.
        if !self.put_in_order(&scenarios).await {
            return PhasesEnd::LeftAtOnce;
        }
        for scenario in &scenarios {
            stream.emit(RunEvent::Records(scenario.records.take()));
        }
        for fact in session.facts.take() {
            stream.emit(RunEvent::Fact(fact));
        }
        stream.emit_reported();
        end
    }

    fn scenarios(
        &self,
        session: &Session<'_>,
        stopped: &watch::Receiver<bool>,
    ) -> Result<Vec<PreparedScenario<'_>>, String> {
        let scenarios = self.plan.scenarios.iter().zip(&self.plan.suite.scenarios);
        scenarios
            .enumerate()
            .map(|(place, (plan, scenario))| {
                let tags = Tags::new(scenario.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
                    .with("scenario", &plan.plugin.name);
                let environment = session.environment(&plan.plugin, &scenario.plugin, tags);
                let (mut context, threads) = environment.map_err(|error| error.to_string())?;
                adapt(&mut context, scenario, plan);
                let ledger = self.ledger.scenario(&plan.plugin.name);
                context.ledger = Some(Arc::clone(&ledger));
                context.tables = Some(tables::first(self.plan, place));
                let context = Arc::new(context);
                // Preflight, setup and teardown are no load: their samples go nowhere.
                let worker = threads.worker(stopped.clone(), false).map_err(|error| error.to_string())?;
                let records = worker.records.clone();
                let runner = Runner::new(&plan.plugin.component, worker, Arc::clone(&context))
                    .map_err(|error| error.to_string())?;
                Ok(PreparedScenario { plan, context, threads, runner, ledger, records, setup: SetupState::NotCalled })
            })
            .collect()
    }

    /// Teardown and removal; false if the user has had enough of it.
    async fn put_in_order(&self, scenarios: &[PreparedScenario<'_>]) -> bool {
        let mut told = self.interrupts.any();
        let mut work = std::pin::pin!(async {
            Teardown { stream: self.stream }.run(scenarios).await;
            if !self.keep {
                Removal { stream: self.stream, folder: self.folder }.run(scenarios).await;
            }
        });
        loop {
            tokio::select! {
                biased;
                () = self.interrupts.twice() => return false,
                () = self.interrupts.once(), if !told => {
                    told = true;
                    self.stream.emit(RunEvent::Interrupted { phase: Phase::Removal });
                }
                () = &mut work => return true,
            }
        }
    }

    /// How many things are still on targets that outlive this process.
    fn left(&self) -> usize {
        let scenarios = self.plan.suite.scenarios.iter();
        let lasting =
            scenarios.filter(|it| target_of(self.plan, it).is_some_and(|target| target != TargetAddress::Simulated));
        lasting.map(|it| self.ledger.scenario(&it.plugin.name.value).open()).sum()
    }
}

/// What only scenarios have.
pub(crate) fn adapt(context: &mut PluginContext, scenario: &Scenario, plan: &PlannedScenario) {
    context.users = plan.schedule.executor.max_users();
    context.group = scenario.group.get();
    context.limits.iteration = scenario.iteration_timeout;
    context.isolation = scenario.isolation.map(|isolation| match isolation {
        kperf_suite::Isolation::Shared => Isolation::Shared,
        kperf_suite::Isolation::User => Isolation::User,
        kperf_suite::Isolation::Iteration => Isolation::Iteration,
    });
}
