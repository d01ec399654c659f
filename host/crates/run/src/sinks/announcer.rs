//! What a reporter is told, and when: pure.
//!
//! In come all events of a run and the time; out come those that the suite wants this reporter to hear. A breach is told once it
//! has lasted for the hold time, and its end only if the breach was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kperf_metrics::ThresholdChange;
use kperf_plugin::Event;
use kperf_suite::Occasion;

/// See the module.
#[derive(Debug)]
pub(crate) struct Announcer {
    on: Vec<Occasion>,
    hold: Duration,
    /// By scenario and threshold.
    breaches: BTreeMap<(String, String), Breach>,
}

#[derive(Debug)]
struct Breach {
    since: Instant,
    change: ThresholdChange,
    told: bool,
}

impl Announcer {
    pub(crate) fn new(on: Vec<Occasion>, hold: Duration) -> Self {
        Self { on, hold, breaches: BTreeMap::new() }
    }

    /// Takes an event; gives it back if it is to be told at once.
    pub(crate) fn event(&mut self, event: &Event, now: Instant) -> Option<Event> {
        match event {
            Event::RunStarted => self.wants(Occasion::Start).then(|| event.clone()),
            Event::ScenarioFinished(_) => self.on.contains(&Occasion::Always).then(|| event.clone()),
            Event::ThresholdBreached(change) => {
                let told = self.hold.is_zero();
                let breach = Breach { since: now, change: change.clone(), told };
                self.breaches.entry(key(change)).or_insert(breach);
                (told && self.wants(Occasion::Breach)).then(|| event.clone())
            }
            Event::ThresholdRecovered(change) => {
                let told = self.breaches.remove(&key(change)).is_some_and(|breach| breach.told);
                (told && self.wants(Occasion::Recovered)).then(|| event.clone())
            }
        }
    }

    /// The breaches that have lasted long enough by now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Event> {
        let wanted = self.wants(Occasion::Breach);
        let mut due = Vec::new();
        for breach in self.breaches.values_mut() {
            if !breach.told && now.saturating_duration_since(breach.since) >= self.hold {
                breach.told = true;
                due.extend(wanted.then(|| Event::ThresholdBreached(breach.change.clone())));
            }
        }
        due
    }

    /// Whether the result is told.
    pub(crate) fn end(&self, pass: bool) -> bool {
        self.wants(if pass { Occasion::Pass } else { Occasion::Fail })
    }

    fn wants(&self, occasion: Occasion) -> bool {
        self.on.contains(&occasion) || self.on.contains(&Occasion::Always)
    }
}

fn key(change: &ThresholdChange) -> (String, String) {
    (change.scenario.clone(), change.threshold.clone())
}

#[cfg(test)]
mod tests {
    use kperf_metrics::{Severity, ThresholdState, Unit};

    use super::*;

    fn change(threshold: &str) -> ThresholdChange {
        ThresholdChange {
            scenario: "s".into(),
            threshold: threshold.into(),
            value: 2.0,
            limit: 1.0,
            unit: Unit::Seconds,
            severity: Severity::Error,
            state: ThresholdState::Breached,
            unix_ns: 0,
        }
    }

    #[test]
    fn a_breach_is_told_when_it_has_lasted() {
        let mut announcer = Announcer::new(vec![Occasion::Always], Duration::from_secs(5));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (breached, recovered) = (Event::ThresholdBreached(change("a")), Event::ThresholdRecovered(change("a")));
        assert_eq!(announcer.event(&breached, at(0)), None);
        assert_eq!(announcer.event(&recovered, at(4)), None, "one bad second wakes nobody");
        assert_eq!(announcer.due(at(9)), []);
        assert_eq!(announcer.event(&breached, at(10)), None);
        assert_eq!(announcer.due(at(14)), []);
        assert_eq!(announcer.due(at(15)), [breached]);
        assert_eq!(announcer.due(at(16)), [], "once");
        assert_eq!(announcer.event(&recovered, at(20)), Some(recovered.clone()));
        assert_eq!(announcer.event(&recovered, at(21)), None);
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let now = Instant::now();
        let mut pager = Announcer::new(vec![Occasion::Breach, Occasion::Fail], Duration::ZERO);
        let breached = Event::ThresholdBreached(change("a"));
        assert_eq!(pager.event(&Event::RunStarted, now), None);
        assert_eq!(pager.event(&breached, now), Some(breached));
        assert_eq!(pager.event(&Event::ThresholdRecovered(change("a")), now), None);
        assert_eq!(pager.event(&Event::ScenarioFinished("s".into()), now), None);
        assert!(pager.end(false) && !pager.end(true));
        let silent = Announcer::new(Vec::new(), Duration::ZERO);
        assert!(!silent.end(false) && !silent.end(true));
    }
}
