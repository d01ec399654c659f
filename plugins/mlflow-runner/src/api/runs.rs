//! Runs, and what is logged to them.

use kperf_plugin_sdk::clock;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ApiError, get as get_request, post, read, send};
use crate::{operation, tenant::Tenant};

/// A run as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    pub run_id: String,
    pub experiment_id: String,
    /// Where its artifacts are.
    pub artifact_uri: String,
    pub status: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Whole {
    info: Run,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct One {
    run: Whole,
}

/// An artifact in a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Artifact {
    /// Relative to the run's folder.
    pub path: String,
    pub is_dir: bool,
    pub file_size: Option<u64>,
}

/// The server's kind of instant: milliseconds since the Unix epoch.
fn milliseconds() -> u64 {
    clock::wall().as_millis() as u64
}

/// Starts a run.
pub async fn create(tenant: &Tenant, experiment: &str) -> Result<Run, ApiError> {
    let body = json!({ "experiment_id": experiment, "start_time": milliseconds() });
    let run = read::<One>(tenant, post(operation::CREATE_RUN, "/runs/create", &body)?).await?.run.info;
    if run.run_id.is_empty() {
        return Err(ApiError::bad_answer("create_run: the answer has no run_id"));
    }
    Ok(run)
}

/// Logs a value of a metric.
pub async fn log_metric(tenant: &Tenant, run: &str, key: &str, value: f64) -> Result<(), ApiError> {
    let body = json!({ "run_id": run, "key": key, "value": value, "timestamp": milliseconds(), "step": 0 });
    send(tenant, post(operation::LOG_METRIC, "/runs/log-metric", &body)?).await.map(|_| ())
}

/// Logs a parameter.
pub async fn log_parameter(tenant: &Tenant, run: &str, key: &str, value: &str) -> Result<(), ApiError> {
    let body = json!({ "run_id": run, "key": key, "value": value });
    send(tenant, post(operation::LOG_PARAMETER, "/runs/log-parameter", &body)?).await.map(|_| ())
}

/// Logs metrics and parameters in one request.
pub async fn log_batch(
    tenant: &Tenant,
    run: &str,
    metrics: &[(String, f64)],
    parameters: &[(String, String)],
) -> Result<(), ApiError> {
    let at = milliseconds();
    let metrics: Vec<_> =
        metrics.iter().map(|(key, value)| json!({ "key": key, "value": value, "timestamp": at, "step": 0 })).collect();
    let parameters: Vec<_> = parameters.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let body = json!({ "run_id": run, "metrics": metrics, "params": parameters });
    send(tenant, post(operation::LOG_BATCH, "/runs/log-batch", &body)?).await.map(|_| ())
}

/// Marks a run as finished. Returns the status that the server says it has now.
pub async fn finish(tenant: &Tenant, run: &str) -> Result<String, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Updated {
        run_info: Run,
    }
    let body = json!({ "run_id": run, "status": "FINISHED", "end_time": milliseconds() });
    let request = post(operation::UPDATE_RUN_STATUS, "/runs/update", &body)?;
    Ok(read::<Updated>(tenant, request).await?.run_info.status)
}

/// A page of an experiment's runs, the latest first.
pub async fn search(tenant: &Tenant, experiment: &str, most: u32) -> Result<Vec<Run>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Found {
        runs: Vec<Whole>,
    }
    let body = json!({ "experiment_ids": [experiment], "max_results": most });
    let found: Found = read(tenant, post(operation::SEARCH_RUNS, "/runs/search", &body)?).await?;
    Ok(found.runs.into_iter().map(|run| run.info).collect())
}

/// One run.
pub async fn get(tenant: &Tenant, run: &str) -> Result<Run, ApiError> {
    let request = get_request(operation::GET_RUN, "/runs/get", &[("run_id", run)]);
    Ok(read::<One>(tenant, request).await?.run.info)
}

/// What is in a run's folder.
pub async fn artifacts(tenant: &Tenant, run: &str) -> Result<Vec<Artifact>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Listed {
        files: Vec<Artifact>,
    }
    let request = get_request(operation::LIST_ARTIFACTS, "/artifacts/list", &[("run_id", run)]);
    Ok(read::<Listed>(tenant, request).await?.files)
}
