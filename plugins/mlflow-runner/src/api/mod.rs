//! The requests to MLflow's REST API, each under its operation's name and for one tenant.
//!
//! Every answer is judged here and counted by kind of error and by tenant, so that no caller has to.

pub mod artifacts;
pub mod error;
pub mod experiments;
pub mod prompts;
pub mod runs;
pub mod workspaces;

use kperf_plugin_sdk::{
    Failure,
    http::{Request, Response, form},
    metrics::{self, Sample},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::tenant::Tenant;

pub use error::{ApiError, ErrorKind};

/// Where the paths of most of the API begin.
const BASE: &str = "/api/2.0/mlflow";

/// Errors by kind and operation; the tags `kind` and `operation` are the host's.
pub const ERRORS: &str = "mlflow_errors";
/// Service times by tenant.
pub const TENANT_DURATION: &str = "mlflow_tenant_duration";
/// The share of requests that failed, by tenant.
pub const TENANT_FAILED: &str = "mlflow_tenant_failed";

/// Sends a request for a tenant and waits for an answer that is a success.
pub async fn send(tenant: &Tenant, request: Request) -> Result<Response, ApiError> {
    let operation = request.operation.clone();
    let answer = tenant.sends(request).send().await;
    let judged = answer
        .map_err(|error| error::unanswered(&operation, error))
        .and_then(|response| error::judge(&operation, response))
        .map_err(|error| ApiError { message: format!("{}: {}", tenant.name(), error.message), ..error });
    count(tenant, &operation, &judged);
    judged
}

/// As `send`, and reads the answer's JSON.
async fn read<T: DeserializeOwned>(tenant: &Tenant, request: Request) -> Result<T, ApiError> {
    parse(&send(tenant, request).await?)
}

fn parse<T: DeserializeOwned>(response: &Response) -> Result<T, ApiError> {
    response.json().map_err(ApiError::from)
}

/// Counts an answer for its tenant, and an error by its kind.
pub fn count(tenant: &Tenant, operation: &str, judged: &Result<Response, ApiError>) {
    let of_tenant = |metric: &str, value: f64| Sample::new(metric, value).tag("tenant", tenant.tag());
    match judged {
        Ok(response) => metrics::emit(&[
            of_tenant(TENANT_DURATION, response.timing.duration as f64 / 1e9),
            of_tenant(TENANT_FAILED, 0.0),
        ]),
        // Broken off by ourselves.
        Err(ApiError { kind: ErrorKind::Interrupted, .. }) => {}
        Err(error) => {
            metrics::emit(&[of_tenant(TENANT_FAILED, 1.0), counted(error.kind, operation)]);
        }
    }
}

fn counted(kind: ErrorKind, operation: &str) -> Sample {
    Sample::new(ERRORS, 1.0).tag("error", kind.word()).tag("call", operation)
}

fn get(operation: &str, path: &str, query: &[(&str, &str)]) -> Request {
    let query = form(query.iter().copied());
    let url = if query.is_empty() { format!("{BASE}{path}") } else { format!("{BASE}{path}?{query}") };
    Request::get(operation, url)
}

fn post(operation: &str, path: &str, body: &impl Serialize) -> Result<Request, Failure> {
    Request::post(operation, format!("{BASE}{path}")).json(body)
}

fn delete(operation: &str, path: &str, body: &impl Serialize) -> Result<Request, Failure> {
    Request::delete(operation, format!("{BASE}{path}")).json(body)
}

/// Whether something was removed, or was not there any more.
async fn removed(tenant: &Tenant, request: Request) -> Result<(), ApiError> {
    match send(tenant, request).await {
        Ok(_) | Err(ApiError { kind: ErrorKind::NotFound, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_queries_are_encoded() {
        let request = get("o", "/x", &[("a", "b c"), ("d", "`=1&")]);
        assert_eq!(request.url, "/api/2.0/mlflow/x?a=b%20c&d=%60%3D1%26");
        assert_eq!(get("o", "/x", &[]).url, "/api/2.0/mlflow/x");
    }
}
