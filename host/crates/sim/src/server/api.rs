//! Calls of the API: who calls, whether they may, whose turn it is, and which handler answers.

use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::header::HeaderValue;
use http::request::Parts;
use http::{HeaderName, StatusCode};
use parking_lot::Mutex;

use crate::kfp::authorization::{self, Caller};
use crate::kfp::call::Call;
use crate::kfp::error::{ApiError, Code};
use crate::kfp::handlers::upload::Upload;
use crate::kfp::json::ApiResult;
use crate::kfp::rows::experiment::StorageState;
use crate::kfp::store::Store;
use crate::operation::Operation;
use crate::query::Query;
use crate::server::reply::{JSON, Reply, refused, reply};
use crate::server::route::Route;
use crate::server::shared::Shared;
use crate::timestamp::seconds;

const GRPC_CONTENT_TYPE: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Does what a route of the API asks for.
pub(crate) async fn work(shared: &Shared, route: &Route, head: &Parts, body: Bytes) -> Reply {
    let query = Query::parse(head.uri.query());
    let caller = if shared.config.multi_user {
        authorization::caller(&head.headers, seconds(shared.store.lock().now()))
    } else {
        Ok(String::new())
    };
    match route {
        Route::Api(call) => api(&shared.store, call, &query, &caller, &body).await,
        _ => upload(&shared.store, *route == Route::UploadPipeline, head, &query, &caller, body).await,
    }
}

/// Waits for an authorisation's turn, if Kubernetes had to review it.
async fn wait_for_authorization(store: &Mutex<Store>, reviewed: bool) {
    if !reviewed {
        return;
    }
    let wait = {
        let mut store = store.lock();
        let now = store.now();
        store.authorizations.reserve(now)
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
    if let Ok(reviewed) = allowed {
        wait_for_authorization(store, reviewed).await;
    }
    let mut store = store.lock();
    let operation = if is_pipeline { Operation::UploadPipeline } else { Operation::UploadPipelineVersion };
    store.telemetry.request(operation);
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
    let operation = call.operation();
    let allowed = store.lock().authorize(caller, call, query, body);
    let result = match allowed {
        Err(error) => Err(error),
        Ok(reviewed) => {
            wait_for_authorization(store, reviewed).await;
            match call {
                Call::CreateRun => create_run(store, body).await,
                _ => dispatch(&mut store.lock(), call, query, body),
            }
        }
    };
    let mut store = store.lock();
    store.telemetry.request(operation);
    let code = result.as_ref().err().map_or("OK", |e| e.code.label());
    store.telemetry.handled(operation, code, began.elapsed());
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
async fn create_run(store: &Mutex<Store>, body: &[u8]) -> ApiResult {
    let (prepared, wait) = {
        let mut store = store.lock();
        let prepared = store.prepare_run(body)?;
        let now = store.now();
        (prepared, store.creations.reserve(now))
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let mut store = store.lock();
    store.catch_up();
    store.create_run(prepared)
}

fn dispatch(store: &mut Store, call: &Call, query: &Query, body: &[u8]) -> ApiResult {
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
        Call::ArchiveExperiment(id) => store.archive_experiment(id, StorageState::Archived),
        Call::UnarchiveExperiment(id) => store.archive_experiment(id, StorageState::Available),
        Call::CreateRun => store.prepare_run(body).and_then(|prepared| store.create_run(prepared)),
        Call::ListRuns => store.list_runs(query),
        Call::GetRun(id) => store.get_run(id),
        Call::DeleteRun(id) => store.delete_run(id),
        Call::TerminateRun(id) => store.terminate_run(id),
        Call::RetryRun(id) => store.retry_run(id),
        Call::ArchiveRun(id) => store.archive_run(id, StorageState::Archived),
        Call::UnarchiveRun(id) => store.archive_run(id, StorageState::Available),
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
