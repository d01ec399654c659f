//! `kubernetes-collector` against the simulated cluster, which knows the truth.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Child;
use std::time::Duration;

use kperf_sim::{NodeTruth, Sim, SimConfig};

use super::rows::{Row, read};
use crate::support::{Ended, Kperf, json};

const PIPELINE: &str = include_str!("../../../../scenarios/pipelines/three-step.yaml");
const ROWS: &str = "records/kubernetes-collector/pods.parquet";

fn sim() -> Sim {
    let config = SimConfig { speed: 4.0, create_rate: None, cold_pulls: 0.3, slots: 30, ..SimConfig::default() };
    Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

/// Runs of a pipeline, and a collector that looks at the cluster behind them.
fn suite(sim: &Sim, cluster: &str, seconds: u32) -> String {
    format!(
        r#"
name = "pods"
thresholds = ["k8s_pod_startup p(95) < 1m", "k8s_image_pull count > 0", "k8s_pods_running max > 0"]
[targets.kfp]
url = "{url}"
[targets.cluster]
{cluster}
[[scenario]]
name = "runs"
plugin = "kfp-runner"
mode = "PIPELINE_RUN"
target = "kfp"
params = {{ pipeline = "p.yaml", timeout = "1m", poll_interval = "500ms" }}
load = {{ executor = "constant-arrival-rate", rate = "3/s", duration = "{seconds}s", pre_allocated_vus = 40 }}
[[collector]]
name = "cluster"
plugin = "kubernetes-collector"
target = "cluster"
interval = "1s"
params = {{ page = 50 }}
"#,
        url = sim.url(),
    )
}

/// Calls `disturb` with the number of the call about once a second from the first run on, until the program ends.
fn disturbed(mut child: Child, sim: &Sim, mut disturb: impl FnMut(u32)) -> Ended {
    let mut number = 0;
    loop {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap().into();
        }
        std::thread::sleep(Duration::from_millis(900));
        if !sim.truth().runs.is_empty() {
            disturb(number);
            number += 1;
        }
    }
}

/// The pods that really were, by name.
fn pods(sim: &Sim) -> BTreeMap<String, NodeTruth> {
    let nodes = sim.truth().runs.into_iter().flat_map(|run| run.nodes);
    nodes.filter_map(|node| Some((node.pod.clone()?, node))).collect()
}

/// Every figure of a row is what the API said, which has whole seconds but for pulls.
fn assert_true(row: &Row, truth: &NodeTruth) {
    let name = truth.pod.as_ref().unwrap();
    let floor = |at: u64| at / 1_000_000_000 * 1_000_000_000;
    let told = |at: Option<u64>| at.map(floor);
    assert_eq!(row.instant("created"), Some(floor(truth.queued)), "{name}");
    assert_eq!(row.instant("scheduled"), told(truth.scheduled), "{name}");
    assert_eq!(row.instant("started"), told(truth.started), "{name}");
    assert_eq!(row.instant("finished"), told(truth.finished), "{name}");
    let between = |from: Option<u64>, to: Option<u64>| Some((to?.saturating_sub(from?)) as f64 / 1e9);
    let same = |column: &str, wanted: Option<f64>| match (row.number(column), wanted) {
        (Some(figure), Some(wanted)) => assert!((figure - wanted).abs() < 1e-3, "{name} {column}: {figure}, {wanted}"),
        (figure, wanted) => assert_eq!(figure, wanted, "{name} {column}"),
    };
    let created = Some(floor(truth.queued));
    same("scheduling", between(created, told(truth.scheduled)));
    same("startup", between(created, told(truth.started)));
    same("execution", between(told(truth.started), told(truth.finished)));
    same("mount", Some(0.0));
    same("image_pull", between(truth.pull_start, truth.pull_end));
    let component = row.text("component").unwrap();
    assert!(truth.path.trim_end_matches(".executor").ends_with(&component), "{} is no {component}", truth.path);
}

#[test]
fn every_pods_figures_are_the_truth_though_watches_break_and_history_is_forgotten() {
    let sim = sim();
    let kperf = Kperf::with(&suite(&sim, &format!("url = \"{}\"", sim.url()), 7)).file("p.yaml", PIPELINE);
    let child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let ended = disturbed(child, &sim, |number| match number % 3 {
        0 => sim.drop_watches(),
        1 => sim.compact(),
        _ => {}
    });
    ended.code(0);
    let truth = pods(&sim);
    let rows = read(&kperf.out().join(ROWS));
    assert_eq!(rows.len(), truth.len(), "a row per pod");
    assert!(rows.len() > 100, "{}", rows.len());
    for row in &rows {
        assert_true(row, &truth[&row.text("pod").unwrap()]);
    }
    assert!(rows.iter().filter(|row| row.number("image_pull").is_some()).count() > 10);
    let summary = kperf.summary();
    assert_eq!(summary["incidents"], serde_json::json!([]), "nothing was lost, so there is nothing to tell");
    // What metrics say is what the rows say.
    let metric = |name: &str| {
        let all = summary["metrics"].as_array().unwrap().iter().filter(move |it| it["name"] == name);
        all.map(|it| it["count"].as_u64().or(it["value"].as_f64().map(|value| value as u64)).unwrap()).sum::<u64>()
    };
    let count = |column: &str| rows.iter().filter(|row| row.number(column).is_some()).count() as u64;
    for (name, column) in [
        ("k8s_pod_scheduling", "scheduling"),
        ("k8s_image_pull", "image_pull"),
        ("k8s_pod_mount", "mount"),
        ("k8s_container_start", "start"),
        ("k8s_pod_startup", "startup"),
        ("k8s_pod_execution", "execution"),
    ] {
        assert_eq!(metric(name), count(column), "{name}");
    }
    assert_eq!(metric("k8s_pods_ended"), rows.len() as u64);
    let facts = &json(&kperf.out().join("run.json"))["facts"]["cluster"];
    for (key, value) in
        [("kubernetes", "v1.33.1"), ("nodes", "4"), ("kernel", "6.8.0-60-generic"), ("os", "Ubuntu 24.04.2 LTS")]
    {
        assert_eq!(facts[key], value, "{facts}");
    }
    // Pods can be drawn.
    kperf.call(&["trace", "out"]).code(0);
    let trace = json(&kperf.out().join("trace.json"));
    let events = trace["traceEvents"].as_array().unwrap();
    assert!(
        events.iter().any(|event| event["args"]["image_pull"].is_number() || event["args"]["image_pull"].is_string())
    );
}

#[test]
fn a_token_that_expires_is_read_again_from_the_file_of_a_kubeconfig() {
    let sim = sim();
    sim.require_token("the-first-token");
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: sim\nclusters:\n- name: sim\n  cluster: {{server: \"{}\"}}\n\
         contexts:\n- name: sim\n  context: {{cluster: sim, user: robot}}\nusers:\n- name: robot\n  user: {{tokenFile: token}}\n",
        sim.url()
    );
    let kperf = Kperf::with(&suite(&sim, "kubeconfig = \"kubeconfig\"", 5))
        .file("p.yaml", PIPELINE)
        .file("kubeconfig", kubeconfig)
        .file("token", "the-first-token\n");
    let child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let file = kperf.out().parent().unwrap().join("token");
    let ended = disturbed(child, &sim, |number| {
        if number == 1 {
            sim.require_token("the-second-token");
        } else if number == 2 {
            std::fs::write(&file, "the-second-token\n").unwrap();
        }
    });
    ended.code(0);
    assert_eq!(kperf.summary()["incidents"], serde_json::json!([]));
    let truth = pods(&sim);
    let rows = read(&kperf.out().join(ROWS));
    assert_eq!(rows.len(), truth.len());
    rows.iter().for_each(|row| assert_true(row, &truth[&row.text("pod").unwrap()]));
    for file in ["journal.jsonl", "run.json", "summary.json", "suite.toml"] {
        let text = std::fs::read_to_string(kperf.out().join(file)).unwrap();
        assert!(!text.contains("-token\""), "{file} has a token");
    }
}

#[test]
fn an_api_that_does_not_let_us_in_ends_the_run_before_load() {
    let sim = sim();
    sim.require_token("another");
    let cluster = format!("url = \"{}\"\ncredential = \"robot\"\n[credentials.robot]\nfile = \"token\"", sim.url());
    let kperf = Kperf::with(&suite(&sim, &cluster, 1)).file("p.yaml", PIPELINE).file("token", "mine");
    let ended = kperf.run();
    ended.code(6);
    assert!(ended.stderr().contains("/version: answered 401"), "{}", ended.stderr());
    assert!(sim.truth().runs.is_empty());
}
