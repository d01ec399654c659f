//! Which call of the API a request makes: its method and its path below `/apis/v2beta1/`.

use http::Method;

use crate::operation::Operation;

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

/// A request that leads to no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteError {
    /// Below `/apis/`, but nothing there.
    Unknown,
    /// There is something, but not with this method.
    Method,
    /// Outside of what the gateway serves.
    Outside,
}

/// Finds the call of a method and the parts of a path below `/apis/v2beta1/`.
///
/// # Errors
/// No call has this path, or none with this method.
pub(crate) fn find(method: &Method, parts: &[&str]) -> Result<Call, RouteError> {
    match parts {
        ["pipelines", rest @ ..] => pipelines(method, rest),
        ["experiments", rest @ ..] => experiments(method, rest),
        ["runs", rest @ ..] => runs(method, rest),
        ["recurringruns", rest @ ..] => recurring_runs(method, rest),
        ["workflows"] if *method == Method::POST => Ok(Call::ReportWorkflow),
        ["scheduledworkflows"] if *method == Method::POST => Ok(Call::ReportScheduledWorkflow),
        ["workflows" | "scheduledworkflows"] => Err(RouteError::Method),
        _ => Err(RouteError::Unknown),
    }
}

fn pipelines(method: &Method, rest: &[&str]) -> Result<Call, RouteError> {
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
        (_, [] | [_] | ["names", _] | [_, "versions"] | [_, "versions", _]) => return Err(RouteError::Method),
        _ => return Err(RouteError::Unknown),
    })
}

fn experiments(method: &Method, rest: &[&str]) -> Result<Call, RouteError> {
    let (id, verb) = split(rest);
    Ok(match (method.as_str(), rest.len(), verb) {
        ("POST", 0, None) => Call::CreateExperiment,
        ("GET", 0, None) => Call::ListExperiments,
        ("GET", 1, None) => Call::GetExperiment(id),
        ("DELETE", 1, None) => Call::DeleteExperiment(id),
        ("POST", 1, Some("archive")) => Call::ArchiveExperiment(id),
        ("POST", 1, Some("unarchive")) => Call::UnarchiveExperiment(id),
        (_, 0 | 1, None) | (_, 1, Some("archive" | "unarchive")) => return Err(RouteError::Method),
        _ => return Err(RouteError::Unknown),
    })
}

fn runs(method: &Method, rest: &[&str]) -> Result<Call, RouteError> {
    if let [run, "nodes", node, "artifacts", artifact] = rest {
        return match (method.as_str(), split(&[artifact])) {
            ("GET", (name, Some("read"))) => Ok(Call::ReadArtifact(decoded(run), decoded(node), name)),
            (_, (_, Some("read"))) => Err(RouteError::Method),
            _ => Err(RouteError::Unknown),
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
        (_, 0 | 1, None) | (_, 1, Some("terminate" | "retry" | "archive" | "unarchive")) => {
            return Err(RouteError::Method);
        }
        _ => return Err(RouteError::Unknown),
    })
}

fn recurring_runs(method: &Method, rest: &[&str]) -> Result<Call, RouteError> {
    let (id, verb) = split(rest);
    Ok(match (method.as_str(), rest.len(), verb) {
        ("POST", 0, None) => Call::CreateRecurring,
        ("GET", 0, None) => Call::ListRecurring,
        ("GET", 1, None) => Call::GetRecurring(id),
        ("DELETE", 1, None) => Call::DeleteRecurring(id),
        ("POST", 1, Some("enable")) => Call::EnableRecurring(id),
        ("POST", 1, Some("disable")) => Call::DisableRecurring(id),
        (_, 0 | 1, None) | (_, 1, Some("enable" | "disable")) => return Err(RouteError::Method),
        _ => return Err(RouteError::Unknown),
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

pub(crate) fn decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    // In a path a plus is a plus, in a query it would be a space.
    let guarded = format!("v={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(guarded.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

impl Call {
    /// The operation that the call is, without its ids.
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::CreatePipeline => Operation::CreatePipeline,
            Self::CreatePipelineAndVersion => Operation::CreatePipelineAndVersion,
            Self::ListPipelines => Operation::ListPipelines,
            Self::GetPipeline(_) => Operation::GetPipeline,
            Self::GetPipelineByName(_) => Operation::GetPipelineByName,
            Self::UpdatePipeline(_) => Operation::UpdatePipeline,
            Self::DeletePipeline(_) => Operation::DeletePipeline,
            Self::CreateVersion(_) => Operation::CreatePipelineVersion,
            Self::ListVersions(_) => Operation::ListPipelineVersions,
            Self::GetVersion(..) => Operation::GetPipelineVersion,
            Self::UpdateVersion(..) => Operation::UpdatePipelineVersion,
            Self::DeleteVersion(..) => Operation::DeletePipelineVersion,
            Self::CreateExperiment => Operation::CreateExperiment,
            Self::ListExperiments => Operation::ListExperiments,
            Self::GetExperiment(_) => Operation::GetExperiment,
            Self::DeleteExperiment(_) => Operation::DeleteExperiment,
            Self::ArchiveExperiment(_) => Operation::ArchiveExperiment,
            Self::UnarchiveExperiment(_) => Operation::UnarchiveExperiment,
            Self::CreateRun => Operation::CreateRun,
            Self::ListRuns => Operation::ListRuns,
            Self::GetRun(_) => Operation::GetRun,
            Self::DeleteRun(_) => Operation::DeleteRun,
            Self::TerminateRun(_) => Operation::TerminateRun,
            Self::RetryRun(_) => Operation::RetryRun,
            Self::ArchiveRun(_) => Operation::ArchiveRun,
            Self::UnarchiveRun(_) => Operation::UnarchiveRun,
            Self::ReadArtifact(..) => Operation::ReadArtifact,
            Self::CreateRecurring => Operation::CreateRecurringRun,
            Self::ListRecurring => Operation::ListRecurringRuns,
            Self::GetRecurring(_) => Operation::GetRecurringRun,
            Self::DeleteRecurring(_) => Operation::DeleteRecurringRun,
            Self::EnableRecurring(_) => Operation::EnableRecurringRun,
            Self::DisableRecurring(_) => Operation::DisableRecurringRun,
            Self::ReportWorkflow => Operation::ReportWorkflow,
            Self::ReportScheduledWorkflow => Operation::ReportScheduledWorkflow,
        }
    }
}
