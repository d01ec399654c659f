//! Writes the result as Markdown, for a pull request, a wiki or a chat.
//!
//! In come events and the text of `summary.json`; out goes one file in the run's folder.

mod document;

use std::cell::RefCell;

use kperf_plugin_sdk::{
    Description, Event, Failure, Reporter, Reporting, artifacts::OneFile, clock, export_reporter, quantity::with_unit,
    summary::Summary,
};

/// The file, and the events that it will list.
pub struct MarkdownReporter {
    file: OneFile,
    started: std::time::Duration,
    /// What happened, in the order in which it did.
    events: RefCell<Vec<String>>,
}

/// An event in words; none for one that the summary shows anyway.
fn words(event: &Event) -> Option<String> {
    let (change, what) = match event {
        Event::RunStarted => return None,
        Event::ScenarioFinished(name) => return Some(format!("scenario {name} finished")),
        Event::ThresholdBreached(change) => (change, "is breached"),
        Event::ThresholdRecovered(change) => (change, "holds again"),
    };
    let scope = if change.scenario.is_empty() { String::new() } else { format!("{}: ", change.scenario) };
    let value = with_unit(change.value, change.unit.word());
    Some(format!("{scope}`{}` {what}, at {value}", change.threshold))
}

impl Reporter for MarkdownReporter {
    fn describe() -> Description {
        Description::new("markdown-reporter", env!("CARGO_PKG_VERSION"), "Writes the result as Markdown").mode(
            "file",
            OneFile::MODE,
            &OneFile::parameters("summary.md"),
        )
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { file: reporting.params()?, started: clock::now(), events: RefCell::default() })
    }

    async fn on_event(&self, event: Event) -> Result<(), Failure> {
        if let Some(words) = words(&event) {
            let at = clock::now().saturating_sub(self.started).as_secs_f64();
            self.events.borrow_mut().push(format!("after {at:.1} s: {words}"));
        }
        Ok(())
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let text = document::write(&Summary::read(&summary)?, &self.events.borrow());
        self.file.write(text).await
    }
}

export_reporter!(MarkdownReporter);

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::{Severity, ThresholdChange, Unit};

    use super::*;

    #[test]
    fn events_become_sentences() {
        let change = || ThresholdChange {
            scenario: "runs".into(),
            threshold: "x rate < 1%".into(),
            value: 0.5,
            limit: 0.01,
            unit: Unit::Ratio,
            severity: Severity::Error,
            at: 0,
        };
        assert_eq!(words(&Event::ThresholdBreached(change())).unwrap(), "runs: `x rate < 1%` is breached, at 50 %");
        let whole = ThresholdChange { scenario: String::new(), ..change() };
        assert_eq!(words(&Event::ThresholdRecovered(whole)).unwrap(), "`x rate < 1%` holds again, at 50 %");
        assert_eq!(words(&Event::RunStarted), None);
    }
}
