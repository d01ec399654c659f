//! Texts in events, before anybody hears of them: without secrets and on one line.
//!
//! Plugins, servers and the operating system have a part in these texts. Those of plugins are clean already; here is the place that none of the
//! others gets round.

use kperf_metrics::{Incident, printable};
use kperf_plugin::Redactor;
use kperf_results::{CommandChange, RemovalProgress, RunEvent};

/// The longest text in bytes; what is beyond is cut.
const LONGEST: usize = 16 << 10;

/// The event with clean texts. Names are the suite's own, figures have nothing to hide, and the summary is made of events.
pub(crate) fn tidy(mut event: RunEvent) -> RunEvent {
    match &mut event {
        RunEvent::Preflight { check, .. } => {
            text(&mut check.name);
            text(&mut check.message);
        }
        RunEvent::Incident(incident) | RunEvent::PhaseFailed { incident, .. } => tidy_incident(incident),
        RunEvent::Fact(fact) => text(&mut fact.value),
        RunEvent::Delivery(change) => text(&mut change.key),
        RunEvent::Removal(RemovalProgress::Ended { removed, .. }) => removed.error.iter_mut().for_each(text),
        RunEvent::Command(CommandChange::Began { command, .. }) => command.iter_mut().for_each(text),
        RunEvent::Command(CommandChange::Ended { error, .. }) => error.iter_mut().for_each(text),
        RunEvent::CellEnded { message, .. } => message.iter_mut().for_each(text),
        RunEvent::SinkFailed { message, .. } => text(message),
        RunEvent::Prepared(_)
        | RunEvent::SetUp { .. }
        | RunEvent::LoadStarted { .. }
        | RunEvent::Merged(_)
        | RunEvent::Progress(_)
        | RunEvent::Records(_)
        | RunEvent::Scenario(_)
        | RunEvent::Threshold(_)
        | RunEvent::Capacity(_)
        | RunEvent::LoadChanged { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::Removal(RemovalProgress::Began { .. } | RemovalProgress::Going { .. })
        | RunEvent::ArtifactWritten { .. }
        | RunEvent::MatrixPlanned { .. }
        | RunEvent::CellBegan { .. }
        | RunEvent::CellAgain { .. }
        | RunEvent::CellPause(_)
        | RunEvent::Ended(_)
        | RunEvent::Verdict { .. } => {}
    }
    event
}

/// An incident with a clean text.
pub(crate) fn tidy_incident(incident: &mut Incident) {
    text(&mut incident.kind);
    text(&mut incident.message);
}

fn text(text: &mut String) {
    let redacted = Redactor::of_process().redact(text);
    let shown = printable(&redacted);
    let cut = shown.get(..shown.floor_char_boundary(LONGEST)).unwrap_or(&shown);
    if cut != text.as_str() {
        *text = cut.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use kperf_plugin::Secret;

    use super::*;

    #[test]
    fn what_a_server_says_is_clean_before_anybody_hears_it() {
        let _redactor = Redactor::new([&Secret::new("tidy-s3cret")]);
        let said = format!("answered 401: tidy-s3cret\n\u{1b}[2J{}", "x".repeat(LONGEST));
        let RunEvent::Incident(incident) = tidy(RunEvent::Incident(Incident::once("export", "refused", said))) else {
            panic!("another event");
        };
        assert!(incident.message.starts_with("answered 401: *********** \\u{1b}[2Jxxx"), "{}", incident.message);
        assert!(incident.message.len() <= LONGEST);
    }
}
