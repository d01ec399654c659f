//! From events to results: what a run has come to so far, small enough to hold.
//!
//! In comes one event after the other, from a run that goes on or from journals; out come the totals that thresholds are judged by
//! while load is made, and the summary. There is one fold, so that live and final figures can't differ. It is pure.

mod summarise;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kperf_metrics::{Incident, LoadTimes, Registry, ThresholdState, Totals};

use crate::incident::IncidentList;
use crate::{
    CapacityChange, CapacityProgress, CapacityTrial, End, Merged, RecordsSummary, RunEvent, RunHeader, ScenarioChange,
    Summary,
};

/// Everything that the events of a run say.
#[derive(Debug, Clone)]
pub struct Fold {
    pub(crate) header: RunHeader,
    pub(crate) totals: Totals,
    pub(crate) times: LoadTimes,
    pub(crate) incidents: IncidentList,
    pub(crate) records: Vec<RecordsSummary>,
    /// Thresholds that stopped the run: scenario and text.
    pub(crate) aborted: BTreeSet<(String, String)>,
    pub(crate) searches: BTreeMap<String, Searched>,
    pub(crate) end: Option<End>,
    /// Whether events are missing that nobody can count.
    pub(crate) unrecorded: bool,
}

/// What a capacity search has found so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Searched {
    pub(crate) standing: CapacityProgress,
    pub(crate) trials: Vec<CapacityTrial>,
}

impl Fold {
    /// A run of which only the header is known. `registry` knows the series of its events.
    #[must_use]
    pub fn new(header: RunHeader, registry: Registry) -> Self {
        Self {
            times: LoadTimes::new(header.run.start_unix_ns),
            totals: Totals::new(registry),
            header,
            incidents: IncidentList::default(),
            records: Vec::new(),
            aborted: BTreeSet::new(),
            searches: BTreeMap::new(),
            end: None,
            unrecorded: false,
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Merged(Merged { interval, .. }) => {
                self.totals.add(interval);
                self.times.measured_until(interval.end);
            }
            RunEvent::Scenario(ScenarioChange::Started { scenario, unix_ns }) => self.times.started(scenario, *unix_ns),
            RunEvent::Scenario(ScenarioChange::Finished { scenario, unix_ns, elapsed_ns, interrupted }) => {
                self.times.finished(scenario, *unix_ns, Duration::from_nanos(*elapsed_ns), *interrupted);
            }
            RunEvent::Threshold(change) if change.state == ThresholdState::Aborted => {
                self.aborted.insert((change.scenario.clone(), change.threshold.clone()));
            }
            RunEvent::Capacity(change) => self.search(change),
            RunEvent::Incident(incident) | RunEvent::PhaseFailed { incident, .. } => {
                self.incidents.add(incident.clone());
            }
            RunEvent::Fact(fact) => {
                let facts = self.header.run.facts.entry(fact.source.clone()).or_default();
                facts.insert(fact.key.clone(), fact.value.clone());
            }
            RunEvent::Ended(end) => self.ended(*end),
            _ => {}
        }
    }

    /// What is known of the run from its beginning, with the facts since.
    #[must_use]
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// What every series has gathered.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// When load was made.
    #[must_use]
    pub fn times(&self) -> &LoadTimes {
        &self.times
    }

    /// The summary of what is known so far; that of a run without an end is interrupted.
    #[must_use]
    pub fn summary(&self) -> Summary {
        summarise::summary(self)
    }

    /// Events are missing from here on: nothing is proven any more.
    pub fn unrecorded(&mut self, why: &str) {
        self.unrecorded = true;
        self.incidents.add(Incident::once("host", "journal-failed", why));
    }

    /// Lines of the journal could not be read.
    pub(crate) fn damaged(&mut self, lines: u64) {
        if lines > 0 {
            self.incidents.add(Incident {
                source: "host".to_owned(),
                kind: "journal-damaged".to_owned(),
                message: "lines of journal.jsonl can't be read, their samples are missing; was the disk full?"
                    .to_owned(),
                count: lines,
            });
            // What is missing is unknown; that something is missing has to reach the verdict.
            self.totals.dropped += lines;
        }
    }

    /// Lines of the journal are of events that only another version knows.
    pub(crate) fn skipped(&mut self, events: &BTreeMap<String, u64>) {
        if !events.is_empty() {
            let names = events.keys().cloned().collect::<Vec<_>>().join("`, `");
            self.incidents.add(Incident {
                source: "host".to_owned(),
                kind: "journal-unknown-events".to_owned(),
                message: format!("another version of kperf wrote `{names}` into journal.jsonl; they are left out"),
                count: events.values().sum(),
            });
        }
    }

    /// The files of records are written; so many rows could not be read.
    pub(crate) fn recorded(&mut self, files: Vec<RecordsSummary>, damaged: u64) {
        self.records = files;
        if damaged > 0 {
            self.incidents.add(Incident {
                source: "host".to_owned(),
                kind: "records-damaged".to_owned(),
                message: "lines of records.jsonl can't be read, their rows are missing; was the disk full?".to_owned(),
                count: damaged,
            });
        }
    }

    fn search(&mut self, change: &CapacityChange) {
        let search = self.searches.entry(change.scenario.clone()).or_default();
        search.standing = change.standing.clone();
        search.trials.extend(change.step.clone());
    }

    fn ended(&mut self, end: End) {
        let before = self.end.unwrap_or(end);
        self.end = Some(End {
            unix_ns: before.unix_ns.max(end.unix_ns),
            interrupted: before.interrupted || end.interrupted,
            exit_code: before.exit_code.or(end.exit_code),
        });
    }
}
