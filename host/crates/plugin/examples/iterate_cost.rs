//! What an iteration costs: processor time of the worker thread, for a plain HTTP client loop, for a guest that does
//! nothing, and for a guest that sends a GET and checks the JSON of the answer. The server runs on a thread of its own and
//! is not counted.
//!
//! `cargo run --release -p kperf-plugin --example iterate_cost [seconds [plain|nothing|get|"" [users..]]]`

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a measurement for people")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use std::time::{Duration, Instant};

use http::Method;
use http::uri::PathAndQuery;
use kperf_http::{Client, OriginConfig};
use kperf_metrics::{Registry, Shard, Tags};
use kperf_plugin::{
    Engine, EngineConfig, Grants, Incidents, IterationOutcome, Plugin, PluginContext, Redactor, Runner, WorkerContext,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// An iteration makes some forty small allocations; the system's allocator makes it a sixth more expensive.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: &str = r#"{"requests": [{"name": "get", "path": "/fast", "expect": {"json": {"/status": "ok"}}}]}"#;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(3, |text| text.parse().expect("seconds"));
    let only = arguments.next().unwrap_or_default();
    let users: Vec<u32> = arguments.map(|text| text.parse().expect("users")).collect();
    let users = if users.is_empty() { vec![50, 500, 2000] } else { users };
    let address = serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let cache = Some(std::env::temp_dir().join("kperf-iterate-cost"));
        let engine = Engine::new(&EngineConfig { cache }).unwrap();
        let faulty = Plugin::load(&engine, kperf_guests::get("faulty-runner").unwrap()).await.unwrap();
        let runner = Plugin::load(&engine, kperf_guests::get("http-runner").unwrap()).await.unwrap();
        let target = format!("http://{address}");
        println!("{:<24} {:>6} {:>12} {:>14} {:>12}", "what", "users", "per second", "cpu us/each", "guest us");
        for users in users {
            let length = Duration::from_secs(seconds);
            if "plain".starts_with(&only) {
                plain(address, users, length).await;
            }
            if "nothing".starts_with(&only) {
                let context = context("healthy", &target, r#"{"path": ""}"#);
                measure("guest, nothing", &faulty, context, users, length).await;
            }
            if "get".starts_with(&only) {
                measure("guest, GET and check", &runner, context("requests", &target, REQUEST), users, length).await;
            }
        }
    });
}

fn context(mode: &str, target: &str, parameters: &str) -> PluginContext {
    PluginContext {
        name: "s".into(),
        mode: mode.into(),
        parameters: parameters.into(),
        target: target.into(),
        grants: Grants { target: Some(target.parse().unwrap()), ..Grants::default() },
        tags: Tags::new([("scenario", "s")]),
        group: std::env::var("GROUP").map_or(kperf_plugin::DEFAULT_GROUP, |text| text.parse().unwrap()),
        ..PluginContext::default()
    }
}

/// The bare client: the same requests without plugin, headers and metrics.
async fn plain(address: SocketAddr, users: u32, length: Duration) {
    let client = Client::new(OriginConfig::default());
    let origin = client.origin(&format!("http://{address}").parse().unwrap()).unwrap();
    let end = Instant::now() + length;
    let count = Rc::new(Cell::new(0_u64));
    let before = cpu();
    let all: Vec<_> = (0..users)
        .map(|_| {
            let (client, origin, count) = (client.clone(), origin.clone(), Rc::clone(&count));
            tokio::task::spawn_local(async move {
                while Instant::now() < end {
                    let request = kperf_http::Request::new(Method::GET, PathAndQuery::from_static("/fast"));
                    client.send(&origin, request).await.result.unwrap();
                    count.set(count.get() + 1);
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    print("http client alone", users, count.get(), length, cpu() - before, 0.0);
}

async fn measure(name: &str, plugin: &Plugin, context: PluginContext, users: u32, length: Duration) {
    let registry = Registry::default();
    let shard = Arc::new(Mutex::new(Shard::new(registry.clone(), 0)));
    let worker = WorkerContext {
        registry: registry.clone(),
        shard: Arc::clone(&shard),
        records: kperf_plugin::Records::default(),
        facts: kperf_plugin::Facts::default(),
        http: Client::new(OriginConfig::default()),
        epoch: Instant::now(),
        stop: watch::channel(false).1,
        ending: Arc::default(),
        incidents: Incidents::channel().0,
        redactor: Redactor::default(),
        seed: 1,
    };
    let runner = Runner::new(plugin, worker, Arc::new(context)).unwrap();
    let pool = Rc::new(runner.pool(Arc::from([])).unwrap());
    let end = Instant::now() + length;
    let count = Rc::new(Cell::new(0_u64));
    let before = cpu();
    let all: Vec<_> = (0..users)
        .map(|user| {
            let (pool, count) = (Rc::clone(&pool), Rc::clone(&count));
            tokio::task::spawn_local(async move {
                let mut number = 0;
                while Instant::now() < end {
                    assert_eq!(pool.iterate(user, number, None).await, IterationOutcome::Ok);
                    number += 1;
                    count.set(count.get() + 1);
                    // A guest that waits for nothing would keep the others from ever beginning.
                    if number % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    let used = cpu() - before;
    pool.tick();
    let interval = shard.lock().take(1);
    let guest: f64 = interval
        .iter()
        .filter(|(id, _)| registry.info(*id).is_some_and(|info| &*info.metric.name == "guest_cpu"))
        .map(|(_, delta)| if let kperf_metrics::Delta::Counter(sum) = delta { *sum } else { 0.0 })
        .sum();
    print(name, users, count.get(), length, used, guest);
}

fn print(name: &str, users: u32, count: u64, length: Duration, used: Duration, guest: f64) {
    let each = used.as_secs_f64() * 1e6 / count as f64;
    let rate = count as f64 / length.as_secs_f64();
    println!("{name:<24} {users:>6} {rate:>12.0} {each:>14.2} {:>12.2}", guest * 1e6 / count as f64);
}

/// Processor time of this thread (the first figure of `schedstat`).
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// A server that answers every request head with the same 300 bytes.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut body = String::from(r#"{"id": 1, "status": "ok", "filler": ""#);
            body.push_str(&"x".repeat(298 - body.len()));
            body.push_str("\"}");
            let answer: Arc<str> = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    address
}
