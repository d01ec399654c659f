//! When load was made: the one clock of rates and elapsed times.
//!
//! In come the instants at which scenarios start and finish and up to which there are samples, all in nanoseconds since the Unix
//! epoch; out come the times that counters are divided by and that thresholds are judged for. A live display, the judgement
//! while load is made, and the summary all ask here, so that they can't differ.

use std::collections::BTreeMap;
use std::time::Duration;

/// When one scenario made load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadTime {
    /// When its first iteration could start; none before that.
    pub started: Option<u64>,
    /// When its last iteration had ended; none before that.
    pub finished: Option<u64>,
    /// For how long load was made: what the rate of a counter is divided by. Zero before the start.
    pub elapsed: Duration,
    /// Iterations that were cut off at the end of the graceful stop.
    pub interrupted: u64,
}

/// When the scenarios of a run made load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadTimes {
    scenarios: BTreeMap<String, LoadTime>,
    /// The end of the last samples.
    last: u64,
}

impl LoadTimes {
    /// Nothing has started; `start` is when the run began.
    #[must_use]
    pub fn new(start: u64) -> Self {
        Self { scenarios: BTreeMap::new(), last: start }
    }

    /// A scenario's first iteration may start.
    pub fn started(&mut self, scenario: &str, at: u64) {
        self.entry(scenario).started = Some(at);
    }

    /// A scenario's last iteration has ended; load was made for `elapsed`.
    pub fn finished(&mut self, scenario: &str, at: u64, elapsed: Duration, interrupted: u64) {
        let load = self.entry(scenario);
        (load.finished, load.elapsed, load.interrupted) = (Some(at), elapsed, interrupted);
    }

    /// There are samples up to `at`.
    pub fn measured_until(&mut self, at: u64) {
        self.last = self.last.max(at);
    }

    /// The instant up to which there are samples.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// When a scenario made load. One that has not finished has made load up to the last samples.
    #[must_use]
    pub fn of(&self, scenario: &str) -> LoadTime {
        let mut load = self.scenarios.get(scenario).copied().unwrap_or_default();
        if let (Some(started), None) = (load.started, load.finished) {
            load.elapsed = Duration::from_nanos(self.last.saturating_sub(started));
        }
        load
    }

    /// From the first scenario's start to the last one's end; zero before the first start.
    #[must_use]
    pub fn whole(&self) -> Duration {
        let first = self.scenarios.values().filter_map(|load| load.started).min();
        let last = self.scenarios.values().map(|load| load.finished.unwrap_or(self.last)).max();
        Duration::from_nanos(last.unwrap_or_default().saturating_sub(first.unwrap_or(u64::MAX)))
    }

    fn entry(&mut self, scenario: &str) -> &mut LoadTime {
        self.scenarios.entry(scenario.to_owned()).or_default()
    }
}

/// So many per second of load; 0 where no load was made.
#[must_use]
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_scenario_that_runs_has_made_load_up_to_the_last_samples() {
        let mut times = LoadTimes::new(100 * S);
        assert_eq!((times.of("a"), times.whole()), (LoadTime::default(), Duration::ZERO));
        times.started("a", 101 * S);
        times.started("late", 105 * S);
        times.measured_until(104 * S);
        times.measured_until(103 * S);
        assert_eq!(times.of("a").elapsed, Duration::from_secs(3));
        assert_eq!(times.of("late").elapsed, Duration::ZERO, "its start is ahead of the samples");
        // The last iteration ended a second after arrivals did.
        times.finished("a", 112 * S, Duration::from_secs(10), 2);
        times.measured_until(120 * S);
        let done = times.of("a");
        assert_eq!((done.elapsed, done.interrupted, done.finished), (Duration::from_secs(10), 2, Some(112 * S)));
        assert_eq!(times.of("late").elapsed, Duration::from_secs(15));
        assert_eq!(times.whole(), Duration::from_secs(19));
        assert_eq!((per_second(30, done.elapsed), per_second(30, Duration::ZERO)), (3.0, 0.0));
    }
}
