//! Capacity search: which rate to try next, and what the tries have shown. Pure.
//!
//! In come outcomes of trials, each at a constant rate; out comes the next rate or the end. While everything holds, the rate
//! grows by a factor; once something broke, the gap between the highest rate that held and the lowest that did not is halved
//! until it is narrow; then both ends are tried again until each has been confirmed. Everything is decided from the tally of
//! each rate, so a try that contradicts an earlier one only moves the ends, and the search goes on from there.

use crate::rate::Rate;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// A rate without a clear outcome is tried so many times in all before it counts as one whose load can't be made.
const TRIES: u32 = 3;
/// No search is longer: a guard for [`Search::trials_left`] and against a target that changes its mind for ever.
const MOST_TRIALS: usize = 200;

/// What to search for, and how exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchPlan {
    /// The first rate; above zero.
    pub start: Rate,
    /// The highest rate that is tried; at least `start`.
    pub max: Rate,
    /// What the rate is multiplied with while everything holds; above one.
    pub growth: f64,
    /// The search is narrow enough when the lowest rate that broke is no more than this share above the highest that held.
    pub precision: f64,
    /// How often the highest rate has to hold and the lowest one to break; at least one. Contradictions count against it.
    pub confirm: u32,
}

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialOutcome {
    /// The target carried the rate.
    Held,
    /// The target did not carry the rate: a threshold did not hold, or work piled up.
    Broke,
    /// No clear outcome: worth another try.
    Unsure,
    /// The load for this rate could not be made, and another try would not change that.
    Unsupported,
}

/// What the trials at one rate have shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// The rate, in arrivals per second.
    pub rate: f64,
    /// How many trials held.
    pub held: u32,
    /// How many trials broke.
    pub broke: u32,
    /// How many trials had no clear outcome.
    pub unsure: u32,
    /// How many trials lacked the load.
    pub unsupported: u32,
}

/// What the trials at a rate amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RateState {
    Held,
    Broke,
    Unsupported,
    /// Has to be tried again before anything can be said.
    Undecided,
}

impl Tally {
    fn new(rate: f64) -> Self {
        Self { rate, held: 0, broke: 0, unsure: 0, unsupported: 0 }
    }

    fn state(&self) -> RateState {
        // A tie is a rate that can't be relied on.
        match (self.held.cmp(&self.broke), self.held + self.broke) {
            (Ordering::Greater, _) => RateState::Held,
            (_, 1..) => RateState::Broke,
            _ if self.unsupported > 0 || self.unsure >= TRIES => RateState::Unsupported,
            _ => RateState::Undecided,
        }
    }

    /// Whether further trials at this rate are not worth their time.
    fn is_settled(&self, confirm: u32) -> bool {
        let (held, broke) = (self.held, self.broke);
        held.abs_diff(broke) >= confirm
            || held + broke > 2 * confirm
            || self.unsure >= TRIES
            || self.state() == RateState::Unsupported
    }
}

/// Why a search is over, or that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchState {
    /// There are trials left.
    Searching,
    /// The highest rate that held and a rate just above it that broke are both confirmed.
    Found,
    /// The highest rate that may be tried held.
    MaxHeld,
    /// Even the first rate broke.
    StartBroke,
    /// Above the highest rate that held, or from the start on, the load could not be made.
    Unsupported,
}

/// A search on its way.
#[derive(Debug, Clone)]
pub struct Search {
    plan: SearchPlan,
    /// By rate, in rising order.
    tallies: Vec<Tally>,
    trials: usize,
}

impl Search {
    /// A search that has not tried anything.
    #[must_use]
    pub fn new(plan: SearchPlan) -> Self {
        Self { plan, tallies: Vec::new(), trials: 0 }
    }

    /// Takes in how a trial at `rate` went.
    pub fn record(&mut self, rate: f64, outcome: TrialOutcome) {
        self.trials += 1;
        let at = self.tallies.partition_point(|tally| tally.rate < rate && !same(tally.rate, rate));
        if self.tallies.get(at).is_none_or(|tally| !same(tally.rate, rate)) {
            self.tallies.insert(at, Tally::new(rate));
        }
        let Some(tally) = self.tallies.get_mut(at) else { return };
        match outcome {
            TrialOutcome::Held => tally.held += 1,
            TrialOutcome::Broke => tally.broke += 1,
            TrialOutcome::Unsure => tally.unsure += 1,
            TrialOutcome::Unsupported => tally.unsupported += 1,
        }
    }

    /// The lowest rate that did not hold, whatever the reason.
    #[must_use]
    pub fn ceiling(&self) -> Option<&Tally> {
        let beyond = |tally: &&Tally| matches!(tally.state(), RateState::Broke | RateState::Unsupported);
        self.tallies.iter().find(beyond)
    }

    /// The highest rate that held below everything that did not.
    #[must_use]
    pub fn highest_held(&self) -> Option<&Tally> {
        let ceiling = self.ceiling().map_or(f64::INFINITY, |tally| tally.rate);
        self.tallies.iter().rfind(|tally| tally.state() == RateState::Held && tally.rate < ceiling)
    }

    /// The lowest rate that broke, if nothing below it failed for another reason.
    #[must_use]
    pub fn lowest_broken(&self) -> Option<&Tally> {
        self.ceiling().filter(|tally| tally.state() == RateState::Broke)
    }

    /// The rate of the next trial, in arrivals per second, or why there is none.
    pub fn next(&self) -> ControlFlow<SearchState, f64> {
        let SearchPlan { growth, precision, confirm, .. } = self.plan;
        let (start, max) = (self.plan.start.as_per_second(), self.plan.max.as_per_second());
        if let Some(undecided) = self.tallies.iter().find(|tally| tally.state() == RateState::Undecided) {
            return ControlFlow::Continue(undecided.rate);
        }
        let again = |tally: &Tally| (!tally.is_settled(confirm)).then_some(tally.rate);
        let (rate, otherwise) = match (self.highest_held(), self.ceiling()) {
            (None, None) => (Some(start), SearchState::Searching),
            (Some(held), None) if held.rate >= max || same(held.rate, max) => (again(held), SearchState::MaxHeld),
            (Some(held), None) => {
                let grown = rounded(held.rate * growth);
                let next = if grown > held.rate { grown } else { held.rate * growth };
                // Not a trial just short of the last one.
                let next = if next * (1.0 + precision) >= max { max } else { next };
                (Some(next), SearchState::Searching)
            }
            (None, Some(ceiling)) => (again(ceiling), without(ceiling)),
            (Some(held), Some(ceiling)) => {
                let middle = rounded((held.rate * ceiling.rate).sqrt());
                let splits = middle > held.rate && middle < ceiling.rate;
                let wide = ceiling.rate > held.rate * (1.0 + precision) && !same(middle, held.rate);
                if wide && splits && !same(middle, ceiling.rate) {
                    (Some(middle), SearchState::Searching)
                } else {
                    (again(held).or_else(|| again(ceiling)), above(ceiling))
                }
            }
        };
        match rate {
            Some(rate) if self.trials < MOST_TRIALS => ControlFlow::Continue(rate),
            _ => ControlFlow::Break(otherwise),
        }
    }

    /// Whether the search goes on, and else how it ended.
    #[must_use]
    pub fn state(&self) -> SearchState {
        self.next().break_value().unwrap_or(SearchState::Searching)
    }

    /// About how many trials are left: as many as it takes if the capacity lies in the middle of where it may lie.
    #[must_use]
    pub fn trials_left(&self) -> usize {
        let low = self.highest_held().map_or(self.plan.start.as_per_second(), |tally| tally.rate);
        let high = self.ceiling().map_or(self.plan.max.as_per_second(), |tally| tally.rate);
        let capacity = (low * high).sqrt();
        let mut ahead = self.clone();
        while let ControlFlow::Continue(rate) = ahead.next() {
            ahead.record(rate, if rate <= capacity { TrialOutcome::Held } else { TrialOutcome::Broke });
        }
        ahead.trials - self.trials
    }
}

/// The end of a search in which nothing held.
fn without(ceiling: &Tally) -> SearchState {
    if ceiling.state() == RateState::Broke { SearchState::StartBroke } else { SearchState::Unsupported }
}

/// The end of a search that is narrow enough.
fn above(ceiling: &Tally) -> SearchState {
    if ceiling.state() == RateState::Broke { SearchState::Found } else { SearchState::Unsupported }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Three significant digits: rates that people can read, say and type.
fn rounded(rate: f64) -> f64 {
    if rate <= 0.0 || !rate.is_finite() {
        return rate;
    }
    let scale = 10_f64.powi(2 - rate.log10().floor() as i32);
    (rate * scale).round() / scale
}

#[cfg(test)]
mod tests;
