//! A run, from a plan to the results in its folder.
//!
//! Preflight, setup, load, teardown, removal, report: in this order on this thread, while workers, collectors and reporters
//! have threads of their own. What goes wrong before load starts ends the run with [`Exit::NotReady`]; teardown follows
//! whatever happened, and so does the removal of what the ledger knows; the folder is readable whenever the process ends.

mod announcer;
mod cleanup;
mod doubles;
mod exports;
mod generator;
mod interrupts;
mod lending;
mod monitor;
mod native;
mod observers;
mod opening;
mod recorder;
mod removal;
mod reporters;
mod resend;
mod secrets;
mod steering;
mod tables;
mod whole;
mod wind_up;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_load::{Progress, Shared, signal_channel};
use kperf_metrics::{Registry, Tags};
use kperf_plugin::{
    Book, CallError, Facts, Incident, Incidents, Isolation, Ledger, LedgerError, Outbox, Outcome, PluginContext,
    Records, Runner,
};
use kperf_schedule::Slice;
use kperf_suite::{Diagnostics, Double, PluginUse, Scenario};
use tokio::sync::{mpsc, watch};

use crate::exit::Exit;
use crate::plan::{Part, Plan, PlannedScenario};
use crate::report::{self, CellInfo, End, Journal, Summary};
use crate::terminal::{BAD, DOUBT, Display, FAINT, GOOD, Live};
use doubles::Doubles;
use exports::Exports;
pub use interrupts::Interrupts;
use lending::{Lender, Lending};
use monitor::{Brief, LoadEnd, Monitor};
use observers::{CollectorHandle, Post};
use reporters::{ReporterHandle, Starting, Unreported};
use secrets::Secrets;
use worker::{Assignment, unix_ns};

pub use cleanup::{CleanupError, Past, clean_up};
pub use removal::{Removed, list};
pub use resend::{ResendError, Resent, resend};
pub use secrets::wrong_urls;
pub use whole::{Identity, Untold, identify, report_whole};
pub use wind_up::{tell_left, tell_undelivered};

/// Workers get ready before load starts, so that the first second is like the others.
const LEAD: Duration = Duration::from_millis(100);

/// How a run is to be made.
pub struct Options {
    /// The results' folder; none for `results/<suite>/<run id>`.
    pub out: Option<PathBuf>,
    /// Whether to leave on the target what the run creates there.
    pub keep: bool,
    /// Where Prometheus may fetch series, in place of what the suite says.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// The cell of a matrix that the run is, if it is one.
    pub cell: Option<CellInfo>,
    /// Where progress is shown.
    pub display: Display,
}

/// What a run leaves behind.
pub struct Ended {
    /// How the process should end.
    pub exit: Exit,
    /// The results, unless the user left at once.
    pub summary: Option<Summary>,
    /// The run's folder.
    pub out: PathBuf,
    /// How many things that the run has created are still on its targets.
    pub left: usize,
    /// How many messages of reporters have not arrived.
    pub undelivered: usize,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The suite asks for something that this machine does not have.
    #[error("{}", .0.render(false))]
    Suite(Diagnostics),
    /// The results' folder can't be used.
    #[error("can't write the results' folder {}: {error}", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The machine refused something.
    #[error("{0}")]
    Machine(String),
    /// The results could not be written.
    #[error(transparent)]
    Report(#[from] report::ReportError),
}

/// Runs a plan to its end. Needs a `LocalRuntime`.
///
/// # Errors
/// When the run can't even start, or its results can't be written.
pub async fn run(plan: &Plan, options: &Options) -> Result<Ended, RunError> {
    let interrupts = Interrupts::listen().map_err(|error| RunError::Machine(error.to_string()))?;
    run_until(plan, options, interrupts).await
}

/// As [`run`], and somebody else listens for the user's wish to stop.
///
/// # Errors
/// When the run can't even start, or its results can't be written.
pub async fn run_until(plan: &Plan, options: &Options, interrupts: Interrupts) -> Result<Ended, RunError> {
    let secrets = secrets::read(plan)
        .map_err(|findings| RunError::Suite(Diagnostics::new(plan.suite.sources.clone(), findings)))?;
    let opening = opening::opening(plan, &secrets, options.cell.clone());
    let id = opening.run.id.clone();
    let common = kperf_export::Common {
        suite: plan.suite.name.clone(),
        run: id.clone(),
        start_unix_ns: opening.run.start_unix_ns,
        ..kperf_export::Common::default()
    };
    let exports = Exports::start(plan, &secrets, &common, options.metrics_listen).map_err(RunError::Machine)?;
    let out = options.out.clone().unwrap_or_else(|| Path::new("results").join(&plan.suite.name).join(&id));
    let write = |error| RunError::Folder { dir: out.clone(), error };
    let journal = Journal::create(&out, opening).map_err(write)?;
    // For a cleanup after a crash, which has to make the same plan again.
    let suite = secrets.redactor.redact(plan.suite.sources.text()).into_owned();
    std::fs::write(out.join(cleanup::SUITE), suite).map_err(write)?;
    let ledger = Ledger::create(&out)?;
    let simulated = simulated(plan)?;
    let doubles = Doubles::start(plan).map_err(RunError::Machine)?;
    let outbox = Arc::new(Outbox::create(&out));
    let run = Run {
        plan,
        secrets: &secrets,
        out: &out,
        id: &id,
        display: &options.display,
        keep: options.keep,
        ledger,
        interrupts,
        outbox: Arc::clone(&outbox),
        doubles: doubles.urls(),
        exports: &exports,
    };
    let end = tokio::select! {
        end = run.carry_out(journal, simulated.as_ref().map(kperf_sim::Sim::url)) => end,
        never = secrets.keep_fresh() => match never {},
    };
    let left = run.left();
    let Run { interrupts, .. } = run;
    let (mut journal, reporters, forced) = match end {
        Ok(Some(end)) => end,
        Ok(None) => {
            let undelivered = outbox.waiting();
            return Ok(Ended { exit: Exit::Interrupted, summary: None, out, left, undelivered });
        }
        Err(error) => {
            tell_left(&out, left);
            return Err(write(error));
        }
    };
    let interrupted = interrupts.any();
    for incident in exports.finish().await {
        crate::terminal::error(&incident.message);
        journal.incident(incident).map_err(write)?;
    }
    let forced = if interrupted { Some(Exit::Interrupted) } else { forced };
    journal.end(End { unix_ns: unix_ns(), interrupted, exit_code: forced.map(|exit| exit as u8) }).map_err(write)?;
    let summary = report::finish(&out)?;
    let mut exit = forced.unwrap_or_else(|| Exit::of_verdict(summary.verdict.exit_code));
    let text = std::fs::read_to_string(out.join("summary.json")).map_err(write)?;
    let unreported = tokio::select! {
        unreported = reporters::tell_all(reporters, &text, exit == Exit::Pass) => unreported,
        () = interrupts.twice() => Vec::new(),
    };
    for Unreported { message, required } in unreported {
        crate::terminal::error(&message);
        if required && exit == Exit::Pass {
            exit = Exit::ReporterFailed;
        }
    }
    doubles.write(&out, &secrets.redactor).map_err(write)?;
    Ok(Ended { exit, summary: Some(summary), undelivered: outbox.waiting(), out, left })
}

/// Starts the simulated server if the suite uses it.
fn simulated(plan: &Plan) -> Result<Option<kperf_sim::Sim>, RunError> {
    if !plan.suite.uses_simulated() {
        return Ok(None);
    }
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = kperf_sim::Sim::start(crate::simulated::config(&plan.suite.simulated), loopback)
        .map_err(|error| RunError::Machine(format!("can't start the simulated server: {error}")))?;
    Ok(Some(sim))
}

/// A scenario with everything it needs on this thread.
struct Stage<'a> {
    plan: &'a PlannedScenario,
    context: Arc<PluginContext>,
    lending: Lending,
    runner: Runner,
    book: Arc<Book>,
    /// Rows that the plugin appends outside load.
    records: Records,
    /// What `setup` returned, if it was called and went well.
    state: Option<Arc<[u8]>>,
    /// Whether `setup` was called, so that `teardown` has to be.
    touched: bool,
}

/// How far a run came: its journal, the reporters that wait for the result, and the exit code if it is certain already.
type Outcomes = (Journal, Vec<ReporterHandle>, Option<Exit>);

struct Run<'a> {
    plan: &'a Plan,
    secrets: &'a Secrets,
    out: &'a Path,
    id: &'a str,
    display: &'a Display,
    keep: bool,
    ledger: Ledger,
    interrupts: Interrupts,
    outbox: Arc<Outbox>,
    doubles: BTreeMap<Double, String>,
    exports: &'a Exports,
}

impl Run<'_> {
    /// None if the user left at once.
    async fn carry_out(&self, journal: Journal, simulated: Option<String>) -> std::io::Result<Option<Outcomes>> {
        let registry = Registry::new(self.series_limit());
        let (incidents, mut heard) = Incidents::channel();
        let facts = Facts::default();
        let lender = lending::trust(self.plan).map(|trust| Lender {
            suite: &self.plan.suite,
            out: self.out,
            run: self.id,
            secrets: self.secrets,
            simulated,
            doubles: self.doubles.clone(),
            registry: registry.clone(),
            epoch: Instant::now(),
            incidents,
            facts: facts.clone(),
            trust,
        });
        let (_stop, stopped) = watch::channel(false);
        let stages = lender.and_then(|lender| Ok((self.stages(&lender, &stopped)?, lender)));
        let (mut stages, lender) = match stages {
            Ok(ready) => ready,
            Err(message) => return self.not_ready(journal, "host", "target", message).map(Some),
        };
        let reporters = tokio::select! {
            reporters = self.reporters(&lender) => reporters,
            () = self.interrupts.once() => Ok(Vec::new()),
        };
        let reporters = match reporters {
            Ok(reporters) => reporters,
            Err((source, message)) => return self.not_ready(journal, &source, "start", message).map(Some),
        };
        let ready = tokio::select! {
            ready = self.get_ready(&mut stages) => ready,
            () = self.interrupts.once() => Err(None),
        };
        let loaded = match ready {
            Ok(()) => self.load(journal, &stages, &lender, registry, &mut heard, reporters).await,
            Err(failure) => give_up(journal, failure, reporters).map(Some),
        };
        if matches!(loaded, Ok(None)) {
            return Ok(None);
        }
        // Also when the journal can't be written any more: what is on the target has to go all the same.
        let Some(failures) = self.wind_up(&stages).await else { return Ok(None) };
        let Some((mut journal, reporters, exit)) = loaded? else { return Ok(None) };
        for failure in failures {
            journal.incident(failure)?;
        }
        for stage in &stages {
            journal.records(&stage.records.take())?;
        }
        journal.facts(facts.take())?;
        while let Ok(incident) = heard.try_recv() {
            journal.incident(monitor::told(incident))?;
        }
        Ok(Some((journal, reporters, exit)))
    }

    fn not_ready(&self, mut journal: Journal, source: &str, kind: &str, message: String) -> std::io::Result<Outcomes> {
        crate::terminal::error(&message);
        journal.incident(report::Incident { source: source.to_owned(), kind: kind.to_owned(), message, count: 1 })?;
        Ok((journal, Vec::new(), Some(Exit::NotReady)))
    }

    fn series_limit(&self) -> usize {
        self.plan.suite.plugins().map(|plugin| plugin.limits.series as usize).max().unwrap_or(Registry::DEFAULT_LIMIT)
    }

    fn stages(&self, lender: &Lender<'_>, stopped: &watch::Receiver<bool>) -> Result<Vec<Stage<'_>>, String> {
        let scenarios = self.plan.scenarios.iter().zip(&self.plan.suite.scenarios);
        scenarios
            .enumerate()
            .map(|(place, (plan, scenario))| {
                let tags = Tags::new(scenario.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
                    .with("scenario", &plan.part.name);
                let (mut context, lending) = lender.lend(&plan.part, &scenario.plugin, tags)?;
                adapt(&mut context, scenario, plan);
                let book = self.ledger.book(&plan.part.name);
                context.ledger = Some(Arc::clone(&book));
                context.tables = Some(tables::first(self.plan, place));
                let context = Arc::new(context);
                // Preflight, setup and teardown are no load: their samples go nowhere.
                let worker = lending.worker(stopped.clone(), false)?;
                let records = worker.records.clone();
                let runner =
                    Runner::new(&plan.part.plugin, worker, Arc::clone(&context)).map_err(|error| error.to_string())?;
                Ok(Stage { plan, context, lending, runner, book, records, state: None, touched: false })
            })
            .collect()
    }

    /// Preflight of all scenarios, then setup of each.
    async fn get_ready(&self, stages: &mut [Stage<'_>]) -> Result<(), Option<(String, CallError)>> {
        let mut well = true;
        for stage in stages.iter() {
            let name = &stage.plan.part.name;
            let findings = stage.runner.preflight().await.map_err(|error| Some((name.clone(), error)))?;
            for finding in findings {
                let mark = match finding.outcome {
                    Outcome::Pass => format!("{GOOD}✓{GOOD:#}"),
                    Outcome::Warn => format!("{DOUBT}!{DOUBT:#}"),
                    Outcome::Fail => format!("{BAD}✗{BAD:#}"),
                };
                let line = format!("{mark} {name}: {}  {FAINT}{}{FAINT:#}", finding.name, finding.message);
                if finding.outcome == Outcome::Fail {
                    well = false;
                    crate::terminal::note(&line);
                } else {
                    self.display.line(&line);
                }
            }
        }
        if !well {
            let message = "nothing was sent to the target but the checks above".to_owned();
            return Err(Some(("preflight".to_owned(), CallError::Failed { kind: "not-ready".into(), message })));
        }
        for stage in stages.iter_mut() {
            let name = &stage.plan.part.name;
            stage.touched = true;
            let started = Instant::now();
            let state = stage.runner.setup().await.map_err(|error| Some((name.clone(), error)))?;
            stage.state = Some(state.into());
            let took = started.elapsed();
            if took > Duration::from_millis(200) {
                let took = crate::terminal::seconds(took.as_secs_f64());
                self.display.line(&format!("{GOOD}✓{GOOD:#} {name}: set up in {took}"));
            }
        }
        Ok(())
    }

    async fn load(
        &self,
        journal: Journal,
        stages: &[Stage<'_>],
        lender: &Lender<'_>,
        registry: Registry,
        incidents: &mut mpsc::UnboundedReceiver<Incident>,
        reporters: Vec<ReporterHandle>,
    ) -> std::io::Result<Option<Outcomes>> {
        let (messages, inbox) = mpsc::unbounded_channel();
        let observers =
            async { Ok((self.collectors(lender, &messages).await?, self.natives(lender, &messages).await?)) };
        let observers = tokio::select! {
            observers = observers => observers,
            () = self.interrupts.once() => return Ok(Some((journal, reporters, None))),
        };
        let (mut collectors, natives) = match observers {
            Ok(observers) => observers,
            Err((source, message)) => {
                let (journal, _, exit) = self.not_ready(journal, &source, "start", message)?;
                return Ok(Some((journal, reporters, exit)));
            }
        };
        let epoch = Instant::now() + LEAD;
        let (signal, signals) = signal_channel();
        let (mut progress, mut shares) = (Vec::new(), Vec::new());
        for (number, stage) in stages.iter().enumerate() {
            let shared = Arc::new(Shared::new(epoch));
            let mut of_scenario = Vec::new();
            for index in 0..stage.plan.workers {
                let Ok(slice) = Slice::new(index, stage.plan.workers) else { continue };
                let progress = Arc::<Progress>::default();
                of_scenario.push(Arc::clone(&progress));
                worker::start(Assignment {
                    scenario: number,
                    slice,
                    schedule: stage.plan.schedule.clone(),
                    shared: Arc::clone(&shared),
                    signals: signals.clone(),
                    progress,
                    plugin: stage.plan.part.plugin.clone(),
                    context: Arc::clone(&stage.context),
                    state: stage.state.clone().unwrap_or_default(),
                    lending: Lending { epoch, ..stage.lending.clone() },
                    messages: messages.clone(),
                })?;
            }
            progress.push(of_scenario);
            shares.push(shared);
        }
        drop(messages);
        collectors.iter_mut().for_each(|collector| collector.begin(epoch));
        give_way();
        let (plan, messages) = (self.plan, inbox);
        let (facts, exports) = (lender.facts.clone(), self.exports);
        let brief = Brief {
            journal,
            registry,
            plan,
            epoch,
            progress,
            shares,
            reporters,
            messages,
            incidents,
            facts,
            signal,
            exports,
        };
        let tags: Vec<Tags> = stages.iter().map(|stage| stage.context.tags.clone()).collect();
        let mut monitor = Monitor::new(brief, &tags).map_err(|limit| std::io::Error::other(limit.to_string()))?;
        let names: Vec<String> = stages.iter().map(|stage| stage.plan.part.name.clone()).collect();
        let mut live = Live::new(self.display, &names);
        let end = monitor.watch(&mut live, &self.interrupts).await;
        live.finish();
        if end? == LoadEnd::Abandoned {
            return Ok(None);
        }
        let window = monitor.window();
        let mut failures = Vec::new();
        for collector in collectors {
            tokio::select! {
                finished = collector.finish(window.clone()) => failures.extend(finished.err()),
                () = self.interrupts.twice() => return Ok(None),
            }
        }
        for native in natives {
            tokio::select! {
                () = native.finish(window.start, window.end) => {}
                () = self.interrupts.twice() => return Ok(None),
            }
        }
        let (mut journal, reporters) = monitor.close()?;
        for message in failures {
            journal.incident(report::Incident {
                source: "collector".to_owned(),
                kind: "finish".to_owned(),
                message,
                count: 1,
            })?;
        }
        Ok(Some((journal, reporters, None)))
    }

    /// Starts the collectors; the error has a name and a reason.
    async fn collectors(
        &self,
        lender: &Lender<'_>,
        messages: &mpsc::UnboundedSender<worker::Message>,
    ) -> Result<Vec<CollectorHandle>, (String, String)> {
        let mut collectors = Vec::new();
        let place = self.plan.scenarios.len();
        for (at, (part, collector)) in self.plan.collectors.iter().zip(&self.plan.suite.collectors).enumerate() {
            let mut post = post(lender, part, &collector.plugin, "collector")?;
            post.context.tables = Some(tables::first(self.plan, place + at));
            let started = CollectorHandle::start(post, collector.interval, messages.clone()).await;
            collectors.push(started.map_err(|message| (part.name.clone(), message))?);
        }
        Ok(collectors)
    }

    /// Starts the reporters, all at once; the error has a name and a reason.
    async fn reporters(&self, lender: &Lender<'_>) -> Result<Vec<ReporterHandle>, (String, String)> {
        let mut starting = Vec::new();
        for (part, reporter) in self.plan.reporters.iter().zip(&self.plan.suite.reporters) {
            let post = post(lender, part, &reporter.plugin, "reporter")?;
            let started = Starting::new(post, reporter, &self.outbox);
            starting.push(started.map_err(|message| (part.name.clone(), message))?);
        }
        reporters::ready(starting).await
    }
}

/// What the thread of a collector or reporter is given; the error has a name and a reason.
fn post(lender: &Lender<'_>, part: &Part, used: &PluginUse, tag: &str) -> Result<Post, (String, String)> {
    let lent = lender.lend(part, used, Tags::new([(tag, part.name.as_str())]));
    let (context, lending) = lent.map_err(|message| (part.name.clone(), message))?;
    Ok(Post { plugin: part.plugin.clone(), context, lending })
}

/// What is known of a run that ends before load.
fn give_up(
    mut journal: Journal,
    failure: Option<(String, CallError)>,
    reporters: Vec<ReporterHandle>,
) -> std::io::Result<Outcomes> {
    if let Some((source, error)) = failure {
        let (kind, message) = match error {
            CallError::Failed { kind, message } => (kind.to_string(), message),
            CallError::Fault { fault, message } => (fault.name().to_owned(), message),
        };
        crate::terminal::error(&format!("{source}: {kind}: {message}"));
        journal.incident(report::Incident { source, kind, message, count: 1 })?;
    }
    Ok((journal, reporters, Some(Exit::NotReady)))
}

/// Lowers this thread's priority, now that the workers, which would inherit it, are there: where cores are few, what is done
/// once a second must not delay them.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!("can't give way to the workers: {error}");
    }
}

/// What only scenarios have.
fn adapt(context: &mut PluginContext, scenario: &Scenario, plan: &PlannedScenario) {
    context.users = plan.schedule.executor.max_users();
    context.group = scenario.group.get();
    context.limits.iteration = scenario.iteration_timeout;
    context.isolation = scenario.isolation.map(|isolation| match isolation {
        kperf_suite::Isolation::Shared => Isolation::Shared,
        kperf_suite::Isolation::User => Isolation::User,
        kperf_suite::Isolation::Iteration => Isolation::Iteration,
    });
}
