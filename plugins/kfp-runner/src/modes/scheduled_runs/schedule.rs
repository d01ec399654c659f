//! When a recurring run should start runs, and what became of that. All instants are the server's, in seconds since the
//! Unix epoch.

use chrono::DateTime;
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use kperf_plugin_sdk::Failure;

/// A run's instants may be rounded by so much.
const ROUNDING: f64 = 1.0;

/// When runs are due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Every so many seconds, counted from the creation of the recurring run.
    Interval(u64),
    /// At the instants of a pattern with seconds, in UTC.
    Cron(Box<Cron>),
}

impl Schedule {
    /// A schedule of a pattern with six fields, the first of which are seconds.
    ///
    /// # Errors
    /// A failure of the kind `params` if it is none.
    pub fn cron(pattern: &str) -> Result<Self, Failure> {
        let parser = CronParser::builder().seconds(Seconds::Required).build();
        let cron = parser.parse(pattern).map_err(|error| {
            let help = "write six fields, seconds first: \"0 */5 * * * *\"";
            Failure::params(format!("`cron = \"{pattern}\"` can't be used: {error}; {help}"))
        })?;
        Ok(Self::Cron(Box::new(cron)))
    }

    /// The first so many instants after a recurring run was created.
    pub fn instants(&self, created: f64, number: usize) -> Vec<f64> {
        match self {
            Self::Interval(seconds) => (1..=number).map(|k| created + (*seconds as f64) * k as f64).collect(),
            Self::Cron(cron) => {
                let Some(start) = DateTime::from_timestamp(created as i64, 0) else { return Vec::new() };
                cron.iter_after(start).take(number).map(|at| at.timestamp() as f64).collect()
            }
        }
    }

    /// Seconds from one instant to the next, at the least of what comes first.
    pub fn period(&self, created: f64) -> f64 {
        let instants = self.instants(created, 2);
        match instants.as_slice() {
            [first, second] => second - first,
            _ => 60.0,
        }
    }
}

/// A run that a recurring run has started.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    pub id: String,
    /// When it was to start; the server says so, or means its creation.
    pub scheduled: Option<f64>,
    pub created: f64,
    pub started: Option<f64>,
    pub finished: Option<f64>,
}

/// What became of an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// When the run was due.
    pub nominal: f64,
    /// The run that was started for it; none if it was missed.
    pub run: Option<Produced>,
    /// Whether an earlier run of the same recurring run had not ended when this one was created.
    pub overlaps: bool,
}

/// What became of each instant. Instants within `off`, when the recurring run was switched off, are left out.
pub fn triggers(instants: &[f64], produced: &[Produced], off: Option<(f64, f64)>) -> Vec<Trigger> {
    let is_off = |at: f64| off.is_some_and(|(from, to)| (from - ROUNDING..=to).contains(&at));
    let mut runs: Vec<&Produced> = produced.iter().collect();
    runs.sort_by(|a, b| a.created.total_cmp(&b.created));
    // A run's instant is the latest one that is not after the time for which the server says it was scheduled.
    let nominal = |run: &Produced| {
        let meant = run.scheduled.filter(|&at| at <= run.created).unwrap_or(run.created) + ROUNDING;
        instants.iter().copied().rfind(|&at| at <= meant)
    };
    let overlaps = |run: &Produced| {
        let before = produced.iter().filter(|other| other.id != run.id && other.created < run.created);
        before.into_iter().any(|other| other.finished.is_none_or(|end| end > run.created))
    };
    let wanted = instants.iter().copied().filter(|&at| !is_off(at));
    wanted
        .map(|at| {
            let run = runs.iter().find(|run| nominal(run) == Some(at)).map(|run| (*run).clone());
            Trigger { nominal: at, overlaps: run.as_ref().is_some_and(overlaps), run }
        })
        .collect()
}

/// How many runs were created while the recurring run was switched off. What was started just before may show just after.
pub fn while_off(produced: &[Produced], off: Option<(f64, f64)>) -> usize {
    let Some((from, to)) = off else { return 0 };
    produced.iter().filter(|run| run.created > from + ROUNDING && run.created < to - ROUNDING).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, created: f64, finished: Option<f64>) -> Produced {
        Produced { id: id.into(), scheduled: Some(created), created, started: None, finished }
    }

    #[test]
    fn instants_follow_the_schedule() {
        assert_eq!(Schedule::Interval(60).instants(1000.0, 3), [1060.0, 1120.0, 1180.0]);
        // 2026-11-22T10:15:04Z
        let cron = Schedule::cron("0 */5 * * * *").unwrap();
        assert_eq!(cron.instants(1_795_342_504.0, 2), [1_795_342_800.0, 1_795_343_100.0]);
        assert_eq!(cron.period(1_795_342_504.0), 300.0);
        assert_eq!(Schedule::Interval(7).period(0.0), 7.0);
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for wrong in ["", "* * * * *", "0 */5 * * * 9", "soon"] {
            assert!(Schedule::cron(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn runs_find_their_instants() {
        let instants = [10.0, 20.0, 30.0];
        let produced = [run("a", 12.0, Some(15.0)), run("c", 34.0, Some(40.0))];
        let triggers = triggers(&instants, &produced, None);
        let ids: Vec<Option<&str>> = triggers.iter().map(|it| it.run.as_ref().map(|run| run.id.as_str())).collect();
        assert_eq!(ids, [Some("a"), None, Some("c")]);
        assert!(triggers.iter().all(|trigger| !trigger.overlaps));
    }

    #[test]
    fn the_server_may_say_what_a_late_run_was_for() {
        let late = Produced { scheduled: Some(10.0), ..run("a", 25.0, None) };
        let triggers = triggers(&[10.0, 20.0], &[late], None);
        assert!(triggers[0].run.is_some() && triggers[1].run.is_none());
    }

    #[test]
    fn a_run_that_begins_before_the_last_has_ended_overlaps() {
        let produced = [run("a", 10.0, Some(25.0)), run("b", 20.0, None)];
        let triggers = triggers(&[10.0, 20.0], &produced, None);
        assert!(!triggers[0].overlaps && triggers[1].overlaps);
    }

    #[test]
    fn nothing_is_due_while_it_is_switched_off() {
        let off = Some((15.0, 25.0));
        let produced = [run("a", 10.0, Some(12.0)), run("x", 20.0, None)];
        assert_eq!(triggers(&[10.0, 20.0, 30.0], &produced, off).len(), 2);
        assert_eq!(while_off(&produced, off), 1);
        assert_eq!(while_off(&produced, None), 0);
    }
}
