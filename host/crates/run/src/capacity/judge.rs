//! Whether a target carried a step's rate. Pure.

use std::time::Duration;

use kperf_metrics::quantity::{count, percent, quantity, rate, seconds};
use kperf_metrics::{Evaluation, Saturation, Unit};
use kperf_schedule::{Backlog, TrialOutcome};

/// The share of arrivals that may be dropped before the rate was not the one asked for; as in the verdict.
const DROPPED_SHARE: f64 = 0.01;
/// The share of arrivals that have to have started in time.
const STARTED_SHARE: f64 = 0.97;

/// A criterion and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Criterion {
    pub(crate) text: String,
    pub(crate) evaluation: Evaluation,
    pub(crate) unit: Unit,
}

/// The judged part of a step.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    /// The rate asked for, per second.
    pub(crate) rate: f64,
    /// From the first reading to the last.
    pub(crate) read: Duration,
    /// From the first reading to the end of arrivals.
    pub(crate) arriving: Duration,
    /// Iterations that started until the end of arrivals, ended until the last reading, and could not start.
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) dropped: u64,
    pub(crate) backlog: &'a Backlog,
    pub(crate) criteria: &'a [Criterion],
    pub(crate) generator: Saturation,
    /// The mean time of iterations that ended, if any did, and its standard deviation.
    pub(crate) iteration: Option<Duration>,
    pub(crate) deviation: Duration,
    /// The same at the lowest rate that held.
    pub(crate) unstressed: Option<Duration>,
    /// How long the part before was.
    pub(crate) settle: Duration,
    /// The most users.
    pub(crate) users: u32,
}

/// What is to be said about a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) outcome: TrialOutcome,
    /// Why, unless it held.
    pub(crate) reasons: Vec<String>,
    /// The part before ought to have been longer.
    pub(crate) unsettled: bool,
}

/// Judges a step. What the generator could not do is no fault of the target, so its doubts come before a breach; and they do
/// not take away what held in spite of them.
pub(crate) fn judge(seen: &Observed<'_>) -> Judgement {
    let plain = |outcome, reasons| Judgement { outcome, reasons, unsettled: false };
    if seen.read < seen.arriving / 2 || seen.read.is_zero() {
        return plain(TrialOutcome::Unsure, vec!["this machine was too busy to look at the step".to_owned()]);
    }
    let doubts = doubts(&seen.generator);
    let (mut broke, breached) = breaches(seen.criteria);
    let grows = seen.backlog.grows(seen.rate, seen.deviation);
    if grows {
        broke.push(pile(seen));
    }
    let arrived = seen.started + seen.dropped;
    let mut limits = Vec::new();
    if seen.dropped as f64 > arrived as f64 * DROPPED_SHARE {
        match users(seen) {
            Ok(target) => broke.push(target),
            Err(limit) => limits.push(limit),
        }
    }
    if !broke.is_empty() {
        let filling = grows && !breached && limits.is_empty() && seen.unstressed.is_none();
        if !doubts.is_empty() {
            return plain(TrialOutcome::Unsure, doubts.into_iter().chain(broke).collect());
        }
        if let (true, Some(iteration)) = (filling, seen.iteration.filter(|it| *it > seen.settle)) {
            let reason = format!(
                "iterations take {}, longer than the {} that are not judged: they were still filling up",
                seconds(iteration.as_secs_f64()),
                seconds(seen.settle.as_secs_f64())
            );
            return Judgement { outcome: TrialOutcome::Unsure, reasons: vec![reason], unsettled: true };
        }
        return plain(TrialOutcome::Broke, broke);
    }
    if !limits.is_empty() {
        return plain(TrialOutcome::Unsupported, limits);
    }
    if seen.finished == 0 {
        let reasons = vec!["no iteration ended within the step".to_owned()];
        return Judgement { outcome: TrialOutcome::Unsure, reasons, unsettled: true };
    }
    let missing = seen.criteria.iter().filter(|it| it.evaluation == Evaluation::NoSamples);
    let mut unsure: Vec<String> = missing.map(|it| format!("`{}` has no samples", it.text)).collect();
    let due = seen.rate * seen.arriving.as_secs_f64();
    if (arrived as f64) < due * STARTED_SHARE - 1.0 {
        unsure.push(format!(
            "only {} of {} iterations could be started in time",
            count(arrived as f64),
            count(due.round())
        ));
    }
    if unsure.is_empty() {
        return plain(TrialOutcome::Held, unsure);
    }
    plain(TrialOutcome::Unsure, doubts.into_iter().chain(unsure).collect())
}

/// What does not hold, and whether there is anything.
fn breaches(criteria: &[Criterion]) -> (Vec<String>, bool) {
    let breach = |it: &Criterion| match it.evaluation {
        Evaluation::Breach(value) => Some(format!("`{}`: {}", it.text, quantity(value, it.unit))),
        _ => None,
    };
    let broke: Vec<String> = criteria.iter().filter_map(breach).collect();
    let any = !broke.is_empty();
    (broke, any)
}

fn doubts(generator: &Saturation) -> Vec<String> {
    let mut doubts = Vec::new();
    if generator.is_late() {
        let share = percent(generator.late_share);
        doubts.push(format!(
            "the generator was late: {share} of the iterations started more than 10 ms after they were due"
        ));
    }
    if generator.is_busy() {
        let share = percent(generator.busy_share);
        doubts.push(format!("the generator's threads were at their limit in {share} of all seconds"));
    }
    doubts
}

fn pile(seen: &Observed<'_>) -> String {
    let length = seen.read.as_secs_f64().max(1e-9);
    format!(
        "work piles up: {} of {} ended, running ones grew from {} to {}",
        rate(seen.finished as f64 / length),
        rate(seen.rate),
        count(seen.backlog.first().unwrap_or_default()),
        count(seen.backlog.last().unwrap_or_default())
    )
}

/// All users were busy: the target's doing (`Ok`) if they were enough for iterations as long as at a rate that held, else there
/// are too few of them (`Err`).
fn users(seen: &Observed<'_>) -> Result<String, String> {
    let busy = format!("all {} users were busy and {} arrivals found none", seen.users, seen.dropped);
    let needed = |time: Duration| seen.rate * time.as_secs_f64();
    let time = |time: Duration| seconds(time.as_secs_f64());
    if let Some(unstressed) = seen.unstressed.filter(|it| needed(*it) <= f64::from(seen.users)) {
        let now = seen.iteration.map_or_else(String::new, |now| format!(", now {}", time(now)));
        return Ok(format!("{busy}: iterations took {} at a rate that held{now}", time(unstressed)));
    }
    // A fifth more, because none of them is busy all the time.
    let about = seen.unstressed.or(seen.iteration).map_or_else(String::new, |it| {
        format!("; {} takes about {} of them", rate(seen.rate), count((needed(it) * 1.2).ceil()))
    });
    Err(format!("{busy}: raise `max_vus`{about}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A reading a second of ten, growing by `growth` each.
    fn backlog(growth: u64) -> Backlog {
        let mut backlog = Backlog::default();
        for second in 0..=10 {
            backlog.read(SECOND * second, 10 + growth * u64::from(second));
        }
        backlog
    }

    fn criterion(evaluation: Evaluation) -> Criterion {
        Criterion { text: "http_req_duration p(95) < 1s".into(), evaluation, unit: Unit::Seconds }
    }

    /// Ten seconds at 100/s that hold: 0.1 s an iteration, 20 users.
    fn seen<'a>(backlog: &'a Backlog, criteria: &'a [Criterion]) -> Observed<'a> {
        Observed {
            rate: 100.0,
            read: SECOND * 10,
            arriving: SECOND * 10,
            started: 1000,
            finished: 1000,
            dropped: 0,
            backlog,
            criteria,
            generator: Saturation::default(),
            iteration: Some(SECOND / 10),
            deviation: Duration::ZERO,
            unstressed: Some(SECOND / 10),
            settle: SECOND,
            users: 20,
        }
    }

    #[test]
    fn a_step_holds_breaks_or_says_nothing() {
        use TrialOutcome::{Broke, Held, Unsupported, Unsure};
        let (flat, grows) = (backlog(0), backlog(20));
        let good = [criterion(Evaluation::Pass(0.5))];
        let bad = [criterion(Evaluation::Pass(0.5)), criterion(Evaluation::Breach(1.5))];
        let none = [criterion(Evaluation::NoSamples)];
        let late = Saturation { late_share: 0.2, late_p99: 0.2, ..Saturation::default() };
        let cases = [
            (seen(&flat, &good), Held, ""),
            (Observed { generator: late, ..seen(&flat, &good) }, Held, ""),
            (Observed { dropped: 10, ..seen(&flat, &good) }, Held, ""),
            (seen(&flat, &bad), Broke, "`http_req_duration p(95) < 1s`: 1.50 s"),
            (Observed { generator: late, ..seen(&flat, &bad) }, Unsure, "the generator was late"),
            (seen(&grows, &good), Broke, "running ones grew from 10 to 210"),
            // Twenty users are enough for 100/s of 0.1 s, so it is the target that keeps them.
            (
                Observed { dropped: 100, iteration: Some(SECOND), ..seen(&flat, &good) },
                Broke,
                "100 ms at a rate that held, now 1.00 s",
            ),
            (
                Observed { dropped: 100, users: 9, ..seen(&flat, &good) },
                Unsupported,
                "raise `max_vus`; 100/s takes about 12",
            ),
            (
                Observed { dropped: 100, unstressed: None, iteration: None, ..seen(&flat, &good) },
                Unsupported,
                "raise `max_vus`",
            ),
            (seen(&flat, &none), Unsure, "has no samples"),
            (Observed { finished: 0, iteration: None, ..seen(&flat, &none) }, Unsure, "no iteration ended"),
            (Observed { read: SECOND, ..seen(&flat, &good) }, Unsure, "too busy to look"),
            (Observed { started: 900, ..seen(&flat, &good) }, Unsure, "only 900 of 1000"),
        ];
        for (observed, outcome, reason) in cases {
            let judgement = judge(&observed);
            assert_eq!(judgement.outcome, outcome, "{observed:?}: {judgement:?}");
            assert_eq!(judgement.reasons.is_empty(), outcome == Held, "{judgement:?}");
            assert!(judgement.reasons.join("; ").contains(reason), "{reason}: {judgement:?}");
        }
    }

    #[test]
    fn the_first_step_may_still_be_filling_up() {
        let (grows, good) = (backlog(20), [criterion(Evaluation::Pass(0.5))]);
        let first = Observed { unstressed: None, iteration: Some(SECOND * 5), ..seen(&grows, &good) };
        let judgement = judge(&first);
        assert_eq!((judgement.outcome, judgement.unsettled), (TrialOutcome::Unsure, true), "{judgement:?}");
        let settled = judge(&Observed { settle: SECOND * 8, ..first });
        assert_eq!((settled.outcome, settled.unsettled), (TrialOutcome::Broke, false), "{settled:?}");
        let known = Observed { unstressed: Some(SECOND / 10), iteration: Some(SECOND * 5), ..seen(&grows, &good) };
        assert_eq!(judge(&known).outcome, TrialOutcome::Broke, "iterations have become longer: the target is behind");
    }
}
