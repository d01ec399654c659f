//! What a capacity search found: its steps as they went, and what they add up to. The same types stand in the journal, while
//! the search goes on, and in the summary.

use kperf_metrics::quantity::{rate, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Spread, ThresholdOutcome};

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CapacityOutcome {
    /// The target carried the rate.
    Held,
    /// It did not.
    Broke,
    /// Nothing can be said: the generator was too busy, or nothing was there to judge. It is tried again.
    Unsure,
    /// The load could not be made with the users that the suite allows.
    Unsupported,
}

impl CapacityOutcome {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broke => "broke",
            Self::Unsure => "unsure",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A threshold on the samples of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionSummary {
    /// The threshold as it stands in the suite.
    pub text: String,
    /// Whether it held.
    pub outcome: ThresholdOutcome,
    /// The value seen, in `unit`.
    pub value: Option<f64>,
    /// The unit of the metric: `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
}

/// A step: a constant rate of arrivals, held for a while. Figures are those of the part that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityTrial {
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
    /// How it went.
    pub outcome: CapacityOutcome,
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
    /// By how many iterations per second the target would have to fall behind for this step to show it by the number of
    /// running iterations.
    pub visible_backlog: f64,
    /// An iteration from its real start to its end, in seconds.
    pub iteration_duration: Option<Spread>,
    /// An iteration from the instant it was due to its end, in seconds.
    pub iteration_response_time: Option<Spread>,
    /// The thresholds that a step has to fulfil.
    pub criteria: Vec<CriterionSummary>,
}

/// What the steps at one rate have shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateSummary {
    /// The rate, in iterations per second.
    pub rate: f64,
    /// How many steps held.
    pub held: u32,
    /// How many broke.
    pub broke: u32,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityState {
    /// It was not over.
    Searching,
    /// Found: the highest rate that held, and one just above it that broke.
    Found,
    /// The highest rate that the suite allows held: the capacity is at least that.
    MaxHeld,
    /// Even the first rate broke.
    StartBroke,
    /// Load above the highest rate that held could not be made: the capacity is at least that.
    Unsupported,
    /// Time was up.
    OutOfTime,
}

/// How a search stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityProgress {
    /// How far it has come.
    pub state: CapacityState,
    /// The highest rate that held.
    pub highest_held: Option<RateSummary>,
    /// The lowest rate above it that broke.
    pub lowest_broken: Option<RateSummary>,
}

/// A capacity search that has come further.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityChange {
    /// The scenario's name in the suite.
    pub scenario: String,
    /// The step that was judged; none when the search ended without a further one.
    pub step: Option<CapacityTrial>,
    /// How the search stands after it.
    pub standing: CapacityProgress,
}

/// The result of a capacity search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacitySummary {
    /// How far it has come.
    pub state: CapacityState,
    /// The answer in a sentence.
    pub answer: String,
    /// The highest rate that held.
    pub highest_held: Option<RateSummary>,
    /// The lowest rate above it that broke.
    pub lowest_broken: Option<RateSummary>,
    /// How far the two are apart, as a share of the former.
    pub gap: Option<f64>,
    /// What makes the answer less certain than it looks, and what to do about it.
    pub notes: Vec<String>,
    /// The steps in the order in which they were made.
    pub steps: Vec<CapacityTrial>,
}

impl CapacityProgress {
    /// A search that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: CapacityState::Searching, highest_held: None, lowest_broken: None }
    }

    fn gap(&self) -> Option<f64> {
        let (held, broken) = (self.highest_held?, self.lowest_broken?);
        Some(broken.rate / held.rate - 1.0)
    }

    /// What is known in a few words: `18.3/s held (2 of 2), 19.2/s broke (2 of 2)`.
    #[must_use]
    pub fn known(&self) -> String {
        let one = |of: RateSummary, times: u32, word: &str| {
            format!("{} {word} ({times} of {})", rate(of.rate), of.held + of.broke)
        };
        let held = self.highest_held.map(|of| one(of, of.held, "held"));
        let broken = self.lowest_broken.map(|of| one(of, of.broke, "broke"));
        match (held, broken) {
            (Some(held), Some(broken)) => format!("{held}, {broken}"),
            (one, other) => one.or(other).unwrap_or_else(|| "nothing held yet".to_owned()),
        }
    }

    fn answer(&self, steps: &[CapacityTrial]) -> String {
        let held = self.highest_held.map_or_else(|| "nothing".to_owned(), |held| rate(held.rate));
        let known = self.known();
        let last = steps.iter().rev().find(|step| step.outcome == CapacityOutcome::Unsupported);
        let last = last.or_else(|| steps.iter().rev().find(|step| step.outcome == CapacityOutcome::Unsure));
        let why = last.map_or_else(String::new, |step| format!(": at {} {}", rate(step.rate), reasons(step)));
        match self.state {
            CapacityState::Found => format!("{held}: {known}"),
            CapacityState::MaxHeld => format!("at least {held}: {known} and is `max_rate`, raise that to go on"),
            CapacityState::StartBroke => {
                let why = steps.last().map_or_else(String::new, reasons);
                format!("unknown: even the first rate did not hold ({why}): lower `start_rate`, or look at the target")
            }
            CapacityState::Unsupported if self.highest_held.is_some() => {
                format!("at least {held}: {known}; more load could not be made{why}")
            }
            CapacityState::Unsupported => format!("unknown: the load could not be made{why}"),
            CapacityState::OutOfTime => format!("not narrowed down in `max_duration`: {known}"),
            CapacityState::Searching => format!("not narrowed down yet: {known}"),
        }
    }

    /// What makes the answer less certain than it looks.
    fn notes(&self, steps: &[CapacityTrial]) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(held) = self.highest_held else { return notes };
        let at =
            |step: &&CapacityTrial| step.rate.total_cmp(&held.rate).is_eq() && step.outcome == CapacityOutcome::Held;
        let Some(step) = steps.iter().rev().find(at) else { return notes };
        let length = step.judged;
        if let Some(duration) = &step.iteration_duration
            && duration.p50 > length / 2.0
        {
            notes.push(format!(
                "an iteration took {} (median) and {} of a step were judged: what a rate does to iterations may show only \
                 after it; make `step` ten times as long as an iteration",
                seconds(duration.p50),
                seconds(length)
            ));
        }
        if step.visible_backlog > step.rate * COARSE {
            notes.push(format!(
                "work that piles up shows in such a step only from {} on, {:.0} % of the rate: make `step` longer",
                rate(step.visible_backlog),
                step.visible_backlog / step.rate * 100.0
            ));
        }
        notes
    }
}

/// A step that is blind to a backlog of this share of the rate is worth a note.
const COARSE: f64 = 0.1;

impl Default for CapacityProgress {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a step went as it did, in one text.
fn reasons(step: &CapacityTrial) -> String {
    step.reasons.join("; ")
}

impl CapacitySummary {
    /// The result, from how the search stood last and all of its steps.
    pub(crate) fn new(standing: &CapacityProgress, steps: &[CapacityTrial]) -> Self {
        Self {
            state: standing.state,
            answer: standing.answer(steps),
            highest_held: standing.highest_held,
            lowest_broken: standing.lowest_broken,
            gap: standing.gap(),
            notes: standing.notes(steps),
            steps: steps.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u32, rate: f64, outcome: CapacityOutcome) -> CapacityTrial {
        CapacityTrial {
            number,
            rate,
            start: "2026-01-01T00:00:00.000Z".into(),
            settle: 1.0,
            judged: 4.0,
            outcome,
            reasons: if outcome == CapacityOutcome::Held { vec![] } else { vec!["work piles up".into()] },
            started: rate,
            finished: rate,
            dropped: 0,
            in_flight_start: 1.0,
            in_flight_end: 1.0,
            visible_backlog: rate / 50.0,
            iteration_duration: None,
            iteration_response_time: None,
            criteria: vec![],
        }
    }

    fn standing(state: CapacityState, held: Option<f64>, broken: Option<f64>) -> CapacityProgress {
        CapacityProgress {
            state,
            highest_held: held.map(|rate| RateSummary { rate, held: 2, broke: 0 }),
            lowest_broken: broken.map(|rate| RateSummary { rate, held: 1, broke: 3 }),
        }
    }

    #[test]
    fn every_end_has_its_sentence() {
        let steps = [step(1, 10.0, CapacityOutcome::Held), step(2, 20.0, CapacityOutcome::Unsupported)];
        let answer = |state, held, broken| CapacitySummary::new(&standing(state, held, broken), &steps).answer;
        let cases = [
            (CapacityState::Found, Some(10.0), Some(10.4), "10/s: 10/s held (2 of 2), 10.4/s broke (3 of 4)"),
            (
                CapacityState::MaxHeld,
                Some(10.0),
                None,
                "at least 10/s: 10/s held (2 of 2) and is `max_rate`, raise that to go on",
            ),
            (
                CapacityState::StartBroke,
                None,
                Some(0.5),
                "unknown: even the first rate did not hold (work piles up): lower `start_rate`, or look at the target",
            ),
            (
                CapacityState::Unsupported,
                Some(10.0),
                None,
                "at least 10/s: 10/s held (2 of 2); more load could not be made: at 20/s work piles up",
            ),
            (CapacityState::Unsupported, None, None, "unknown: the load could not be made: at 20/s work piles up"),
            (CapacityState::OutOfTime, None, None, "not narrowed down in `max_duration`: nothing held yet"),
            (CapacityState::Searching, Some(0.5), None, "not narrowed down yet: 30/m held (2 of 2)"),
        ];
        for (state, held, broken, text) in cases {
            assert_eq!(answer(state, held, broken), text);
        }
        let found = CapacitySummary::new(&standing(CapacityState::Found, Some(10.0), Some(10.4)), &steps);
        assert!((found.gap.unwrap() - 0.04).abs() < 1e-9);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }

    #[test]
    fn steps_that_are_short_against_iterations_are_noted() {
        let mut short = step(1, 10.0, CapacityOutcome::Held);
        let p50 = 3.0;
        let spread = Spread {
            count: 9,
            min: 1.0,
            mean: 3.0,
            stddev: 0.0,
            p50,
            p90: 3.0,
            p95: 3.0,
            p99: 3.0,
            p999: 3.0,
            max: 3.0,
        };
        short.iteration_duration = Some(spread);
        short.visible_backlog = 2.0;
        let found = CapacitySummary::new(&standing(CapacityState::Found, Some(10.0), Some(10.4)), &[short]);
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        assert!(found.notes[0].contains("3.00 s (median)") && found.notes[1].contains("20 % of the rate"));
    }
}
