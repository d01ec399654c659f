//! Reporters: plugins that tell somebody, each as a sink of the run.
//!
//! In come the events of a run; the suite says which of them a reporter is told and when. Whatever a reporter does (trap, spin, hang,
//! wait for a server that is not there), it has until its deadline; then it is left behind, and the messages that it handed to the
//! host are in the outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_metrics::{Incident, Tags, ThresholdState};
use kperf_plan::{Plan, PlannedPlugin};
use kperf_plugin::{Delivery, Event, Outbox, Plugin, PluginContext, Reporter};
use kperf_results::{RunEvent, ScenarioChange, Sink, SinkError};
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;

use super::announcer::Announcer;
use crate::listeners::{Attaching, Terms, Until};
use crate::observers::ObserverFailed;
use crate::session::{Session, ThreadEnvironment};
use crate::stream::EventStream;
use crate::thread::runtime;

/// How long a reporter may take to get ready.
const START: Duration = Duration::from_secs(10);

/// Starts the suite's reporters, all at once, and attaches those that get ready. One that does not is left out, unless it is
/// required.
///
/// # Errors
/// Which required reporter can't start, and why.
pub(crate) async fn attach(
    plan: &Plan,
    session: &Session<'_>,
    stream: &EventStream,
    outbox: &Arc<Outbox>,
) -> Result<(), ObserverFailed> {
    let mut starting = Vec::new();
    for (planned, reporter) in plan.reporters.iter().zip(&plan.suite.reporters) {
        let failed = |message: String| ObserverFailed { name: planned.name.clone(), message };
        starting.push(start(planned, reporter, session, stream, outbox).map_err(failed)?);
    }
    let last = tokio::time::Instant::now() + START;
    for mut reporter in starting {
        let ready = match tokio::time::timeout_at(last, reporter.ready()).await {
            Ok(ready) => ready,
            Err(_) => Err(format!("it was not ready after {} s", START.as_secs())),
        };
        match ready {
            Ok(()) => stream.attach(reporter),
            Err(message) if reporter.is_required() => {
                return Err(ObserverFailed { name: reporter.name().to_owned(), message });
            }
            Err(message) => {
                let name = reporter.name();
                stream.emit(RunEvent::Incident(Incident::once(name, "start", message.clone())));
                let message = format!("{message}; the run goes on without it");
                stream.emit(RunEvent::SinkFailed { sink: format!("reporter {name}"), required: false, message });
            }
        }
    }
    Ok(())
}

/// Starts a reporter's thread; the error says why it has none.
fn start(
    planned: &PlannedPlugin,
    wanted: &kperf_suite::Reporter,
    session: &Session<'_>,
    stream: &EventStream,
    outbox: &Arc<Outbox>,
) -> Result<Attaching, String> {
    let tags = Tags::new([("reporter", planned.name.as_str())]);
    let environment = session.environment(planned, &wanted.plugin, tags);
    let (mut context, threads) = environment.map_err(|error| error.to_string())?;
    let (closing, until) = watch::channel(None);
    context.delivery = Some(Delivery {
        outbox: Arc::clone(outbox),
        patience: wanted.deadline,
        until,
        changes: stream.deliveries().clone(),
    });
    let copy = context.artifacts.clone().zip(wanted.append_to.as_ref().map(PathBuf::from));
    let announcer = Announcer::new(wanted.on.clone(), wanted.hold);
    let plugin = planned.component.clone();
    let terms =
        Terms { until: Until::Verdict, required: wanted.required, patience: wanted.deadline, closing: Some(closing) };
    let made = Attaching::start(&planned.name, terms, stream.incidents(), move || {
        Ok(Box::new(ReporterSink::start(&plugin, context, &threads, announcer, copy)?))
    });
    made.map_err(|error| format!("can't start a thread: {error}"))
}

/// A reporter at work.
struct ReporterSink {
    name: String,
    runtime: LocalRuntime,
    reporter: Reporter,
    announcer: Announcer,
    /// Where the plugin leaves files, and the file that gets them, too.
    copy: Option<(PathBuf, PathBuf)>,
    /// The first call that failed: an incident already, and whoever requires this reporter wants to know at the end.
    failed: Option<String>,
}

impl ReporterSink {
    fn start(
        plugin: &Plugin,
        context: PluginContext,
        threads: &ThreadEnvironment,
        announcer: Announcer,
        copy: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self, SinkError> {
        let runtime = runtime()?;
        let (name, (_stop, stopped)) = (context.name.to_string(), watch::channel(false));
        let started = runtime.block_on(async {
            let worker = threads.worker(stopped, false)?;
            let mut reporter = Reporter::new(plugin, worker, Arc::new(context))?;
            reporter.start().await?;
            Ok::<_, SinkError>(reporter)
        });
        Ok(Self { name, reporter: started?, runtime, announcer, copy, failed: None })
    }

    fn tell(&mut self, event: Event) {
        let told = self.runtime.block_on(self.reporter.on_event(event));
        if let Err(error) = told {
            tracing::debug!("{error}");
            self.failed.get_or_insert(error.to_string());
        }
    }
}

/// What of a run's events reporters may be told.
fn told(event: &RunEvent) -> Option<Event> {
    match event {
        RunEvent::LoadStarted { .. } => Some(Event::RunStarted),
        RunEvent::Threshold(change) if change.state == ThresholdState::Recovered => {
            Some(Event::ThresholdRecovered(change.clone()))
        }
        RunEvent::Threshold(change) => Some(Event::ThresholdBreached(change.clone())),
        RunEvent::Scenario(ScenarioChange::Finished { scenario, .. }) => {
            Some(Event::ScenarioFinished(scenario.clone()))
        }
        _ => None,
    }
}

impl Sink for ReporterSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn event(&mut self, event: &Arc<RunEvent>) -> Result<(), SinkError> {
        let now = Instant::now();
        let at_once = told(event).and_then(|event| self.announcer.event(&event, now));
        for event in at_once.into_iter().chain(self.announcer.due(now)) {
            self.tell(event);
        }
        if let RunEvent::Verdict { summary, json } = &**event
            && self.announcer.end(summary.verdict.exit_code == 0)
            && let Err(error) = self.runtime.block_on(self.reporter.report(json.to_string()))
        {
            self.failed = Some(error.to_string());
        }
        self.reporter.tick();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some((folder, file)) = &self.copy {
            append(folder, file)?;
        }
        self.failed.take().map_or(Ok(()), |message| Err(message.into()))
    }
}

/// Appends the files in a folder, by name, to a file.
fn append(folder: &Path, file: &Path) -> Result<(), SinkError> {
    let appended = || -> std::io::Result<()> {
        let mut names = Vec::new();
        match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => {
                for entry in entries? {
                    let path = entry?.path();
                    names.extend(path.is_file().then_some(path));
                }
            }
        }
        names.sort();
        let mut target = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        for name in names {
            std::io::copy(&mut std::fs::File::open(name)?, &mut target)?;
        }
        Ok(())
    };
    appended().map_err(|error| format!("can't append to {}: {error}", file.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reporter_writes_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("artifacts"), folder.path().join("summary.md"));
        append(&from, &to).unwrap();
        assert!(!to.exists(), "nothing was written");
        std::fs::create_dir(&from).unwrap();
        std::fs::write(from.join("b"), "two").unwrap();
        std::fs::write(from.join("a"), "one ").unwrap();
        std::fs::write(&to, "zero ").unwrap();
        append(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "zero one two");
        assert!(append(&from, Path::new("/nowhere/at/all")).is_err());
    }
}
