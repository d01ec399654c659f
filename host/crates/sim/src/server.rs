//! HTTP around the store: listening, answering, stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::SimConfig;
use crate::error::{ApiError, Code, UploadError};
use crate::experiments::Storage;
use crate::faults::{self, Fault, Faults, Wire};
use crate::kubernetes::{Refusal, Resource, Selection};
use crate::nodes;
use crate::query::Query;
use crate::route::{Call, Lost, Route, find};
use crate::stamp::seconds;
use crate::store::{Answer, Store, parse_id};
use crate::truth::{RunTruth, Truth};
use crate::upload::Upload;
use crate::users::{self, Caller};
use crate::watch::{Watch, watch};

/// Largest request body taken, in bytes: an upload with what its form adds.
const MAX_BODY: usize = 40 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const GRPC_CONTENT_TYPE: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A simulated server on a thread of its own. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts a server that listens on `listen` (port 0: any free one) once this returns.
    ///
    /// # Errors
    /// The configuration is wrong, the address can't be bound, or no thread can be started.
    pub fn start(config: SimConfig, listen: SocketAddr) -> io::Result<Self> {
        let shared = Shared::new(config)?;
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("kperf-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(served, listener) => {}
                }
            });
        })?;
        Ok(Self { addr, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address that clients take, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has really happened up to now, of all runs since the start, deleted ones included.
    pub fn truth(&self) -> Truth {
        let mut store = self.shared.store.lock();
        store.catch_up();
        store.truth()
    }

    /// Requests for the Kubernetes API must carry this bearer token from now on; others are answered with 401, as by an API
    /// server when a token has expired.
    pub fn require_token(&self, token: &str) {
        *self.shared.token.lock() = Some(token.to_owned());
    }

    /// Breaks every watch of the Kubernetes API that is open: its connection is reset.
    pub fn drop_watches(&self) {
        self.shared.watches.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets the history of the Kubernetes API: watches and pages that go on from before now are answered with 410.
    pub fn compact(&self) {
        self.shared.store.lock().compact();
    }

    /// What has really happened up to now to one run, also if it was deleted or prefilled.
    pub fn truth_of(&self, run_id: &str) -> Option<RunTruth> {
        let mut store = self.shared.store.lock();
        store.catch_up();
        store.truth_of(parse_id(run_id))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been shown by the thread itself; there is nobody to hand it to here.
            let _ = thread.join();
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: SimConfig,
    faults: Faults,
    pub(crate) store: Mutex<Store>,
    /// What requests for the Kubernetes API must carry.
    token: Mutex<Option<String>>,
    /// Rises when all watches are to break.
    pub(crate) watches: AtomicU64,
}

impl Shared {
    fn new(config: SimConfig) -> io::Result<Arc<Self>> {
        config.check().map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let store = Mutex::new(Store::new(config.clone()));
        let (token, watches) = (Mutex::new(None), AtomicU64::new(0));
        Ok(Arc::new(Self { faults: Faults::new(&config), config, store, token, watches }))
    }
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) on `listener` until dropped; open connections end with it.
///
/// # Errors
/// The configuration is wrong. What goes wrong while accepting is waited out.
pub async fn serve(config: SimConfig, listener: TcpListener) -> io::Result<()> {
    accept(Shared::new(config)?, listener).await;
    Ok(())
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of file descriptors, most likely: those in use come back when connections close.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        // Without it answers would wait for the client's delayed acknowledgements; a failure costs only speed.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let reset = Arc::new(AtomicBool::new(false));
            let wire = Wire::new(stream, Arc::clone(&reset));
            let service = service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&reset), request));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).pipeline_flush(true);
            // A connection that breaks is the client's affair.
            let _ = builder.serve_connection(TokioIo::new(wire), service).await;
        });
    }
}

type Reply = Response<Full<Bytes>>;
/// An answer that is there, or one that comes bit by bit.
type Streamed = Response<Either<Full<Bytes>, Watch>>;

/// The connection is to be reset: an error, so that no answer is written.
#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is reset on purpose")
    }
}

impl std::error::Error for Reset {}

async fn answer(shared: Arc<Shared>, reset: Arc<AtomicBool>, request: Request<Incoming>) -> Result<Streamed, Reset> {
    match find(request.method(), request.uri().path()) {
        Ok(Route::Kubernetes(resource, namespace)) => {
            tokio::time::sleep(shared.config.latency).await;
            Ok(kubernetes(&shared, reset, resource, &namespace, &request))
        }
        _ => Ok(whole_answer(shared, reset, request).await?.map(Either::Left)),
    }
}

/// A list, or a watch that goes on.
fn kubernetes(
    shared: &Arc<Shared>,
    reset: Arc<AtomicBool>,
    resource: Resource,
    namespace: &str,
    request: &Request<Incoming>,
) -> Streamed {
    let query = Query::parse(request.uri().query());
    let whole = |(status, body): (u16, serde_json::Value)| json(status, &body).map(Either::Left);
    if let Some(refusal) = unauthorised(shared, request.headers()) {
        return whole((refusal.code, refusal.body));
    }
    let selection = match Selection::new(resource, namespace, &query) {
        Ok(selection) => selection,
        Err(refusal) => return whole((refusal.code, refusal.body)),
    };
    if query.flag("watch") {
        let watch = watch(Arc::clone(shared), reset, resource, selection, &query);
        let mut reply = Response::new(Either::Right(watch));
        reply.headers_mut().insert(CONTENT_TYPE, JSON);
        return reply;
    }
    let mut store = shared.store.lock();
    store.catch_up();
    whole(store.list(&selection, &query))
}

/// Why a request for the Kubernetes API is not let through, if it is not.
fn unauthorised(shared: &Shared, headers: &http::HeaderMap) -> Option<Refusal> {
    let wanted = shared.token.lock().clone()?;
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    (sent != Some(wanted.as_str())).then(|| Refusal::new(401, "Unauthorized", "Unauthorized"))
}

async fn whole_answer(shared: Arc<Shared>, reset: Arc<AtomicBool>, request: Request<Incoming>) -> Result<Reply, Reset> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) => return Ok(plain(StatusCode::BAD_REQUEST, &cause.to_string())),
    };
    let route = match find(&head.method, head.uri.path()) {
        Ok(route) => route,
        Err(Lost::Outside) => return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        Err(Lost::Unknown) => return Ok(refused(&ApiError::gateway(Code::NotFound, "Not Found"))),
        Err(Lost::Method) => return Ok(refused(&ApiError::gateway(Code::Unimplemented, "Method Not Allowed"))),
    };
    let Some(operation) = operation(&route) else {
        tokio::time::sleep(shared.config.latency).await;
        if let (Route::Nodes | Route::Version, Some(refusal)) = (&route, unauthorised(&shared, &head.headers)) {
            return Ok(json(refusal.code, &refusal.body));
        }
        return Ok(aside(&shared, &route));
    };
    let rows = shared.store.lock().rows_behind(operation);
    let delay = faults::delay(&shared.config, operation, rows);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let fault = shared.faults.next();
    if fault == Fault::Refuse {
        return Ok(unavailable(shared.config.error_status));
    }
    let reply = if fault == Fault::Reset { None } else { Some(work(&shared, &route, &head, body).await) };
    match reply {
        Some(reply) if fault == Fault::None => Ok(reply),
        _ => {
            reset.store(true, Ordering::Relaxed);
            Err(Reset)
        }
    }
}

/// The operation of the API that a route leads to; none for what is beside the API.
fn operation(route: &Route) -> Option<&'static str> {
    match route {
        Route::UploadPipeline => Some("upload_pipeline"),
        Route::UploadVersion => Some("upload_pipeline_version"),
        Route::Api(call) => Some(call.names().operation),
        _ => None,
    }
}

/// Answers what is beside the API: never refused, delayed only like everything.
fn aside(shared: &Shared, route: &Route) -> Reply {
    let mut store = shared.store.lock();
    store.catch_up();
    match route {
        Route::Metrics => plain(StatusCode::OK, &store.metrics()),
        Route::WholeTruth => json(200, &store.truth()),
        Route::Truth(id) => match store.truth_of(parse_id(id)) {
            Some(truth) => json(200, &truth),
            None => plain(StatusCode::NOT_FOUND, "no such run\n"),
        },
        Route::Nodes => json(200, &nodes::nodes(store.began(), store.cluster.now())),
        Route::Version => json(200, &nodes::version()),
        Route::Log(run, node) => match store.pod_log(run, node) {
            Some(log) => plain(StatusCode::OK, &log),
            None => {
                let text = format!("Failed to read logs of pod {node} of run {run}: not found");
                let error = UploadError::new(404, text.clone(), text);
                reply(StatusCode::NOT_FOUND, JSON, error.json())
            }
        },
        Route::Health { v2 } => health(*v2, shared.config.multi_user),
        Route::UploadPipeline | Route::UploadVersion | Route::Api(_) | Route::Kubernetes(..) => {
            plain(StatusCode::NOT_FOUND, "")
        }
    }
}

/// The answer to a request that is refused on purpose.
fn unavailable(status: u16) -> Reply {
    let (code, message) = match status {
        429 => (8, "ResourceExhausted: simulated fault"),
        500 => (13, "Internal error: simulated fault"),
        504 => (4, "DeadlineExceeded: simulated fault"),
        // A proxy in front of the server answers so, in its own words.
        502 => return plain(StatusCode::BAD_GATEWAY, "bad gateway: simulated fault\n"),
        _ => (14, "ServiceUnavailable: simulated fault"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    reply(status, JSON, serde_json::json!({"code": code, "message": message}).to_string())
}

async fn work(shared: &Shared, route: &Route, head: &Parts, body: Bytes) -> Reply {
    let query = Query::parse(head.uri.query());
    let caller = if shared.config.multi_user {
        users::caller(&head.headers, seconds(shared.store.lock().now()))
    } else {
        Ok(String::new())
    };
    match route {
        Route::Api(call) => api(&shared.store, call, &query, &caller, &body).await,
        _ => upload(&shared.store, *route == Route::UploadPipeline, head, &query, &caller, body).await,
    }
}

/// Waits for an authorisation's turn, if Kubernetes had to be asked.
async fn reviewed(store: &Mutex<Store>, asked: bool) {
    if !asked {
        return;
    }
    let wait = {
        let mut store = store.lock();
        let now = store.now();
        store.reviews.book(now)
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

async fn upload(
    store: &Mutex<Store>,
    is_pipeline: bool,
    head: &Parts,
    query: &Query,
    caller: &Caller,
    body: Bytes,
) -> Reply {
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let file = Upload::read(content_type, body).await;
    let allowed = store.lock().authorize_upload(caller, is_pipeline, query);
    if let Ok(asked) = allowed {
        reviewed(store, asked).await;
    }
    let mut store = store.lock();
    let counter = if is_pipeline { "pipeline_upload_requests" } else { "pipeline_version_upload_requests" };
    store.telemetry.request(counter);
    let result = match allowed {
        Err(error) => Err(error),
        Ok(_) if is_pipeline => store.upload_pipeline(file, query),
        Ok(_) => store.upload_version(file, query),
    };
    match result {
        Ok(body) => reply(StatusCode::OK, JSON, body),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply(status, JSON, error.json())
        }
    }
}

async fn api(store: &Mutex<Store>, call: &Call, query: &Query, caller: &Caller, body: &[u8]) -> Reply {
    let began = Instant::now();
    let names = call.names();
    let allowed = store.lock().authorize(caller, call, query, body);
    let result = match allowed {
        Err(error) => Err(error),
        Ok(asked) => {
            reviewed(store, asked).await;
            match call {
                Call::CreateRun => create_run(store, body).await,
                _ => dispatch(&mut store.lock(), call, query, body),
            }
        }
    };
    let mut store = store.lock();
    if let Some(counter) = names.counter {
        store.telemetry.request(counter);
    }
    let code = result.as_ref().err().map_or("OK", |e| e.code.label());
    store.telemetry.handled(names.service, names.method, code, began.elapsed());
    drop(store);
    match result {
        Ok(body) => {
            let mut reply = reply(StatusCode::OK, JSON, body);
            reply.headers_mut().insert(GRPC_CONTENT_TYPE, GRPC);
            reply
        }
        Err(error) => refused(&error),
    }
}

/// Checks first, then waits for the cluster's turn, then creates: the order in which the real server works.
async fn create_run(store: &Mutex<Store>, body: &[u8]) -> Answer {
    let (prepared, wait) = {
        let mut store = store.lock();
        let prepared = store.prepare_run(body)?;
        let now = store.now();
        (prepared, store.bucket.book(now))
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    store.lock().create_run(prepared)
}

fn dispatch(store: &mut Store, call: &Call, query: &Query, body: &[u8]) -> Answer {
    store.catch_up();
    match call {
        Call::CreatePipeline => store.create_pipeline(body),
        Call::ListPipelines => store.list_pipelines(query),
        Call::GetPipeline(id) => store.get_pipeline(id),
        Call::CreatePipelineAndVersion => store.create_pipeline_and_version(body),
        Call::GetPipelineByName(name) => store.get_pipeline_by_name(name, query),
        Call::UpdatePipeline(id) => store.update_pipeline(id, body),
        Call::DeletePipeline(id) => store.delete_pipeline(id, query),
        Call::CreateVersion(id) => store.create_version(id, body),
        Call::ListVersions(id) => store.list_versions(id, query),
        Call::GetVersion(_, id) => store.get_version(id),
        Call::UpdateVersion(_, id) => store.update_version(id, body),
        Call::DeleteVersion(_, id) => store.delete_version(id),
        Call::CreateExperiment => store.create_experiment(body),
        Call::ListExperiments => store.list_experiments(query),
        Call::GetExperiment(id) => store.get_experiment(id),
        Call::DeleteExperiment(id) => store.delete_experiment(id),
        Call::ArchiveExperiment(id) => store.store_experiment(id, Storage::Archived),
        Call::UnarchiveExperiment(id) => store.store_experiment(id, Storage::Available),
        Call::CreateRun => store.prepare_run(body).and_then(|prepared| store.create_run(prepared)),
        Call::ListRuns => store.list_runs(query),
        Call::GetRun(id) => store.get_run(id),
        Call::DeleteRun(id) => store.delete_run(id),
        Call::TerminateRun(id) => store.terminate_run(id),
        Call::RetryRun(id) => store.retry_run(id),
        Call::ArchiveRun(id) => store.store_run(id, Storage::Archived),
        Call::UnarchiveRun(id) => store.store_run(id, Storage::Available),
        Call::ReadArtifact(run, _, name) => store.read_artifact(run, name),
        Call::CreateRecurring => store.create_recurring(body),
        Call::ListRecurring => store.list_recurring(query),
        Call::GetRecurring(id) => store.get_recurring(id),
        Call::DeleteRecurring(id) => store.delete_recurring(id, query),
        Call::EnableRecurring(id) => store.switch_recurring(id, true),
        Call::DisableRecurring(id) => store.switch_recurring(id, false),
        Call::ReportWorkflow | Call::ReportScheduledWorkflow => {
            let text = "The simulated cluster reports by itself; nobody else may";
            Err(ApiError::gateway(Code::Unimplemented, text))
        }
    }
}

fn health(v2: bool, multi_user: bool) -> Reply {
    let store = if v2 { r#","pipeline_store":"database""# } else { "" };
    let body = format!(r#"{{"commit_sha":"unknown","tag_name":"unknown","multi_user":{multi_user}{store}}}"#);
    reply(StatusCode::OK, JSON, body)
}

fn plain(status: StatusCode, text: &str) -> Reply {
    reply(status, TEXT, text.as_bytes().to_vec())
}

fn json(status: u16, body: &impl serde::Serialize) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match serde_json::to_vec(body) {
        Ok(body) => reply(status, JSON, body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refused(error: &ApiError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = reply(status, JSON, error.json());
    if error.code == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(&error.message)
    {
        reply.headers_mut().insert(WWW_AUTHENTICATE, message);
    }
    reply
}

fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
