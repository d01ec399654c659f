//! HTTP around the store: listening, answering, stopping.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::SimConfig;
use crate::error::{ApiError, Code};
use crate::experiments::Storage;
use crate::query::Query;
use crate::route::{Call, Lost, Route, find};
use crate::store::{Answer, Store};
use crate::upload::Upload;

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
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts a server that listens on `listen` (port 0: any free one) once this returns.
    ///
    /// # Errors
    /// The address can't be bound, or no thread can be started.
    pub fn start(config: SimConfig, listen: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("kperf-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = serve(config, listener) => {}
                }
            });
        })?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address that clients take, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
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

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) on `listener` until dropped; open connections end with it.
///
/// # Errors
/// None so far: what goes wrong while accepting is waited out.
pub async fn serve(config: SimConfig, listener: TcpListener) -> io::Result<()> {
    let latency = config.latency;
    let store = Arc::new(Mutex::new(Store::new(config)));
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
        let store = Arc::clone(&store);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&store), latency, request));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).pipeline_flush(true);
            // A connection that breaks is the client's affair.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Reply = Response<Full<Bytes>>;

async fn answer(store: Arc<Mutex<Store>>, latency: Duration, request: Request<Incoming>) -> Result<Reply, Infallible> {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) => return Ok(plain(StatusCode::BAD_REQUEST, &cause.to_string())),
    };
    let query = Query::parse(head.uri.query());
    let route = match find(&head.method, head.uri.path()) {
        Ok(route) => route,
        Err(Lost::Outside) => return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        Err(Lost::Unknown) => return Ok(refused(&ApiError::gateway(Code::NotFound, "Not Found"))),
        Err(Lost::Method) => return Ok(refused(&ApiError::gateway(Code::Unimplemented, "Method Not Allowed"))),
    };
    Ok(match route {
        Route::Health { v2 } => health(v2),
        Route::Metrics => plain(StatusCode::OK, &store.lock().telemetry.text()),
        Route::UploadPipeline | Route::UploadVersion => {
            let content_type = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
            let upload = Upload::read(content_type, body).await;
            let mut store = store.lock();
            let result = if route == Route::UploadPipeline {
                store.telemetry.request("pipeline_upload_requests");
                store.upload_pipeline(upload, &query)
            } else {
                store.telemetry.request("pipeline_version_upload_requests");
                store.upload_version(upload, &query)
            };
            match result {
                Ok(body) => reply(StatusCode::OK, JSON, body),
                Err(error) => {
                    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    reply(status, JSON, error.json())
                }
            }
        }
        Route::Api(call) => api(&store, &call, &query, &body).await,
    })
}

async fn api(store: &Mutex<Store>, call: &Call, query: &Query, body: &[u8]) -> Reply {
    let began = Instant::now();
    let (service, method, counter) = call.names();
    let result = match call {
        Call::CreateRun => create_run(store, body).await,
        _ => dispatch(&mut store.lock(), call, query, body),
    };
    let mut store = store.lock();
    if let Some(counter) = counter {
        store.telemetry.request(counter);
    }
    let code = result.as_ref().err().map_or("OK", |e| e.code.label());
    store.telemetry.handled(service, method, code, began.elapsed());
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
        Call::GetPipelineByName(name) => store.get_pipeline_by_name(name),
        Call::UpdatePipeline(id) => store.update_pipeline(id, body),
        Call::DeletePipeline(id) => store.delete_pipeline(id, query),
        Call::CreateVersion(id) => store.create_version(id, body),
        Call::ListVersions(id) => store.list_versions(id, query),
        Call::GetVersion(id) => store.get_version(id),
        Call::UpdateVersion(id) => store.update_version(id, body),
        Call::DeleteVersion(id) => store.delete_version(id),
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
    }
}

fn health(v2: bool) -> Reply {
    let body: &[u8] = if v2 {
        br#"{"commit_sha":"unknown","tag_name":"unknown","multi_user":false,"pipeline_store":"database"}"#
    } else {
        br#"{"commit_sha":"unknown","tag_name":"unknown","multi_user":false}"#
    };
    reply(StatusCode::OK, JSON, body)
}

fn plain(status: StatusCode, text: &str) -> Reply {
    reply(status, TEXT, text.as_bytes().to_vec())
}

fn refused(error: &ApiError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(status, JSON, error.json())
}

fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
