//! What can be read of the API, for modes that read without caring what it is.

use kperf_plugin_sdk::http::{Request, Response};
use serde::Deserialize;

use super::{ApiError, BASE, answered};
use crate::tenant::Tenant;

/// A kind of thing that the server keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Pipelines,
    Versions,
    Experiments,
    Runs,
    RecurringRuns,
}

impl Resource {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Pipelines, Self::Versions, Self::Experiments, Self::Runs, Self::RecurringRuns];

    /// Its place in `ALL`.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The operations that read one and that read a list.
    pub fn operations(self) -> (&'static str, &'static str) {
        match self {
            Self::Pipelines => ("get_pipeline", "list_pipelines"),
            Self::Versions => ("get_version", "list_versions"),
            Self::Experiments => ("get_experiment", "list_experiments"),
            Self::Runs => ("get_run", "list_runs"),
            Self::RecurringRuns => ("get_recurring_run", "list_recurring_runs"),
        }
    }

    fn path(self, pipeline: &str) -> String {
        match self {
            Self::Pipelines => "/pipelines".into(),
            Self::Versions => format!("/pipelines/{pipeline}/versions"),
            Self::Experiments => "/experiments".into(),
            Self::Runs => "/runs".into(),
            Self::RecurringRuns => "/recurringruns".into(),
        }
    }
}

/// The id of a thing; a version is known by its pipeline's id, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Id {
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pipeline: String,
}

/// How a list is query for; empty texts are left out.
#[derive(Clone, Debug, Default)]
pub struct ListQuery<'a> {
    pub page_size: &'a str,
    pub token: &'a str,
    pub sort: &'a str,
    pub filter: &'a str,
}

/// A page of a list.
#[derive(Debug, Default)]
pub struct Page {
    pub ids: Vec<Id>,
    pub total: u64,
    /// Empty on the last page.
    pub next: String,
    /// How long the request took, in seconds.
    pub seconds: f64,
    /// The answer's size in bytes.
    pub bytes: usize,
}

/// The request for one thing.
pub fn get_request(tenant: &Tenant, resource: Resource, id: &Id) -> Request {
    let url = format!("{BASE}{}/{}", resource.path(&id.pipeline), id.id);
    tenant.request(resource.operations().0, "GET", url)
}

/// Reads one thing; its content is thrown away. Returns how long that took, in seconds.
pub async fn get(request: Request) -> Result<f64, ApiError> {
    let response = answered(request.discard()).await?;
    Ok(super::service_time(&response).as_secs_f64())
}

/// The request for a page of a list. `pipeline` is whose versions are meant.
pub fn list_request(tenant: &Tenant, resource: Resource, pipeline: &str, query: &ListQuery<'_>) -> Request {
    let namespace = if resource == Resource::Versions { "" } else { tenant.namespace.as_str() };
    let parameters = [
        ("namespace", namespace),
        ("page_size", query.page_size),
        ("page_token", query.token),
        ("sort_by", query.sort),
        ("filter", query.filter),
    ];
    tenant.request(resource.operations().1, "GET", super::url(&resource.path(pipeline), &parameters))
}

/// Reads a page.
pub async fn list(request: Request, resource: Resource) -> Result<Page, ApiError> {
    let response = answered(request).await?;
    page(&response, resource)
}

fn page(response: &Response, resource: Resource) -> Result<Page, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Rows {
        total_size: u64,
        next_page_token: String,
        pipelines: Vec<Row>,
        pipeline_versions: Vec<Row>,
        experiments: Vec<Row>,
        runs: Vec<Row>,
        #[serde(rename = "recurringRuns", alias = "recurring_runs")]
        recurring_runs: Vec<Row>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Row {
        pipeline_id: String,
        pipeline_version_id: String,
        experiment_id: String,
        run_id: String,
        recurring_run_id: String,
    }
    let rows: Rows = response.json()?;
    let plain = |id: String| Id { id, pipeline: String::new() };
    let ids = match resource {
        Resource::Pipelines => rows.pipelines.into_iter().map(|row| plain(row.pipeline_id)).collect(),
        Resource::Versions => {
            let id = |row: Row| Id { id: row.pipeline_version_id, pipeline: row.pipeline_id };
            rows.pipeline_versions.into_iter().map(id).collect()
        }
        Resource::Experiments => rows.experiments.into_iter().map(|row| plain(row.experiment_id)).collect(),
        Resource::Runs => rows.runs.into_iter().map(|row| plain(row.run_id)).collect(),
        Resource::RecurringRuns => rows.recurring_runs.into_iter().map(|row| plain(row.recurring_run_id)).collect(),
    };
    Ok(Page {
        ids,
        total: rows.total_size,
        next: rows.next_page_token,
        seconds: super::service_time(response).as_secs_f64(),
        bytes: response.body.len(),
    })
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    #[test]
    fn a_page_names_its_things() {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 5 };
        let body = br#"{"pipeline_versions":[{"pipeline_id":"P","pipeline_version_id":"V"}],"total_size":7,"next_page_token":"t"}"#;
        let response = Response { status: 200, headers: Vec::new(), body: body.to_vec(), timing };
        let page = page(&response, Resource::Versions).unwrap();
        assert_eq!(page.ids, [Id { id: "V".into(), pipeline: "P".into() }]);
        assert_eq!((page.total, page.next.as_str()), (7, "t"));
    }

    #[test]
    fn requests_lead_to_the_right_place() {
        let tenant = Tenant { namespace: "ns".into(), ..Tenant::default() };
        let id = Id { id: "V".into(), pipeline: "P".into() };
        assert_eq!(get_request(&tenant, Resource::Versions, &id).url, "/apis/v2beta1/pipelines/P/versions/V");
        let query = ListQuery { page_size: "5", sort: "name desc", ..ListQuery::default() };
        let url = list_request(&tenant, Resource::Runs, "", &query).url;
        assert_eq!(url, "/apis/v2beta1/runs?namespace=ns&page_size=5&sort_by=name%20desc");
    }
}
