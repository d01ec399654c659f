//! Artifacts' files, through the server.

use std::time::Duration;

use kperf_plugin_sdk::http::{Chunk, Request, encode};

use super::{ApiError, removed, send};
use crate::{operation, shape, tenant::Tenant};

const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// The largest content that is made in the plugin; beyond that the host makes and streams random bytes.
const LARGEST: u64 = 1024 * 1024;

/// How long removing a folder may take.
const REMOVAL: Duration = Duration::from_secs(300);

/// The path below the route of artifacts that a URI of the server's stands for.
///
/// # Errors
/// If the artifacts don't go through the server.
pub fn path(uri: &str) -> Result<&str, ApiError> {
    let after = uri.strip_prefix("mlflow-artifacts:").map(|rest| rest.trim_start_matches('/'));
    // An authority may stand before the path: `mlflow-artifacts://host/path`.
    let path = match (after, uri.starts_with("mlflow-artifacts://")) {
        (Some(rest), true) => rest.split_once('/').map(|(_, path)| path),
        (rest, _) => rest,
    };
    path.filter(|path| !path.is_empty()).ok_or_else(|| {
        ApiError::bad_answer(format!(
            "artifacts lie at `{uri}`, not behind the server: start it with --serve-artifacts, or set `artifacts = 0`"
        ))
    })
}

/// The URL of a file below the folder that a URI stands for.
pub fn url(uri: &str, file: &str) -> Result<String, ApiError> {
    let mut url = ARTIFACTS.to_owned();
    for segment in path(uri)?.split('/').chain(file.split('/')) {
        url.push('/');
        url.push_str(&encode(segment));
    }
    Ok(url)
}

/// Uploads a file of so many bytes into a run's folder.
pub async fn put(tenant: &Tenant, uri: &str, file: &str, bytes: u64) -> Result<(), ApiError> {
    let mut request = Request::new(operation::LOG_ARTIFACT, "PUT", url(uri, file)?);
    request = request.header("content-type", "application/octet-stream");
    request.body.push(if bytes > LARGEST {
        Chunk::Generated(bytes)
    } else {
        Chunk::Bytes(shape::artifact_content(bytes))
    });
    send(tenant, request).await.map(|_| ())
}

/// Downloads a file of a run's folder. Returns its size in bytes.
pub async fn fetch(tenant: &Tenant, uri: &str, file: &str) -> Result<u64, ApiError> {
    let request = Request::get(operation::FETCH_ARTIFACT, url(uri, file)?);
    Ok(send(tenant, request).await?.body.len() as u64)
}

/// Removes all files of a tenant.
pub async fn remove_all(tenant: &Tenant) -> Result<(), ApiError> {
    remove(tenant, &format!("workspaces/{}", tenant.name())).await
}

/// Removes the files of an experiment of a tenant, if they lie where the tenant's lie.
pub async fn remove_of_experiment(tenant: &Tenant, id: &str, uri: &str) -> Result<(), ApiError> {
    let wanted = format!("workspaces/{}/{id}", tenant.name());
    match path(uri) {
        Ok(path) if path == wanted && !id.is_empty() && !id.contains(['/', '.']) => remove(tenant, path).await,
        _ => Ok(()),
    }
}

async fn remove(tenant: &Tenant, path: &str) -> Result<(), ApiError> {
    let mut request = Request::delete("delete_artifacts", format!("{ARTIFACTS}/{path}"));
    request.timeout = Some(REMOVAL.as_nanos() as u64);
    match removed(tenant, request).await {
        Err(error) if error.has_no_artifacts() => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_follow_from_where_the_server_says_artifacts_are() {
        let uri = "mlflow-artifacts:/workspaces/tenant-1/3/abc/artifacts";
        let expected = "/api/2.0/mlflow-artifacts/artifacts/workspaces/tenant-1/3/abc/artifacts/sub/a%20b.json";
        assert_eq!(url(uri, "sub/a b.json").unwrap(), expected);
        assert_eq!(path("mlflow-artifacts:/3/abc").unwrap(), "3/abc");
        assert_eq!(path("mlflow-artifacts://mlflow.example:8080/3/abc").unwrap(), "3/abc");
        for elsewhere in ["s3://bucket/3/abc", "file:///data", "mlflow-artifacts:/", ""] {
            assert!(path(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
