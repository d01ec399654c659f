//! The Kubernetes API: answers in the published shapes, watches that lose nothing, and what a client must survive.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::WatchEvent;
use k8s_openapi::apimachinery::pkg::version::Info;
use k8s_openapi::{List, Metadata};
use kperf_sim::{Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{call, eventually, local, send, send_as, started, text, until, uploaded};

const PODS: &str = "/api/v1/namespaces/kubeflow/pods";
const EVENTS: &str = "/api/v1/namespaces/kubeflow/events";

/// Fast enough for a test, slow enough that things happen one after the other.
fn sim() -> Sim {
    Sim::start(SimConfig { speed: 10.0, create_rate: None, ..SimConfig::default() }, local()).unwrap()
}

async fn list(sim: &Sim, path: &str) -> (u16, String) {
    send(sim, "GET", path, "", String::new()).await
}

/// A watch of some seconds from a version on: what came of it up to its end, or up to where its connection broke.
async fn watch(sim: &Sim, path: &str, version: &str, seconds: u32) -> (Vec<Value>, bool) {
    watch_until(sim, path, version, seconds, |_| ()).await
}

/// As `watch`; calls `came` when the answer has begun, and after each frame, with the number of frames so far.
async fn watch_until(sim: &Sim, path: &str, version: &str, seconds: u32, came: impl Fn(usize)) -> (Vec<Value>, bool) {
    let stream = tokio::net::TcpStream::connect(sim.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let more = if path.contains('?') { '&' } else { '?' };
    let uri =
        format!("{path}{more}watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}");
    let request = http::Request::builder().uri(uri).header("host", "sim").body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut bytes = Vec::new();
    let mut is_whole = true;
    let mut frames = 0;
    came(frames);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                bytes.extend_from_slice(frame.data_ref().unwrap());
                frames += 1;
                came(frames);
            }
            Err(_) => is_whole = false,
        }
        if !is_whole {
            break;
        }
    }
    // Every frame ends with a whole line.
    let lines = std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), is_whole)
}

fn version(object: &Value) -> String {
    text(&object["metadata"], "resourceVersion")
}

/// What a client knows after a watch: the pods by their uid, and the version to go on from.
fn apply(known: &mut BTreeMap<String, Value>, lines: &[Value], from: &mut String) {
    for line in lines {
        let object = &line["object"];
        let (was, is): (u64, u64) = (from.parse().unwrap(), version(object).parse().unwrap());
        assert!(is >= was, "versions only rise");
        *from = version(object);
        match line["type"].as_str().unwrap() {
            "DELETED" => assert!(known.remove(&text(&object["metadata"], "uid")).is_some()),
            "BOOKMARK" => {}
            _ => {
                known.insert(text(&object["metadata"], "uid"), object.clone());
            }
        }
    }
}

#[tokio::test]
async fn answers_have_the_published_shapes() {
    let sim = sim();
    let pipeline = uploaded(&sim).await;
    let run = text(&started(&sim, &pipeline, "r").await, "run_id");
    let (lines, _) = watch(&sim, PODS, "0", 1).await;
    assert!(lines.len() > 3, "{lines:?}");
    for line in lines {
        let event: WatchEvent<Pod> = serde_json::from_value(line.clone()).unwrap();
        assert!(
            matches!(event, WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Bookmark { .. }),
            "{line}"
        );
    }
    until(&sim, &run, "SUCCEEDED").await;
    let pods: List<Pod> = serde_json::from_str(&list(&sim, PODS).await.1).unwrap();
    assert_eq!(pods.items.len(), 5);
    for pod in &pods.items {
        let status = pod.status.as_ref().unwrap();
        let conditions = status.conditions.as_ref().unwrap();
        assert!(conditions.iter().any(|it| it.type_ == "PodScheduled" && it.last_transition_time.is_some()));
        assert!(pod.metadata().uid.is_some() && pod.spec.as_ref().unwrap().node_name.is_some());
        assert_eq!(status.container_statuses.as_ref().unwrap()[0].restart_count, 0);
    }
    let events: List<Event> = serde_json::from_str(&list(&sim, EVENTS).await.1).unwrap();
    let pulled = events.items.iter().find(|it| it.message.as_ref().unwrap().starts_with("Successfully pulled"));
    assert_eq!(pulled.unwrap().involved_object.field_path.as_deref(), Some("spec.containers{main}"));
    let scheduled = events.items.iter().find(|it| it.reason.as_deref() == Some("Scheduled")).unwrap();
    assert!(
        scheduled.event_time.is_some() && scheduled.last_timestamp.is_none(),
        "the scheduler's are of the newer form"
    );
    let (lines, _) = watch(&sim, EVENTS, "0", 0).await;
    let read = |line: Value| serde_json::from_value::<WatchEvent<Event>>(line).unwrap();
    assert_eq!(lines.into_iter().map(read).filter(|it| matches!(it, WatchEvent::Added(_))).count(), events.items.len());
    let nodes: List<Node> = serde_json::from_str(&list(&sim, "/api/v1/nodes").await.1).unwrap();
    let info = nodes.items[0].status.as_ref().unwrap().node_info.as_ref().unwrap();
    assert!(nodes.items.len() == 4 && info.kernel_version.starts_with("6."));
    let version: Info = serde_json::from_str(&list(&sim, "/version").await.1).unwrap();
    assert_eq!(version.git_version, info.kubelet_version);
}

#[tokio::test]
async fn a_list_and_its_watches_tell_everything_though_connections_break() {
    let sim = sim();
    let pipeline = uploaded(&sim).await;
    let first = text(&started(&sim, &pipeline, "a").await, "run_id");
    let listed = eventually("a pod", async || {
        let listed: Value = serde_json::from_str(&list(&sim, PODS).await.1).unwrap();
        (listed["items"] != json!([])).then_some(listed)
    })
    .await;
    let mut from = version(&listed);
    let mut known = BTreeMap::new();
    for pod in listed["items"].as_array().unwrap() {
        known.insert(text(&pod["metadata"], "uid"), pod.clone());
    }
    let second = text(&started(&sim, &pipeline, "b").await, "run_id");
    let mut broken = 0;
    for round in 0..4 {
        let (lines, is_whole) = watch_until(&sim, PODS, &from, 1, |frames| {
            // The first is broken after something has come, the third at once.
            if (round, frames) == (0, 1) || (round, frames) == (2, 0) {
                sim.drop_watches();
            }
        })
        .await;
        broken += usize::from(!is_whole);
        assert_eq!(is_whole, lines.last().is_some_and(|line| line["type"] == "BOOKMARK"), "at the end, and only there");
        apply(&mut known, &lines, &mut from);
    }
    assert_eq!(broken, 2);
    until(&sim, &first, "SUCCEEDED").await;
    until(&sim, &second, "SUCCEEDED").await;
    // The pods of a run that is deleted go with it.
    assert_eq!(call(&sim, "DELETE", &format!("/runs/{first}"), Value::Null).await.0, 200);
    let (lines, _) = watch(&sim, PODS, &from, 0).await;
    apply(&mut known, &lines, &mut from);
    let (_, body) = list(&sim, PODS).await;
    let listed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 5);
    assert_eq!(known.len(), 5, "the other run's");
    for pod in listed["items"].as_array().unwrap() {
        let seen = &known[&text(&pod["metadata"], "uid")];
        assert_eq!((&seen["status"], version(seen)), (&pod["status"], version(pod)));
    }
}

#[tokio::test]
async fn what_is_forgotten_is_gone_and_pages_are_of_one_instant() {
    let sim = sim();
    let pipeline = uploaded(&sim).await;
    let run = text(&started(&sim, &pipeline, "r").await, "run_id");
    until(&sim, &run, "SUCCEEDED").await;
    let (_, body) = list(&sim, &format!("{PODS}?limit=2")).await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["metadata"]["remainingItemCount"], 3);
    let token: String = url::form_urlencoded::byte_serialize(text(&page["metadata"], "continue").as_bytes()).collect();
    // What happens meanwhile is not in the other pages.
    let other = text(&started(&sim, &pipeline, "other").await, "run_id");
    until(&sim, &other, "SUCCEEDED").await;
    assert_eq!(call(&sim, "DELETE", &format!("/runs/{run}"), Value::Null).await.0, 200);
    let (status, body) = list(&sim, &format!("{PODS}?limit=5&continue={token}")).await;
    let rest: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, rest["items"].as_array().unwrap().len()), (200, 3), "{rest}");
    assert_eq!(version(&rest), version(&page));
    sim.compact();
    let (status, body) = list(&sim, &format!("{PODS}?limit=5&continue={token}")).await;
    assert!(status == 410 && body.contains("\"reason\":\"Expired\""), "{body}");
    let (lines, _) = watch(&sim, PODS, &version(&page), 1).await;
    assert!(lines.len() == 1 && lines[0]["type"] == "ERROR" && lines[0]["object"]["code"] == 410, "{lines:?}");
    let (status, _) = list(&sim, &format!("{PODS}?watch=1&resourceVersion=x")).await;
    assert_eq!(status, 200, "an error is a line of the watch");
    assert_eq!(list(&sim, &format!("{PODS}?fieldSelector=spec.nodeName%3Dx")).await.0, 400);
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused() {
    let sim = sim();
    sim.require_token("second");
    for path in [PODS, EVENTS, "/api/v1/nodes", "/version"] {
        let (status, body) = list(&sim, path).await;
        assert!(status == 401 && body.contains("\"reason\":\"Unauthorized\""), "{path}: {body}");
    }
    let with = |token: &str| format!("Bearer {token}");
    for (token, wanted) in [("first", 401), ("second", 200)] {
        let headers = [("authorization", &*with(token))];
        assert_eq!(send_as(&sim, &headers, "GET", PODS, "", Bytes::new()).await.0, wanted);
    }
}
