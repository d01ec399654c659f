//! One fold, fed live or from a journal.

use std::fs;

use kperf_metrics::Registry;
use kperf_results::{Fold, Journal, RunEvent, RunFolder, Status, Summary, finish, finish_live};
use proptest::prelude::*;

use crate::events::{events, happenings, header};

/// Writes a journal; gives what the fold is, and how long the journal is, after each event.
fn record(folder: &RunFolder, events: &[RunEvent], registry: &Registry) -> Vec<(u64, Fold)> {
    let mut journal = Journal::create(folder, &header()).unwrap();
    let mut fold = Fold::new(header(), registry.clone());
    let states = events.iter().map(|event| {
        fold.apply(event);
        journal.write(event).unwrap();
        (fs::metadata(folder.journal()).unwrap().len(), fold.clone())
    });
    states.collect()
}

/// As it stands in the file, which rounds nothing.
fn text(summary: &Summary) -> String {
    serde_json::to_string_pretty(summary).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_live_is_what_a_report_says(happenings in happenings()) {
        let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::default());
        let folder = RunFolder::new(dir.path());
        let states = record(&folder, &events(&happenings, &registry), &registry);
        let (_, fold) = states.last().unwrap().clone();
        let live = finish_live(&folder, fold.clone()).unwrap();
        prop_assert_eq!(&text(&fold.summary()), &text(&live));
        let reported = finish(&[folder]).unwrap();
        prop_assert_eq!(text(&live), text(&reported));
    }

    #[test]
    fn a_journal_that_was_cut_off_says_what_was_known_then(happenings in happenings(), share in 0.0..1.0_f64) {
        let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::default());
        let whole = RunFolder::new(dir.path().join("whole"));
        let states = record(&whole, &events(&happenings, &registry), &registry);
        let journal = fs::read(whole.journal()).unwrap();
        // Somewhere in the last tenth, but never in the first line, which makes it a journal.
        let earliest = (journal.len() * 9 / 10).max(states[0].0 as usize);
        let cut = earliest + ((journal.len() - earliest) as f64 * share) as usize;
        let folder = RunFolder::new(dir.path().join("cut"));
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.journal(), &journal[..cut]).unwrap();
        let reported = finish(&[folder]).unwrap();
        // A line is whole without its line feed.
        let (_, known) = states.iter().rev().find(|(length, _)| *length <= cut as u64 + 1).unwrap();
        prop_assert_eq!(text(&known.summary()), text(&reported));
        let ended = matches!(happenings.last(), Some(crate::events::Happening::Ends { .. })) && cut + 1 >= journal.len();
        prop_assert!(ended || (reported.interrupted && reported.run.status == Status::Interrupted));
    }
}

#[test]
fn events_of_a_later_version_are_left_out_and_counted() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::default());
    let folder = RunFolder::new(dir.path());
    record(&folder, &events(&[], &registry), &registry);
    let mut journal = fs::read_to_string(folder.journal()).unwrap();
    assert!(journal.starts_with("{\"run\":{\"schema\":1,"), "{journal}");
    journal.push_str("{\"weather\":{\"rain\":true}}\n{\"weather\":{\"rain\":false}}\n{\"scenario\":{\"paused\":{}}}\n");
    fs::write(folder.journal(), journal).unwrap();
    let summary = finish(&[folder]).unwrap();
    let seen: Vec<_> = summary.incidents.iter().map(|it| (it.kind.as_str(), it.count)).collect();
    assert_eq!(seen, [("journal-damaged", 1), ("journal-unknown-events", 2)], "{:?}", summary.incidents);
    assert!(summary.incidents[1].message.contains("`weather`"), "{:?}", summary.incidents);
}

#[test]
fn parts_of_a_run_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let requests = |scenario: bool| {
        let sample = crate::events::Sample::Request { scenario, tenant: 0, ns: 1_000_000, failed: false };
        crate::events::Happening::Second(vec![sample; 10])
    };
    let start = |scenario| crate::events::Happening::Starts(scenario);
    let end = crate::events::Happening::Ends { interrupted: false, exit_code: None };
    let part = |name: &str, happenings: &[crate::events::Happening]| {
        let (folder, registry) = (RunFolder::new(dir.path().join(name)), Registry::default());
        record(&folder, &events(happenings, &registry), &registry);
        folder
    };
    let first = part("0", &[start(true), requests(true), requests(true), end.clone()]);
    let second = part("1", &[start(true), start(false), requests(false), requests(true), requests(true), end]);
    let summary = finish(&[first.clone(), second]).unwrap();
    let counts: Vec<_> = summary.scenarios.iter().map(|it| it.operations[0].count).collect();
    assert_eq!((counts, summary.interrupted), (vec![40, 10], false));
    assert!(first.summary().is_file() && first.series().is_file());
    let killed = part("2", &[start(true), requests(true)]);
    assert!(finish(&[first, killed]).unwrap().interrupted, "a part without an end leaves the whole without one");
}
