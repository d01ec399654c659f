//! Reporters: each on a thread of its own, so that none can slow the load, or hide what another one has to say.
//!
//! In come the suite's reporters, events while the run goes on, and the result; out comes what they have not managed to tell.
//! Whatever a reporter does (trap, spin, hang, wait for a server that is not there), it has until its deadline; then it is left
//! behind, and the messages that it handed to the host are in the outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_metrics::Incident;
use kperf_plugin::{Delivery, Event, Incidents, Outbox, Reporter};
use tokio::sync::{mpsc, oneshot, watch};

use super::announcer::Announcer;
use super::observers::{Answer, Post, heard, thread};

/// Events that a reporter may be behind; further ones are dropped and counted.
const QUEUE: usize = 64;

/// How long a reporter may take to get ready.
const START: Duration = Duration::from_secs(10);

/// A reporter at work.
pub(super) struct ReporterHandle {
    name: Arc<str>,
    required: bool,
    deadline: Duration,
    announcer: Announcer,
    events: mpsc::Sender<Event>,
    report: oneshot::Sender<(Option<String>, Answer)>,
    /// From when on the host tries to deliver nothing more.
    until: watch::Sender<Option<Instant>>,
    /// Where the plugin leaves files, and the file that gets them, too.
    copy: Option<(PathBuf, PathBuf)>,
    incidents: Incidents,
}

/// A reporter that gets ready.
pub(super) struct Starting {
    handle: ReporterHandle,
    ready: oneshot::Receiver<Result<(), String>>,
}

impl Starting {
    /// Starts the thread.
    pub(super) fn new(mut post: Post, wanted: &kperf_suite::Reporter, outbox: &Arc<Outbox>) -> Result<Self, String> {
        let name = Arc::clone(&post.context.name);
        let incidents = post.lending.incidents.clone();
        let folder = post.context.artifacts.clone();
        let (events, queue) = mpsc::channel(QUEUE);
        let (report, reported) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let (until, ends) = watch::channel(None);
        post.context.delivery = Some(Delivery { outbox: Arc::clone(outbox), patience: wanted.deadline, until: ends });
        thread(&name, async move || tell(post, ready, queue, reported).await)?;
        let handle = ReporterHandle {
            name,
            required: wanted.required,
            deadline: wanted.deadline,
            announcer: Announcer::new(wanted.on.clone(), wanted.hold),
            events,
            report,
            until,
            copy: folder.zip(wanted.append_to.as_ref().map(PathBuf::from)),
            incidents,
        };
        Ok(Self { handle, ready: started })
    }
}

/// Waits until the reporters are ready; one that is not is left out, unless it is required.
///
/// # Errors
/// The name of a required reporter that can't start, and why.
pub(super) async fn ready(starting: Vec<Starting>) -> Result<Vec<ReporterHandle>, (String, String)> {
    let last = tokio::time::Instant::now() + START;
    let mut reporters = Vec::new();
    for Starting { handle, ready } in starting {
        let started = match tokio::time::timeout_at(last, heard(ready)).await {
            Ok(started) => started,
            Err(_) => Err(format!("it was not ready after {} s", START.as_secs())),
        };
        match started {
            Ok(()) => reporters.push(handle),
            Err(message) if handle.required => return Err((handle.name.to_string(), message)),
            Err(message) => {
                crate::terminal::error(&format!("reporter {}: {message}; the run goes on without it", handle.name));
                handle.incident("start", message);
            }
        }
    }
    Ok(reporters)
}

impl ReporterHandle {
    /// Tells an event, if and when the suite wants it told.
    pub(super) fn event(&mut self, event: &Event) {
        if let Some(event) = self.announcer.event(event, Instant::now()) {
            self.queue(event);
        }
    }

    /// To be called about once a second: tells the breaches that have lasted long enough.
    pub(super) fn tick(&mut self) {
        for event in self.announcer.due(Instant::now()) {
            self.queue(event);
        }
    }

    /// Queues an event, or drops and counts it.
    fn queue(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.incident("event-dropped", "the reporter is too slow for the events of this run".to_owned());
        }
    }

    fn incident(&self, kind: &str, message: String) {
        self.incidents.report(Incident::once(&self.name, kind, message));
    }

    /// Hands over the result, or only the end of events. Two thirds of the time are for messages that are on their way, the rest
    /// for those that can only be kept any more.
    fn end(self, summary: Option<String>) -> Ending {
        let now = Instant::now();
        self.until.send_replace(Some(now + self.deadline * 2 / 3));
        let (answer, told) = oneshot::channel();
        // The thread takes the events that are queued, then this.
        let _ = self.report.send((summary, answer));
        let last = tokio::time::Instant::from_std(now + self.deadline);
        Ending { name: self.name, required: self.required, last, told, copy: self.copy, _until: self.until }
    }
}

/// A reporter that has been told the end.
struct Ending {
    name: Arc<str>,
    required: bool,
    last: tokio::time::Instant,
    told: oneshot::Receiver<Result<(), String>>,
    copy: Option<(PathBuf, PathBuf)>,
    /// Kept, so that the reporter's thread does not take its end for the run's.
    _until: watch::Sender<Option<Instant>>,
}

/// What a reporter has not managed.
pub(super) struct Unreported {
    pub(super) message: String,
    pub(super) required: bool,
}

/// Hands the result (the text of `summary.json`) to all reporters that want it, at once, and waits for each until its deadline.
pub(super) async fn tell_all(reporters: Vec<ReporterHandle>, summary: &str, pass: bool) -> Vec<Unreported> {
    let ending = reporters.into_iter().map(|reporter| {
        let wanted = reporter.announcer.end(pass);
        reporter.end(wanted.then(|| summary.to_owned()))
    });
    // All of them are told before the first one is waited for.
    let ending: Vec<_> = ending.collect();
    let mut failed = Vec::new();
    for Ending { name, required, last, told, copy, _until } in ending {
        let told = match tokio::time::timeout_at(last, heard(told)).await {
            Ok(told) => told,
            Err(_) => Err("it had not ended when its time was up (`deadline`)".to_owned()),
        };
        let copied = copy.map_or(Ok(()), |(folder, file)| append(&folder, &file));
        if let Err(message) = told.and(copied) {
            failed.push(Unreported { message: format!("reporter {name}: {message}"), required });
        }
    }
    failed
}

/// Appends the files in a folder, by name, to a file.
fn append(folder: &Path, file: &Path) -> Result<(), String> {
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
    appended().map_err(|error| format!("can't append to {}: {error}", file.display()))
}

async fn tell(
    post: Post,
    ready: Answer,
    mut events: mpsc::Receiver<Event>,
    report: oneshot::Receiver<(Option<String>, Answer)>,
) {
    let (_stop, stopped) = watch::channel(false);
    let made = post.lending.worker(stopped, false).and_then(|worker| {
        Reporter::new(&post.plugin, worker, Arc::new(post.context)).map_err(|error| error.to_string())
    });
    let mut reporter = match made {
        Ok(reporter) => reporter,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let started = reporter.start().await.map_err(|error| error.to_string());
    let failed = started.is_err();
    if ready.send(started).is_err() || failed {
        return;
    }
    // What it has not managed is an incident already; whoever requires this reporter wants to know at the end.
    let mut told = Ok(());
    while let Some(event) = events.recv().await {
        if let Err(error) = reporter.on_event(event).await {
            tracing::debug!("{error}");
            told = told.and(Err(error.to_string()));
        }
        reporter.tick();
    }
    let Ok((summary, answer)) = report.await else { return };
    if let Some(summary) = summary {
        let reported = reporter.report(summary).await.map_err(|error| error.to_string());
        told = reported.and(told);
    }
    let _ = answer.send(told);
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
