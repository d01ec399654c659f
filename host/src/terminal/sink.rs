//! The terminal as a sink of a run, or of a matrix and its cells: each event in the words of people.

use std::sync::Arc;
use std::time::Duration;

use kperf_metrics::{CheckOutcome, PreflightCheck};
use kperf_results::{CellState, Phase, RemovalProgress, RunEvent, Sink, SinkError, Summary, list_of_kinds};
use kperf_suite::DurationText;

use super::live::Live;
use super::removal::Removal;
use super::{BAD, DOUBT, Display, FAINT, GOOD, STRONG, count, error, note, rate, seconds};

/// A setup that took longer than this is worth a line.
const LONG_SETUP: Duration = Duration::from_millis(200);

/// See the module.
pub struct Terminal {
    display: Display,
    scenarios: Vec<String>,
    live: Option<Live>,
    removal: Option<Removal>,
}

impl Terminal {
    /// Shows what happens on this display.
    #[must_use]
    pub fn new(display: &Display) -> Self {
        Self { display: display.clone(), scenarios: Vec::new(), live: None, removal: None }
    }

    fn preflight(&self, scenario: &str, check: &PreflightCheck) {
        let mark = match check.outcome {
            CheckOutcome::Pass => format!("{GOOD}✓{GOOD:#}"),
            CheckOutcome::Warn => format!("{DOUBT}!{DOUBT:#}"),
            CheckOutcome::Fail => format!("{BAD}✗{BAD:#}"),
        };
        let PreflightCheck { name, message, .. } = check;
        let between = if name.is_empty() { "" } else { "  " };
        let line = format!("{mark} {scenario}: {name}{between}{FAINT}{message}{FAINT:#}");
        if check.outcome == CheckOutcome::Fail { note(&line) } else { self.display.line(&line) }
    }

    fn stop_bars(&mut self) {
        self.live.take().into_iter().for_each(Live::finish);
        self.removal.take().into_iter().for_each(Removal::finish);
    }

    fn removal(&mut self, progress: &RemovalProgress) {
        match progress {
            RemovalProgress::Began { scenario, total } => {
                self.stop_bars();
                self.removal = Some(Removal::new(&self.display, scenario, *total));
            }
            RemovalProgress::Going { removed, .. } => {
                self.removal.iter_mut().for_each(|removal| removal.show(*removed));
            }
            RemovalProgress::Ended { scenario, removed, took } => {
                self.stop_bars();
                if !removed.gone.is_empty() {
                    let (gone, took) = (list_of_kinds(&removed.gone), seconds(took.as_secs_f64()));
                    self.display.line(&format!("{GOOD}✓{GOOD:#} {scenario}: removed {gone} in {took}"));
                }
            }
        }
    }
}

/// Why a phase failed.
fn failure(phase: Phase, source: &str, kind: &str, message: &str) -> String {
    match phase {
        Phase::Teardown => format!("teardown of {source}: {message}"),
        _ if source == "host" => message.to_owned(),
        Phase::Preflight | Phase::Setup => format!("{source}: {kind}: {message}"),
        Phase::Load | Phase::Removal => format!("{source}: {message}"),
    }
}

/// A cell that has ended, in a line.
fn cell(label: &str, state: CellState, took: Duration, summary: Option<&Summary>) -> String {
    let outcome = summary.filter(|_| state == CellState::Finished).map(|it| it.verdict.outcome.as_str());
    let mark = match outcome {
        Some("pass") => format!("{GOOD}✓{GOOD:#} pass"),
        Some("fail") => format!("{BAD}✗{BAD:#} fail"),
        Some(other) => format!("{DOUBT}?{DOUBT:#} {other}"),
        None if state == CellState::Interrupted => format!("{DOUBT}?{DOUBT:#} interrupted"),
        None => format!("{BAD}✗{BAD:#} failed"),
    };
    let requests = summary.map(requests).unwrap_or_default();
    format!("{mark}  {label}  {FAINT}{}{FAINT:#}{requests}", seconds(took.as_secs_f64()))
}

/// A cell's requests in a few words.
fn requests(summary: &Summary) -> String {
    let operations = || summary.scenarios.iter().flat_map(|it| &it.operations);
    let requests: u64 = operations().map(|it| it.count).sum();
    if requests == 0 {
        return String::new();
    }
    let failed: u64 = operations().map(|it| it.failures).sum();
    let per_second: f64 = operations().map(|it| it.rate).sum();
    format!("  {} requests, {} failed, {}", count(requests as f64), count(failed as f64), rate(per_second))
}

/// A time in whole seconds.
fn rounded(time: Duration) -> DurationText {
    DurationText(Duration::from_secs(time.as_secs_f64().round() as u64))
}

impl Sink for Terminal {
    fn name(&self) -> &str {
        "terminal"
    }

    fn event(&mut self, event: &Arc<RunEvent>) -> Result<(), SinkError> {
        match &**event {
            RunEvent::Prepared(header) => {
                self.scenarios = header.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
            }
            RunEvent::Preflight { scenario, check } => self.preflight(scenario, check),
            RunEvent::SetUp { scenario, took } if *took > LONG_SETUP => {
                let took = seconds(took.as_secs_f64());
                self.display.line(&format!("{GOOD}✓{GOOD:#} {scenario}: set up in {took}"));
            }
            RunEvent::LoadStarted { .. } => {
                let names: Vec<&str> = self.scenarios.iter().map(String::as_str).collect();
                self.live = Some(Live::new(&self.display, &names));
            }
            RunEvent::Progress(progress) => self.live.iter_mut().for_each(|live| live.show(progress)),
            RunEvent::Capacity(change) => {
                if let (Some(live), Some(trial)) = (&self.live, &change.step) {
                    live.trial(&change.scenario, trial);
                }
            }
            RunEvent::Interrupted { phase: Phase::Load } => {
                self.display.above("\nstopping: running iterations may end; once more to leave at once");
            }
            RunEvent::Interrupted { .. } => {
                self.display.above("\nremoving what the run has created; once more to leave at once");
            }
            RunEvent::PhaseFailed { phase, incident } => {
                self.stop_bars();
                error(&failure(*phase, &incident.source, &incident.kind, &incident.message));
            }
            RunEvent::SinkFailed { sink, message, .. } => error(&format!("{sink}: {message}")),
            RunEvent::Removal(progress) => self.removal(progress),
            RunEvent::CellBegan { cell, label, of, left } => self.display.line(&format!(
                "{STRONG}cell {}/{of}{STRONG:#}  {label}  {FAINT}about {} left{FAINT:#}",
                cell.number,
                rounded(*left)
            )),
            RunEvent::CellAgain { label } => {
                self.display.line(&format!("cell {label} is run again; removing what it has left on its targets"));
            }
            RunEvent::CellPause(pause) => self.display.line(&format!("pause of {}", DurationText(*pause))),
            RunEvent::CellEnded { label, state, took, summary, message, .. } => {
                if let Some(message) = message {
                    error(&format!("{label}: {message}"));
                }
                self.display.line(&cell(label, *state, *took, summary.as_deref()));
            }
            RunEvent::Ended(_) => self.stop_bars(),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.stop_bars();
        Ok(())
    }
}
