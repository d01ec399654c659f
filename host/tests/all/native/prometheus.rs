//! A real Prometheus: what it has read of a run is what the run's own files say.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::export::{free_address, scraped};
use super::suite;
use crate::support::prometheus::Prometheus;
use crate::support::{Ended, Kperf, Target, json};

/// Values by time in milliseconds.
type Values = BTreeMap<i64, f64>;
/// By name and labels, the common ones and `le` left out.
type All = BTreeMap<(String, BTreeMap<String, String>), Values>;

/// What `series.parquet` says, as sums so far under the names that `docs/export.md` gives them.
fn written(path: &Path) -> All {
    let file = std::fs::File::open(path).unwrap();
    let batches: Vec<RecordBatch> =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect();
    let mut all = All::new();
    for batch in &batches {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let text = |name: &str| column(name).as_string::<i32>().clone();
        let time = column("time").as_primitive::<TimestampNanosecondType>().clone();
        let (value, count) = (
            column("value").as_primitive::<Float64Type>().clone(),
            column("count").as_primitive::<UInt64Type>().clone(),
        );
        let [metric, kind, unit, tags] = ["metric", "kind", "unit", "tags"].map(text);
        for row in 0..batch.num_rows() {
            let mut labels: BTreeMap<String, String> = serde_json::from_str(tags.value(row)).unwrap();
            for name in ["scenario", "operation"] {
                let column = text(name);
                if column.is_valid(row) {
                    labels.insert(name.to_owned(), column.value(row).to_owned());
                }
            }
            let suffix = match (unit.value(row), kind.value(row)) {
                ("seconds", _) => "_seconds",
                ("bytes", _) => "_bytes",
                ("ratio", "gauge" | "distribution") => "_ratio",
                _ => "",
            };
            let (base, value) = (format!("kperf_{}{suffix}", metric.value(row)), value.value(row));
            let mut add = |suffix: &str, value: f64, sums: bool| {
                let values = all.entry((format!("{base}{suffix}"), labels.clone())).or_default();
                let before = if sums { values.last_key_value().map_or(0.0, |(_, value)| *value) } else { 0.0 };
                values.insert(time.value(row) / 1_000_000, before + value);
            };
            let number = count.is_valid(row).then(|| count.value(row) as f64);
            match kind.value(row) {
                "counter" => add("_total", value, true),
                "gauge" => add("", value, false),
                "rate" => {
                    let number = number.unwrap();
                    add("_samples_total", number, true);
                    add("_true_total", (value * number).round(), true);
                }
                "distribution" => {
                    add("_count", number.unwrap(), true);
                    add("_sum", value, true);
                }
                other => panic!("{other}"),
            }
        }
    }
    all
}

/// What the server has of a run; buckets by themselves.
fn read_back(server: &Prometheus, run: &str) -> (All, All) {
    let answer = server.api("query", &[("query", &format!("{{run=\"{run}\"}}[1h]"))]);
    let (mut all, mut buckets) = (All::new(), All::new());
    for series in answer["data"]["result"].as_array().unwrap() {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
        let name = labels.remove("__name__").unwrap();
        assert_eq!((labels.remove("run").as_deref(), labels.remove("suite").as_deref()), (Some(run), Some("outside")));
        assert_eq!(labels.remove("team").as_deref(), Some("ml"));
        let values = series["values"].as_array().unwrap().iter().map(|pair| {
            let at = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
            (at, pair[1].as_str().unwrap().parse().unwrap())
        });
        let into = if name.ends_with("_bucket") { &mut buckets } else { &mut all };
        into.insert((name, labels), values.collect());
    }
    (all, buckets)
}

fn same(wanted: &Values, found: &Values) -> bool {
    // Sums of fractions differ in their last digits by the order of adding.
    wanted.keys().eq(found.keys())
        && wanted.values().zip(found.values()).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
}

fn check_page(page: &str) {
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

/// Every query of the dashboard, its variables filled in, with the panel that it belongs to.
fn queries(run: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/grafana/kperf.json");
    let dashboard = json(&path);
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$suite", ".*").replace("$run", run).replace("$__rate_interval", "1m");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    assert!(queries.len() >= 20 && queries.iter().all(|(_, query)| !query.contains('$')), "{queries:#?}");
    queries
}

#[test]
#[ignore = "needs Prometheus; runs in .ci/run"]
fn prometheus_has_of_a_run_what_its_files_say() {
    let (server, target) = (Prometheus::scraping(&[]), Target::start());
    let address = free_address();
    let rest = format!(
        "[targets.prometheus]\nurl = \"{}\"\n[export]\nlabels.team = \"ml\"\n[export.remote_write]\ntarget = \"prometheus\"\n\
         [[collector]]\nname = \"host\"\nplugin = \"system-collector\"\nnative = true\ninterval = \"1s\"\n\
         params.processes = [{{ component = \"tests\", pid = {} }}]",
        server.url(),
        std::process::id()
    );
    let kperf = Kperf::with(&suite(&target.url(), 6, &rest));
    let arguments = ["run", "suite.toml", "--out", "out", "--allow-native", "--metrics-listen", &address];
    let mut run = kperf.command(&arguments).spawn().unwrap();
    check_page(&scraped(&mut run, &address, "kperf_component_memory_bytes"));
    Ended::from(run.wait_with_output().unwrap()).code(0);
    let summary = kperf.summary();
    assert!(summary["incidents"].as_array().unwrap().is_empty(), "{:#}", summary["incidents"]);
    let id = summary["run"]["id"].as_str().unwrap();

    let (wanted, (found, buckets)) = (written(&kperf.out().join("series.parquet")), read_back(&server, id));
    assert!(wanted.len() > 30 && wanted.values().map(Values::len).sum::<usize>() > 200, "{wanted:#?}");
    for (series, values) in &wanted {
        let found = found.get(series).unwrap_or_else(|| panic!("{series:?} is not there"));
        assert!(same(values, found), "{series:?}\nwritten {values:#?}\nread back {found:#?}");
    }
    assert_eq!(
        wanted.len(),
        found.len(),
        "{:#?}",
        found.keys().filter(|it| !wanted.contains_key(*it)).collect::<Vec<_>>()
    );
    // The last bucket is everything, and a bucket holds at least what the one before does.
    for ((name, labels), values) in &buckets {
        let mut labels = labels.clone();
        let le = labels.remove("le").unwrap();
        if le == "+Inf" {
            assert!(same(&wanted[&(name.replace("_bucket", "_count"), labels)], values), "{name}");
        }
    }

    for (panel, query) in queries(id) {
        let answer = server.api("query", &[("query", &query)]);
        let values = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{panel}: {query}: {answer:#}"));
        assert!(!values.is_empty(), "{panel}: no data for {query}");
        let numbers = values.iter().filter(|series| series["value"][1] != "NaN").count();
        assert!(numbers > 0, "{panel}: {query}: {answer:#}");
    }
}
