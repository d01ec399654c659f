//! Which request asks for what.

use http::Method;

/// What a request asks for; texts are the path's ids and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Health { v2: bool },
    Metrics,
    UploadPipeline,
    UploadVersion,
    Api(Call),
}

/// A route that the gateway passes on to the gRPC server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    CreatePipeline,
    ListPipelines,
    GetPipeline(String),
    GetPipelineByName(String),
    UpdatePipeline(String),
    DeletePipeline(String),
    CreateVersion(String),
    ListVersions(String),
    GetVersion(String),
    UpdateVersion(String),
    DeleteVersion(String),
    CreateExperiment,
    ListExperiments,
    GetExperiment(String),
    DeleteExperiment(String),
    ArchiveExperiment(String),
    UnarchiveExperiment(String),
    CreateRun,
    ListRuns,
    GetRun(String),
    DeleteRun(String),
    TerminateRun(String),
    RetryRun(String),
    ArchiveRun(String),
    UnarchiveRun(String),
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Below `/apis/`, but nothing there.
    Unknown,
    /// There is something, but not with this method.
    Method,
    /// Outside of what the gateway serves.
    Outside,
}

/// Finds the route of a request.
///
/// # Errors
/// Why there is none.
pub(crate) fn find(method: &Method, path: &str) -> Result<Route, Lost> {
    match path {
        "/metrics" => return Ok(Route::Metrics),
        "/apis/v2beta1/healthz" => return Ok(Route::Health { v2: true }),
        "/apis/v1beta1/healthz" => return Ok(Route::Health { v2: false }),
        _ => {}
    }
    if !path.starts_with("/apis/") {
        return Err(Lost::Outside);
    }
    let rest = path.strip_prefix("/apis/v2beta1/").ok_or(Lost::Unknown)?;
    let mut parts = [""; 5];
    let mut count = 0;
    for (slot, part) in parts.iter_mut().zip(rest.split('/')) {
        *slot = part;
        count += 1;
    }
    let parts = parts.get(..count).unwrap_or_default();
    if *method == Method::POST {
        match parts {
            ["pipelines", "upload"] => return Ok(Route::UploadPipeline),
            ["pipelines", "upload_version"] => return Ok(Route::UploadVersion),
            _ => {}
        }
    }
    match parts {
        ["pipelines", rest @ ..] => pipelines(method, rest),
        ["experiments", rest @ ..] => experiments(method, rest),
        ["runs", rest @ ..] => runs(method, rest),
        _ => Err(Lost::Unknown),
    }
    .map(Route::Api)
}

fn pipelines(method: &Method, rest: &[&str]) -> Result<Call, Lost> {
    let name = method.as_str();
    Ok(match (name, rest) {
        ("POST", []) => Call::CreatePipeline,
        ("GET", []) => Call::ListPipelines,
        ("GET", ["names", name]) => Call::GetPipelineByName(decoded(name)),
        ("GET", [id]) => Call::GetPipeline(decoded(id)),
        ("PATCH", [id]) => Call::UpdatePipeline(decoded(id)),
        ("DELETE", [id]) => Call::DeletePipeline(decoded(id)),
        ("POST", [id, "versions"]) => Call::CreateVersion(decoded(id)),
        ("GET", [id, "versions"]) => Call::ListVersions(decoded(id)),
        ("GET", [_, "versions", version]) => Call::GetVersion(decoded(version)),
        ("PATCH", [_, "versions", version]) => Call::UpdateVersion(decoded(version)),
        ("DELETE", [_, "versions", version]) => Call::DeleteVersion(decoded(version)),
        (_, [] | [_] | ["names", _] | [_, "versions"] | [_, "versions", _]) => return Err(Lost::Method),
        _ => return Err(Lost::Unknown),
    })
}

fn experiments(method: &Method, rest: &[&str]) -> Result<Call, Lost> {
    let (id, verb) = split(rest);
    Ok(match (method.as_str(), rest.len(), verb) {
        ("POST", 0, None) => Call::CreateExperiment,
        ("GET", 0, None) => Call::ListExperiments,
        ("GET", 1, None) => Call::GetExperiment(id),
        ("DELETE", 1, None) => Call::DeleteExperiment(id),
        ("POST", 1, Some("archive")) => Call::ArchiveExperiment(id),
        ("POST", 1, Some("unarchive")) => Call::UnarchiveExperiment(id),
        (_, 0 | 1, None) | (_, 1, Some("archive" | "unarchive")) => return Err(Lost::Method),
        _ => return Err(Lost::Unknown),
    })
}

fn runs(method: &Method, rest: &[&str]) -> Result<Call, Lost> {
    let (id, verb) = split(rest);
    Ok(match (method.as_str(), rest.len(), verb) {
        ("POST", 0, None) => Call::CreateRun,
        ("GET", 0, None) => Call::ListRuns,
        ("GET", 1, None) => Call::GetRun(id),
        ("DELETE", 1, None) => Call::DeleteRun(id),
        ("POST", 1, Some("terminate")) => Call::TerminateRun(id),
        ("POST", 1, Some("retry")) => Call::RetryRun(id),
        ("POST", 1, Some("archive")) => Call::ArchiveRun(id),
        ("POST", 1, Some("unarchive")) => Call::UnarchiveRun(id),
        (_, 0 | 1, None) | (_, 1, Some("terminate" | "retry" | "archive" | "unarchive")) => return Err(Lost::Method),
        _ => return Err(Lost::Unknown),
    })
}

/// An id and the verb after its colon.
fn split<'a>(rest: &[&'a str]) -> (String, Option<&'a str>) {
    match rest {
        [part] => match part.split_once(':') {
            Some((id, verb)) => (decoded(id), Some(verb)),
            // Python's client sends the colon encoded.
            None => match part.split_once("%3A") {
                Some((id, verb)) => (decoded(id), Some(verb)),
                None => (decoded(part), None),
            },
        },
        _ => (String::new(), None),
    }
}

fn decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    // In a path a plus is a plus, in a query it would be a space.
    let guarded = format!("v={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(guarded.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

impl Call {
    /// The gRPC service and method, and the server's own counter where it has one.
    pub(crate) fn names(&self) -> (&'static str, &'static str, Option<&'static str>) {
        const P: &str = "PipelineService";
        const E: &str = "ExperimentService";
        const R: &str = "RunService";
        match self {
            Self::CreatePipeline => (P, "CreatePipeline", Some("pipeline_server_create_requests")),
            Self::ListPipelines => (P, "ListPipelines", Some("pipeline_server_list_requests")),
            Self::GetPipeline(_) => (P, "GetPipeline", Some("pipeline_server_get_requests")),
            Self::GetPipelineByName(_) => (P, "GetPipelineByName", Some("pipeline_server_get_requests")),
            Self::UpdatePipeline(_) => (P, "UpdatePipeline", Some("pipeline_server_update_requests")),
            Self::DeletePipeline(_) => (P, "DeletePipeline", Some("pipeline_server_delete_requests")),
            Self::CreateVersion(_) => (P, "CreatePipelineVersion", Some("pipeline_server_create_version_requests")),
            Self::ListVersions(_) => (P, "ListPipelineVersions", Some("pipeline_server_list_version_requests")),
            Self::GetVersion(_) => (P, "GetPipelineVersion", Some("pipeline_server_get_version_requests")),
            Self::UpdateVersion(_) => (P, "UpdatePipelineVersion", Some("pipeline_server_update_version_requests")),
            Self::DeleteVersion(_) => (P, "DeletePipelineVersion", Some("pipeline_server_delete_version_requests")),
            Self::CreateExperiment => (E, "CreateExperiment", Some("experiment_server_create_requests")),
            Self::ListExperiments => (E, "ListExperiments", Some("experiment_server_list_requests")),
            Self::GetExperiment(_) => (E, "GetExperiment", Some("experiment_server_get_requests")),
            Self::DeleteExperiment(_) => (E, "DeleteExperiment", Some("experiment_server_delete_requests")),
            Self::ArchiveExperiment(_) => (E, "ArchiveExperiment", Some("experiment_server_archive_requests")),
            Self::UnarchiveExperiment(_) => (E, "UnarchiveExperiment", Some("experiment_server_unarchive_requests")),
            Self::CreateRun => (R, "CreateRun", Some("run_server_create_requests")),
            Self::ListRuns => (R, "ListRuns", Some("run_server_list_requests")),
            Self::GetRun(_) => (R, "GetRun", Some("run_server_get_requests")),
            Self::DeleteRun(_) => (R, "DeleteRun", Some("run_server_delete_requests")),
            Self::TerminateRun(_) => (R, "TerminateRun", Some("run_server_terminate_requests")),
            Self::RetryRun(_) => (R, "RetryRun", Some("run_server_retry_requests")),
            Self::ArchiveRun(_) => (R, "ArchiveRun", Some("run_server_archive_requests")),
            Self::UnarchiveRun(_) => (R, "UnarchiveRun", Some("run_server_unarchive_requests")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &str, path: &str) -> Result<Route, Lost> {
        find(&method.parse().unwrap(), path)
    }

    #[test]
    fn paths_lead_where_they_should() {
        let base = "/apis/v2beta1";
        assert_eq!(at("POST", &format!("{base}/runs/r:terminate")), Ok(Route::Api(Call::TerminateRun("r".into()))));
        assert_eq!(at("GET", &format!("{base}/pipelines/names/a%20b+c")), {
            Ok(Route::Api(Call::GetPipelineByName("a b+c".into())))
        });
        assert_eq!(at("PUT", &format!("{base}/runs/r")), Err(Lost::Method));
        assert_eq!(at("GET", &format!("{base}/runs/r:terminate")), Err(Lost::Method));
        assert_eq!(at("GET", &format!("{base}/auth")), Err(Lost::Unknown));
        assert_eq!(at("GET", "/index.html"), Err(Lost::Outside));
    }
}
