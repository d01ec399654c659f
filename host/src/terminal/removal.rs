//! How far the removal of what a run created has come: it may take minutes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Display, count};

/// Where nobody watches, a line each so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one scenario's removal.
pub struct Removal {
    display: Display,
    scenario: String,
    total: u64,
    bar: ProgressBar,
    told: Instant,
}

impl Removal {
    /// Starts showing it; `total` is how many things there are.
    #[must_use]
    pub fn new(display: &Display, scenario: &str, total: u64) -> Self {
        let style = ProgressStyle::with_template("{prefix:.bold} {bar:20.cyan/blue} removed {pos} of {len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = display.bars.add(ProgressBar::new(total).with_style(style));
        bar.set_prefix(scenario.to_owned());
        Self { display: display.clone(), scenario: scenario.to_owned(), total, bar, told: Instant::now() }
    }

    /// Shows how many are gone.
    pub fn show(&mut self, removed: u64) {
        self.bar.set_position(removed);
        if !self.display.live && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let (removed, total) = (count(removed as f64), count(self.total as f64));
            self.display.line(&format!("{}  removed {removed} of {total}", self.scenario));
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
