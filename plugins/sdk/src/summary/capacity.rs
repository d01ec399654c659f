//! What a capacity search found.

use serde::{Deserialize, Serialize};

use super::Spread;

/// The result of a capacity search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// `searching`, `found`, `max-held`, `start-broke`, `unsupported` or `out-of-time`.
    pub state: String,
    /// The answer in a sentence.
    pub answer: String,
    /// The highest rate that held.
    pub highest_held: Option<RateCounts>,
    /// The lowest rate above it that broke.
    pub lowest_broken: Option<RateCounts>,
    /// How far the two are apart, as a share of the former.
    pub gap: Option<f64>,
    /// What makes the answer less certain than it looks, and what to do about it.
    pub notes: Vec<String>,
    /// The steps in the order in which they were made.
    pub steps: Vec<CapacityStep>,
}

/// How often a rate was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateCounts {
    /// Iterations per second.
    pub rate: f64,
    /// How many steps held.
    pub held: u32,
    /// How many broke.
    pub broke: u32,
}

/// A constant rate of arrivals, held for a while. Figures are those of the part that was judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacityStep {
    /// Which step, from 1.
    pub number: u32,
    /// The rate asked for, in iterations per second.
    pub rate: f64,
    /// When its first iteration was due (RFC 3339, UTC).
    pub start: String,
    /// How long its first part was, which is not judged, in seconds.
    pub settle: f64,
    /// How long its judged part was, in seconds.
    pub judged: f64,
    /// `held`, `broke`, `unsure` or `unsupported`.
    pub outcome: String,
    /// Why, unless it held.
    pub reasons: Vec<String>,
    /// Iterations started per second.
    pub started: f64,
    /// Iterations ended per second, failed ones included.
    pub finished: f64,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Iterations that ran at the beginning.
    pub in_flight_start: f64,
    /// Iterations that ran at the end.
    pub in_flight_end: f64,
    /// By how many iterations per second the target would have to fall behind for this step to show it.
    pub visible_backlog: f64,
    /// An iteration from its real start to its end, in seconds.
    pub iteration_duration: Option<Spread>,
    /// An iteration from the instant it was due to its end, in seconds.
    pub iteration_response_time: Option<Spread>,
    /// The thresholds that a step has to fulfil.
    pub criteria: Vec<Criterion>,
}

/// A threshold on the samples of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Criterion {
    /// The threshold as it stands in the suite.
    pub text: String,
    /// `pass`, `breach` or `no-samples`.
    pub outcome: String,
    /// The value seen, in `unit`.
    pub value: Option<f64>,
    /// [The unit](crate::Unit::word) of the metric: `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
}
