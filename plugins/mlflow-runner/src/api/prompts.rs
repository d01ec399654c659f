//! Prompts, which the server keeps as registered models with a tag.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, delete, get, post, read, removed};
use crate::{operation, tenant::Tenant};

/// What makes a registered model a prompt.
pub const IS_PROMPT: &str = "mlflow.prompt.is_prompt";

/// A prompt as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Prompt {
    pub name: String,
}

fn is_prompt() -> Value {
    json!({ "key": IS_PROMPT, "value": "true" })
}

/// Creates a prompt without a version. Returns the name that the server gives back.
pub async fn create(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Created {
        registered_model: Prompt,
    }
    let body = json!({ "name": name, "description": "made by kperf", "tags": [is_prompt()] });
    let request = post(operation::CREATE_PROMPT, "/registered-models/create", &body)?;
    Ok(read::<Created>(tenant, request).await?.registered_model.name)
}

/// Creates a version of a prompt. Returns its number and whether it is ready.
pub async fn create_version(tenant: &Tenant, name: &str, text: &str) -> Result<(String, bool), ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Created {
        model_version: Version,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Version {
        version: String,
        status: String,
    }
    let tags = json!([
        is_prompt(),
        { "key": "mlflow.prompt.text", "value": text },
        { "key": "_mlflow_prompt_type", "value": "text" },
    ]);
    let body = json!({ "name": name, "source": "dummy-source", "description": "made by kperf", "tags": tags });
    let request = post(operation::CREATE_PROMPT_VERSION, "/model-versions/create", &body)?;
    let created: Created = read(tenant, request).await?;
    Ok((created.model_version.version, created.model_version.status == "READY"))
}

/// A page of prompts.
pub async fn search(tenant: &Tenant, most: u32) -> Result<Vec<Prompt>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Found {
        registered_models: Vec<Prompt>,
    }
    let filter = format!("tags.`{IS_PROMPT}` = 'true'");
    let query = [("filter", filter.as_str()), ("max_results", &most.to_string())];
    let request = get(operation::SEARCH_PROMPTS, "/registered-models/search", &query);
    Ok(read::<Found>(tenant, request).await?.registered_models)
}

/// Removes a prompt with its versions.
pub async fn remove(tenant: &Tenant, name: &str) -> Result<(), ApiError> {
    removed(tenant, delete("delete_prompt", "/registered-models/delete", &json!({ "name": name }))?).await
}
