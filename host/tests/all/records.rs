//! Rows that plugins append end in Parquet files and waterfalls, also when the run is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Kperf;
use crate::support::things::Things;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// A suite with the scenarios `a` and `b` of the test plugin.
fn suite(url: &str, params: &str, load: &str) -> String {
    let scenario = |name: &str| {
        format!(
            "[[scenario]]\nname = \"{name}\"\nplugin = \"creating-runner\"\nmode = \"create\"\ntarget = \"server\"\n\
             [scenario.params]\n{params}\n[scenario.load]\n{load}\n"
        )
    };
    format!("name = \"test\"\n[targets.server]\nurl = \"{url}\"\n{}{}", scenario("a"), scenario("b"))
}

const TEN: &str = "executor = \"shared-iterations\"\nvus = 2\niterations = 10";

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

const FILE: &str = "records/creating-runner/things.parquet";

#[test]
fn rows_become_a_parquet_file_with_typed_columns() {
    let server = Things::start();
    let kperf = Kperf::with(&suite(&server.url(), "things = 2\nrows = 3", TEN));
    let before = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let ended = kperf.run();
    ended.code(0);
    assert!(ended.stdout().contains("kperf-host trace out"), "{}", ended.stdout());
    let listed = &kperf.summary()["records"][0];
    assert_eq!((listed["file"].as_str(), listed["rows"].as_u64()), (Some(FILE), Some(120)), "{listed:#}");
    let batches = read(&kperf.out().join(FILE));
    let schema = batches[0].schema();
    let kind = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(schema.field(0).name(), "scenario");
    assert_eq!(kind("row"), DataType::Int64);
    assert_eq!(kind("begun"), DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
    assert_eq!(schema.field_with_name("took").unwrap().metadata()["unit"], "seconds");
    let (mut rows, mut seen) = (0, BTreeSet::new());
    for batch in &batches {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let [scenario, thing] = ["scenario", "thing"].map(text);
        let row = batch.column_by_name("row").unwrap().as_primitive::<Int64Type>();
        let took = batch.column_by_name("took").unwrap().as_primitive::<Float64Type>();
        let begun = batch.column_by_name("begun").unwrap().as_primitive::<TimestampNanosecondType>();
        rows += batch.num_rows();
        for at in 0..batch.num_rows() {
            assert!(took.value(at) > 0.0 && begun.value(at) >= before && thing.is_valid(at));
            seen.insert((scenario.value(at).to_owned(), thing.value(at).to_owned(), row.value(at)));
        }
    }
    assert_eq!((rows, seen.len()), (120, 120), "each row once");
    let shown = kperf.call(&["plugins", "creating-runner"]);
    shown.code(0);
    for part in ["table", "things", "instant", "one waterfall per `iteration`"] {
        assert!(shown.stdout().contains(part), "no {part}: {}", shown.stdout());
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_keeps_the_rows_of_its_seconds() {
    let server = Things::start();
    let load = "executor = \"constant-vus\"\nvus = 1\nduration = \"5m\"\nthink_time = \"20ms\"";
    let kperf = Kperf::with(&suite(&server.url(), "", load));
    let mut child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let rows = || std::fs::read_to_string(kperf.out().join("records.jsonl")).unwrap_or_default().lines().count();
    let started = Instant::now();
    while rows() < 20 {
        assert!(started.elapsed() < Duration::from_secs(60), "no rows come");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    kperf.call(&["report", "out"]).code(130);
    let reported: usize = read(&kperf.out().join(FILE)).iter().map(RecordBatch::num_rows).sum();
    assert!(reported >= 20 && reported <= rows(), "{reported} of {}", rows());
    kperf.call(&["cleanup", "out"]).code(0);
    assert_eq!(server.there(), 0);
}

/// Checks a file against the trace event format; gives its bars.
fn bars(path: &Path) -> Vec<Value> {
    let trace = crate::support::json(path);
    let events = trace["traceEvents"].as_array().unwrap();
    let is_number = |event: &Value, key: &str| event[key].is_number();
    let (mut named, mut bars) = (BTreeSet::new(), Vec::new());
    for event in events {
        assert!(event["name"].is_string() && is_number(event, "pid"), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" => {
                let name = event["name"].as_str().unwrap();
                assert!(
                    ["process_name", "process_sort_index", "thread_name", "thread_sort_index"].contains(&name),
                    "{event}"
                );
                named.insert((name, event["pid"].as_u64(), event["tid"].as_u64()));
            }
            "X" => {
                assert!(["ts", "dur", "tid"].iter().all(|key| is_number(event, key)), "{event}");
                assert!(event["ts"].as_f64().unwrap() >= 0.0 && event["dur"].as_f64().unwrap() >= 0.0, "{event}");
                let (pid, tid) = (event["pid"].as_u64(), event["tid"].as_u64());
                assert!(named.contains(&("process_name", pid, None)), "{event}");
                assert!(named.contains(&("thread_name", pid, tid)), "{event}");
                bars.push(event.clone());
            }
            other => panic!("the phase `{other}`: {event}"),
        }
    }
    bars
}

#[test]
fn the_slowest_traces_can_be_drawn() {
    let server = Things::start();
    let kperf = Kperf::with(&suite(&server.url(), "things = 2\nrows = 2", TEN));
    kperf.run().code(0);
    let traced = kperf.call(&["trace", "out", "--slowest", "3"]);
    traced.code(0);
    assert!(traced.stdout().contains("the slowest 3 of 20 traces, 12 bars"), "{}", traced.stdout());
    let drawn = bars(&kperf.out().join("trace.json"));
    assert_eq!(drawn.len(), 12);
    // The two rows of a thing take the same time: they may not hide each other.
    let mut lanes: Vec<(u64, u64, f64, f64)> = drawn
        .iter()
        .map(|bar| {
            let number = |key: &str| bar[key].as_f64().unwrap();
            (bar["pid"].as_u64().unwrap(), bar["tid"].as_u64().unwrap(), number("ts"), number("ts") + number("dur"))
        })
        .collect();
    lanes.sort_by(|a, b| a.partial_cmp(b).unwrap());
    for pair in lanes.windows(2) {
        let same = (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1);
        // Microseconds as fractions: a billionth of one is no overlap.
        assert!(!same || pair[1].2 >= pair[0].3 - 1e-6, "{pair:?} overlap");
    }
    assert!(drawn.iter().all(|bar| bar["args"]["thing"].is_string() && bar["cat"] == "things"), "{drawn:#?}");

    let one = kperf.call(&["trace", "out", "--only", "0-0", "--out", "one.json", "--table", "things"]);
    one.code(0);
    let drawn = bars(&kperf.out().parent().unwrap().join("one.json"));
    assert_eq!(drawn.len(), 8, "the iteration 0-0 of both scenarios");
    for (arguments, text) in
        [(["--only", "nobody"], "no record has `nobody`"), (["--table", "others"], "there is things")]
    {
        let refused = kperf.call(&[&["trace", "out"], &arguments[..]].concat());
        refused.code(2);
        assert!(refused.stderr().contains(text), "no {text}: {}", refused.stderr());
    }
}
