//! The server around a [`Service`]: it listens, throttles, and keeps a list of the requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
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

use crate::service::{Reply, Service, ServiceRequest};

/// The largest request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A request that a double received, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReceivedRequest {
    /// When the request had arrived whole, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// The path without the query.
    pub path: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the service has accepted the request.
    pub taken: bool,
    /// The answer's body: JSON, or a text.
    pub answer: Value,
    /// The request's body: JSON, or the text where it is not JSON.
    pub body: Value,
}

/// A double of a service, on a thread of its own. Dropping it stops it.
pub struct DoubleServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Called with each request received.
type Watcher = Box<dyn Fn(&ReceivedRequest) + Send>;

type Shared = Mutex<State>;

struct State {
    answer: Box<dyn FnMut(&ServiceRequest<'_>) -> Reply + Send>,
    throttled: Value,
    /// How many requests from now on are answered with 429, and the time in `Retry-After`.
    throttle: (u32, Duration),
    received: Vec<ReceivedRequest>,
    watcher: Option<Watcher>,
}

impl DoubleServer {
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
            answer: Box::new(move |request| service.answer(request)),
            throttled: S::throttled(),
            throttle: (0, Duration::ZERO),
            received: Vec::new(),
            watcher: None,
        };
        let shared = Arc::new(Shared::new(state));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(format!("double-{}", S::NAME)).spawn(move || {
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

    /// The requests received so far, in order.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().received.clone()
    }

    /// Answers the next `requests` requests with 429 and `retry_after` in `Retry-After`, in whole seconds.
    pub fn throttle(&self, requests: u32, retry_after: Duration) {
        self.shared.lock().throttle = (requests, retry_after);
    }

    /// Calls `watcher` with each request from now on.
    pub fn watch(&self, watcher: impl Fn(&ReceivedRequest) + Send + 'static) {
        self.shared.lock().watcher = Some(Box::new(watcher));
    }
}

impl Drop for DoubleServer {
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
            // A broken connection concerns only its client.
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
    let request = ServiceRequest { method: &head.method, path: head.uri.path(), headers: &head.headers, body: &body };
    let mut state = shared.lock();
    let mut response = Response::builder();
    let reply = match &mut state.throttle {
        (0, _) => (state.answer)(&request),
        (left, after) => {
            *left -= 1;
            response = response.header(RETRY_AFTER, after.as_secs().to_string());
            Reply::refused(429, state.throttled.clone())
        }
    };
    let written = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    let received = ReceivedRequest {
        unix_ns: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
        path: request.path.to_owned(),
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
