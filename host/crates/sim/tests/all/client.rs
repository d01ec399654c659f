//! A client for the tests: requests over loopback, answers as JSON.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kperf_sim::{Sim, SimConfig};
use serde_json::{Value, json};

pub const PIPELINE: &str = "
pipelineInfo: {name: two-steps}
schemaVersion: 2.1.0
root:
  inputDefinitions: {parameters: {items: {parameterType: NUMBER_INTEGER, defaultValue: 10}}}
  dag:
    tasks:
      prepare: {componentRef: {name: comp-prepare}}
      work: {componentRef: {name: comp-work}, dependentTasks: [prepare]}
components:
  comp-prepare: {executorLabel: exec-prepare}
  comp-work: {executorLabel: exec-work}
deploymentSpec:
  executors:
    exec-prepare: {container: {image: busybox, command: [sh, -c], args: ['sleep 2']}}
    exec-work: {container: {image: busybox, command: [sleep], args: ['5']}}
";

pub fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server whose cluster is a thousand times faster than life, and which lets every run through at once.
pub fn quick() -> Sim {
    Sim::start(SimConfig { speed: 1000.0, create_rate: None, ..SimConfig::default() }, local()).unwrap()
}

/// A server whose runs stay as they are, because nothing moves within the time of a test.
pub fn frozen() -> Sim {
    Sim::start(SimConfig { speed: 1e-3, create_rate: None, ..SimConfig::default() }, local()).unwrap()
}

pub async fn send(sim: &Sim, method: &str, path: &str, content_type: &str, body: String) -> (u16, String) {
    send_as(sim, &[], method, path, content_type, body.into()).await
}

/// As `send`, with further headers.
pub async fn send_as(
    sim: &Sim,
    headers: &[(&str, &str)],
    method: &str,
    path: &str,
    content_type: &str,
    body: Bytes,
) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(sim.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .method(method)
        .uri(path)
        .header("host", "sim")
        .header("content-type", content_type)
        .body(Full::new(body))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub async fn call(sim: &Sim, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, text) = send(sim, method, &format!("/apis/v2beta1{path}"), "application/json", body).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

/// As `call`, by somebody.
pub async fn call_as(sim: &Sim, user: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let path = format!("/apis/v2beta1{path}");
    let (status, text) =
        send_as(sim, &[("kubeflow-userid", user)], method, &path, "application/json", body.into()).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

/// The JSON of a path beside the API.
pub async fn beside(sim: &Sim, path: &str) -> Value {
    let (status, text) = send(sim, "GET", path, "", String::new()).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Asks again and again until there is an answer, a minute at most.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} has not come within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the run is in the state, on its way to which it may not end otherwise.
pub async fn until(sim: &Sim, run: &str, state: &str) -> Value {
    eventually(state, async || {
        let shown = get(sim, &format!("/runs/{run}")).await;
        let reached = shown["state"] == state;
        let over = ["SUCCEEDED", "FAILED"].iter().any(|s| shown["state"] == *s);
        assert!(reached || !over, "{state} was wanted: {shown}");
        reached.then_some(shown)
    })
    .await
}

pub async fn get(sim: &Sim, path: &str) -> Value {
    let (status, body) = call(sim, "GET", path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

pub async fn upload(sim: &Sim, route: &str, file: &str, text: &str) -> (u16, Value) {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"{file}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{text}\r\n--B--\r\n"
    );
    let path = format!("/apis/v2beta1/pipelines/{route}");
    let (status, text) = send(sim, "POST", &path, "multipart/form-data; boundary=B", body).await;
    (status, serde_json::from_str(&text).unwrap())
}

/// Uploads any bytes.
pub async fn upload_bytes(sim: &Sim, route: &str, file: &str, bytes: &[u8]) -> (u16, Value) {
    let mut body =
        format!("--B\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"{file}\"\r\n\r\n").into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--B--\r\n");
    let path = format!("/apis/v2beta1/pipelines/{route}");
    let (status, text) = send_as(sim, &[], "POST", &path, "multipart/form-data; boundary=B", body.into()).await;
    (status, serde_json::from_str(&text).unwrap())
}

pub async fn uploaded(sim: &Sim) -> String {
    let (status, pipeline) = upload(sim, "upload?name=p1&description=d+e", "p.yaml", PIPELINE).await;
    assert_eq!(status, 200, "{pipeline}");
    text(&pipeline, "pipeline_id")
}

pub async fn started(sim: &Sim, pipeline: &str, name: &str) -> Value {
    let body = json!({"display_name": name, "pipeline_version_reference": {"pipeline_id": pipeline}});
    let (status, run) = call(sim, "POST", "/runs", body).await;
    assert_eq!(status, 200, "{run}");
    run
}

pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

pub fn detail(error: &Value) -> &str {
    error["details"][0]["message"].as_str().unwrap_or_default()
}
