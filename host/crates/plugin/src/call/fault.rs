//! What can go wrong with a plugin, by name. The names are stable: they are tags, incident kinds and what people search
//! for.

use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use kperf_metrics::Incident;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

/// A way in which a plugin, or an iteration of it, goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The guest trapped: a panic, an uncaught exception, an invalid access.
    Trap,
    /// The guest ran for longer than `limits.cpu` without giving the processor back.
    CpuLimit,
    /// The guest asked for more memory than `limits.memory`.
    MemoryLimit,
    /// The guest's stack was used up.
    StackOverflow,
    /// An iteration took longer than `iteration_timeout`.
    IterationTimeout,
    /// A call outside iterations took longer than it may.
    CallTimeout,
    /// Another iteration in the same instance brought it down.
    LostWithGroup,
    /// The instance could not be made, or its `open` failed.
    OpenFailed,
    /// Ten instances in a row failed without one good iteration: the scenario is given up.
    PluginFailed,
    /// More samples than `limits.samples`; what was beyond is dropped.
    SampleFlood,
    /// More log lines than `limits.log_lines`; what was beyond is dropped.
    LogFlood,
    /// A request to a host, or a use of a credential or file, that the suite does not grant.
    HostDenied,
    /// More artifacts, or larger ones, than a plugin may leave; what was beyond is refused.
    ArtifactFlood,
    /// A server sent a secret back; it was masked before the plugin got the answer.
    SecretEchoed,
    /// A sample of a metric that the plugin's description does not declare.
    UndeclaredMetric,
    /// A sample with a wrong tag or value.
    InvalidSample,
    /// More series than the limit; samples of new series are dropped.
    SeriesLimit,
    /// What is about to be created can't be written down, so it must not be created.
    LedgerFailed,
    /// More words for the ledger than `limits.samples` per second.
    LedgerFlood,
    /// A record that does not fit a table of the plugin's description; it is dropped.
    InvalidRecord,
    /// More records than `limits.samples`, or more bytes of them than fit; what was beyond is dropped.
    RecordFlood,
    /// A capability that this kind of plugin does not have.
    WrongWorld,
    /// The file is no component.
    NotAComponent,
    /// The component speaks another version of the contract.
    BadVersion,
    /// The guest needs what this host does not offer, or a call failed for a reason of the host's.
    Unsupported,
}

impl Fault {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::CpuLimit => "cpu-limit",
            Self::MemoryLimit => "memory-limit",
            Self::StackOverflow => "stack-overflow",
            Self::IterationTimeout => "iteration-timeout",
            Self::CallTimeout => "call-timeout",
            Self::LostWithGroup => "lost-with-group",
            Self::OpenFailed => "open-failed",
            Self::PluginFailed => "plugin-failed",
            Self::SampleFlood => "sample-flood",
            Self::LogFlood => "log-flood",
            Self::HostDenied => "host-denied",
            Self::ArtifactFlood => "artifact-flood",
            Self::SecretEchoed => "secret-echoed",
            Self::UndeclaredMetric => "undeclared-metric",
            Self::InvalidSample => "invalid-sample",
            Self::SeriesLimit => "series-limit",
            Self::LedgerFailed => "ledger-failed",
            Self::LedgerFlood => "ledger-flood",
            Self::InvalidRecord => "invalid-record",
            Self::RecordFlood => "record-flood",
            Self::WrongWorld => "wrong-world",
            Self::NotAComponent => "not-a-component",
            Self::BadVersion => "bad-version",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whether samples are missing because of it, which makes a verdict doubtful.
    #[must_use]
    pub const fn loses_samples(self) -> bool {
        matches!(self, Self::SampleFlood | Self::SeriesLimit | Self::UndeclaredMetric | Self::InvalidSample)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where incidents go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Incidents(mpsc::UnboundedSender<Incident>);

impl Incidents {
    /// A sender and the end at which the host listens.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Incident>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Reports an incident. Nobody listening is no error: the run is over then.
    pub fn report(&self, incident: Incident) {
        let _ = self.0.send(incident);
    }
}

/// Adds incidents up, so that a plugin that fails a thousand times a second sends one a second.
#[derive(Debug)]
pub(crate) struct IncidentCounter {
    source: Arc<str>,
    incidents: Incidents,
    kinds: FxHashMap<Arc<str>, u64>,
}

/// How many kinds of failure a plugin may have; further ones are counted as `other`.
const KINDS: usize = 64;

impl IncidentCounter {
    pub(crate) fn new(source: Arc<str>, incidents: Incidents) -> Self {
        Self { source, incidents, kinds: FxHashMap::default() }
    }

    pub(crate) fn fault(&mut self, fault: Fault, count: u64, message: impl FnOnce() -> String) {
        self.add(fault.name(), count, message);
    }

    /// Counts one, sends the first of its kind at once, and returns the kind as an interned text.
    pub(crate) fn add(&mut self, kind: &str, count: u64, message: impl FnOnce() -> String) -> Arc<str> {
        if let Some((known, pending)) = self.kinds.get_key_value(kind) {
            let (known, pending) = (Arc::clone(known), *pending + count);
            self.kinds.insert(Arc::clone(&known), pending);
            return known;
        }
        let kind: Arc<str> = if self.kinds.len() < KINDS { kind.into() } else { "other".into() };
        match self.kinds.entry(Arc::clone(&kind)) {
            Entry::Occupied(mut known) => *known.get_mut() += count,
            Entry::Vacant(new) => {
                new.insert(0);
                let (source, kind) = (self.source.to_string(), kind.to_string());
                self.incidents.report(Incident { source, kind, message: message(), count });
            }
        }
        kind
    }

    /// Sends what has added up.
    pub(crate) fn flush(&mut self) {
        for (kind, pending) in &mut self.kinds {
            if *pending > 0 {
                let (source, kind) = (self.source.to_string(), kind.to_string());
                let count = std::mem::take(pending);
                self.incidents.report(Incident { source, kind, message: String::new(), count });
            }
        }
    }
}

impl Drop for IncidentCounter {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_is_sent_at_once_and_the_rest_adds_up() {
        let (incidents, mut received) = Incidents::channel();
        let mut book = IncidentCounter::new("scenario".into(), incidents);
        for n in 0..5 {
            book.fault(Fault::Trap, 1, || format!("number {n}"));
        }
        let first = received.try_recv().unwrap();
        assert_eq!((first.message.as_str(), first.count, first.kind.as_str()), ("number 0", 1, "trap"));
        assert!(received.try_recv().is_err());
        drop(book);
        let rest = received.try_recv().unwrap();
        assert_eq!((rest.message.as_str(), rest.count, rest.kind.as_str()), ("", 4, "trap"));
    }

    #[test]
    fn kinds_without_end_become_other() {
        let (incidents, _received) = Incidents::channel();
        let mut book = IncidentCounter::new("scenario".into(), incidents);
        for n in 0..KINDS {
            book.add(&format!("kind-{n}"), 1, String::new);
        }
        assert_eq!(&*book.add("one-more", 1, String::new), "other");
        assert_eq!(&*book.add("kind-3", 1, String::new), "kind-3");
    }
}
