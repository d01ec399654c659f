//! Routes: from a method and a path to a destination.

use http::Method;

use crate::kfp::call::{self, Call, RouteError, decoded};
use crate::kubernetes::Resource;
use crate::operation::Operation;

/// A destination of requests; texts are ids and names of the path.
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

impl Route {
    /// The operation of the API that the route leads to; none beside the API.
    pub(crate) fn operation(&self) -> Option<Operation> {
        match self {
            Self::UploadPipeline => Some(Operation::UploadPipeline),
            Self::UploadVersion => Some(Operation::UploadPipelineVersion),
            Self::Api(call) => Some(call.operation()),
            _ => None,
        }
    }
}

/// Finds the route of a request.
///
/// # Errors
/// No route has this path, or none with this method.
pub(crate) fn find(method: &Method, path: &str) -> Result<Route, RouteError> {
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
            _ => Err(RouteError::Unknown),
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
    call::find(method, parts).map(Route::Api)
}

/// Routes beside Kubeflow Pipelines' API: the truth, and Kubernetes.
fn outside(method: &Method, path: &str) -> Result<Route, RouteError> {
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
        _ => Err(RouteError::Outside),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(method: &str, path: &str) -> Result<Route, RouteError> {
        find(&method.parse().unwrap(), path)
    }

    #[test]
    fn paths_lead_where_they_should() {
        let base = "/apis/v2beta1";
        assert_eq!(at("POST", &format!("{base}/runs/r:terminate")), Ok(Route::Api(Call::TerminateRun("r".into()))));
        assert_eq!(at("GET", &format!("{base}/pipelines/names/a%20b+c")), {
            Ok(Route::Api(Call::GetPipelineByName("a b+c".into())))
        });
        assert_eq!(at("PUT", &format!("{base}/runs/r")), Err(RouteError::Method));
        assert_eq!(at("GET", &format!("{base}/runs/r:terminate")), Err(RouteError::Method));
        assert_eq!(at("GET", &format!("{base}/auth")), Err(RouteError::Unknown));
        assert_eq!(at("GET", "/index.html"), Err(RouteError::Outside));
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
        assert_eq!(at("GET", &format!("{base}/a/b/c/d/e/f/g/h/i")), Err(RouteError::Unknown));
    }

    #[test]
    fn every_operation_has_a_route() {
        let paths = [
            ("pipelines", "upload upload_version"),
            ("pipelines", "- create names/n p p/versions p/versions/v"),
            ("experiments", "- e e:archive e:unarchive"),
            ("runs", "- r r:terminate r:retry r:archive r:unarchive r/nodes/n/artifacts/a:read"),
            ("recurringruns", "- r r:enable r:disable"),
            ("workflows", "-"),
            ("scheduledworkflows", "-"),
        ];
        let mut found = BTreeSet::new();
        for (resource, rests) in paths {
            for rest in rests.split(' ') {
                let path = format!("/apis/v2beta1/{resource}/{rest}");
                let path = path.strip_suffix("/-").unwrap_or(&path);
                let methods = ["GET", "POST", "PATCH", "DELETE"].into_iter();
                found.extend(methods.filter_map(|method| at(method, path).ok()?.operation()));
            }
        }
        assert_eq!(found, Operation::ALL.iter().copied().collect());
    }
}
