//! `kfp-runner` against the simulated server: what it reports is what happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::Kperf;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array as _, RecordBatch};
use kperf_sim::{RunTruth, Sim, SimConfig};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios")
}

fn pipeline(name: &str) -> Vec<u8> {
    std::fs::read(scenarios().join("pipelines").join(name)).unwrap()
}

fn sim(config: SimConfig) -> Sim {
    Sim::start(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A table of records of the run, as rows of texts, numbers and instants in nanoseconds.
fn table(kperf: &Kperf, name: &str) -> Vec<BTreeMap<String, Cell>> {
    let path = kperf.out().join("records/kfp-runner").join(format!("{name}.parquet"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    batches.flat_map(|batch| rows(&batch.unwrap())).collect()
}

#[derive(Clone, Debug)]
enum Cell {
    Text(String),
    Number(f64),
    Instant(i64),
}

fn rows(batch: &RecordBatch) -> Vec<BTreeMap<String, Cell>> {
    let mut rows = vec![BTreeMap::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| column.is_valid(*at)) {
            let cell = if let Some(texts) = column.as_string_opt::<i32>() {
                Cell::Text(texts.value(at).to_owned())
            } else if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
                Cell::Number(numbers.value(at))
            } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
                Cell::Number(numbers.value(at) as f64)
            } else if let Some(instants) = column.as_primitive_opt::<TimestampNanosecondType>() {
                Cell::Instant(instants.value(at))
            } else if let Some(flags) = column.as_boolean_opt() {
                Cell::Number(f64::from(u8::from(flags.value(at))))
            } else {
                continue;
            };
            row.insert(field.name().clone(), cell);
        }
    }
    rows
}

fn text<'a>(row: &'a BTreeMap<String, Cell>, column: &str) -> &'a str {
    match row.get(column) {
        Some(Cell::Text(text)) => text,
        other => panic!("{column}: {other:?} in {row:?}"),
    }
}

fn number(row: &BTreeMap<String, Cell>, column: &str) -> f64 {
    match row.get(column) {
        Some(Cell::Number(number)) => *number,
        other => panic!("{column}: {other:?} in {row:?}"),
    }
}

fn seconds(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e9
}

/// A suite with one scenario against a server.
fn suite(url: &str, mode: &str, params: &str, load: &str) -> String {
    format!(
        "name = \"kfp\"\nseed = 3\ntargets.kfp.url = \"{url}\"\n[[scenario]]\nname = \"it\"\nplugin = \"kfp-runner\"\n\
         mode = \"{mode}\"\ntarget = \"kfp\"\nparams = {{ {params} }}\nload = {{ {load} }}\n"
    )
}

#[test]
fn what_is_reported_of_every_run_is_what_happened_to_the_second() {
    let sim = sim(SimConfig { speed: 4.0, slots: 30, create_rate: None, seed: 5, ..SimConfig::default() });
    let params = "pipeline = \"p.yaml\", timeout = \"1m\"";
    let load = "executor = \"constant-arrival-rate\", rate = \"3/s\", duration = \"5s\", pre_allocated_vus = 20, \
                max_vus = 40, graceful_stop = \"40s\"";
    let kperf =
        Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", pipeline("complex-dag.yaml"));
    kperf.run().code(0);
    let truth: BTreeMap<String, RunTruth> = sim.truth().runs.into_iter().map(|run| (run.run_id.clone(), run)).collect();
    let runs = table(&kperf, "runs");
    assert!(runs.len() >= 14, "{} runs", runs.len());
    for row in &runs {
        let run = &truth[text(row, "run_id")];
        let finished = run.finished.unwrap();
        let near = |column: &str, wanted: f64| {
            let told = number(row, column);
            assert!((told - wanted).abs() <= 1.0, "{column} of {}: told {told}, true {wanted}", run.run_id);
        };
        near("end_to_end", seconds(run.created, finished));
        near("queue_wait", seconds(run.created, run.picked_up.unwrap()));
    }
    let mut components = 0;
    for row in table(&kperf, "tasks").iter().filter(|row| text(row, "kind") == "component") {
        let run = &truth[text(row, "run_id")];
        let name = text(row, "name");
        let node = run.nodes.iter().find(|node| node.name == name && node.kind == "dag").unwrap();
        let wanted = seconds(node.queued, node.finished.unwrap());
        let told = number(row, "duration");
        assert!((told - wanted).abs() <= 1.0, "{name} of {}: told {told}, true {wanted}", run.run_id);
        components += 1;
    }
    // Nine at the top and two in the nested DAG.
    assert_eq!(components, runs.len() * 11);
}

#[test]
fn nothing_is_left_on_the_server() {
    let sim = sim(SimConfig { speed: 20.0, create_rate: None, ..SimConfig::default() });
    let before = counts(&sim);
    let params = "pipeline = \"p.yaml\", runs = 2, timeout = \"1m\"";
    let load = "executor = \"shared-iterations\", vus = 2, iterations = 4";
    let kperf = Kperf::with(&suite(&sim.url(), "EXPERIMENT", params, load)).file("p.yaml", pipeline("three-step.yaml"));
    kperf.run().code(0);
    assert_eq!(counts(&sim), before);
    assert_eq!(sim.truth().runs.len(), 8);
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_cleaned_up_afterwards() {
    let sim = sim(SimConfig { speed: 5.0, create_rate: None, ..SimConfig::default() });
    let before = counts(&sim);
    let params = "pipeline = \"p.yaml\", runs = 3, timeout = \"1m\"";
    let load = "executor = \"constant-vus\", vus = 4, duration = \"5m\"";
    let kperf = Kperf::with(&suite(&sim.url(), "EXPERIMENT", params, load)).file("p.yaml", pipeline("three-step.yaml"));
    let mut child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts(&sim)[2] < 12 {
        assert!(Instant::now() < deadline, "no runs have come");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(counts(&sim), before);
    kperf.call(&["cleanup", "out"]).code(0);
    assert_eq!(counts(&sim), before);
    // Twice without harm.
    kperf.call(&["cleanup", "out"]).code(0);
    assert_eq!(counts(&sim), before);
}

/// How many pipelines, experiments, runs and recurring runs the server has.
fn counts(sim: &Sim) -> [u64; 4] {
    ["pipelines", "experiments", "runs", "recurringruns"].map(|list| {
        let answer = crate::support::get(&format!("{}/apis/v2beta1/{list}?page_size=1", sim.url()));
        answer["total_size"].as_u64().unwrap_or(0)
    })
}

#[test]
fn with_too_few_slots_pods_wait_longer_and_longer() {
    // Nine runs a second are twice what ten slots carry.
    let sim = sim(SimConfig { speed: 3.0, slots: 10, create_rate: None, ..SimConfig::default() });
    let params = "pipeline = \"p.yaml\", timeout = \"1m\"";
    let load = "executor = \"constant-arrival-rate\", rate = \"9/s\", duration = \"8s\", pre_allocated_vus = 50, \
                max_vus = 100, graceful_stop = \"50s\"";
    let kperf = Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", pipeline("simple.yaml"));
    kperf.run().code(0);
    let mut runs = table(&kperf, "runs");
    let submitted = |row: &BTreeMap<String, Cell>| match row.get("submitted") {
        Some(Cell::Instant(at)) => *at,
        other => panic!("{other:?}"),
    };
    runs.sort_by_key(submitted);
    // A run's first pod is its root driver's, whose time includes the wait for a slot.
    let tasks = table(&kperf, "tasks");
    let wait = |row: &BTreeMap<String, Cell>| {
        let driver = tasks
            .iter()
            .find(|task| text(task, "run_id") == text(row, "run_id") && text(task, "name") == "root-driver");
        number(driver.unwrap(), "duration")
    };
    let mean = |rows: &[BTreeMap<String, Cell>]| rows.iter().map(wait).sum::<f64>() / rows.len() as f64;
    let quarter = runs.len() / 4;
    let (early, late) = (mean(&runs[..quarter]), mean(&runs[runs.len() - quarter..]));
    assert!(late > early + 1.0, "waited {early:.2} s at the beginning, {late:.2} s at the end");
}

#[test]
fn following_stays_within_its_budget() {
    let sim = sim(SimConfig { speed: 1.0, slots: 5000, create_rate: None, ..SimConfig::default() });
    let params = "pipeline = \"p.yaml\", timeout = \"2m\"";
    let load = "executor = \"per-vu-iterations\", vus = 600, iterations = 1, graceful_stop = \"1m\"";
    let kperf =
        Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", pipeline("three-step.yaml"));
    kperf.run().code(0);
    let runs = table(&kperf, "runs");
    assert_eq!(runs.len(), 600);
    let summary = kperf.summary();
    let scenario = &summary["scenarios"][0];
    let metrics = scenario["metrics"].as_array().unwrap();
    let requests = metrics.iter().find(|metric| metric["name"] == "kfp_follow_requests").unwrap();
    let requests = requests["value"].as_f64().unwrap();
    let instants = |column: &'static str| {
        runs.iter().map(move |row| match row.get(column) {
            Some(Cell::Instant(at)) => *at,
            other => panic!("{other:?}"),
        })
    };
    let took = (instants("seen").max().unwrap() - instants("submitted").min().unwrap()) as f64 / 1e9;
    assert!(requests / took <= 20.0, "{requests} requests in {took} s");
}

#[test]
fn scheduled_runs_are_told_as_they_were() {
    let sim = sim(SimConfig { speed: 50.0, create_rate: None, ..SimConfig::default() });
    let params = "pipeline = \"p.yaml\", interval = \"2s\", triggers = 3, grace = \"10s\"";
    let load = "executor = \"per-vu-iterations\", vus = 2, iterations = 1, graceful_stop = \"40s\"";
    let kperf = Kperf::with(&suite(&sim.url(), "SCHEDULED_RUNS", params, load)).file("p.yaml", pipeline("simple.yaml"));
    kperf.run().code(0);
    let triggers = table(&kperf, "triggers");
    assert_eq!(triggers.len(), 6);
    let truth = sim.truth().triggers;
    for row in triggers.iter().filter(|row| number(row, "missed") == 0.0) {
        let trigger = truth.iter().find(|it| it.run_id.as_deref() == Some(text(row, "run_id"))).unwrap();
        let wanted = seconds(trigger.nominal, trigger.actual.unwrap());
        let told = number(row, "delay");
        assert!((told - wanted).abs() <= 1.0, "told {told}, true {wanted}");
    }
    assert!(counts(&sim)[3] == 0);
}

#[test]
fn a_multi_user_server_is_used_as_its_users_would() {
    let config =
        SimConfig { speed: 20.0, create_rate: None, multi_user: true, authorize_rate: None, ..SimConfig::default() };
    let sim = sim(config);
    let load = "executor = \"shared-iterations\", vus = 4, iterations = 8";
    let with = |params: &str| {
        Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", pipeline("simple.yaml"))
    };
    let refused = with("pipeline = \"p.yaml\"");
    let ended = refused.run();
    ended.code(6);
    assert!(ended.stderr().contains("the server is multi-user"), "{}", ended.stderr());
    let params =
        "pipeline = \"p.yaml\", namespaces = [\"team-{1..3}\"], user = \"{namespace}@example.com\", timeout = \"1m\"";
    let kperf = with(params);
    kperf.run().code(0);
    let mut namespaces: Vec<String> =
        table(&kperf, "runs").iter().map(|row| text(row, "namespace").to_owned()).collect();
    namespaces.sort();
    namespaces.dedup();
    assert_eq!(namespaces, ["team-1", "team-2", "team-3"]);
}

#[test]
fn what_is_wrong_is_said_before_any_load() {
    let sim = sim(SimConfig::default());
    let broken = String::from_utf8(pipeline("three-step.yaml")).unwrap().replace("[prepare]", "[gone]");
    let params = "pipeline = \"p.yaml\", parameters = { item = 3 }";
    let load = "executor = \"shared-iterations\", vus = 1, iterations = 1";
    let kperf = Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", &broken);
    let ended = kperf.run();
    ended.code(6);
    assert!(ended.stderr().contains("waits for `gone`, which does not exist"), "{}", ended.stderr());
    let kperf =
        Kperf::with(&suite(&sim.url(), "PIPELINE_RUN", params, load)).file("p.yaml", pipeline("three-step.yaml"));
    let ended = kperf.run();
    ended.code(6);
    assert!(ended.stderr().contains("no parameter `item`: it takes `items`"), "{}", ended.stderr());
    assert_eq!(sim.truth().runs, Vec::new());
}

#[test]
fn the_smoke_suite_passes() {
    let suite = scenarios().join("kfp/smoke.toml");
    Kperf::with("").call(&["run", suite.to_str().unwrap(), "--out", "out"]).code(0);
}

#[test]
#[ignore = "takes some minutes; runs in .ci/run"]
fn every_suite_passes() {
    for name in
        ["pipeline-run", "experiment", "random-gets", "scheduled-runs", "large-dataset", "load", "stress", "soak"]
    {
        let suite = scenarios().join(format!("kfp/{name}.toml"));
        Kperf::with("").call(&["run", suite.to_str().unwrap(), "--out", "out"]).code(0);
    }
}
