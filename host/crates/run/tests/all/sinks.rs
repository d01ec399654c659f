//! A sink is written without touching anything else, and none of them can harm a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kperf_results::{RunEvent, Sink, SinkError};
use kperf_run::MakeSink;

use crate::support::{run_suite, suite, target};

/// Counts what happens.
struct Counting(Arc<AtomicU64>);

impl Sink for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn event(&mut self, event: &Arc<RunEvent>) -> Result<(), SinkError> {
        // How many seconds are merged depends on the machine.
        if !matches!(**event, RunEvent::Merged(_) | RunEvent::Progress(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn counting(count: &Arc<AtomicU64>) -> (String, MakeSink) {
    let count = Arc::clone(count);
    ("counting".into(), Box::new(move || Ok(Box::new(Counting(count)))))
}

/// Sleeps for ten seconds at each event.
struct Slow;

impl Sink for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn event(&mut self, _: &Arc<RunEvent>) -> Result<(), SinkError> {
        std::thread::sleep(Duration::from_secs(10));
        Ok(())
    }
}

/// Panics at the first event.
struct Panicking;

impl Sink for Panicking {
    fn name(&self) -> &str {
        "panicking"
    }

    fn event(&mut self, _: &Arc<RunEvent>) -> Result<(), SinkError> {
        panic!("it can't bear this")
    }
}

/// Fails at each event, and says at the end that it was finished.
struct Failing(Arc<AtomicU64>);

impl Sink for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn event(&mut self, _: &Arc<RunEvent>) -> Result<(), SinkError> {
        Err("no".into())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_sink_that_sleeps_and_one_that_panics_change_nothing_for_the_others() {
    let (folder, suite) = (tempfile::tempdir().unwrap(), suite(&target()));
    let alone = Arc::default();
    let (quiet, exit) = run_suite(&suite, &folder.path().join("alone"), vec![counting(&alone)]);
    assert_eq!((quiet.scenarios[0].iterations.count, exit), (40, 0), "{quiet:?}");
    assert!(quiet.incidents.is_empty(), "{:?}", quiet.incidents);

    let (beside, finished) = (Arc::default(), Arc::<AtomicU64>::default());
    let told = Arc::clone(&finished);
    let sinks: Vec<(String, MakeSink)> = vec![
        ("slow".into(), Box::new(|| Ok(Box::new(Slow)))),
        ("panicking".into(), Box::new(|| Ok(Box::new(Panicking)))),
        ("failing".into(), Box::new(move || Ok(Box::new(Failing(told))))),
        counting(&beside),
    ];
    let (loud, exit) = run_suite(&suite, &folder.path().join("beside"), sinks);
    assert_eq!((loud.scenarios[0].iterations.count, exit), (40, 0), "{loud:?}");
    assert_eq!(loud.scenarios[0].operations[0].count, quiet.scenarios[0].operations[0].count);
    assert_eq!(loud.verdict, quiet.verdict, "an incident of a sink is no doubt about the measurement");
    let kinds: Vec<_> = loud.incidents.iter().map(|it| (it.source.as_str(), it.kind.as_str())).collect();
    assert!(
        kinds.contains(&("panicking", "sink-panicked")) && kinds.contains(&("failing", "sink-failed")),
        "{kinds:?}"
    );
    assert_eq!(finished.load(Ordering::Relaxed), 1, "one that fails is finished all the same");
    // Its own events, and an incident of each of the two others.
    let (alone, beside) = (alone.load(Ordering::Relaxed), beside.load(Ordering::Relaxed));
    let failures = loud.incidents.iter().filter(|it| it.kind.starts_with("sink-")).count() as u64;
    assert!(alone > 5 && beside >= alone + failures, "{alone} and {beside}: {kinds:?}");
}

#[test]
fn a_sink_that_can_not_be_made_is_left_out() {
    let (folder, suite) = (tempfile::tempdir().unwrap(), suite(&target()));
    let sinks: Vec<(String, MakeSink)> = vec![("broken".into(), Box::new(|| Err("there is no screen".into())))];
    let (summary, exit) = run_suite(&suite, &folder.path().join("out"), sinks);
    assert_eq!((summary.scenarios[0].iterations.count, exit), (40, 0), "{summary:?}");
}
