//! The whole program, as a user runs it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Ended, Kperf, Target, json};
use serde_json::Value;

/// A suite with one scenario of `http-runner`.
fn suite(url: &str, load: &str, thresholds: &str) -> String {
    format!(
        r#"
name = "test"
[targets.server]
url = "{url}"
[[scenario]]
name = "get"
plugin = "http-runner"
target = "server"
thresholds = [{thresholds}]
[[scenario.params.requests]]
name = "get"
path = "/"
expect = {{ json = {{ "/state" = "ok" }} }}
[scenario.load]
{load}
"#
    )
}

const TEN: &str = "executor = \"shared-iterations\"\nvus = 2\niterations = 10";

#[test]
fn a_suite_that_holds_passes_and_leaves_a_complete_folder() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, r#""checks rate == 100%", "http_req_failed rate < 1%""#));
    let ended = kperf.run();
    ended.code(0);
    let summary = kperf.summary();
    let operation = &summary["scenarios"][0]["operations"][0];
    assert_eq!((operation["operation"].as_str(), operation["count"].as_u64()), (Some("get"), Some(10)), "{summary:#}");
    assert_eq!(summary["verdict"]["outcome"], "pass");
    assert_eq!(summary["scenarios"][0]["checks"][0]["passes"], 10, "{summary:#}");
    for file in ["run.json", "summary.json", "series.parquet", "histograms.hlog", "journal.jsonl"] {
        assert!(kperf.out().join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let run = json(&kperf.out().join("run.json"));
    assert_eq!(run["status"], "complete", "{run:#}");
    assert!(ended.stdout().contains("get") && ended.stdout().contains("checks"), "{}", ended.stdout());
    // One preflight request may come on top.
    assert!((10..=11).contains(&target.requests()), "{}", target.requests());
}

#[test]
fn every_request_can_be_found_in_the_servers_log() {
    let target = Target::start();
    Kperf::with(&suite(&target.url(), TEN, "")).run().code(0);
    let load: Vec<String> = target.heads().into_iter().map(|head| head.to_ascii_lowercase()).collect();
    let ids: std::collections::BTreeSet<&str> =
        load.iter().flat_map(|head| head.lines().filter_map(|line| line.strip_prefix("x-request-id: "))).collect();
    assert_eq!(ids.len(), load.len(), "a different x-request-id on each: {load:#?}");
    assert!(load.iter().all(|head| head.contains("traceparent: 00-")), "{load:#?}");
}

#[test]
fn a_breached_threshold_exits_3() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, r#""http_reqs count > 1000""#));
    kperf.run().code(3);
    let summary = kperf.summary();
    assert_eq!(summary["verdict"]["outcome"], "fail");
    assert_eq!(summary["verdict"]["exit_code"], 3, "{:#}", summary["verdict"]);
}

#[test]
fn a_threshold_without_samples_exits_5() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, r#""http_req_duration{operation=nobody} p(95) < 1s""#));
    kperf.run().code(5);
    assert_eq!(kperf.summary()["verdict"]["outcome"], "inconclusive");
}

#[test]
fn an_unreachable_target_exits_6_before_any_load() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kperf = Kperf::with(&suite(&format!("http://{free}"), TEN, ""));
    let ended = kperf.run();
    ended.code(6);
    assert!(ended.stderr().contains("✗"), "the preflight's line: {}", ended.stderr());
    assert_eq!(kperf.summary()["scenarios"][0]["iterations"]["count"], 0);
}

#[test]
fn an_aborting_threshold_ends_the_run_early() {
    let target = Target::start();
    let load = "executor = \"constant-vus\"\nvus = 1\nduration = \"5m\"\nthink_time = \"10ms\"";
    let threshold = r#"{ expr = "http_reqs count < 1", abort = true, after = "1s" }"#;
    let started = Instant::now();
    Kperf::with(&suite(&target.url(), load, threshold)).run().code(3);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn six_mistakes_are_shown_at_once_with_carets() {
    let wrong = r#"
name = "six"
[targets.server]
url = "not a url"
[[scenario]]
name = "get"
plugin = "http-runer"
target = "sever"
thresholds = ["http_req_duration p(95) <"]
[scenario.params]
requests = []
[scenario.load]
executor = "constant-vus"
vuss = 3
duration = "9 parsecs"
"#;
    let kperf = Kperf::with(wrong);
    let ended = kperf.call(&["validate", "suite.toml"]);
    ended.code(2);
    let stderr = ended.stderr();
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    let carets = stderr.lines().filter(|line| line.contains('^')).count();
    assert_eq!((errors, carets), (6, 6), "{stderr}");
    for hint in ["http-runner", "server", "vus", "suite.toml:4:", "suite.toml:15:"] {
        assert!(stderr.contains(hint), "no {hint}: {stderr}");
    }
}

#[test]
fn parameters_are_checked_against_the_plugins_schema_at_their_place() {
    let target = Target::start();
    let text = suite(&target.url(), TEN, "").replace("path = \"/\"", "pth = \"/\"");
    let ended = Kperf::with(&text).call(&["validate", "suite.toml"]);
    ended.code(2);
    let stderr = ended.stderr();
    assert!(stderr.contains("pth") && stderr.contains('^') && stderr.contains("suite.toml:"), "{stderr}");
}

#[test]
fn plan_and_validate_send_nothing() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, ""));
    let plan = kperf.call(&["plan", "suite.toml"]);
    plan.code(0);
    assert!(plan.stdout().contains("shared-iterations") && plan.stdout().contains(&target.url()), "{}", plan.stdout());
    kperf.call(&["validate", "suite.toml"]).code(0);
    assert_eq!(target.connections(), 0);
    assert!(!kperf.out().exists());
}

#[test]
fn faulty_plugins_are_named_and_leave_a_healthy_scenario_alone() {
    let target = Target::start();
    let mut text = suite(
        &target.url(),
        "executor = \"constant-arrival-rate\"\nrate = \"50/s\"\nduration = \"4s\"\npre_allocated_vus = 20\nmax_vus = 50",
        "",
    );
    // A slow machine takes more than a second for a flood, so its limit is far below what an iteration records.
    text.push_str("[limits]\nsamples = \"5000/s\"\nlog_lines = \"20/s\"\n");
    for mode in ["trap", "spin", "allocate", "recurse", "denied-host", "sample-flood", "log-flood"] {
        text.push_str(&format!(
            "[[scenario]]\nname = \"{mode}\"\nplugin = \"faulty-runner\"\nmode = \"{mode}\"\ntarget = \"server\"\n\
             [scenario.load]\nexecutor = \"per-vu-iterations\"\nvus = 2\niterations = 2\n"
        ));
    }
    let kperf = Kperf::with(&text);
    kperf.run();
    let summary = kperf.summary();
    let incidents = summary["incidents"].as_array().unwrap();
    for (source, kind) in [
        ("trap", "trap"),
        ("spin", "cpu-limit"),
        ("allocate", "memory-limit"),
        ("recurse", "stack-overflow"),
        ("denied-host", "host-denied"),
        ("sample-flood", "sample-flood"),
        ("log-flood", "log-flood"),
    ] {
        let named = incidents.iter().any(|incident| incident["source"] == source && incident["kind"] == kind);
        assert!(named, "no {kind} of {source}: {incidents:#?}");
    }
    let healthy = &summary["scenarios"][0];
    assert_eq!(healthy["iterations"]["failed"], 0, "{healthy:#}");
    assert_eq!(healthy["iterations"]["count"], 200, "{healthy:#}");
}

#[test]
fn what_is_no_plugin_is_named() {
    let target = Target::start();
    for (content, kind) in [(&b"hello"[..], "not-a-component"), (b"\0asm\x01\0\0\0", "not-a-component")] {
        let text = suite(&target.url(), TEN, "").replace("\"http-runner\"", "\"./mine.wasm\"");
        let ended = Kperf::with(&text).file("mine.wasm", content).run();
        ended.code(6);
        assert!(ended.stderr().contains(kind), "{}", ended.stderr());
    }
}

#[test]
fn secrets_stay_in_the_host() {
    let target = Target::start();
    let text = suite(&target.url(), TEN, "").replace(
        "[[scenario]]",
        "credential = \"token\"\n[credentials.token]\nenv = \"KPERF_TEST_TOKEN\"\n[[scenario]]",
    );
    let kperf = Kperf::with(&text);
    let mut command = kperf.command(&["run", "suite.toml", "--out", "out", "-vv"]);
    let ended = Ended::from(command.env("KPERF_TEST_TOKEN", "hunter2hunter2").output().unwrap());
    ended.code(0);
    assert!(target.heads().iter().any(|head| head.contains("Bearer hunter2hunter2")), "{:?}", target.heads());
    assert!(!ended.stderr().contains("hunter2") && !ended.stdout().contains("hunter2"), "{}", ended.stderr());
    for entry in std::fs::read_dir(kperf.out()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            assert!(!content.windows(7).any(|part| part == b"hunter2"), "{}", path.display());
        }
    }
    let refused = kperf.run();
    refused.code(2);
    assert!(refused.stderr().contains("KPERF_TEST_TOKEN"), "{}", refused.stderr());
}

#[test]
fn a_stall_of_the_server_shows_in_the_response_times() {
    let target = Target::stalling();
    let load = "executor = \"constant-arrival-rate\"\nrate = \"100/s\"\nduration = \"4s\"\n\
                pre_allocated_vus = 20\nmax_vus = 200";
    let kperf = Kperf::with(&suite(&target.url(), load, ""));
    kperf.run();
    let summary = kperf.summary();
    let scenario = &summary["scenarios"][0];
    assert_eq!(scenario["iterations"]["dropped"], 0, "{scenario:#}");
    // A quarter of the arrivals fell into the stall and waited half of it on average.
    let p99 = scenario["operations"][0]["response_time"]["p99"].as_f64().unwrap();
    assert!(p99 > 0.8, "the stall is hidden: {scenario:#}");
}

/// Waits until the run's journal holds so many intervals.
#[cfg(unix)]
fn wait_for_intervals(out: &Path, wanted: usize) {
    let started = Instant::now();
    loop {
        let journal = std::fs::read_to_string(out.join("journal.jsonl")).unwrap_or_default();
        if journal.matches("\"interval\"").count() >= wanted {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the journal does not grow: {journal}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(unix)]
const LONG: &str = "executor = \"constant-vus\"\nvus = 2\nduration = \"5m\"\nthink_time = \"20ms\"";

#[cfg(unix)]
#[test]
fn a_killed_run_can_be_reported_up_to_its_last_second() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), LONG, r#""http_reqs count > 10""#));
    let mut child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    wait_for_intervals(&kperf.out(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!kperf.out().join("summary.json").exists());
    kperf.call(&["report", "out"]);
    let summary = kperf.summary();
    assert_eq!(summary["interrupted"], true, "{summary:#}");
    assert!(summary["scenarios"][0]["operations"][0]["count"].as_u64().unwrap() > 10, "{summary:#}");
    assert_eq!(json(&kperf.out().join("run.json"))["status"], "interrupted");
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn one_interrupt_ends_the_run_in_order_and_exits_130() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), LONG, ""));
    let child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    wait_for_intervals(&kperf.out(), 2);
    interrupt(&child);
    Ended::from(child.wait_with_output().unwrap()).code(130);
    let summary = kperf.summary();
    assert_eq!(summary["scenarios"][0]["iterations"]["interrupted"], 0, "running ones may finish: {summary:#}");
    assert_eq!(summary["interrupted"], true);
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_leaves_at_once_with_a_readable_folder() {
    let target = Target::slow(Duration::from_secs(20));
    let kperf = Kperf::with(&suite(&target.url(), LONG, ""));
    let started = Instant::now();
    let child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    // The preflight waits for the slow server; load starts afterwards.
    wait_for_intervals(&kperf.out(), 1);
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(500));
    interrupt(&child);
    Ended::from(child.wait_with_output().unwrap()).code(130);
    assert!(started.elapsed() < Duration::from_secs(60));
    kperf.call(&["report", "out"]);
    assert_eq!(kperf.summary()["interrupted"], true);
}

#[test]
fn the_published_schema_describes_the_summary() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, r#""http_req_failed rate < 1%""#));
    kperf.run().code(0);
    let schema: Value = serde_json::from_str(&kperf.call(&["schema", "summary"]).stdout()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let summary = kperf.summary();
    let errors: Vec<String> = validator.iter_errors(&summary).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Where a document and its JSON Schema differ in their fields, each by its path: `scenarios.spread is not there`.
fn fields_that_differ(schema: &Value, document: &Value) -> Vec<String> {
    fn walk(root: &Value, schema: &Value, document: &Value, path: &str, differ: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            return walk(root, root.pointer(&reference[1..]).unwrap(), document, path, differ);
        }
        for alternative in schema["anyOf"].as_array().into_iter().flatten().filter(|it| it["type"] != "null") {
            walk(root, alternative, document, path, differ);
        }
        if let (Some(items), Some(item)) = (schema.get("items"), document.get(0)) {
            walk(root, items, item, path, differ);
        }
        if let (Some(fields), Some(document)) = (schema["properties"].as_object(), document.as_object()) {
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                let is_empty = |it: &Value| it.is_null() || it.as_array().is_some_and(Vec::is_empty);
                match document.get(name).filter(|it| !is_empty(it)) {
                    Some(value) => walk(root, field, value, &path, differ),
                    None => differ.push(format!("{path} is not there")),
                }
            }
            let unknown = document.keys().filter(|name| !fields.contains_key(*name));
            differ.extend(unknown.map(|name| format!("{path}.{name} is unknown")));
        }
    }
    let mut differ = Vec::new();
    walk(schema, schema, document, "", &mut differ);
    differ
}

/// The sdk's tests hold its types to this document.
#[test]
fn the_sdks_complete_summary_has_every_field_of_the_published_schema() {
    let kperf = Kperf::with("");
    let schema: Value = serde_json::from_str(&kperf.call(&["schema", "summary"]).stdout()).unwrap();
    let complete = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/src/summary/complete.json");
    assert_eq!(fields_that_differ(&schema, &json(&complete)), Vec::<String>::new());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json(&complete)), "{:?}", validator.iter_errors(&json(&complete)).next());
}

#[test]
#[ignore = "needs the duckdb and hdrhistogram Python packages (KPERF_PYTHON); .ci/run installs them"]
fn the_folder_opens_with_the_tools_that_people_have() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), TEN, ""));
    kperf.run().code(0);
    let python = std::env::var("KPERF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = r#"
import sys, duckdb
from hdrh.log import HistogramLogReader
from hdrh.histogram import HdrHistogram
out = sys.argv[1]
rows = duckdb.sql(f"select sum(value) from '{out}/series.parquet' where metric = 'http_reqs'").fetchall()
assert rows[0][0] == 10, rows
reader = HistogramLogReader(f"{out}/histograms.hlog", HdrHistogram(1, 10**13, 3))
tagged = 0
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    tagged += histogram.get_total_count()
assert tagged >= 10, tagged
"#;
    let output = std::process::Command::new(python).args(["-c", script]).arg(kperf.out()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
