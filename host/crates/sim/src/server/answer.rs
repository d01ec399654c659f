//! Answers: the route of a request, the delays and faults that the configuration asks for, and everything beside the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;

use crate::kfp::call::RouteError;
use crate::kfp::error::{ApiError, Code, UploadError};
use crate::kfp::json::parse_id;
use crate::kubernetes::{Resource, Selection, StatusError, nodes};
use crate::query::Query;
use crate::server::api;
use crate::server::faults::{self, Fault};
use crate::server::reply::{JSON, Reply, json, plain, refused, reply};
use crate::server::reset::ConnectionReset;
use crate::server::route::{Route, find};
use crate::server::shared::Shared;
use crate::server::watch::{Watch, watch};

/// Largest request body taken, in bytes: an upload with what its form adds.
const MAX_BODY: usize = 40 << 20;

/// An answer that is there, or one that comes bit by bit.
type StreamedReply = Response<Either<Full<Bytes>, Watch>>;

/// Answers a request.
///
/// # Errors
/// The connection is to be reset.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<StreamedReply, ConnectionReset> {
    match find(request.method(), request.uri().path()) {
        Ok(Route::Kubernetes(resource, namespace)) => {
            tokio::time::sleep(shared.config.latency).await;
            Ok(kubernetes(&shared, reset, resource, &namespace, &request))
        }
        _ => Ok(answer_at_once(shared, reset, request).await?.map(Either::Left)),
    }
}

/// A list, or a watch that goes on.
fn kubernetes(
    shared: &Arc<Shared>,
    reset: Arc<AtomicBool>,
    resource: Resource,
    namespace: &str,
    request: &Request<Incoming>,
) -> StreamedReply {
    let query = Query::parse(request.uri().query());
    let at_once = |(status, body): (u16, serde_json::Value)| json(status, &body).map(Either::Left);
    if let Some(refusal) = refuse_unauthorized(shared, request.headers()) {
        return at_once((refusal.code, refusal.body));
    }
    let selection = match Selection::new(resource, namespace, &query) {
        Ok(selection) => selection,
        Err(refusal) => return at_once((refusal.code, refusal.body)),
    };
    if query.flag("watch") {
        let watch = watch(Arc::clone(shared), reset, resource, selection, &query);
        let mut reply = Response::new(Either::Right(watch));
        reply.headers_mut().insert(CONTENT_TYPE, JSON);
        return reply;
    }
    let mut store = shared.store.lock();
    store.catch_up();
    at_once(store.list(&selection, &query))
}

/// The refusal of a request for the Kubernetes API without the required token.
fn refuse_unauthorized(shared: &Shared, headers: &http::HeaderMap) -> Option<StatusError> {
    let required = shared.token.lock().clone()?;
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    (sent != Some(required.as_str())).then(|| StatusError::new(401, "Unauthorized", "Unauthorized"))
}

/// An answer that is there as a whole; all but the watches of the Kubernetes API.
async fn answer_at_once(
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Reply, ConnectionReset> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) => return Ok(plain(StatusCode::BAD_REQUEST, &cause.to_string())),
    };
    let route = match find(&head.method, head.uri.path()) {
        Ok(route) => route,
        Err(RouteError::Outside) => return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        Err(RouteError::Unknown) => return Ok(refused(&ApiError::gateway(Code::NotFound, "Not Found"))),
        Err(RouteError::Method) => return Ok(refused(&ApiError::gateway(Code::Unimplemented, "Method Not Allowed"))),
    };
    let Some(operation) = route.operation() else {
        tokio::time::sleep(shared.config.latency).await;
        if let (Route::Nodes | Route::Version, Some(refusal)) = (&route, refuse_unauthorized(&shared, &head.headers)) {
            return Ok(json(refusal.code, &refusal.body));
        }
        return Ok(answer_beside(&shared, &route));
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
    let reply = if fault == Fault::Reset { None } else { Some(api::work(&shared, &route, &head, body).await) };
    match reply {
        Some(reply) if fault == Fault::None => Ok(reply),
        _ => {
            reset.store(true, Ordering::Relaxed);
            Err(ConnectionReset)
        }
    }
}

/// Answers what is beside the API: never refused, delayed only like everything.
fn answer_beside(shared: &Shared, route: &Route) -> Reply {
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

fn health(v2: bool, multi_user: bool) -> Reply {
    let store = if v2 { r#","pipeline_store":"database""# } else { "" };
    let body = format!(r#"{{"commit_sha":"unknown","tag_name":"unknown","multi_user":{multi_user}{store}}}"#);
    reply(StatusCode::OK, JSON, body)
}
