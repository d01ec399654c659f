//! Live progress: a line per scenario, redrawn on a terminal, repeated now and then elsewhere.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::capacity::{marked, reason};
use super::{BAD, Display, FAINT, STRONG, count, rate, seconds};
use crate::report::CapacityStep;

/// How a scenario stands, once a second.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Its name.
    pub scenario: String,
    /// What it does: waiting for its start, running, letting iterations finish, done.
    pub state: &'static str,
    /// Since its own start; zero before.
    pub elapsed: Duration,
    /// How long it is planned to run; `None` if its iterations decide.
    pub planned: Option<Duration>,
    /// How far it is, 0 to 1.
    pub share: f64,
    /// The current stage and how many there are.
    pub stage: (usize, usize),
    /// What the schedule asks for now: `20/s`, `50 users`; of a capacity search what it does and knows.
    pub target: String,
    /// Virtual users in an iteration.
    pub users: u64,
    /// Iterations that ended.
    pub iterations: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Arrivals that could not start.
    pub dropped: u64,
    /// Iterations in the last second.
    pub rate: f64,
    /// The 95th percentile of the service time of the last seconds' requests, in seconds.
    pub p95: Option<f64>,
}

impl Standing {
    fn figures(&self) -> String {
        let mut text = String::new();
        if self.stage.1 > 1 {
            let _ = write!(text, "stage {}/{}  ", self.stage.0, self.stage.1);
        }
        let _ = write!(
            text,
            "{STRONG}{}{STRONG:#}  {} busy  {} iterations  {}/s",
            self.target,
            count(self.users as f64),
            count(self.iterations as f64),
            count(self.rate)
        );
        if let Some(p95) = self.p95 {
            let _ = write!(text, "  p95 {}", seconds(p95));
        }
        if self.failed > 0 {
            let _ = write!(text, "  {BAD}{} failed{BAD:#}", count(self.failed as f64));
        }
        if self.dropped > 0 {
            let _ = write!(text, "  {BAD}{} dropped{BAD:#}", count(self.dropped as f64));
        }
        text
    }

    fn clock(&self) -> String {
        match self.planned {
            Some(planned) => format!("{}s/{}s", self.elapsed.as_secs(), planned.as_secs_f64().ceil()),
            None => format!("{}s", self.elapsed.as_secs()),
        }
    }
}

/// The progress of all scenarios of a run.
pub struct Live {
    display: Display,
    bars: Vec<ProgressBar>,
    ticks: u64,
}

/// Where nobody watches, a line per scenario each so many seconds.
const LINE_EVERY: u64 = 10;
const STEPS: u64 = 1000;

impl Live {
    /// Starts showing these scenarios.
    #[must_use]
    pub fn new(display: &Display, scenarios: &[String]) -> Self {
        let width = scenarios.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let style = ProgressStyle::with_template("{prefix:.bold} {bar:20.cyan/blue} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = scenarios
            .iter()
            .map(|name| {
                let bar = display.bars.add(ProgressBar::new(STEPS).with_style(style.clone()));
                bar.set_prefix(format!("{name:width$}"));
                bar
            })
            .collect();
        Self { display: display.clone(), bars, ticks: 0 }
    }

    /// Shows how things stand; to be called once a second.
    pub fn show(&mut self, standings: &[Standing]) {
        self.ticks += 1;
        if self.display.live {
            for (bar, standing) in self.bars.iter().zip(standings) {
                bar.set_position((standing.share * STEPS as f64) as u64);
                bar.set_message(format!(
                    "{FAINT}{:9} {:>11}{FAINT:#}  {}",
                    standing.state,
                    standing.clock(),
                    standing.figures()
                ));
            }
        } else if self.ticks.is_multiple_of(LINE_EVERY) {
            for standing in standings.iter().filter(|standing| standing.state != "done") {
                self.display.line(&format!(
                    "{}  {} {}  {}",
                    standing.scenario,
                    standing.state,
                    standing.clock(),
                    standing.figures()
                ));
            }
        }
    }

    /// Shows how a step of a capacity search went.
    pub fn step(&self, scenario: &str, step: &CapacityStep) {
        let why = reason(step);
        let why = if why.is_empty() { why } else { format!("  {FAINT}{why}{FAINT:#}") };
        self.display.line(&format!(
            "{} {scenario}: step {} at {} {}{why}",
            marked(step.outcome),
            step.number,
            rate(step.rate),
            step.outcome.word()
        ));
    }

    /// Takes the bars away; what they showed is in the summary.
    pub fn finish(self) {
        for bar in &self.bars {
            bar.finish_and_clear();
        }
    }
}
