//! Which request asks for what.

use http::Method;

use crate::kubernetes::Resource;

/// What a request asks for; texts are the path's ids and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Health {
        v2: bool,
    },
    Metrics,
    UploadPipeline,
    UploadVersion,
    /// The truth about a run.
    Truth(String),
    /// The truth about everything.
    WholeTruth,
    /// Kubernetes: the pods or events of a namespace.
    Kubernetes(Resource, String),
    /// Kubernetes: the nodes.
    Nodes,
    /// Kubernetes: its version.
    Version,
    /// A pod's log: run and node.
    Log(String, String),
    Api(Call),
}

/// The names of the operations, as [`SimConfig::latencies`](crate::SimConfig::latencies) takes them.
pub const OPERATIONS: &[&str] = &[
    "upload_pipeline",
    "upload_pipeline_version",
    "create_pipeline",
    "create_pipeline_and_version",
    "list_pipelines",
    "get_pipeline",
    "get_pipeline_by_name",
    "update_pipeline",
    "delete_pipeline",
    "create_pipeline_version",
    "list_pipeline_versions",
    "get_pipeline_version",
    "update_pipeline_version",
    "delete_pipeline_version",
    "create_experiment",
    "list_experiments",
    "get_experiment",
    "delete_experiment",
    "archive_experiment",
    "unarchive_experiment",
    "create_run",
    "list_runs",
    "get_run",
    "delete_run",
    "terminate_run",
    "retry_run",
    "archive_run",
    "unarchive_run",
    "read_artifact",
    "create_recurring_run",
    "list_recurring_runs",
    "get_recurring_run",
    "delete_recurring_run",
    "enable_recurring_run",
    "disable_recurring_run",
    "report_workflow",
    "report_scheduled_workflow",
];

/// A route that the gateway passes on to the gRPC server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    CreatePipeline,
    CreatePipelineAndVersion,
    ListPipelines,
    GetPipeline(String),
    GetPipelineByName(String),
    UpdatePipeline(String),
    DeletePipeline(String),
    CreateVersion(String),
    ListVersions(String),
    /// Pipeline, version.
    GetVersion(String, String),
    UpdateVersion(String, String),
    DeleteVersion(String, String),
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
    /// Run, node, artifact.
    ReadArtifact(String, String, String),
    CreateRecurring,
    ListRecurring,
    GetRecurring(String),
    DeleteRecurring(String),
    EnableRecurring(String),
    DisableRecurring(String),
    ReportWorkflow,
    ReportScheduledWorkflow,
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
    let Some(rest) = path.strip_prefix("/apis/") else { return outside(method, path) };
    let Some(rest) = rest.strip_prefix("v2beta1/") else {
        return match (method.as_str(), rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["v1alpha1", "runs", run, "nodes", node, "log"]) => Ok(Route::Log(decoded(run), decoded(node))),
            _ => Err(Lost::Unknown),
        };
    };
    let mut parts = [""; 7];
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
        ["recurringruns", rest @ ..] => recurring(method, rest),
        ["workflows"] if *method == Method::POST => Ok(Call::ReportWorkflow),
        ["scheduledworkflows"] if *method == Method::POST => Ok(Call::ReportScheduledWorkflow),
        ["workflows" | "scheduledworkflows"] => Err(Lost::Method),
        _ => Err(Lost::Unknown),
    }
    .map(Route::Api)
}

/// What is not Kubeflow Pipelines' API: the truth, and Kubernetes.
fn outside(method: &Method, path: &str) -> Result<Route, Lost> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["kperf", "truth"]) => Ok(Route::WholeTruth),
        ("GET", ["kperf", "truth", "runs", id]) => Ok(Route::Truth(decoded(id))),
        ("GET", ["version"] | ["version", ""]) => Ok(Route::Version),
        ("GET", ["api", "v1", "nodes"]) => Ok(Route::Nodes),
        ("GET", ["api", "v1", "namespaces", namespace, "pods"]) => {
            Ok(Route::Kubernetes(Resource::Pods, decoded(namespace)))
        }
        ("GET", ["api", "v1", "namespaces", namespace, "events"]) => {
            Ok(Route::Kubernetes(Resource::Events, decoded(namespace)))
        }
        _ => Err(Lost::Outside),
    }
}

fn pipelines(method: &Method, rest: &[&str]) -> Result<Call, Lost> {
    let name = method.as_str();
    Ok(match (name, rest) {
        ("POST", []) => Call::CreatePipeline,
        ("GET", []) => Call::ListPipelines,
        ("POST", ["create"]) => Call::CreatePipelineAndVersion,
        ("GET", ["names", name]) => Call::GetPipelineByName(decoded(name)),
        ("GET", [id]) => Call::GetPipeline(decoded(id)),
        ("PATCH", [id]) => Call::UpdatePipeline(decoded(id)),
        ("DELETE", [id]) => Call::DeletePipeline(decoded(id)),
        ("POST", [id, "versions"]) => Call::CreateVersion(decoded(id)),
        ("GET", [id, "versions"]) => Call::ListVersions(decoded(id)),
        ("GET", [id, "versions", version]) => Call::GetVersion(decoded(id), decoded(version)),
        ("PATCH", [id, "versions", version]) => Call::UpdateVersion(decoded(id), decoded(version)),
        ("DELETE", [id, "versions", version]) => Call::DeleteVersion(decoded(id), decoded(version)),
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
    if let [run, "nodes", node, "artifacts", artifact] = rest {
        return match (method.as_str(), split(&[artifact])) {
            ("GET", (name, Some("read"))) => Ok(Call::ReadArtifact(decoded(run), decoded(node), name)),
            (_, (_, Some("read"))) => Err(Lost::Method),
            _ => Err(Lost::Unknown),
        };
    }
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

fn recurring(method: &Method, rest: &[&str]) -> Result<Call, Lost> {
    let (id, verb) = split(rest);
    Ok(match (method.as_str(), rest.len(), verb) {
        ("POST", 0, None) => Call::CreateRecurring,
        ("GET", 0, None) => Call::ListRecurring,
        ("GET", 1, None) => Call::GetRecurring(id),
        ("DELETE", 1, None) => Call::DeleteRecurring(id),
        ("POST", 1, Some("enable")) => Call::EnableRecurring(id),
        ("POST", 1, Some("disable")) => Call::DisableRecurring(id),
        (_, 0 | 1, None) | (_, 1, Some("enable" | "disable")) => return Err(Lost::Method),
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

/// What a call is called elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// The gRPC service.
    pub(crate) service: &'static str,
    /// Its method.
    pub(crate) method: &'static str,
    /// The server's own counter, where it has one.
    pub(crate) counter: Option<&'static str>,
    /// The operation, as settings name it.
    pub(crate) operation: &'static str,
}

impl Call {
    /// What the call is called elsewhere.
    pub(crate) fn names(&self) -> Names {
        const P: &str = "PipelineService";
        const E: &str = "ExperimentService";
        const R: &str = "RunService";
        const J: &str = "RecurringRunService";
        const W: &str = "ReportService";
        let (service, method, counter, operation) = match self {
            Self::CreatePipeline => (P, "CreatePipeline", "pipeline_server_create_requests", "create_pipeline"),
            Self::CreatePipelineAndVersion => {
                (P, "CreatePipelineAndVersion", "pipeline_server_create_requests", "create_pipeline_and_version")
            }
            Self::ListPipelines => (P, "ListPipelines", "pipeline_server_list_requests", "list_pipelines"),
            Self::GetPipeline(_) => (P, "GetPipeline", "pipeline_server_get_requests", "get_pipeline"),
            Self::GetPipelineByName(_) => {
                (P, "GetPipelineByName", "pipeline_server_get_requests", "get_pipeline_by_name")
            }
            Self::UpdatePipeline(_) => (P, "UpdatePipeline", "pipeline_server_update_requests", "update_pipeline"),
            Self::DeletePipeline(_) => (P, "DeletePipeline", "pipeline_server_delete_requests", "delete_pipeline"),
            Self::CreateVersion(_) => {
                (P, "CreatePipelineVersion", "pipeline_server_create_version_requests", "create_pipeline_version")
            }
            Self::ListVersions(_) => {
                (P, "ListPipelineVersions", "pipeline_server_list_version_requests", "list_pipeline_versions")
            }
            Self::GetVersion(..) => {
                (P, "GetPipelineVersion", "pipeline_server_get_version_requests", "get_pipeline_version")
            }
            Self::UpdateVersion(..) => {
                (P, "UpdatePipelineVersion", "pipeline_server_update_version_requests", "update_pipeline_version")
            }
            Self::DeleteVersion(..) => {
                (P, "DeletePipelineVersion", "pipeline_server_delete_version_requests", "delete_pipeline_version")
            }
            Self::CreateExperiment => (E, "CreateExperiment", "experiment_server_create_requests", "create_experiment"),
            Self::ListExperiments => (E, "ListExperiments", "experiment_server_list_requests", "list_experiments"),
            Self::GetExperiment(_) => (E, "GetExperiment", "experiment_server_get_requests", "get_experiment"),
            Self::DeleteExperiment(_) => {
                (E, "DeleteExperiment", "experiment_server_delete_requests", "delete_experiment")
            }
            Self::ArchiveExperiment(_) => {
                (E, "ArchiveExperiment", "experiment_server_archive_requests", "archive_experiment")
            }
            Self::UnarchiveExperiment(_) => {
                (E, "UnarchiveExperiment", "experiment_server_unarchive_requests", "unarchive_experiment")
            }
            Self::CreateRun => (R, "CreateRun", "run_server_create_requests", "create_run"),
            Self::ListRuns => (R, "ListRuns", "run_server_list_requests", "list_runs"),
            Self::GetRun(_) => (R, "GetRun", "run_server_get_requests", "get_run"),
            Self::DeleteRun(_) => (R, "DeleteRun", "run_server_delete_requests", "delete_run"),
            Self::TerminateRun(_) => (R, "TerminateRun", "run_server_terminate_requests", "terminate_run"),
            Self::RetryRun(_) => (R, "RetryRun", "run_server_retry_requests", "retry_run"),
            Self::ArchiveRun(_) => (R, "ArchiveRun", "run_server_archive_requests", "archive_run"),
            Self::UnarchiveRun(_) => (R, "UnarchiveRun", "run_server_unarchive_requests", "unarchive_run"),
            Self::ReadArtifact(..) => (R, "ReadArtifact", "run_server_read_artifact_requests", "read_artifact"),
            Self::CreateRecurring => (J, "CreateRecurringRun", "job_server_create_requests", "create_recurring_run"),
            Self::ListRecurring => (J, "ListRecurringRuns", "job_server_list_requests", "list_recurring_runs"),
            Self::GetRecurring(_) => (J, "GetRecurringRun", "job_server_get_requests", "get_recurring_run"),
            Self::DeleteRecurring(_) => (J, "DeleteRecurringRun", "job_server_delete_requests", "delete_recurring_run"),
            Self::EnableRecurring(_) => (J, "EnableRecurringRun", "job_server_enable_requests", "enable_recurring_run"),
            Self::DisableRecurring(_) => {
                (J, "DisableRecurringRun", "job_server_disable_requests", "disable_recurring_run")
            }
            Self::ReportWorkflow => (W, "ReportWorkflow", "", "report_workflow"),
            Self::ReportScheduledWorkflow => (W, "ReportScheduledWorkflow", "", "report_scheduled_workflow"),
        };
        Names { service, method, counter: Some(counter).filter(|c| !c.is_empty()), operation }
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
        assert_eq!(at("POST", &format!("{base}/recurringruns/r:enable")), {
            Ok(Route::Api(Call::EnableRecurring("r".into())))
        });
        assert_eq!(at("GET", &format!("{base}/runs/r/nodes/n/artifacts/a:read")), {
            Ok(Route::Api(Call::ReadArtifact("r".into(), "n".into(), "a".into())))
        });
        assert_eq!(at("GET", "/apis/v1alpha1/runs/r/nodes/n/log"), Ok(Route::Log("r".into(), "n".into())));
        assert_eq!(at("GET", "/kperf/truth/runs/r"), Ok(Route::Truth("r".into())));
        assert_eq!(at("GET", "/api/v1/namespaces/kubeflow/pods"), {
            Ok(Route::Kubernetes(Resource::Pods, "kubeflow".into()))
        });
        assert_eq!(at("GET", &format!("{base}/a/b/c/d/e/f/g/h/i")), Err(Lost::Unknown));
    }

    #[test]
    fn every_operation_can_be_named() {
        let calls = [Call::CreateRun, Call::GetVersion(String::new(), String::new()), Call::ReportWorkflow];
        for call in calls {
            assert!(OPERATIONS.contains(&call.names().operation), "{call:?}");
        }
        let unique: std::collections::BTreeSet<_> = OPERATIONS.iter().collect();
        assert_eq!(unique.len(), OPERATIONS.len());
    }
}
