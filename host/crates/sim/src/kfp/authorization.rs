//! Identities of callers, and the rules of multi-user mode.
//!
//! A caller is known by the header `kubeflow-userid`, else by a bearer token. A token of this server is the user's name,
//! or `NAME;exp=SECONDS` for one that is good until so many seconds after 1970.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::Value;

use crate::kfp::call::Call;
use crate::kfp::error::{ApiError, UploadError};
use crate::kfp::json::parse_id;
use crate::kfp::store::Store;
use crate::query::Query;

const USER: &str = "kubeflow-userid";
const UNKNOWN: &str = "Request header error: there is no user identity header.";
const EXPIRED: &str = "Failed to authenticate token review: Review.Status.Authenticated is false";

/// The user who sends a request, or the reason why nobody is known.
pub(crate) type Caller = Result<String, &'static str>;

/// The caller of a request that came at `now`, in seconds since the epoch.
pub(crate) fn caller(headers: &HeaderMap, now: u32) -> Caller {
    if let Some(user) = headers.get(USER).and_then(|v| v.to_str().ok()).filter(|user| !user.is_empty()) {
        return Ok(user.to_owned());
    }
    let token = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let token = token.map(str::trim).filter(|token| !token.is_empty()).ok_or(UNKNOWN)?;
    match token.split_once(";exp=") {
        None => Ok(token.to_owned()),
        Some((user, end)) if end.parse::<u64>().is_ok_and(|end| u64::from(now) < end) => Ok(user.to_owned()),
        Some(_) => Err(EXPIRED),
    }
}

/// The verb and the resource of a call, as a `SubjectAccessReview` of Kubernetes has them.
struct ResourceAttributes {
    resource: &'static str,
    verb: &'static str,
    namespace: String,
    name: String,
}

impl ResourceAttributes {
    fn new(resource: &'static str, verb: &'static str, namespace: &str) -> Self {
        Self { resource, verb, namespace: namespace.to_owned(), name: String::new() }
    }
}

impl Store {
    /// Whether `caller` may do what `call` asks for, in multi-user mode; in single-user mode everybody may. Tells
    /// whether Kubernetes had to review it.
    ///
    /// # Errors
    /// The refusal: who is unknown, who may not, or a namespace that is missing.
    pub(crate) fn authorize(&self, caller: &Caller, call: &Call, query: &Query, body: &[u8]) -> Result<bool, ApiError> {
        if !self.config.multi_user {
            return Ok(false);
        }
        let Some(attributes) = self.attributes(call, query, body)? else { return Ok(false) };
        self.allowed(caller, &attributes).map_err(|e| e.within("Failed to authorize the request"))?;
        Ok(true)
    }

    /// As [`Store::authorize`] for the upload routes, which refuse in their own way.
    pub(crate) fn authorize_upload(
        &self,
        caller: &Caller,
        is_pipeline: bool,
        query: &Query,
    ) -> Result<bool, UploadError> {
        if !self.config.multi_user {
            return Ok(false);
        }
        let (attributes, message) = if is_pipeline {
            let namespace = unless_empty(query.get("namespace").unwrap_or_default().to_owned());
            (namespace.map(|ns| ResourceAttributes::new("pipelines", "create", &ns)), "Failed to create a pipeline")
        } else {
            let namespace = self.pipeline_namespace(query.get("pipelineid").unwrap_or_default());
            (
                namespace.map(|ns| ResourceAttributes::new("pipelines", "create", &ns)),
                "Failed to create a pipeline version",
            )
        };
        let Some(attributes) = attributes else { return Ok(false) };
        // Also to callers that are unknown or may not, the upload routes answer 400.
        self.allowed(caller, &attributes).map_err(|e| UploadError::new(400, message, e.message))?;
        Ok(true)
    }

    fn allowed(&self, caller: &Caller, attributes: &ResourceAttributes) -> Result<(), ApiError> {
        let ResourceAttributes { resource, verb, namespace, name } = attributes;
        let user = caller.as_ref().map_err(|why| ApiError::unauthenticated("Failed to get user identity", why))?;
        if !self.config.denied.iter().any(|denial| denial.applies(user, namespace)) {
            return Ok(());
        }
        let text = format!(
            "User '{user}' is not authorized with reason:  (request: &ResourceAttributes{{Namespace:{namespace},\
             Verb:{verb},Group:pipelines.kubeflow.org,Version:v1beta1,Resource:{resource},Subresource:,Name:{name},}})"
        );
        Err(ApiError::denied(&format!("Failed to access {resource}"), text))
    }

    /// The permission that a call needs; none for shared resources, and for those that do not exist.
    fn attributes(&self, call: &Call, query: &Query, body: &[u8]) -> Result<Option<ResourceAttributes>, ApiError> {
        let written: Value = match call {
            Call::CreateRun | Call::CreateExperiment | Call::CreatePipeline | Call::CreateRecurring => {
                serde_json::from_slice(body).unwrap_or(Value::Null)
            }
            _ => Value::Null,
        };
        let field = |snake: &str, camel: &str| {
            let value = written.get(snake).or_else(|| written.get(camel));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let namespace_of_query = query.get("namespace").unwrap_or_default();
        let empty = |context: &str, text: &str| Err(ApiError::invalid(context, text));
        let (resource, verb, namespace) = match call {
            Call::CreatePipeline => ("pipelines", "create", unless_empty(field("namespace", "namespace"))),
            Call::ListPipelines => ("pipelines", "list", unless_empty(namespace_of_query.to_owned())),
            Call::GetPipelineByName(_) => ("pipelines", "get", unless_empty(namespace_of_query.to_owned())),
            Call::GetPipeline(id) | Call::ListVersions(id) | Call::GetVersion(id, _) => {
                ("pipelines", "get", self.pipeline_namespace(id))
            }
            Call::UpdatePipeline(id) | Call::UpdateVersion(id, _) | Call::CreateVersion(id) => {
                ("pipelines", "update", self.pipeline_namespace(id))
            }
            Call::DeletePipeline(id) | Call::DeleteVersion(id, _) => {
                ("pipelines", "delete", self.pipeline_namespace(id))
            }
            Call::CreatePipelineAndVersion | Call::ReportWorkflow | Call::ReportScheduledWorkflow => return Ok(None),
            Call::CreateExperiment => {
                let namespace = field("namespace", "namespace");
                if namespace.is_empty() {
                    return empty(
                        "Failed to create an experiment",
                        "An experiment cannot have an empty namespace in multi-user mode",
                    );
                }
                ("experiments", "create", Some(namespace))
            }
            Call::ListExperiments if namespace_of_query.is_empty() => {
                return empty(
                    "Failed to list experiments",
                    "An experiment cannot have an empty namespace in multi-user mode",
                );
            }
            Call::ListExperiments => ("experiments", "list", unless_empty(namespace_of_query.to_owned())),
            Call::GetExperiment(id) => ("experiments", "get", self.experiment_namespace(id)),
            Call::DeleteExperiment(id) => ("experiments", "delete", self.experiment_namespace(id)),
            Call::ArchiveExperiment(id) => ("experiments", "archive", self.experiment_namespace(id)),
            Call::UnarchiveExperiment(id) => ("experiments", "unarchive", self.experiment_namespace(id)),
            Call::CreateRun | Call::CreateRecurring => {
                let (resource, context, text) = if *call == Call::CreateRun {
                    ("runs", "Failed to create a run", "Experiment id can not be empty in multi-user mode")
                } else {
                    let text = "RecurringRun run cannot have an empty namespace in multi-user mode";
                    ("jobs", "Failed to create a recurring run", text)
                };
                let experiment = field("experiment_id", "experimentId");
                if experiment.is_empty() {
                    return empty(context, text);
                }
                (resource, "create", self.experiment_namespace(&experiment))
            }
            Call::ListRuns | Call::ListRecurring => {
                let (resource, context, noun) = match call {
                    Call::ListRuns => ("runs", "Failed to list runs", "A run"),
                    _ => ("jobs", "Failed to list recurring runs", "A recurring run"),
                };
                match query.get("experiment_id").filter(|id| !id.is_empty()) {
                    Some(experiment) => (resource, "list", self.experiment_namespace(experiment)),
                    None if namespace_of_query.is_empty() => {
                        let text = format!("{noun} cannot have an empty namespace in multi-user mode");
                        return empty(context, &text);
                    }
                    None => (resource, "list", Some(namespace_of_query.to_owned())),
                }
            }
            Call::GetRun(id) | Call::ReadArtifact(id, ..) => ("runs", "get", self.run_namespace(id)),
            Call::DeleteRun(id) => ("runs", "delete", self.run_namespace(id)),
            Call::TerminateRun(id) => ("runs", "terminate", self.run_namespace(id)),
            Call::RetryRun(id) => ("runs", "retry", self.run_namespace(id)),
            Call::ArchiveRun(id) => ("runs", "archive", self.run_namespace(id)),
            Call::UnarchiveRun(id) => ("runs", "unarchive", self.run_namespace(id)),
            Call::GetRecurring(id) => ("jobs", "get", self.recurring_namespace(id)),
            Call::DeleteRecurring(id) => ("jobs", "delete", self.recurring_namespace(id)),
            Call::EnableRecurring(id) => ("jobs", "enable", self.recurring_namespace(id)),
            Call::DisableRecurring(id) => ("jobs", "disable", self.recurring_namespace(id)),
        };
        Ok(namespace.map(|namespace| ResourceAttributes::new(resource, verb, &namespace)))
    }

    fn pipeline_namespace(&self, id: &str) -> Option<String> {
        unless_empty(self.pipelines.get(parse_id(id))?.namespace.to_string())
    }

    fn experiment_namespace(&self, id: &str) -> Option<String> {
        Some(self.experiments.get(parse_id(id))?.namespace.to_string())
    }

    fn run_namespace(&self, id: &str) -> Option<String> {
        Some(self.runs.get(parse_id(id))?.namespace.to_string())
    }

    fn recurring_namespace(&self, id: &str) -> Option<String> {
        Some(self.recurring.get(parse_id(id))?.namespace.to_string())
    }
}

/// A namespace; what has none is shared by all.
fn unless_empty(namespace: String) -> Option<String> {
    Some(namespace).filter(|namespace| !namespace.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Caller {
        caller(&headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect(), 1_000)
    }

    #[test]
    fn callers_are_known_by_header_or_token() {
        assert_eq!(of(&[("kubeflow-userid", "a@x"), ("authorization", "Bearer b")]), Ok("a@x".to_owned()));
        assert_eq!(of(&[("authorization", "Bearer b@x")]), Ok("b@x".to_owned()));
        assert_eq!(of(&[("authorization", "Bearer b@x;exp=1001")]), Ok("b@x".to_owned()));
        assert_eq!(of(&[("authorization", "Bearer b@x;exp=1000")]), Err(EXPIRED));
        assert_eq!(of(&[("authorization", "Bearer b@x;exp=never")]), Err(EXPIRED));
        assert_eq!(of(&[("authorization", "Basic YQ==")]), Err(UNKNOWN));
        assert_eq!(of(&[]), Err(UNKNOWN));
    }
}
