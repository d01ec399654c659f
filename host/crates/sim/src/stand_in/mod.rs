//! Stand-ins for the services that reporters tell: small servers that take what the real ones take and refuse what they refuse.
//!
//! In come HTTP requests; out come a service's answers, and a list of all that was received ([`Received`]). Each service is a
//! pure [`Service`]; listening, keeping the list and being busy are the same for all. A stand-in knows the vendor's published
//! limits and error answers, and nothing of kperf.

mod blocks;
mod pagerduty;
mod slack;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use pagerduty::PagerDuty;
pub use slack::Slack;

/// The largest request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A request to a stand-in.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
}

impl Asked<'_> {
    /// The token of `Authorization: Bearer`.
    fn token(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("application/json"))
    }
}

/// What a service answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body: a text stands for itself, everything else is JSON.
    pub body: Value,
    /// Whether the service has done what it was asked to.
    pub taken: bool,
}

impl Reply {
    fn taken(status: u16, body: Value) -> Self {
        Self { status, body, taken: true }
    }

    fn refused(status: u16, body: Value) -> Self {
        Self { status, body, taken: false }
    }
}

/// A service.
pub trait Service: Send + 'static {
    /// Its name, for people.
    const NAME: &'static str;

    /// Answers a request.
    fn answer(&mut self, asked: &Asked<'_>) -> Reply;

    /// Answers a request that comes too soon after others (429).
    fn busy() -> Value;
}

/// A request that came, and what it got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    /// When it came, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// Its path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Whether the service has done what it was asked to.
    pub taken: bool,
    /// The answer's body.
    pub answer: Value,
    /// The request's body: JSON, or a text that is none.
    pub body: Value,
}

/// A stand-in on a thread of its own. Dropping it stops it.
pub struct StandIn {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Called with each request that came.
type Watcher = Box<dyn Fn(&Received) + Send>;

struct Shared {
    state: Mutex<State>,
}

struct State {
    answer: Box<dyn FnMut(&Asked<'_>) -> Reply + Send>,
    busy: Value,
    /// How many requests from now on are told to come back later, and after which time.
    later: (u32, Duration),
    received: Vec<Received>,
    watcher: Option<Watcher>,
}

impl StandIn {
    /// Starts a server that listens on `listen` (port 0: any free one) once this returns.
    ///
    /// # Errors
    /// The address can't be bound, or no thread can be started.
    pub fn start<S: Service>(service: S, listen: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let mut service = service;
        let state = State {
            answer: Box::new(move |asked| service.answer(asked)),
            busy: S::busy(),
            later: (0, Duration::ZERO),
            received: Vec::new(),
            watcher: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(format!("stand-in-{}", S::NAME)).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(served, listener) => {}
                }
            });
        })?;
        Ok(Self { addr, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The base address that clients take, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Everything that came so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.state.lock().received.clone()
    }

    /// Answers the next so many requests with 429 and this time in `Retry-After`, in whole seconds.
    pub fn be_busy(&self, requests: u32, retry_after: Duration) {
        self.shared.state.lock().later = (requests, retry_after);
    }

    /// Calls `watcher` with each request from now on.
    pub fn watch(&self, watcher: impl Fn(&Received) + Send + 'static) {
        self.shared.state.lock().watcher = Some(Box::new(watcher));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been shown by the thread itself.
            let _ = thread.join();
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: those in use come back when connections close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&shared), request));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            // A connection that breaks is the client's affair.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, http::Error> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Response::builder().status(StatusCode::PAYLOAD_TOO_LARGE).body(Full::default()),
    };
    let asked = Asked { method: &head.method, path: head.uri.path(), headers: &head.headers, body: &body };
    let mut state = shared.state.lock();
    let mut response = Response::builder();
    let reply = match &mut state.later {
        (0, _) => (state.answer)(&asked),
        (left, after) => {
            *left -= 1;
            response = response.header(RETRY_AFTER, after.as_secs().to_string());
            Reply::refused(429, state.busy.clone())
        }
    };
    let written = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    let received = Received {
        unix_ns: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
        path: asked.path.to_owned(),
        status: reply.status,
        taken: reply.taken,
        answer: reply.body.clone(),
        body: written,
    };
    if let Some(watcher) = &state.watcher {
        watcher(&received);
    }
    state.received.push(received);
    drop(state);
    let (kind, text) = match reply.body {
        Value::String(text) => ("text/html", text),
        body => ("application/json", body.to_string()),
    };
    response.status(reply.status).header(CONTENT_TYPE, kind).body(Full::new(text.into()))
}
