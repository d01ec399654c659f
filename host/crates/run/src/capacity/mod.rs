//! A capacity search under way: orders trials, watches each, judges it, and asks the search for the next.
//!
//! In come the time, counts and samples, as the monitor has them; out go orders to the workers and what the journal is to
//! hold. Workers hand their samples over at full seconds, so trials begin, are judged from and end at full seconds.

mod judge;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_load::{Counts, Order, Shared};
use kperf_metrics::{Builtin, Delta, Evaluation, Interval, Registry, Saturation, Tags, Totals};
use kperf_schedule::{Backlog, CapacitySearch, Rate, Schedule, Search, SearchState, Tally, TrialOutcome};

use judge::{Criterion, Judgement, Observed, judge};
use kperf_plan::PlannedThreshold;
use kperf_results::{
    CapacityChange, CapacityOutcome, CapacityProgress, CapacityState, CapacityTrial, CriterionSummary, Doing,
    RateSummary, Spread, ThresholdOutcome, Trial, instant,
};

/// An order has to reach every worker before its trial begins.
const AHEAD: Duration = Duration::from_millis(150);
/// Workers hand over at each full second; so much later the samples are here.
const HAND_OVER: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);

/// A capacity search of one scenario.
pub(crate) struct CapacityController<'a> {
    scenario: &'a str,
    config: &'a CapacitySearch,
    criteria: &'a [PlannedThreshold],
    /// When the scenario's load starts, counted from the run's start of load.
    start: Duration,
    origin: LoadOrigin,
    search: Search,
    state: State,
    trials: u32,
    /// How long the first part of the next trial is: longer than asked for where iterations are.
    settle: Duration,
    /// The mean time of an iteration at the first rate that held.
    unstressed: Option<Duration>,
    standing: CapacityProgress,
}

/// What a search stands on.
pub(crate) struct LoadOrigin {
    /// When the run's load starts.
    pub(crate) epoch: Instant,
    /// The same in nanoseconds since the Unix epoch.
    pub(crate) epoch_unix_ns: u64,
    /// Where the scenario's workers take orders.
    pub(crate) shared: Arc<Shared>,
    /// Where series are known.
    pub(crate) registry: Registry,
}

/// What goes on.
enum State {
    /// The next trial is to be ordered.
    Ready,
    /// A rate is held.
    Trial(Box<RunningTrial>),
    /// Running iterations may end until then.
    Recovering(Instant),
    /// The search is over.
    Over,
}

/// A trial under way. Times count from the run's start of load.
struct RunningTrial {
    rate: f64,
    begin: Duration,
    judged_from: Duration,
    end: Duration,
    /// Samples of the judged part.
    totals: Totals,
    backlog: Backlog,
    /// The first and the last reading of the judged part, which may be a little after its beginning and before its end.
    first: Option<(Duration, Counts)>,
    last: Option<(Duration, Counts)>,
    /// The counts once all arrivals of the trial had started.
    over: Option<Counts>,
}

impl<'a> CapacityController<'a> {
    /// The search that `schedule` asks for, if it does.
    pub(crate) fn of(
        scenario: &'a str,
        schedule: &'a Schedule,
        criteria: &'a [PlannedThreshold],
        origin: LoadOrigin,
    ) -> Option<Self> {
        let config = schedule.executor.search()?;
        Some(Self {
            scenario,
            config,
            criteria,
            start: schedule.start,
            origin,
            search: Search::new(config.plan),
            state: State::Ready,
            trials: 0,
            settle: config.settle,
            unstressed: None,
            standing: CapacityProgress::new(),
        })
    }

    /// Load is about to start, at `epoch_unix_ns`.
    pub(crate) fn begin(&mut self, epoch_unix_ns: u64) {
        self.origin.epoch_unix_ns = epoch_unix_ns;
    }

    /// Takes in what a worker measured in about a second.
    pub(crate) fn samples(&mut self, interval: &Interval) {
        let State::Trial(trial) = &mut self.state else { return };
        // Its middle says which second it was, however late the worker came to hand it over.
        let middle = interval.start / 2 + interval.end / 2;
        let middle = Duration::from_nanos(middle.saturating_sub(self.origin.epoch_unix_ns));
        if (trial.judged_from..trial.end).contains(&middle) {
            trial.totals.add(interval);
        }
    }

    /// Looks at how things stand, some ten times a second. Says when the search has come further.
    pub(crate) fn advance_to(&mut self, now: Instant, counts: Counts) -> Option<CapacityChange> {
        let elapsed = now.saturating_duration_since(self.origin.epoch);
        match &mut self.state {
            State::Ready => self.advance(elapsed),
            State::Trial(trial) => {
                trial.watch(elapsed, counts);
                (elapsed >= trial.end + HAND_OVER).then(|| self.judge(now)).flatten()
            }
            State::Recovering(until) => {
                if counts.active == 0 || now >= *until {
                    self.state = State::Ready;
                }
                None
            }
            State::Over => None,
        }
    }

    /// The highest rate that held, once the search is over.
    pub(crate) fn capacity(&self) -> Option<f64> {
        let over = matches!(self.state, State::Over);
        self.standing.highest_held.filter(|_| over).map(|held| held.rate)
    }

    /// What goes on, and what is known so far.
    pub(crate) fn doing(&self) -> Doing {
        let trial = match &self.state {
            State::Trial(trial) => Trial::Running { number: self.trials, rate: trial.rate },
            State::Recovering(_) => Trial::Recovering,
            State::Ready | State::Over => Trial::Between,
        };
        Doing::Search { trial, standing: self.standing.clone() }
    }

    /// How far the search is, about, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let (done, left) = (f64::from(self.trials), self.search.trials_left() as f64);
        let within = if matches!(self.state, State::Trial(_)) { 0.5 } else { 0.0 };
        if matches!(self.state, State::Over) { 1.0 } else { ((done - within) / (done + left).max(1.0)).max(0.0) }
    }

    /// Orders the next trial, or ends the search.
    fn advance(&mut self, elapsed: Duration) -> Option<CapacityChange> {
        let begin = whole(self.start.max(elapsed + AHEAD));
        match self.search.next() {
            ControlFlow::Continue(_) if begin >= self.start + self.config.max_duration => {
                self.end();
                self.standing.state = CapacityState::OutOfTime;
                Some(self.change(None))
            }
            ControlFlow::Continue(rate) => {
                let length = self.settle + self.config.trial.saturating_sub(self.config.settle);
                self.origin.shared.order(Order::Trial {
                    start: begin.saturating_sub(self.start),
                    rate: Rate::per_second(rate),
                    duration: length,
                });
                self.trials += 1;
                self.state = State::Trial(Box::new(RunningTrial {
                    rate,
                    begin,
                    judged_from: begin + self.settle,
                    end: begin + length,
                    totals: Totals::new(self.origin.registry.clone()),
                    backlog: Backlog::default(),
                    first: None,
                    last: None,
                    over: None,
                }));
                None
            }
            ControlFlow::Break(_) => {
                self.end();
                None
            }
        }
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.origin.shared.order(Order::End);
    }

    /// Judges the trial that is over, and decides how to go on.
    fn judge(&mut self, now: Instant) -> Option<CapacityChange> {
        let State::Trial(trial) = std::mem::replace(&mut self.state, State::Ready) else { return None };
        let selector = Tags::new([("scenario", self.scenario)]);
        let judged = trial.end.saturating_sub(trial.judged_from);
        let over = trial.over.unwrap_or_default();
        // Nobody looked within a part without readings; nothing is said about it then.
        let nothing = (trial.end, over);
        let ((begun, before), (ended, after)) = (trial.first.unwrap_or(nothing), trial.last.unwrap_or(nothing));
        let criteria: Vec<_> = self.criteria.iter().map(|criterion| trial.criterion(criterion, judged)).collect();
        let times = spread(&trial.totals, Builtin::IterationDuration, &selector);
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let iteration = times.map(|times| duration(times.mean));
        let observed = Observed {
            rate: trial.rate,
            read: ended.saturating_sub(begun),
            arriving: trial.end.saturating_sub(begun),
            started: over.started.saturating_sub(before.started),
            finished: after.finished.saturating_sub(before.finished),
            dropped: over.dropped.saturating_sub(before.dropped),
            backlog: &trial.backlog,
            criteria: &criteria,
            generator: Saturation::of(&trial.totals, self.scenario),
            iteration,
            deviation: times.map_or(Duration::ZERO, |times| duration(times.stddev)),
            unstressed: self.unstressed,
            settle: trial.judged_from.saturating_sub(trial.begin),
            users: self.config.max_vus.max(self.config.pre_allocated_vus),
        };
        let judgement = judge(&observed);
        self.search.record(trial.rate, judgement.outcome);
        self.learn(judgement.outcome, judgement.unsettled, iteration);
        if judgement.outcome != TrialOutcome::Held {
            self.state = State::Recovering(now + self.config.recover);
        }
        let summary = self.summary(&trial, &observed, judgement);
        self.standing = standing(&self.search);
        if self.standing.state != CapacityState::Searching {
            self.end();
        }
        Some(self.change(Some(summary)))
    }

    /// Keeps what a trial says about how long iterations take.
    fn learn(&mut self, outcome: TrialOutcome, unsettled: bool, iteration: Option<Duration>) {
        match iteration {
            Some(time) if outcome == TrialOutcome::Held || unsettled => {
                // Half as much again, because some take longer than the mean.
                self.settle = self.config.settle.max(whole(time + time / 2));
            }
            None if unsettled => self.settle += self.config.trial,
            _ => {}
        }
        if outcome == TrialOutcome::Held && self.unstressed.is_none() {
            self.unstressed = iteration;
        }
    }

    fn summary(&self, trial: &RunningTrial, seen: &Observed<'_>, judgement: Judgement) -> CapacityTrial {
        let selector = Tags::new([("scenario", self.scenario)]);
        let (read, arriving) = (seen.read.as_secs_f64().max(1e-9), seen.arriving.as_secs_f64().max(1e-9));
        let begin = u64::try_from(trial.begin.as_nanos()).unwrap_or(u64::MAX);
        let criterion = |it: &Criterion| CriterionSummary {
            text: it.text.clone(),
            outcome: match it.evaluation {
                Evaluation::Pass(_) => ThresholdOutcome::Pass,
                Evaluation::Breach(_) => ThresholdOutcome::Breach,
                Evaluation::NoSamples => ThresholdOutcome::NoSamples,
            },
            value: it.evaluation.value(),
            unit: it.unit.to_string(),
        };
        CapacityTrial {
            number: self.trials,
            rate: trial.rate,
            start: instant(self.origin.epoch_unix_ns.saturating_add(begin)),
            settle: seen.settle.as_secs_f64(),
            judged: trial.end.saturating_sub(trial.judged_from).as_secs_f64(),
            outcome: match judgement.outcome {
                TrialOutcome::Held => CapacityOutcome::Held,
                TrialOutcome::Broke => CapacityOutcome::Broke,
                TrialOutcome::Unsure => CapacityOutcome::Unsure,
                TrialOutcome::Unsupported => CapacityOutcome::Unsupported,
            },
            reasons: judgement.reasons,
            started: seen.started as f64 / arriving,
            finished: seen.finished as f64 / read,
            dropped: seen.dropped,
            in_flight_start: trial.backlog.first().unwrap_or_default(),
            in_flight_end: trial.backlog.last().unwrap_or_default(),
            visible_backlog: trial.backlog.least_growth(trial.rate, seen.deviation) / read,
            iteration_duration: spread(&trial.totals, Builtin::IterationDuration, &selector),
            iteration_response_time: spread(&trial.totals, Builtin::IterationResponseTime, &selector),
            criteria: seen.criteria.iter().map(criterion).collect(),
        }
    }

    fn change(&self, trial: Option<CapacityTrial>) -> CapacityChange {
        CapacityChange { scenario: self.scenario.to_owned(), step: trial, standing: self.standing.clone() }
    }
}

impl RunningTrial {
    /// Takes a reading of the judged part, or the one that closes it. However late that comes, what it counts as started is what
    /// started until the end; what ends after it is no part of the trial.
    fn watch(&mut self, elapsed: Duration, counts: Counts) {
        if elapsed < self.judged_from {
            return;
        }
        if elapsed <= self.end {
            self.backlog.read(elapsed, counts.active.into());
            self.first.get_or_insert((elapsed, counts));
            self.last = Some((elapsed, counts));
        }
        if elapsed >= self.end {
            self.over.get_or_insert(counts);
        }
    }

    fn criterion(&self, criterion: &PlannedThreshold, length: Duration) -> Criterion {
        let PlannedThreshold { text, threshold, .. } = criterion;
        let unit = self.totals.registry().named(threshold.metric()).map(|def| threshold.unit(&def));
        Criterion {
            text: text.clone(),
            evaluation: threshold.evaluate(&self.totals, length),
            unit: unit.unwrap_or(kperf_metrics::Unit::None),
        }
    }
}

/// The next full second.
fn whole(time: Duration) -> Duration {
    if time.subsec_nanos() == 0 { time } else { Duration::from_secs(time.as_secs()) + SECOND }
}

fn spread(totals: &Totals, metric: Builtin, selector: &Tags) -> Option<Spread> {
    match totals.select(metric.name(), selector)? {
        Delta::Distribution(histogram) if histogram.count() > 0 => Some(histogram.figures().into()),
        _ => None,
    }
}

fn standing(search: &Search) -> CapacityProgress {
    let rate = |tally: &Tally| RateSummary { rate: tally.rate, held: tally.held, broke: tally.broke };
    CapacityProgress {
        state: match search.state() {
            SearchState::Searching => CapacityState::Searching,
            SearchState::Found => CapacityState::Found,
            SearchState::MaxHeld => CapacityState::MaxHeld,
            SearchState::StartBroke => CapacityState::StartBroke,
            SearchState::Unsupported => CapacityState::Unsupported,
        },
        highest_held: search.highest_held().map(rate),
        lowest_broken: search.lowest_broken().map(rate),
    }
}

#[cfg(test)]
mod tests;
