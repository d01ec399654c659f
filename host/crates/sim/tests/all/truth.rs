//! The cluster's truth against what the API tells, and the capacity that it computes against what the cluster carries.

use std::time::Duration;

use kperf_sim::{RunTruth, Sim, SimConfig, SpecError};
use serde_json::{Map, Value, json};

use crate::client::{PIPELINE, beside, call, local, started, text, until, uploaded};

fn second(text: &str) -> u64 {
    let at = humantime::parse_rfc3339(text).unwrap();
    at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn floor(nanos: u64) -> u64 {
    nanos / 1_000_000_000
}

/// Fast enough for a test, slow enough that seconds differ.
fn sim(slots: usize) -> Sim {
    let config = SimConfig {
        speed: 10.0,
        slots,
        create_rate: None,
        report_lag: Duration::from_millis(200),
        ..SimConfig::default()
    };
    Sim::start(config, local()).unwrap()
}

#[tokio::test]
async fn the_api_tells_the_truth_in_whole_seconds() {
    let sim = sim(3);
    let pipeline = uploaded(&sim).await;
    let mut ids = Vec::new();
    for i in 0..4 {
        ids.push(text(&started(&sim, &pipeline, &format!("r{i}")).await, "run_id"));
    }
    for id in &ids {
        let run = until(&sim, id, "SUCCEEDED").await;
        let truth = sim.truth_of(id).unwrap();
        assert_eq!(second(&text(&run, "created_at")), floor(truth.created));
        assert_eq!(second(&text(&run, "finished_at")), floor(truth.finished.unwrap()));
        let tasks = run["run_details"]["task_details"].as_array().unwrap();
        assert_eq!(tasks.len(), truth.nodes.len());
        assert_eq!(tasks[0]["display_name"], json!(truth.workflow));
        assert_eq!(second(&text(&tasks[0], "start_time")), floor(truth.picked_up.unwrap()));
        for (task, node) in tasks.iter().zip(&truth.nodes) {
            assert_eq!(text(task, "display_name"), node.name);
            assert_eq!(second(&text(task, "start_time")), floor(node.queued));
            assert_eq!(second(&text(task, "end_time")), floor(node.finished.unwrap()));
        }
        for pod in truth.nodes.iter().filter(|n| n.pod.is_some()) {
            let way = [Some(pod.queued), pod.admitted, pod.scheduled, pod.started, pod.finished];
            let way: Vec<u64> = way.into_iter().flatten().collect();
            assert!(way.len() == 5 && way.is_sorted(), "{pod:?}");
            assert_eq!(pod.pull_start.is_some(), pod.pull_end.is_some());
        }
    }
    // Two images are pulled, each by the first pods that need it.
    let whole = sim.truth();
    assert_eq!(whole.runs.iter().map(|r| &r.run_id).collect::<std::collections::BTreeSet<_>>(), ids.iter().collect());
    assert!(whole.runs.iter().flat_map(|r| &r.nodes).any(|n| n.pull_start.is_some() && n.kind == "driver"));
    // The same over HTTP, also after the run was deleted.
    assert_eq!(call(&sim, "DELETE", &format!("/runs/{}", ids[0]), Value::Null).await.0, 200);
    let shown = beside(&sim, &format!("/kperf/truth/runs/{}", ids[0])).await;
    assert_eq!(shown, serde_json::to_value(sim.truth_of(&ids[0]).unwrap()).unwrap());
    assert_eq!(beside(&sim, "/kperf/truth").await["runs"].as_array().unwrap().len(), 4);
    let (status, _) = crate::client::send(&sim, "GET", "/kperf/truth/runs/none", "", String::new()).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn pods_and_events_look_like_those_of_kubernetes() {
    let sim = sim(20);
    let pipeline = uploaded(&sim).await;
    let run = text(&started(&sim, &pipeline, "r").await, "run_id");
    started(&sim, &pipeline, "other").await;
    until(&sim, &run, "SUCCEEDED").await;
    let truth = sim.truth_of(&run).unwrap();
    let base = "/api/v1/namespaces/kubeflow";
    let selector = format!("labelSelector=pipeline%2Frunid%3D{run}");
    let list = beside(&sim, &format!("{base}/pods?{selector}")).await;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PodList"), &json!("v1")));
    let pods = list["items"].as_array().unwrap();
    assert_eq!(pods.len(), 5, "a root driver, and a driver and an executor for each of two tasks");
    let components: Vec<&Value> =
        pods.iter().filter(|p| p["metadata"]["labels"]["pipelines.kubeflow.org/v2_component"] == "true").collect();
    assert_eq!(components.len(), 2);
    for pod in pods {
        let name = text(&pod["metadata"], "name");
        let node = truth.nodes.iter().find(|n| n.pod.as_ref() == Some(&name)).unwrap();
        assert_eq!(
            pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"],
            json!(format!("{}.{}", truth.workflow, node.path))
        );
        assert_eq!(second(&text(&pod["metadata"], "creationTimestamp")), floor(node.queued));
        assert_eq!(pod["status"]["phase"], "Succeeded");
        assert_eq!(second(&text(&pod["status"], "startTime")), floor(node.scheduled.unwrap()));
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((second(&text(ended, "startedAt")), &ended["exitCode"]), (floor(node.started.unwrap()), &json!(0)));
        assert_eq!(second(&text(ended, "finishedAt")), floor(node.finished.unwrap()));
        let events = beside(&sim, &format!("{base}/events?fieldSelector=involvedObject.name%3D{name}")).await;
        let reasons: Vec<&str> =
            events["items"].as_array().unwrap().iter().map(|e| e["reason"].as_str().unwrap()).collect();
        let wanted: &[&str] = if node.pull_start.is_some() {
            &["Scheduled", "Pulling", "Pulled", "Created", "Started"]
        } else {
            &["Scheduled", "Pulled", "Created", "Started"]
        };
        assert_eq!(reasons, wanted, "{events}");
    }
    // In pages, all of them once.
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = beside(&sim, &format!("{base}/pods?limit=3&continue={token}")).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|p| text(&p["metadata"], "name")));
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = url::form_urlencoded::byte_serialize(next.as_bytes()).collect(),
            None => break,
        }
    }
    let unique: std::collections::BTreeSet<&String> = names.iter().collect();
    assert!(names.len() > 5 && unique.len() == names.len());
    assert_eq!(beside(&sim, "/api/v1/namespaces/other/pods").await["items"], json!([]));
    let (status, body) =
        crate::client::send(&sim, "GET", &format!("{base}/pods?labelSelector=a"), "", String::new()).await;
    assert!(status == 400 && body.contains("\"kind\":\"Status\""), "{body}");
}

#[tokio::test]
async fn arrivals_beyond_the_capacity_make_the_queue_grow_and_those_below_do_not() {
    let config = SimConfig { speed: 200.0, slots: 10, create_rate: None, jitter: 0.0, ..SimConfig::default() };
    // 5 pods: 3 drivers of 1.7 s, and executors of 1.2 + 2 and 1.2 + 5 s: 14.5 s of slots a run.
    let capacity = config.capacity(PIPELINE.as_bytes(), &Map::new()).unwrap();
    assert!((capacity - 10.0 * 200.0 / 14.5).abs() < 1e-9, "{capacity}");
    let mut waits = Vec::new();
    for load in [0.6, 1.6] {
        let sim = Sim::start(config.clone(), local()).unwrap();
        let pipeline = uploaded(&sim).await;
        let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / (capacity * load)));
        let mut last = String::new();
        for i in 0..150 {
            due.tick().await;
            last = text(&started(&sim, &pipeline, &format!("r{i}")).await, "run_id");
        }
        until(&sim, &last, "SUCCEEDED").await;
        let wait =
            |run: &RunTruth| run.nodes.iter().filter_map(|n| Some(n.admitted? - n.queued)).sum::<u64>() as f64 / 1e9;
        let runs = sim.truth().runs;
        let late: f64 = runs.iter().rev().take(30).map(wait).sum::<f64>() / 30.0;
        waits.push(late);
    }
    assert!(waits[1] > 4.0 * waits[0] && waits[1] > 0.2, "{waits:?}");
    assert_eq!(config.capacity(b"a: 1", &Map::new()).unwrap_err(), SpecError::UnknownFormat);
}
