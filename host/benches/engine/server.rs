//! The server under test: answers every GET with the same JSON after a fixed delay, on a core of its own, and knows how
//! long each answer really took.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// About 300 bytes, as a small API answer has.
const ANSWER: &str = r#"{"id":"7f9c24e5-2b1d-4c3a-9a55-0d3f5e6b7a81","state":"ok","name":"three-step","created_at":"2026-11-22T10:00:00Z","labels":{"team":"ml","tier":"gold"},"steps":[{"name":"prepare","seconds":1.5},{"name":"work","seconds":12.25},{"name":"report","seconds":0.75}],"owner":"bench","parameters":{"items":10,"rate":0.1}}"#;

/// When each request was read and how long its answer took.
type Log = Arc<Mutex<Vec<(Instant, Duration)>>>;

/// A running server; it ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
    log: Log,
}

/// What the server saw.
pub(crate) struct Truth {
    /// Requests per second between the first and the last.
    pub(crate) rate: f64,
    /// The median, in seconds.
    pub(crate) p50: f64,
    /// The 99th percentile, in seconds.
    pub(crate) p99: f64,
}

/// Starts a server whose answers take `delay`.
pub(crate) fn start(delay: Duration) -> std::io::Result<Server> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let log = Log::default();
    let seen = Arc::clone(&log);
    std::thread::spawn(move || {
        crate::generators::pin_this_thread(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(stream, delay, Arc::clone(&seen)));
            }
        });
    });
    Ok(Server { address, log })
}

async fn connection(stream: tokio::net::TcpStream, delay: Duration, log: Log) {
    let answer = |_: Request<hyper::body::Incoming>| {
        let log = Arc::clone(&log);
        async move {
            if !delay.is_zero() {
                let read = Instant::now();
                tokio::time::sleep(delay).await;
                log.lock().expect("the log").push((read, read.elapsed()));
            }
            let response = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(ANSWER.as_bytes()))).expect("a response"))
        }
    };
    let _ = hyper::server::conn::http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets what it saw.
    pub(crate) fn forget(&self) {
        self.log.lock().expect("the log").clear();
    }

    /// What it saw since it last forgot.
    pub(crate) fn truth(&self) -> Truth {
        let log = self.log.lock().expect("the log");
        let mut durations: Vec<f64> = log.iter().map(|(_, took)| took.as_secs_f64()).collect();
        durations.sort_by(f64::total_cmp);
        let quantile =
            |q: f64| durations.get(((durations.len() as f64 * q) as usize).min(durations.len().saturating_sub(1)));
        // Without the first and the last hundredth: a preflight comes before the load, and ends are ragged.
        let mut instants: Vec<Instant> = log.iter().map(|(at, _)| *at).collect();
        instants.sort_unstable();
        let edge = instants.len() / 100;
        let inner = instants.get(edge..instants.len() - edge).unwrap_or_default();
        let span = match inner {
            [first, .., last] => last.duration_since(*first).as_secs_f64(),
            _ => f64::NAN,
        };
        Truth {
            rate: inner.len().saturating_sub(1) as f64 / span,
            p50: quantile(0.5).copied().unwrap_or(f64::NAN),
            p99: quantile(0.99).copied().unwrap_or(f64::NAN),
        }
    }
}
