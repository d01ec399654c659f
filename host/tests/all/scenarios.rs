//! Everything in `scenarios/` can be planned, and the documentation says what the program does.

use std::path::{Path, PathBuf};

use crate::support::Kperf;

/// Above the generated part of `docs/suite.md`.
const MARK: &str = "<!-- Written by the parser: KPERF_BLESS=1 cargo test -p kperf-host --test all scenarios -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn suites(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            suites(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_suite_can_be_planned() {
    let mut found = Vec::new();
    suites(&root().join("scenarios"), &mut found);
    assert!(found.len() >= 3, "{found:?}");
    for suite in found {
        Kperf::with("").call(&["plan", "--allow-native", suite.to_str().unwrap()]).code(0);
    }
}

#[test]
fn the_suite_reference_is_the_parsers_own() {
    let path = root().join("docs/suite.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let (preface, _) = written.split_once(MARK).expect("the mark above the generated part");
    let wanted = format!("{preface}{MARK}\n{}", kperf_suite::reference());
    if std::env::var_os("KPERF_BLESS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(written == wanted, "docs/suite.md is out of date; write it again as its comment says");
    }
}

#[test]
fn the_quickstart_passes() {
    let suite = root().join("scenarios/quickstart.toml");
    let kperf = Kperf::with("");
    kperf.call(&["run", suite.to_str().unwrap(), "--out", "out"]).code(0);
    let summary = kperf.summary();
    let operations = summary["scenarios"][0]["operations"].as_array().unwrap();
    assert!(operations.iter().any(|operation| operation["operation"] == "create_run"), "{summary:#}");
}
