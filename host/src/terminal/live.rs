//! Live progress: a line per scenario, redrawn on a terminal, repeated now and then elsewhere.

use std::fmt::Write as _;

use indicatif::{ProgressBar, ProgressStyle};
use kperf_results::{Activity, CapacityTrial, Doing, LoadTarget, ScenarioProgress, Trial};

use super::capacity::{marked, reason};
use super::{BAD, Display, FAINT, STRONG, count, rate, seconds};

fn figures(progress: &ScenarioProgress) -> String {
    let mut text = String::new();
    if progress.stage.1 > 1 {
        let _ = write!(text, "stage {}/{}  ", progress.stage.0, progress.stage.1);
    }
    let _ = write!(
        text,
        "{STRONG}{}{STRONG:#}  {} busy  {} iterations  {}/s",
        doing(&progress.doing),
        count(progress.users as f64),
        count(progress.iterations as f64),
        count(progress.rate)
    );
    if let Some(p95) = progress.p95 {
        let _ = write!(text, "  p95 {}", seconds(p95));
    }
    if progress.failed > 0 {
        let _ = write!(text, "  {BAD}{} failed{BAD:#}", count(progress.failed as f64));
    }
    if progress.dropped > 0 {
        let _ = write!(text, "  {BAD}{} dropped{BAD:#}", count(progress.dropped as f64));
    }
    text
}

/// `20/s`, `50 users`; of a capacity search what it does and knows.
fn doing(doing: &Doing) -> String {
    match doing {
        Doing::Schedule(LoadTarget::Users(1)) => "1 user".to_owned(),
        Doing::Schedule(LoadTarget::Users(users)) => format!("{users} users"),
        Doing::Schedule(LoadTarget::PerSecond(rate)) => format!("{}/s", count(*rate)),
        Doing::Search { trial, standing } => {
            let known = standing.known();
            match trial {
                Trial::Running { number, rate: tried } => format!("step {number} at {}  {known}", rate(*tried)),
                Trial::Recovering => format!("recovering  {known}"),
                Trial::Between => known,
            }
        }
    }
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Waiting => "waiting",
        Activity::Running => "running",
        Activity::Stopping => "stopping",
        Activity::Done => "done",
    }
}

fn clock(progress: &ScenarioProgress) -> String {
    match progress.planned {
        Some(planned) => format!("{}s/{}s", progress.elapsed.as_secs(), planned.as_secs_f64().ceil()),
        None => format!("{}s", progress.elapsed.as_secs()),
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
    pub fn new(display: &Display, scenarios: &[&str]) -> Self {
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
    pub fn show(&mut self, scenarios: &[ScenarioProgress]) {
        self.ticks += 1;
        if self.display.live {
            for (bar, progress) in self.bars.iter().zip(scenarios) {
                bar.set_position((progress.share * STEPS as f64) as u64);
                bar.set_message(format!(
                    "{FAINT}{:9} {:>11}{FAINT:#}  {}",
                    activity(progress.activity),
                    clock(progress),
                    figures(progress)
                ));
            }
        } else if self.ticks.is_multiple_of(LINE_EVERY) {
            for progress in scenarios.iter().filter(|progress| progress.activity != Activity::Done) {
                self.display.line(&format!(
                    "{}  {} {}  {}",
                    progress.scenario,
                    activity(progress.activity),
                    clock(progress),
                    figures(progress)
                ));
            }
        }
    }

    /// Shows how a trial of a capacity search went.
    pub fn trial(&self, scenario: &str, step: &CapacityTrial) {
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
