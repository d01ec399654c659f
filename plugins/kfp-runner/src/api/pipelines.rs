//! Pipelines and their versions.

use kperf_plugin_sdk::{
    Failure,
    http::{Chunk, encode},
};
use serde::Deserialize;

use super::{ApiError, BASE, answered, delete, read};
use crate::tenant::Tenant;

/// Unlikely in any file; the file is not searched for it.
const BOUNDARY: &str = "kperf-6d1f0a7c42b94e58";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pipeline {
    pipeline_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    pipeline_version_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versions {
    pipeline_versions: Vec<Version>,
}

/// A pipeline's file on its way to the server.
#[derive(Clone, Debug)]
pub enum File {
    /// A granted file as it is, streamed by the host.
    Granted(String),
    /// This content.
    Content(Vec<u8>),
}

impl File {
    fn parts(self) -> (String, Chunk) {
        match self {
            Self::Granted(path) => {
                let name = path.rsplit('/').next().unwrap_or(&path).replace(['"', '\\', '\r', '\n'], "_");
                (name, Chunk::File(path))
            }
            Self::Content(bytes) => ("pipeline.yaml".into(), Chunk::Bytes(bytes)),
        }
    }
}

/// Uploads a pipeline with its first version. Returns the pipeline's id and how long the request took, in seconds.
pub async fn upload(tenant: &Tenant, name: &str, file: File) -> Result<(String, f64), ApiError> {
    let url = super::url("/pipelines/upload", &[("name", name), ("namespace", &tenant.namespace)]);
    let response = answered(form(tenant, "upload_pipeline", url, file)).await?;
    let seconds = super::service_time(&response).as_secs_f64();
    Ok((response.json::<Pipeline>()?.pipeline_id, seconds))
}

/// Uploads another version of a pipeline. Returns its id.
pub async fn upload_version(tenant: &Tenant, pipeline: &str, name: &str, file: File) -> Result<String, ApiError> {
    let url = super::url("/pipelines/upload_version", &[("name", name), ("pipelineid", pipeline)]);
    Ok(read::<Version>(form(tenant, "upload_version", url, file)).await?.pipeline_version_id)
}

fn form(tenant: &Tenant, operation: &str, url: String, file: File) -> kperf_plugin_sdk::http::Request {
    let (name, content) = file.parts();
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let request = tenant.request(operation, "POST", url);
    let mut request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")).body(head);
    request.body.push(content);
    request.body(format!("\r\n--{BOUNDARY}--\r\n"))
}

/// The id of a pipeline's latest version.
pub async fn latest_version(tenant: &Tenant, pipeline: &str) -> Result<String, ApiError> {
    let parameters = [("page_size", "1"), ("sort_by", "created_at desc")];
    let url = super::url(&format!("/pipelines/{pipeline}/versions"), &parameters);
    let versions: Versions = read(tenant.request("list_versions", "GET", url)).await?;
    let version = versions.pipeline_versions.into_iter().next();
    version.map(|version| version.pipeline_version_id).ok_or_else(|| {
        ApiError::Unknown(Failure::new(
            "no-version",
            format!("pipeline {pipeline} has no version right after its upload: look at the server's log"),
        ))
    })
}

/// The id of the pipeline with a name, if there is one.
pub async fn find(tenant: &Tenant, name: &str) -> Result<Option<String>, ApiError> {
    let url = super::url(&format!("/pipelines/names/{}", encode(name)), &[("namespace", &tenant.namespace)]);
    let request = tenant.request("find_pipeline", "GET", url).expect(200).expect(404);
    match read::<Pipeline>(request).await {
        Ok(pipeline) => Ok(Some(pipeline.pipeline_id)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes a pipeline with its versions.
pub async fn remove(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    delete(tenant, "delete_pipeline", format!("{BASE}/pipelines/{id}?cascade=true")).await
}
