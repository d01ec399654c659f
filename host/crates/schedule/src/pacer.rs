//! Decides when. Pure: every answer follows from the executor and a time since its start, so that it can be tested without a
//! clock and asked by a display as well as by the loops.

use crate::executor::{Executor, Stage};
use crate::rate::{Rate, Spacing, nanoseconds};
use std::time::Duration;

/// The arrivals that rounding may make a ramp's end miss. Far above what doubles lose over a run, far below one arrival.
const ROUNDING: f64 = 1e-6;

/// An executor as a function of time.
#[derive(Debug, Clone)]
pub struct Pacer {
    model: Model,
    /// Where each stage ends; never empty.
    ends: Vec<Duration>,
}

#[derive(Debug, Clone)]
enum Model {
    Users { from: u32, stages: Vec<Stage<u32>> },
    Constant { rate: Rate, spacing: Spacing, arrivals: u64 },
    Ramp { pieces: Vec<Piece>, arrivals: u64 },
}

/// A straight piece of a ramping rate. Times in nanoseconds, rates in arrivals per nanosecond.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: Duration,
    length: f64,
    from: f64,
    to: f64,
    /// Arrivals before this piece and up to its end.
    before: f64,
    until: f64,
}

/// How much load an executor asks for at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadLevel {
    /// This many users (closed model).
    Users(u32),
    /// Arrivals at this rate (open model).
    Arrivals(Rate),
}

/// The stage that runs at a moment. An executor without stages is one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageAt {
    /// Which stage, from 0.
    pub index: usize,
    /// The number of stages, at least 1.
    pub count: usize,
}

impl Pacer {
    /// As many arrivals at `rate` as are due within `duration`.
    #[must_use]
    pub fn constant(rate: Rate, duration: Duration) -> Self {
        Self { model: Model::constant(rate, duration), ends: vec![duration] }
    }

    /// The pacer of all of an executor; slices are cut by the loops.
    #[must_use]
    pub fn new(executor: &Executor) -> Self {
        let (model, durations) = match executor {
            Executor::ConstantVus { vus, duration, .. }
            | Executor::PerVuIterations { vus, max_duration: duration, .. }
            | Executor::SharedIterations { vus, max_duration: duration, .. } => (
                Model::Users { from: *vus, stages: vec![Stage { duration: *duration, target: *vus }] },
                vec![*duration],
            ),
            Executor::RampingVus { start_vus, stages, .. } => {
                (Model::Users { from: *start_vus, stages: stages.clone() }, durations(stages))
            }
            Executor::ConstantArrivalRate { rate, duration, .. } => {
                (Model::constant(*rate, *duration), vec![*duration])
            }
            Executor::RampingArrivalRate { start_rate, stages, .. } => (ramp(*start_rate, stages), durations(stages)),
            // Its rates are decided on the way.
            Executor::CapacitySearch(search) => {
                (Model::constant(Rate::ZERO, search.max_duration), vec![search.max_duration])
            }
        };
        let mut ends: Vec<_> = durations
            .into_iter()
            .scan(Duration::ZERO, |end, duration| {
                *end = end.saturating_add(duration);
                Some(*end)
            })
            .collect();
        if ends.is_empty() {
            ends.push(Duration::ZERO);
        }
        Self { model, ends }
    }

    /// How long iterations are started, from the executor's start; without the graceful stop. The most it can take where
    /// the number of iterations is given, or for how long trials of a search are started.
    #[must_use]
    pub fn total_duration(&self) -> Duration {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The stage at `elapsed`; the last one from the end on.
    #[must_use]
    pub fn stage(&self, elapsed: Duration) -> StageAt {
        let count = self.ends.len();
        StageAt { index: self.ends.partition_point(|end| *end <= elapsed).min(count.saturating_sub(1)), count }
    }

    /// How much load is asked for at `elapsed`: none from the end on.
    #[must_use]
    pub fn level(&self, elapsed: Duration) -> LoadLevel {
        let over = elapsed >= self.total_duration();
        match &self.model {
            Model::Users { .. } => LoadLevel::Users(self.users(elapsed)),
            _ if over => LoadLevel::Arrivals(Rate::ZERO),
            Model::Constant { rate, .. } => LoadLevel::Arrivals(*rate),
            Model::Ramp { pieces, .. } => {
                let running = pieces.iter().rev().find(|piece| piece.start <= elapsed);
                LoadLevel::Arrivals(running.map_or(Rate::ZERO, |piece| Rate::per_second(piece.rate_at(elapsed) * 1e9)))
            }
        }
    }

    /// Closed model: how many users take part at `elapsed`. On the way from `a` to `b` in `d`, after `t`:
    /// `floor(|b - a| * t / d)` whole users have joined or left. None from the end on, and none in the open model.
    #[must_use]
    pub fn users(&self, elapsed: Duration) -> u32 {
        self.line(elapsed).map_or(0, |(users, _)| users)
    }

    /// Closed model: the first moment after `elapsed` at which [`Self::users`] or the stage may be another. `None` from the
    /// end on, and in the open model.
    #[must_use]
    pub fn next_change(&self, elapsed: Duration) -> Option<Duration> {
        self.line(elapsed).map(|(_, next)| next)
    }

    /// The users at `elapsed` and when that next changes.
    fn line(&self, elapsed: Duration) -> Option<(u32, Duration)> {
        let Model::Users { from, stages } = &self.model else { return None };
        let mut from = *from;
        let mut start = Duration::ZERO;
        for (stage, end) in stages.iter().zip(&self.ends) {
            if elapsed < *end {
                let difference = u128::from(from.abs_diff(stage.target));
                let length = stage.duration.as_nanos();
                let steps = difference * elapsed.saturating_sub(start).as_nanos() / length;
                let moved = u32::try_from(steps).unwrap_or(u32::MAX);
                let users = if stage.target >= from { from.saturating_add(moved) } else { from.saturating_sub(moved) };
                let next = ((steps + 1) * length)
                    .checked_div(difference)
                    .map_or(*end, |_| start.saturating_add(nanoseconds(((steps + 1) * length).div_ceil(difference))));
                return Some((users, next.min(*end)));
            }
            from = stage.target;
            start = *end;
        }
        None
    }

    /// Open model: how many arrivals there are in all; none in the closed model.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        match &self.model {
            Model::Users { .. } => 0,
            Model::Constant { arrivals, .. } | Model::Ramp { arrivals, .. } => *arrivals,
        }
    }

    /// Open model: when arrival `k` (the first is 0) is due, from the executor's start. `None` past the last one.
    ///
    /// At a constant rate that is `k / rate`: the first arrival comes at once. On a ramp it is when the rate's integral
    /// reaches `k + 1`: with `m` of them still to come at the start of a piece that goes from rate `a` to `b` in `d`,
    /// `a*t + (b - a)*t^2 / (2*d) = m` gives `t = 2*m / (a + sqrt(a^2 + 2*(b - a)*m / d))`, the form of the root that
    /// neither divides by zero nor cancels when `a = b`.
    #[must_use]
    pub fn due(&self, k: u64) -> Option<Duration> {
        if k >= self.arrivals() {
            return None;
        }
        match &self.model {
            Model::Users { .. } => None,
            Model::Constant { spacing, .. } => spacing.due(k),
            Model::Ramp { pieces, .. } => {
                let wanted = k as f64 + 1.0;
                let at = pieces.partition_point(|piece| piece.until + ROUNDING < wanted);
                pieces.get(at).map(|piece| piece.due(wanted))
            }
        }
    }
}

impl Model {
    fn constant(rate: Rate, duration: Duration) -> Self {
        let spacing = rate.spacing();
        Self::Constant { rate, spacing, arrivals: spacing.events_in(duration) }
    }
}

impl Piece {
    fn due(&self, wanted: f64) -> Duration {
        let missing = (wanted - self.before).max(0.0);
        let root = (self.from * self.from + 2.0 * (self.to - self.from) * missing / self.length).max(0.0).sqrt();
        let after = (2.0 * missing / (self.from + root)).min(self.length);
        self.start.saturating_add(Duration::from_nanos(after as u64))
    }

    fn rate_at(&self, elapsed: Duration) -> f64 {
        let passed = elapsed.saturating_sub(self.start).as_nanos() as f64 / self.length;
        self.from + (self.to - self.from) * passed.min(1.0)
    }
}

fn durations<T>(stages: &[Stage<T>]) -> Vec<Duration> {
    stages.iter().map(|stage| stage.duration).collect()
}

/// The pieces of a ramp; a stage without length only moves the rate.
fn ramp(start_rate: Rate, stages: &[Stage<Rate>]) -> Model {
    let mut pieces = Vec::with_capacity(stages.len());
    let mut from = start_rate.as_per_second() / 1e9;
    let mut before = 0.0;
    let mut start = Duration::ZERO;
    for stage in stages {
        let to = stage.target.as_per_second() / 1e9;
        let length = stage.duration.as_nanos() as f64;
        if length > 0.0 {
            let until = before + (from + to) / 2.0 * length;
            pieces.push(Piece { start, length, from, to, before, until });
            before = until;
            start = start.saturating_add(stage.duration);
        }
        from = to;
    }
    Model::Ramp { pieces, arrivals: (before + ROUNDING) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn stage<T>(seconds: u64, target: T) -> Stage<T> {
        Stage { duration: Duration::from_secs(seconds), target }
    }

    fn users(start_vus: u32, stages: Vec<Stage<u32>>) -> Pacer {
        let (graceful_ramp_down, think_time) = (Duration::ZERO, Duration::ZERO);
        Pacer::new(&Executor::RampingVus { start_vus, stages, graceful_ramp_down, think_time })
    }

    fn arrivals(start_rate: Rate, stages: Vec<Stage<Rate>>) -> Pacer {
        Pacer::new(&Executor::RampingArrivalRate { start_rate, stages, pre_allocated_vus: 1, max_vus: 1 })
    }

    #[test]
    fn users_follow_the_line_in_whole_steps() {
        let pacer = users(0, vec![stage(10, 10), stage(5, 10), stage(10, 0), stage(0, 7), stage(2, 7)]);
        // (elapsed in ms, users, next change in ms)
        let table = [
            (0, 0, 1_000),
            (999, 0, 1_000),
            (1_000, 1, 2_000),
            (9_500, 9, 10_000),
            (10_000, 10, 15_000),
            (15_000, 10, 16_000),
            (15_999, 10, 16_000),
            (16_000, 9, 17_000),
            (24_500, 1, 25_000),
            (25_000, 7, 27_000),
            (26_999, 7, 27_000),
        ];
        for (at, expected, next) in table {
            assert_eq!(pacer.users(millis(at)), expected, "users at {at} ms");
            assert_eq!(pacer.next_change(millis(at)), Some(millis(next)), "next change at {at} ms");
        }
        assert_eq!((pacer.users(millis(27_000)), pacer.next_change(millis(27_000))), (0, None));
        assert_eq!(pacer.total_duration(), millis(27_000));
    }

    #[test]
    fn changes_name_every_step_of_an_odd_ramp_exactly_once() {
        let pacer = users(3, vec![stage(7, 40), stage(3, 1)]);
        let mut at = Duration::ZERO;
        let mut seen = vec![pacer.users(at)];
        while let Some(next) = pacer.next_change(at) {
            assert!(next > at);
            assert_eq!(
                pacer.users(next - Duration::from_nanos(1)),
                *seen.last().unwrap(),
                "nothing changes before {next:?}"
            );
            at = next;
            seen.push(pacer.users(at));
        }
        let expected: Vec<u32> = (3..=40).chain((2..40).rev()).chain([0]).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn constant_arrivals_are_evenly_due_from_the_start() {
        let pacer = Pacer::new(&Executor::ConstantArrivalRate {
            rate: Rate::per_second(1000.0),
            duration: millis(10_000),
            pre_allocated_vus: 1,
            max_vus: 1,
        });
        assert_eq!(pacer.arrivals(), 10_000);
        assert_eq!(pacer.due(0), Some(Duration::ZERO));
        assert_eq!(pacer.due(9_999), Some(millis(9_999)));
        assert_eq!(pacer.due(10_000), None);
        assert_eq!((pacer.users(millis(1)), pacer.next_change(millis(1))), (0, None));
    }

    #[test]
    fn ramping_arrivals_invert_the_integral() {
        // 0 to 100/s in 10 s is t^2 * 5 arrivals: 500; then 10 s of 100/s: 1000; then down to 0 in 10 s: 500.
        let pacer = arrivals(
            Rate::ZERO,
            vec![stage(10, Rate::per_second(100.0)), stage(10, Rate::per_second(100.0)), stage(10, Rate::ZERO)],
        );
        assert_eq!(pacer.arrivals(), 2_000);
        // (arrivals reached, milliseconds)
        let table = [
            (5, 1_000),
            (20, 2_000),
            (125, 5_000),
            (500, 10_000),
            (501, 10_010),
            (1_500, 20_000),
            (1_875, 25_000),
            (2_000, 30_000),
        ];
        for (reached, at) in table {
            let due = pacer.due(reached - 1).unwrap();
            assert!(due.abs_diff(millis(at)) < Duration::from_micros(50), "arrival {reached} at {due:?}, not {at} ms");
        }
        assert_eq!(pacer.due(2_000), None);
        let dues: Vec<_> = (0..2_000).map(|k| pacer.due(k).unwrap()).collect();
        assert!(dues.is_sorted());
    }

    #[test]
    fn a_ramp_without_slope_is_a_constant_rate() {
        let minute = "90/m".parse().unwrap();
        let pacer = arrivals(minute, vec![stage(60, minute)]);
        assert_eq!(pacer.arrivals(), 90);
        for k in 0..90 {
            let exact = Duration::from_secs(60) * (k + 1) / 90;
            assert!(pacer.due(k.into()).unwrap().abs_diff(exact) < Duration::from_micros(1));
        }
    }

    #[test]
    fn jumps_and_silent_stages_have_no_arrivals() {
        let pacer = arrivals(
            Rate::ZERO,
            vec![stage(5, Rate::ZERO), stage(0, Rate::per_second(10.0)), stage(1, Rate::per_second(10.0))],
        );
        assert_eq!(pacer.arrivals(), 10);
        assert!(pacer.due(0).unwrap().abs_diff(millis(5_100)) < Duration::from_micros(1));
        assert_eq!(pacer.level(millis(4_999)), LoadLevel::Arrivals(Rate::ZERO));
        assert_eq!(pacer.level(millis(6_000)), LoadLevel::Arrivals(Rate::ZERO));
        let LoadLevel::Arrivals(rate) = pacer.level(millis(5_500)) else { panic!("an open model has a rate") };
        assert!((rate.as_per_second() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn stages_and_levels_are_told_for_display() {
        let pacer = users(2, vec![stage(1, 4), stage(0, 8), stage(1, 8)]);
        assert_eq!(pacer.stage(millis(0)), StageAt { index: 0, count: 3 });
        assert_eq!(pacer.stage(millis(1_000)), StageAt { index: 2, count: 3 });
        assert_eq!(pacer.stage(millis(9_000)), StageAt { index: 2, count: 3 });
        assert_eq!(pacer.level(millis(500)), LoadLevel::Users(3));
        assert_eq!(pacer.level(millis(1_500)), LoadLevel::Users(8));
        let empty = users(2, Vec::new());
        assert_eq!((empty.total_duration(), empty.stage(millis(0)).index), (Duration::ZERO, 0));
    }
}
