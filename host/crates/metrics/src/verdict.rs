//! The verdict: pass, fail, or not enough evidence to say.
//!
//! No samples is never a pass, and a generator that could not keep up proves nothing about its target. Doubt does not
//! take away a breach: a run that breached a threshold fails, and its doubts stand beside the breach.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::quantity::{percent, quantity, seconds};
use crate::{Builtin, Delta, Evaluation, Tags, Totals, Unit};

/// An iteration that starts this much after it was due started late. Timers and a busy scheduler cost a few
/// milliseconds on a healthy machine; 10 ms is beyond that and would be seen in most services' percentiles.
const LATE: Duration = Duration::from_millis(10);
/// The share of late starts that casts doubt: those percentiles that people set thresholds on begin here (p95).
const LATE_SHARE: f64 = 0.05;
/// A 99th percentile of the delay below this is a blip, not saturation.
const LATE_P99: Duration = Duration::from_millis(50);
/// A worker thread that is busy for this share of a second has no reserve.
const BUSY: f64 = 0.95;
/// The share of busy seconds that casts doubt. A short peak (start, a burst) is none.
const BUSY_SHARE: f64 = 0.2;
/// Fewer busy seconds than this are a start, not a state.
const BUSY_SECONDS: f64 = 3.0;
/// A worker thread that was ready to run for this share of a second, while the CPU did something else, is held up by others.
const WAITED: f64 = 0.5;
/// The share of such seconds that casts doubt, and how many of them there must be: a machine that is busy for a moment is common.
const WAITED_SHARE: f64 = 0.2;
const WAITED_SECONDS: f64 = 5.0;
/// The share of seconds short of memory that casts doubt, and how many of them there must be.
const SHORT_SHARE: f64 = 0.2;
const SHORT_SECONDS: f64 = 3.0;
/// The share of arrivals that may be dropped before the load was not the one that was asked for.
const DROPPED_SHARE: f64 = 0.01;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every threshold holds, and there is no doubt about the measurement.
    Pass,
    /// At least one threshold does not hold.
    Fail,
    /// The evidence does not allow an answer.
    Inconclusive,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// How one threshold ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The scenario it belongs to; empty for one of the whole suite.
    pub scenario: String,
    /// The threshold as it stands in the suite.
    pub text: String,
    /// How it stands.
    pub evaluation: Evaluation,
    /// The unit of the figure.
    pub unit: Unit,
}

/// Whether the generator kept up in one scenario.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Saturation {
    /// The share of iterations that started more than 10 ms after they were due.
    pub late_share: f64,
    /// The 99th percentile of the start delay, in seconds.
    pub late_p99: f64,
    /// The share of worker seconds that were at least 95 % busy.
    pub busy_share: f64,
    /// How many worker seconds those are.
    pub busy_seconds: f64,
    /// The share of worker seconds of which at least half was spent ready to run without a CPU.
    #[serde(default)]
    pub waited_share: f64,
    /// How many worker seconds those are.
    #[serde(default)]
    pub waited_seconds: f64,
}

impl Saturation {
    /// Reads `iteration_start_delay`, `worker_cpu` and `worker_cpu_wait` of a scenario.
    pub fn of(totals: &Totals, scenario: &str) -> Self {
        let selector = Tags::new([("scenario", scenario)]);
        let mut seen = Self::default();
        if let Some(Delta::Distribution(delay)) = totals.select(Builtin::IterationStartDelay.name(), &selector) {
            seen.late_share = delay.share_longer(LATE);
            seen.late_p99 = delay.percentile(99.0);
        }
        if let Some(Delta::Distribution(cpu)) = totals.select(Builtin::WorkerCpu.name(), &selector) {
            // Just below, because values in the limit's own bucket do not count as above it.
            seen.busy_share = cpu.share_above(BUSY - 0.001);
            seen.busy_seconds = seen.busy_share * cpu.count() as f64;
        }
        if let Some(Delta::Distribution(wait)) = totals.select(Builtin::WorkerCpuWait.name(), &selector) {
            seen.waited_share = wait.share_above(WAITED - 0.001);
            seen.waited_seconds = seen.waited_share * wait.count() as f64;
        }
        seen
    }

    /// Whether too many iterations started late.
    pub fn is_late(&self) -> bool {
        self.late_share > LATE_SHARE && self.late_p99 > LATE_P99.as_secs_f64()
    }

    /// Whether the worker threads had no reserve.
    pub fn is_busy(&self) -> bool {
        self.busy_share > BUSY_SHARE && self.busy_seconds >= BUSY_SECONDS
    }

    /// Whether others kept the CPUs from the worker threads.
    pub fn is_held_up(&self) -> bool {
        self.waited_share > WAITED_SHARE && self.waited_seconds >= WAITED_SECONDS
    }
}

/// Whether the machine that made the load had the memory for it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Memory {
    /// The share of seconds in which it was short of memory.
    pub short_share: f64,
    /// How many seconds those are.
    pub short_seconds: f64,
}

impl Memory {
    /// Reads `generator_memory_short`.
    pub fn of(totals: &Totals) -> Self {
        match totals.select(Builtin::GeneratorMemoryShort.name(), &Tags::default()) {
            Some(Delta::Rate(rate)) => Self { short_share: rate.share(), short_seconds: rate.trues as f64 },
            _ => Self::default(),
        }
    }

    /// Whether that went on for too long.
    pub fn is_short(&self) -> bool {
        self.short_share > SHORT_SHARE && self.short_seconds >= SHORT_SECONDS
    }
}

/// The arrivals of a scenario in the open model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// The scenario's name in the suite.
    pub scenario: String,
    /// How many iterations were due.
    pub due: u64,
    /// How many of them could not start.
    pub dropped: u64,
}

/// A search for the capacity of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// The scenario's name in the suite.
    pub scenario: String,
    /// If it gave no answer: what was found instead, and what to do about it.
    pub unanswered: Option<String>,
}

/// Everything that the verdict rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The thresholds as they stand at the end.
    pub thresholds: Vec<Judged>,
    /// The generator, per scenario.
    pub generators: Vec<(String, Saturation)>,
    /// The memory of the machine that made the load.
    pub memory: Memory,
    /// Arrivals, per scenario in the open model.
    pub arrivals: Vec<Arrivals>,
    /// Capacity searches.
    pub searches: Vec<Searched>,
    /// Samples that were refused because their value is not possible.
    pub rejected: u64,
    /// Samples that were dropped because of a limit.
    pub dropped: u64,
    /// Whether the journal could not be written to the end of the run.
    pub unrecorded: bool,
    /// Whether the run ended before it was done.
    pub interrupted: bool,
}

/// Why the verdict is what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// A threshold does not hold.
    Breach(Judged),
    /// A threshold has nothing to judge.
    NoSamples(Judged),
    /// Iterations started late.
    LateStarts(String, Saturation),
    /// Worker threads had no reserve.
    BusyWorkers(String, Saturation),
    /// Others kept the CPUs from the worker threads.
    HeldUpWorkers(String, Saturation),
    /// The machine that made the load was short of memory.
    ShortMemory(Memory),
    /// Arrivals could not start.
    DroppedArrivals(Arrivals),
    /// A capacity search gave no answer.
    NoCapacity {
        /// The scenario's name in the suite.
        scenario: String,
        /// What was found instead, and what to do about it.
        why: String,
    },
    /// Samples are missing: refused and dropped ones.
    MissingSamples {
        /// Refused because their value is not possible.
        rejected: u64,
        /// Dropped because of a limit.
        dropped: u64,
    },
    /// The journal could not be written to the end of the run.
    Unrecorded,
    /// The run ended before it was done.
    Interrupted,
}

impl Reason {
    /// A short word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Breach(_) => "threshold-breached",
            Self::NoSamples(_) => "no-samples",
            Self::LateStarts(..) => "late-starts",
            Self::BusyWorkers(..) => "busy-workers",
            Self::HeldUpWorkers(..) => "held-up-workers",
            Self::ShortMemory(_) => "short-memory",
            Self::DroppedArrivals(_) => "dropped-arrivals",
            Self::NoCapacity { .. } => "no-capacity",
            Self::MissingSamples { .. } => "missing-samples",
            Self::Unrecorded => "journal-failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The scenario that it is about, if it is about one.
    pub fn scenario(&self) -> Option<&str> {
        let name = match self {
            Self::Breach(judged) | Self::NoSamples(judged) => &judged.scenario,
            Self::LateStarts(scenario, _) | Self::BusyWorkers(scenario, _) | Self::HeldUpWorkers(scenario, _) => {
                scenario
            }
            Self::DroppedArrivals(arrivals) => &arrivals.scenario,
            Self::NoCapacity { scenario, .. } => scenario,
            Self::ShortMemory(_) | Self::MissingSamples { .. } | Self::Unrecorded | Self::Interrupted => return None,
        };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(Judged { text, evaluation, unit, .. }) => {
                let seen = evaluation.value().unwrap_or_default();
                write!(f, "`{text}` does not hold: it was {}", quantity(seen, *unit))
            }
            Self::NoSamples(Judged { text, .. }) => {
                write!(f, "`{text}` has no samples: check the metric's name and tags, or let the scenario run longer")
            }
            Self::LateStarts(scenario, seen) => write!(
                f,
                "{} of the iterations of `{scenario}` started more than 10 ms late (p99 {}): lower the load, give the \
                 machine more cores, or spread the load over several machines",
                percent(seen.late_share),
                seconds(seen.late_p99)
            ),
            Self::BusyWorkers(scenario, seen) => write!(
                f,
                "the worker threads of `{scenario}` were at their limit in {} of all seconds: raise `workers` if cores \
                 are free, lower the load, or spread it over several machines",
                percent(seen.busy_share)
            ),
            Self::HeldUpWorkers(scenario, seen) => write!(
                f,
                "in {} of all seconds the worker threads of `{scenario}` waited for a CPU for half of the second or more: \
                 other programs kept this machine busy, so stop them, lower the load, or make the load elsewhere",
                percent(seen.waited_share)
            ),
            Self::ShortMemory(memory) => write!(
                f,
                "the machine that made the load was short of memory in {} of all seconds: stop other programs, or use a \
                 machine with more memory",
                percent(memory.short_share)
            ),
            Self::DroppedArrivals(Arrivals { scenario, due, dropped }) => write!(
                f,
                "{dropped} of {due} arrivals of `{scenario}` could not start: allow more virtual users, or ask for a \
                 lower rate"
            ),
            Self::NoCapacity { why, .. } => f.write_str(why),
            Self::MissingSamples { rejected, dropped } => write!(
                f,
                "{dropped} samples were dropped at a limit and {rejected} had an impossible value: see the incidents for \
                 the plugin and the tag, and raise the limit or correct the plugin"
            ),
            Self::Unrecorded => f.write_str(
                "the journal could not be written, so the run was ended: look at the space on its disk and run it again",
            ),
            Self::Interrupted => f.write_str("the run ended before it was done: run it again for an answer"),
        }
    }
}

/// The answer, with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Pass, fail, or no answer.
    pub outcome: Outcome,
    /// Breaches first, then doubts; empty for a pass.
    pub reasons: Vec<Reason>,
}

/// Judges a run. A run without thresholds asks nothing, so doubts about the generator do not matter to it; a capacity search
/// asks by itself.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut reasons = Vec::new();
    let thresholds = evidence.thresholds.iter();
    reasons.extend(
        thresholds.clone().filter(|t| matches!(t.evaluation, Evaluation::Breach(_))).cloned().map(Reason::Breach),
    );
    let failed = !reasons.is_empty();
    let unanswered =
        |scenario: &str| evidence.searches.iter().any(|s| s.scenario == scenario && s.unanswered.is_some());
    // What is asked about a search without an answer can't have samples: one reason says so.
    let empty = thresholds.filter(|t| t.evaluation == Evaluation::NoSamples && !unanswered(&t.scenario));
    reasons.extend(empty.cloned().map(Reason::NoSamples));
    reasons.extend(evidence.searches.iter().filter_map(|search| {
        let (scenario, why) = (search.scenario.clone(), search.unanswered.clone()?);
        Some(Reason::NoCapacity { scenario, why })
    }));
    if !evidence.thresholds.is_empty() || !evidence.searches.is_empty() {
        reasons.extend(doubts(evidence));
    }
    if evidence.unrecorded {
        reasons.push(Reason::Unrecorded);
    }
    if evidence.interrupted {
        reasons.push(Reason::Interrupted);
    }
    let outcome = match (failed, reasons.is_empty()) {
        (true, _) => Outcome::Fail,
        (false, true) => Outcome::Pass,
        (false, false) => Outcome::Inconclusive,
    };
    Verdict { outcome, reasons }
}

/// What speaks against the measurement itself.
fn doubts(evidence: &Evidence) -> Vec<Reason> {
    let mut doubts = Vec::new();
    for (scenario, seen) in &evidence.generators {
        if seen.is_late() {
            doubts.push(Reason::LateStarts(scenario.clone(), *seen));
        }
        if seen.is_busy() {
            doubts.push(Reason::BusyWorkers(scenario.clone(), *seen));
        }
        if seen.is_held_up() {
            doubts.push(Reason::HeldUpWorkers(scenario.clone(), *seen));
        }
    }
    if evidence.memory.is_short() {
        doubts.push(Reason::ShortMemory(evidence.memory));
    }
    let dropped = |a: &&Arrivals| a.dropped as f64 > a.due as f64 * DROPPED_SHARE;
    doubts.extend(evidence.arrivals.iter().filter(dropped).cloned().map(Reason::DroppedArrivals));
    let Evidence { rejected, dropped, .. } = *evidence;
    if rejected + dropped > 0 {
        doubts.push(Reason::MissingSamples { rejected, dropped });
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, Shard};

    fn judged(evaluation: Evaluation) -> Judged {
        Judged { scenario: "s".into(), text: "http_req_duration p(95) < 1s".into(), evaluation, unit: Unit::Seconds }
    }

    fn kinds(verdict: &Verdict) -> Vec<&'static str> {
        verdict.reasons.iter().map(Reason::kind).collect()
    }

    #[test]
    fn a_run_passes_only_without_breach_and_without_doubt() {
        let pass = Evidence { thresholds: vec![judged(Evaluation::Pass(0.5))], ..Evidence::default() };
        assert_eq!(judge(&pass), Verdict { outcome: Outcome::Pass, reasons: vec![] });
        let empty = Evidence { thresholds: vec![judged(Evaluation::NoSamples)], ..Evidence::default() };
        assert_eq!((judge(&empty).outcome, kinds(&judge(&empty))), (Outcome::Inconclusive, vec!["no-samples"]));
        let doubtful = [
            Evidence { dropped: 1, ..pass.clone() },
            Evidence { rejected: 1, ..pass.clone() },
            Evidence { interrupted: true, ..pass.clone() },
            Evidence { arrivals: vec![Arrivals { scenario: "s".into(), due: 1000, dropped: 11 }], ..pass.clone() },
            Evidence {
                generators: vec![(
                    "s".into(),
                    Saturation { late_share: 0.06, late_p99: 0.06, ..Saturation::default() },
                )],
                ..pass.clone()
            },
        ];
        for evidence in doubtful {
            let verdict = judge(&evidence);
            assert_eq!((verdict.outcome, verdict.reasons.len()), (Outcome::Inconclusive, 1), "{evidence:?}");
        }
        let few = Evidence { arrivals: vec![Arrivals { scenario: "s".into(), due: 1000, dropped: 10 }], ..pass };
        assert_eq!(judge(&few).outcome, Outcome::Pass);
    }

    #[test]
    fn a_breach_fails_and_carries_the_doubts_with_it() {
        let evidence = Evidence {
            thresholds: vec![judged(Evaluation::NoSamples), judged(Evaluation::Breach(1.5))],
            dropped: 7,
            ..Evidence::default()
        };
        let verdict = judge(&evidence);
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(kinds(&verdict), ["threshold-breached", "no-samples", "missing-samples"]);
        let breach = verdict.reasons[0].to_string();
        assert_eq!(breach, "`http_req_duration p(95) < 1s` does not hold: it was 1.50 s");
        assert_eq!(verdict.reasons[0].scenario(), Some("s"));
    }

    #[test]
    fn without_thresholds_only_an_interruption_counts() {
        let saturated = Saturation {
            busy_share: 1.0,
            busy_seconds: 60.0,
            late_share: 1.0,
            late_p99: 9.0,
            waited_share: 1.0,
            waited_seconds: 60.0,
        };
        let memory = Memory { short_share: 1.0, short_seconds: 60.0 };
        let generators = vec![("s".into(), saturated)];
        let mut evidence = Evidence { generators, memory, dropped: 9, ..Evidence::default() };
        assert_eq!(judge(&evidence).outcome, Outcome::Pass);
        evidence.interrupted = true;
        assert_eq!(judge(&evidence).outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_machine_that_others_use_up_casts_doubt_once_it_lasts() {
        let registry = Registry::default();
        let wait = registry.series(Builtin::WorkerCpuWait.into(), Tags::new([("scenario", "s")])).unwrap();
        let short = registry.series(Builtin::GeneratorMemoryShort.into(), Tags::default()).unwrap();
        let seen = |held_up: u32, short_of_memory: u32| {
            let mut shard = Shard::new(registry.clone(), 0);
            for second in 0..20 {
                shard.record(wait, if second < held_up { 0.5 } else { 0.2 });
                shard.rate(short, second < short_of_memory);
            }
            let mut totals = Totals::new(registry.clone());
            totals.add(&shard.take(1));
            judge(&Evidence {
                thresholds: vec![judged(Evaluation::Pass(0.5))],
                generators: vec![("s".into(), Saturation::of(&totals, "s"))],
                memory: Memory::of(&totals),
                ..Evidence::default()
            })
        };
        // A fifth of the time is borne.
        assert_eq!(seen(4, 4).outcome, Outcome::Pass);
        let doubtful = seen(5, 5);
        assert_eq!(doubtful.outcome, Outcome::Inconclusive);
        assert_eq!(kinds(&doubtful), ["held-up-workers", "short-memory"]);
        assert!(doubtful.reasons[0].to_string().starts_with("in 25.0 % of all seconds"), "{}", doubtful.reasons[0]);
        assert_eq!((doubtful.reasons[0].scenario(), doubtful.reasons[1].scenario()), (Some("s"), None));
        let start = Saturation { waited_share: 1.0, waited_seconds: 4.0, ..Saturation::default() };
        assert!(!start.is_held_up(), "a few seconds are no state");
        assert!(!Memory { short_share: 1.0, short_seconds: 2.0 }.is_short());
    }

    #[test]
    fn a_search_without_an_answer_is_inconclusive() {
        let search = |why: Option<&str>| Searched { scenario: "s".into(), unanswered: why.map(Into::into) };
        let found = Evidence { searches: vec![search(None)], ..Evidence::default() };
        assert_eq!(judge(&found), Verdict { outcome: Outcome::Pass, reasons: vec![] });
        let doubtful = Evidence { dropped: 1, ..found };
        assert_eq!(kinds(&judge(&doubtful)), ["missing-samples"], "a search asks by itself");
        let thresholds = vec![judged(Evaluation::NoSamples)];
        let lost = Evidence { thresholds, searches: vec![search(Some("even 5/s broke"))], ..Evidence::default() };
        let verdict = judge(&lost);
        assert_eq!((verdict.outcome, kinds(&verdict)), (Outcome::Inconclusive, vec!["no-capacity"]));
        assert_eq!(
            (verdict.reasons[0].scenario(), verdict.reasons[0].to_string()),
            (Some("s"), "even 5/s broke".into())
        );
    }

    #[test]
    fn saturation_is_read_from_start_delays_and_worker_seconds() {
        let registry = Registry::default();
        let id = |builtin: Builtin| registry.series(builtin.into(), Tags::new([("scenario", "s")])).unwrap();
        let mut shard = Shard::new(registry.clone(), 0);
        for at in 0..100_u32 {
            let delay = Duration::from_millis(if at < 90 { 1 } else { 80 });
            shard.record_duration(id(Builtin::IterationStartDelay), delay);
        }
        for second in 0..10 {
            shard.record(id(Builtin::WorkerCpu), if second < 3 { 0.95 } else { 0.4 });
        }
        let mut totals = Totals::new(registry);
        totals.add(&shard.take(1));
        let seen = Saturation::of(&totals, "s");
        assert!((seen.late_share - 0.1).abs() < 1e-9 && (seen.late_p99 - 0.08).abs() < 1e-4, "{seen:?}");
        assert!((seen.busy_share - 0.3).abs() < 1e-9 && (seen.busy_seconds - 3.0).abs() < 1e-9, "{seen:?}");
        assert!(seen.is_late() && seen.is_busy());
        assert_eq!(Saturation::of(&totals, "other"), Saturation::default());
        let short = Saturation { busy_seconds: 2.0, late_p99: 0.02, ..seen };
        assert!(!short.is_late() && !short.is_busy());
    }
}
