//! Workspaces, and what the server says of itself.

use std::time::Duration;

use kperf_plugin_sdk::http::{Request, Response};
use serde::Deserialize;
use serde_json::json;

use super::{ApiError, ErrorKind, error, parse, removed, send};
use crate::{operation, tenant::Tenant};

const WORKSPACES: &str = "/api/3.0/mlflow/workspaces";

/// How long removing a workspace with everything in it may take.
const REMOVAL: Duration = Duration::from_secs(300);

/// What a server says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServerInfo {
    pub workspaces_enabled: Option<bool>,
    pub store_type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Workspace {
    name: String,
    description: String,
}

/// Sends a request without a workspace's header.
async fn general(request: Request) -> Result<Response, ApiError> {
    let operation = request.operation.clone();
    let answer = request.send().await;
    answer.map_err(|error| error::unanswered(&operation, error)).and_then(|response| error::judge(&operation, response))
}

/// Asks the server about itself.
pub async fn server_info() -> Result<ServerInfo, ApiError> {
    parse(&general(Request::get("server_info", "/api/3.0/mlflow/server-info")).await?)
}

/// The server's version; empty if it does not tell.
pub async fn version() -> String {
    let answer = general(Request::get("version", "/version")).await;
    answer.map(|response| String::from_utf8_lossy(&response.body).chars().take(40).collect()).unwrap_or_default()
}

/// Creates a tenant's workspace. Returns its name. No header goes with this request: the workspace that it would name is not
/// there yet.
pub async fn create(tenant: &Tenant, description: &str) -> Result<String, ApiError> {
    let body = json!({ "name": tenant.name(), "description": description });
    let request = Request::post("create_workspace", WORKSPACES).json(&body)?;
    general(request).await.map(|_| tenant.name().to_owned())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Workspaces {
    workspaces: Vec<Workspace>,
}

fn names(response: &Response) -> Result<Vec<String>, ApiError> {
    let found: Workspaces = parse(response)?;
    Ok(found.workspaces.into_iter().map(|workspace| workspace.name).collect())
}

/// The names of all workspaces that the tenant is shown.
pub async fn list(tenant: &Tenant) -> Result<Vec<String>, ApiError> {
    names(&send(tenant, Request::get(operation::LIST_WORKSPACES, WORKSPACES)).await?)
}

/// The names of all workspaces that the target's credential may see.
pub async fn all() -> Result<Vec<String>, ApiError> {
    names(&general(Request::get(operation::LIST_WORKSPACES, WORKSPACES)).await?)
}

/// The description of a tenant's workspace; none if there is no such workspace.
pub async fn description(tenant: &Tenant) -> Result<Option<String>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        workspace: Workspace,
    }
    let request = Request::get("get_workspace", format!("{WORKSPACES}/{}", tenant.name()));
    match send(tenant, request).await {
        Ok(response) => Ok(Some(parse::<Answer>(&response)?.workspace.description)),
        Err(ApiError { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Changes the description of a tenant's workspace. Returns the workspace's name.
pub async fn describe(tenant: &Tenant, description: &str) -> Result<String, ApiError> {
    let url = format!("{WORKSPACES}/{}", tenant.name());
    let request = Request::new("describe_workspace", "PATCH", url).json(&json!({ "description": description }))?;
    send(tenant, request).await.map(|_| tenant.name().to_owned())
}

/// Removes a tenant's workspace with everything in it, but for the artifacts' files: those go before.
pub async fn remove(tenant: &Tenant) -> Result<(), ApiError> {
    let url = format!("{WORKSPACES}/{}?mode=CASCADE", tenant.name());
    let mut request = Request::delete("delete_workspace", url);
    request.timeout = Some(REMOVAL.as_nanos() as u64);
    removed(tenant, request).await
}
