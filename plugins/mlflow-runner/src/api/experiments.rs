//! Experiments.

use serde::Deserialize;
use serde_json::json;

use super::{ApiError, ErrorKind, get as get_request, post, read, removed, send};
use crate::{operation, tenant::Tenant};

/// An experiment as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Experiment {
    pub experiment_id: String,
    pub name: String,
    pub artifact_location: String,
    pub lifecycle_stage: String,
    /// Whose it is; servers before workspaces don't say.
    pub workspace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct One {
    experiment: Experiment,
}

/// Creates an experiment. Returns its id.
pub async fn create(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    let request = post(operation::CREATE_EXPERIMENT, "/experiments/create", &json!({ "name": name }))?;
    let created: Experiment = read(tenant, request).await?;
    if created.experiment_id.is_empty() {
        return Err(ApiError::bad_answer("create_experiment: the answer has no experiment_id"));
    }
    Ok(created.experiment_id)
}

/// A page of active experiments, the newest first.
pub async fn search(tenant: &Tenant, most: u32, filter: &str) -> Result<Vec<Experiment>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Found {
        experiments: Vec<Experiment>,
    }
    let mut body = json!({ "max_results": most });
    if let (Some(body), false) = (body.as_object_mut(), filter.is_empty()) {
        body.insert("filter".into(), filter.into());
    }
    let request = post(operation::SEARCH_EXPERIMENTS, "/experiments/search", &body)?;
    Ok(read::<Found>(tenant, request).await?.experiments)
}

/// One experiment.
pub async fn get(tenant: &Tenant, id: &str) -> Result<Experiment, ApiError> {
    let request = get_request(operation::GET_EXPERIMENT, "/experiments/get", &[("experiment_id", id)]);
    Ok(read::<One>(tenant, request).await?.experiment)
}

/// The experiment with a name, also a deleted one; none if there is none.
pub async fn by_name(tenant: &Tenant, name: &str) -> Result<Option<Experiment>, ApiError> {
    let query = [("experiment_name", name)];
    match read::<One>(tenant, get_request("find_experiment", "/experiments/get-by-name", &query)).await {
        Ok(found) => Ok(Some(found.experiment)),
        Err(ApiError { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a tag.
pub async fn tag(tenant: &Tenant, id: &str, key: &str, value: &str) -> Result<(), ApiError> {
    let body = json!({ "experiment_id": id, "key": key, "value": value });
    send(tenant, post("tag_experiment", "/experiments/set-experiment-tag", &body)?).await.map(|_| ())
}

/// Deletes an experiment with its runs. The server keeps them, as deleted.
pub async fn remove(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    let request = post("delete_experiment", "/experiments/delete", &json!({ "experiment_id": id }))?;
    removed(tenant, request).await
}
