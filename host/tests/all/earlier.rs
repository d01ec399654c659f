//! A folder that an earlier version has left: what commands make of it is what they made of it then.

use std::path::Path;

use crate::support::Kperf;

/// A run with `--keep`, by the version before journals had a schema. `summary.json` is that version's own.
const FILES: [&str; 6] = ["journal.jsonl", "ledger.jsonl", "records.jsonl", "run.json", "suite.toml", "summary.json"];

#[test]
fn the_folder_of_an_earlier_version_is_reported_and_cleaned_up() {
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/earlier-run");
    let kperf = Kperf::with("");
    std::fs::create_dir(kperf.out()).unwrap();
    for file in FILES {
        std::fs::copy(earlier.join(file), kperf.out().join(file)).unwrap();
    }
    std::fs::remove_file(kperf.out().join("summary.json")).unwrap();
    let reported = kperf.call(&["report", "out"]);
    assert!(reported.code(3).stdout().contains("`http_reqs count > 100000` does not hold: it was 24"));
    let text = |folder: &Path, file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(text(&kperf.out(), "summary.json"), text(&earlier, "summary.json"));
    assert_eq!(text(&kperf.out(), "run.json"), text(&earlier, "run.json"));
    for made in ["series.parquet", "histograms.hlog", "records/kfp-runner/runs.parquet"] {
        assert!(kperf.out().join(made).is_file(), "{made}");
    }
    let cleaned = kperf.call(&["cleanup", "out"]);
    assert!(cleaned.code(0).stdout().contains("7 were on the simulated server"), "{}", cleaned.stdout());
    assert!(kperf.call(&["cleanup", "out"]).code(0).stdout().contains("nothing is left of run"));
}
