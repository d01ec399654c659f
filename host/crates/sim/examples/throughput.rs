//! What the simulated server carries: `cargo run --release -p kperf-sim --example throughput`.
//!
//! Stores 100,000 runs, then sends a mix of requests over loopback from a thread of its own. The server works on one
//! thread; its requests per second of processor time are what one core carries, whatever else the machine does.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement for people; what goes wrong ends it"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use kperf_sim::{Prefill, Sim, SimConfig};
use serde_json::{Value, json};

const RUNS: usize = 100_000;
const CONNECTIONS: usize = 16;
const SPAN: Duration = Duration::from_secs(5);
/// Requests of the mix, in percent: one run, a page of 20, a new run.
const MIX: [(&str, u64); 3] = [("get_run", 70), ("list_runs", 20), ("create_run", 10)];

type Connection = SendRequest<Full<Bytes>>;

async fn connect(addr: SocketAddr) -> Connection {
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(connection: &mut Connection, method: &str, path: &str, body: String) -> Bytes {
    let request = http::Request::builder().method(method).uri(path).header("host", "sim");
    let answer = connection.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.into_body().collect().await.unwrap().to_bytes()
}

async fn json_of(connection: &mut Connection, path: &str) -> Value {
    serde_json::from_slice(&send(connection, "GET", path, String::new()).await).unwrap()
}

/// Processor time of the server's thread, in seconds.
fn server_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let server = tasks.filter(|t| std::fs::read_to_string(t.join("comm")).is_ok_and(|c| c.trim() == "kperf-sim"));
    server
        .map(|task| {
            let stat = std::fs::read_to_string(task.join("schedstat")).unwrap();
            stat.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
        })
        .sum()
}

/// Resident memory in MiB.
fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    (statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096) >> 20
}

/// How long one request takes in the middle of many alike.
async fn one(connection: &mut Connection, what: &str, path: &str) {
    let mut took = Vec::new();
    for _ in 0..15 {
        let began = Instant::now();
        send(connection, "GET", path, String::new()).await;
        took.push(began.elapsed());
    }
    took.sort();
    println!("  {what:<34} {:>8.2} ms", took[took.len() / 2].as_secs_f64() * 1e3);
}

fn encoded(filter: &Value) -> String {
    url::form_urlencoded::byte_serialize(json!({ "predicates": filter }).to_string().as_bytes()).collect()
}

async fn worker(addr: SocketAddr, number: usize, ids: Vec<String>, pipeline: String) -> [u64; 3] {
    let mut connection = connect(addr).await;
    let mut counts = [0; 3];
    let mut state = number as u64 + 1;
    let began = Instant::now();
    let body = json!({"display_name": "r", "pipeline_version_reference": {"pipeline_id": pipeline}}).to_string();
    while began.elapsed() < SPAN {
        // A linear congruential generator is random enough to choose by.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = state >> 33;
        let which = match drawn % 100 {
            n if n < MIX[0].1 => 0,
            n if n < MIX[0].1 + MIX[1].1 => 1,
            _ => 2,
        };
        match which {
            0 => {
                let id = &ids[(drawn / 100) as usize % ids.len()];
                send(&mut connection, "GET", &format!("/apis/v2beta1/runs/{id}"), String::new()).await
            }
            1 => {
                let path = "/apis/v2beta1/runs?page_size=20&sort_by=created_at%20desc";
                send(&mut connection, "GET", path, String::new()).await
            }
            _ => send(&mut connection, "POST", "/apis/v2beta1/runs", body.clone()).await,
        };
        counts[which] += 1;
    }
    counts
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let prefill = Prefill { runs: RUNS, pipelines: 100, experiments: 20 };
    // The cluster is so fast that runs end within the measurement: what they cost is counted.
    let config = SimConfig { prefill, create_rate: None, speed: 100.0, slots: 100_000, ..SimConfig::default() };
    let began = Instant::now();
    let sim = Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    println!("{RUNS} runs stored in {:.2} s; {} MiB", began.elapsed().as_secs_f64(), memory());

    let mut connection = connect(sim.addr()).await;
    let pipelines = json_of(&mut connection, "/apis/v2beta1/pipelines?page_size=1").await;
    let pipeline = pipelines["pipelines"][0]["pipeline_id"].as_str().unwrap().to_owned();
    println!("single requests, {RUNS} rows");
    let time = json!([{"operation": "GREATER_THAN", "key": "created_at", "timestamp_value": "2020-01-01T00:00:00Z"},
        {"operation": "EQUALS", "key": "state", "string_value": "FAILED"}]);
    let name = json!([{"operation": "IS_SUBSTRING", "key": "name", "string_value": "RUN-777"}]);
    for (what, query) in [
        ("a page of 20", String::new()),
        ("a page of 200", "&page_size=200".to_owned()),
        ("sorted by name", "&sort_by=name".to_owned()),
        ("sorted by end, newest first", "&sort_by=finished_at%20desc".to_owned()),
        ("filtered by time and state", format!("&filter={}", encoded(&time))),
        ("filtered by a part of the name", format!("&filter={}", encoded(&name))),
    ] {
        one(&mut connection, what, &format!("/apis/v2beta1/runs?{query}")).await;
    }

    let mut ids = Vec::new();
    let mut token = String::new();
    while ids.len() < 20_000 {
        let path = format!("/apis/v2beta1/runs?page_size=200&page_token={token}");
        let page = json_of(&mut connection, &path).await;
        ids.extend(page["runs"].as_array().unwrap().iter().map(|r| r["run_id"].as_str().unwrap().to_owned()));
        token = url::form_urlencoded::byte_serialize(page["next_page_token"].as_str().unwrap().as_bytes()).collect();
    }
    let (began, busy) = (Instant::now(), server_seconds());
    let workers: Vec<_> =
        (0..CONNECTIONS).map(|i| tokio::spawn(worker(sim.addr(), i, ids.clone(), pipeline.clone()))).collect();
    let mut counts = [0_u64; 3];
    for worker in workers {
        let theirs = worker.await.unwrap();
        counts.iter_mut().zip(theirs).for_each(|(sum, part)| *sum += part);
    }
    let (span, busy) = (began.elapsed().as_secs_f64(), server_seconds() - busy);
    let total: u64 = counts.iter().sum();
    println!("a mix over {CONNECTIONS} connections for {span:.1} s");
    for ((what, _), count) in MIX.iter().zip(counts) {
        println!("  {what:<34} {count:>8}");
    }
    println!("  {:.0} requests/s; the server was busy for {busy:.1} s of it", total as f64 / span);
    println!("  {:.0} requests per second of one core; {} MiB", total as f64 / busy, memory());
}
