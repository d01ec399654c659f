//! A capacity search: the answer in a line, and a table of the steps.

use super::table::{named, show, table};
use super::{BAD, DOUBT, FAINT, GOOD, STRONG, count, out, rate, seconds};
use kperf_results::{CapacityOutcome, CapacityState, CapacitySummary, CapacityTrial};

/// A mark for how a step went.
pub(super) fn marked(outcome: CapacityOutcome) -> String {
    match outcome {
        CapacityOutcome::Held => format!("{GOOD}✓{GOOD:#}"),
        CapacityOutcome::Broke => format!("{BAD}✗{BAD:#}"),
        CapacityOutcome::Unsure | CapacityOutcome::Unsupported => format!("{DOUBT}?{DOUBT:#}"),
    }
}

/// Why a step did not hold; empty if it did.
pub(super) fn reason(step: &CapacityTrial) -> String {
    step.reasons.join("; ")
}

/// Prints what a search found.
pub(super) fn print(capacity: &CapacitySummary) {
    let style = if capacity.state == CapacityState::Found { GOOD } else { DOUBT };
    out(&format!("  {STRONG}capacity{STRONG:#} {style}{}{style:#}", capacity.answer));
    for note in &capacity.notes {
        out(&format!("  {DOUBT}!{DOUBT:#} {note}"));
    }
    if capacity.steps.is_empty() {
        return;
    }
    let criteria = capacity.steps.first().map_or(0, |step| step.criteria.len());
    let mut header: Vec<&str> = vec!["step", "rate", "outcome", "ended", "running", "dropped", "p50", "p95"];
    header.extend(capacity.steps.iter().take(1).flat_map(|step| step.criteria.iter().map(|it| it.text.as_str())));
    let mut table = table(&header);
    for step in &capacity.steps {
        let times = step.iteration_response_time.as_ref().or(step.iteration_duration.as_ref());
        let time = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), seconds);
        let mut row = vec![
            step.number.to_string(),
            rate(step.rate),
            step.outcome.word().to_owned(),
            rate(step.finished),
            format!("{} → {}", count(step.in_flight_start), count(step.in_flight_end)),
            count(step.dropped as f64),
            time(times.map(|spread| spread.p50)),
            time(times.map(|spread| spread.p95)),
        ];
        let values =
            step.criteria.iter().map(|it| it.value.map_or_else(|| "-".to_owned(), |value| named(value, &it.unit)));
        row.extend(values.take(criteria));
        table.add_row(row);
    }
    show(&table);
    for step in capacity.steps.iter().filter(|step| step.outcome != CapacityOutcome::Held) {
        let (number, why) = (step.number, reason(step));
        out(&format!("  {} {FAINT}step {number} at {}: {why}{FAINT:#}", marked(step.outcome), rate(step.rate)));
    }
}
