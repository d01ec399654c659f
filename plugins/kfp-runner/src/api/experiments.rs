//! Experiments.

use serde::Deserialize;
use serde_json::json;

use super::{ApiError, BASE, delete, equals, filter, read};
use crate::tenant::Tenant;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Experiment {
    experiment_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Experiments {
    experiments: Vec<Experiment>,
}

/// The id of the experiment with a name, if there is one.
pub async fn find(tenant: &Tenant, name: &str) -> Result<Option<String>, ApiError> {
    let filter = filter(&[equals("name", name)]);
    let url = super::url("/experiments", &[("namespace", &tenant.namespace), ("page_size", "1"), ("filter", &filter)]);
    let found: Experiments = read(tenant.request("find_experiment", "GET", url)).await?;
    Ok(found.experiments.into_iter().next().map(|experiment| experiment.experiment_id))
}

/// Creates an experiment. Returns its id; refused with status 409 if there is one of that name.
pub async fn create(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    let mut body = json!({ "display_name": name });
    if let (Some(body), false) = (body.as_object_mut(), tenant.namespace.is_empty()) {
        body.insert("namespace".into(), tenant.namespace.as_str().into());
    }
    let request = tenant.request("create_experiment", "POST", format!("{BASE}/experiments")).json(&body)?;
    Ok(read::<Experiment>(request.expect(200).expect(409)).await?.experiment_id)
}

/// Deletes an experiment; its runs stay.
pub async fn remove(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    delete(tenant, "delete_experiment", format!("{BASE}/experiments/{id}")).await
}
