//! Real shared libraries, written in C against the header, good ones and broken ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kperf_native::{Collection, Failure, Level, LoadError, Plugin, Sample};
use tempfile::TempDir;

/// Long enough for what works, short enough for what hangs.
const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// Compiles the collector with a fault, and definitions of the preprocessor.
fn library(folder: &TempDir, fault: &str, define: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.path().join(format!("{fault}.so"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-std=c11", "-D_DEFAULT_SOURCE"])
        .arg(format!("-DFAULT={fault}"))
        .args(define)
        .arg("-I")
        .arg(here.join("include"))
        .arg("-o")
        .arg(&path)
        .arg(here.join("tests/all/collector.c"))
        .status()
        .expect("a C compiler, which Rust needs as well");
    assert!(compiled.success());
    path
}

fn load(path: &Path, limit: Duration) -> Result<Plugin, LoadError> {
    Plugin::load(path, &Plugin::digest_of_file(path).unwrap(), limit)
}

fn collection(parameters: &str) -> Collection {
    Collection {
        name: "cool".to_owned(),
        mode: "fans".to_owned(),
        parameters: parameters.to_owned(),
        run: "r".to_owned(),
        folder: "/suites".to_owned(),
    }
}

#[test]
fn a_good_one_describes_itself_and_brings_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = library(&folder, "GOOD", &[]);
    let plugin = load(&path, LIMIT).unwrap();
    // The file is not needed any more.
    std::fs::remove_file(&path).unwrap();
    let description = plugin.description();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("fans", "1.2.3"));
    assert_eq!(description.mode("fans").unwrap().schema["properties"]["speed"]["default"], 0.5);
    assert_eq!(&*description.metrics[0].name, "fan_speed");

    let (mut session, observations) = plugin.start(collection(r#"{"speed":0.75}"#), LIMIT).unwrap();
    let said: serde_json::Value = serde_json::from_str(&observations.lines[0].1).unwrap();
    assert_eq!((observations.lines[0].0, &said["parameters"]["speed"]), (Level::Info, &0.75.into()));
    assert_eq!((&said["name"], &said["folder"]), (&"cool".into(), &"/suites".into()));
    let (result, observations) = session.collect();
    result.unwrap();
    let text = |text: &str| text.to_owned();
    let tags = vec![(text("fan"), text("left")), (text("side"), text("für"))];
    assert_eq!(observations.samples[0], Sample { metric: text("fan_speed"), tags, value: 0.75, unix_ns: None });
    let noise =
        Sample { metric: text("fan_noise"), tags: Vec::new(), value: 1.0, unix_ns: Some(1_700_000_000_000_000_000) };
    assert_eq!(observations.samples[1], noise);
    let (result, observations) = session.finish(5, 12);
    result.unwrap();
    assert_eq!((observations.samples[0].value, observations.samples[0].unix_ns), (7.0, Some(5)));
    // A second one of the same library has a state of its own.
    let (mut other, _) = plugin.start(collection("{}"), LIMIT).unwrap();
    assert_eq!(other.collect().1.samples[0].value, -1.0);
}

#[test]
fn what_is_no_collector_is_refused_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |fault: &str, define: &[&str]| load(&library(&folder, fault, define), LIMIT).unwrap_err().to_string();
    assert!(refused("BAD_VERSION", &[]).contains("version 2"), "{}", refused("BAD_VERSION", &[]));
    assert!(refused("GOOD", &["-DNO_ENTRY"]).contains("`kperf_collector_v1`"));
    assert!(refused("NULL_FUNCTION", &[]).contains("`collect` is NULL"));
    assert!(refused("GARBAGE", &[]).contains("description is wrong"));
    assert!(refused("NO_TEXT", &[]).contains("NULL or no UTF-8"));
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library at all").unwrap();
    assert!(matches!(load(&text, LIMIT), Err(LoadError::Open(_))));
    assert!(matches!(Plugin::load(&folder.path().join("none.so"), "", LIMIT), Err(LoadError::Read { .. })));
}

#[test]
fn another_file_than_the_pinned_one_is_never_loaded() {
    let folder = tempfile::tempdir().unwrap();
    // Loading this one would hang.
    let path = library(&folder, "HANG_DESCRIBE", &[]);
    let error = Plugin::load(&path, &"0".repeat(64), LIMIT).unwrap_err();
    let LoadError::Digest { found, .. } = &error else { panic!("{error}") };
    assert_eq!(*found, Plugin::digest_of_file(&path).unwrap());
    assert!(error.to_string().contains(found.as_str()));
}

#[test]
fn one_that_hangs_is_given_up_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    assert!(matches!(load(&library(&folder, "HANG_DESCRIBE", &[]), SHORT), Err(LoadError::Hung(SHORT))));
    let plugin = load(&library(&folder, "HANG_COLLECT", &[]), LIMIT).unwrap();
    let (mut session, _) = plugin.start(collection("{}"), SHORT).unwrap();
    let (result, observations) = session.collect();
    assert_eq!(result, Err(Failure::Hung { call: "collect", limit: SHORT }));
    assert!(observations.samples.is_empty() && session.is_lost());
    // It is not asked again.
    assert_eq!(session.finish(1, 2).0, result);
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn a_call_that_fails_says_why_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, _) =
        load(&library(&folder, "FAIL_ONCE", &[]), LIMIT).unwrap().start(collection("{}"), LIMIT).unwrap();
    assert_eq!(session.collect().0, Err(Failure::Failed("the fan was asleep".to_owned())));
    assert_eq!(session.collect().0, Ok(()));
    let start = |fault: &str| load(&library(&folder, fault, &[]), LIMIT).unwrap().start(collection("{}"), LIMIT);
    assert_eq!(start("NOT_AVAILABLE").unwrap_err(), Failure::Unavailable("there is no fan".to_owned()));
    assert_eq!(start("SILENT").unwrap_err(), Failure::Failed("it gives no reason".to_owned()));
    let (mut session, _) = start("FLOOD").unwrap();
    let (result, observations) = session.collect();
    assert_eq!((result, observations.samples.len(), observations.dropped), (Ok(()), 100_000, 7));
}
