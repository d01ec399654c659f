//! Runs.

use kperf_plugin_sdk::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ApiError, BASE, delete, equals, filter, read};
use crate::{clock_offset::Exchange, run::Run, tenant::Tenant};

/// The states in which a run stays.
pub const FINAL: [&str; 4] = ["SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Runs {
    runs: Vec<Run>,
    total_size: u64,
}

/// The body of the request that starts a run.
#[derive(Serialize)]
pub struct NewRun<'a> {
    pub display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub experiment_id: &'a str,
    pub pipeline_version_reference: Reference<'a>,
    pub runtime_config: Config<'a>,
}

/// The version of a pipeline.
#[derive(Serialize)]
pub struct Reference<'a> {
    pub pipeline_id: &'a str,
    pub pipeline_version_id: &'a str,
}

/// The values of a run's parameters.
#[derive(Serialize)]
pub struct Config<'a> {
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: &'a Map<String, Value>,
}

/// Starts a run, and tells what the answer says about the server's clock.
pub async fn create(tenant: &Tenant, run: &NewRun<'_>) -> Result<(Run, Option<Exchange>), ApiError> {
    let request = tenant.request("create_run", "POST", format!("{BASE}/runs")).json(run)?;
    let sent = clock::wall();
    let run: Run = read(request).await?;
    let received = clock::wall();
    let exchange = run.created_at.seconds().map(|second| Exchange { second, sent, received });
    Ok((run, exchange))
}

/// One run.
pub async fn get(tenant: &Tenant, id: &str) -> Result<Run, ApiError> {
    read(tenant.request("get_run", "GET", format!("{BASE}/runs/{id}"))).await
}

/// Those of the runs with these ids that have ended; all of them if `ended` is false, for a server that can't filter by state.
pub async fn list(tenant: &Tenant, ids: &[String], ended: bool) -> Result<Vec<Run>, ApiError> {
    let mut predicates = vec![json!({"operation": "IN", "key": "run_id", "string_values": {"values": ids}})];
    if ended {
        predicates.push(json!({"operation": "IN", "key": "state", "string_values": {"values": FINAL}}));
    }
    let filter = filter(&predicates);
    let url = super::url("/runs", &[("namespace", &tenant.namespace), ("page_size", "200"), ("filter", &filter)]);
    Ok(read::<Runs>(tenant.request("list_runs", "GET", url)).await?.runs)
}

/// The latest runs that a recurring run has produced, at most `most` (up to 200).
pub async fn of_recurring(tenant: &Tenant, recurring: &str, most: usize) -> Result<Vec<Run>, ApiError> {
    let filter = filter(&[equals("recurring_run_id", recurring)]);
    let size = most.clamp(1, 200).to_string();
    let parameters = [
        ("namespace", tenant.namespace.as_str()),
        ("page_size", &size),
        ("sort_by", "created_at desc"),
        ("filter", &filter),
    ];
    Ok(read::<Runs>(tenant.request("list_runs", "GET", super::url("/runs", &parameters))).await?.runs)
}

/// The ids of the runs with exactly this name.
pub async fn find(tenant: &Tenant, name: &str) -> Result<Vec<String>, ApiError> {
    let filter = filter(&[equals("name", name)]);
    let url = super::url("/runs", &[("namespace", &tenant.namespace), ("page_size", "200"), ("filter", &filter)]);
    let runs: Runs = read(tenant.request("find_runs", "GET", url)).await?;
    Ok(runs.runs.into_iter().map(|run| run.run_id).collect())
}

/// How many runs there are.
pub async fn count(tenant: &Tenant) -> Result<u64, ApiError> {
    let url = super::url("/runs", &[("namespace", &tenant.namespace), ("page_size", "1")]);
    Ok(read::<Runs>(tenant.request("count_runs", "GET", url)).await?.total_size)
}

/// Deletes a run; one that is gone already is fine.
pub async fn remove(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    delete(tenant, "delete_run", format!("{BASE}/runs/{id}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_experiment_and_parameters_says_nothing_about_them() {
        let parameters = Map::new();
        let run = NewRun {
            display_name: "n",
            experiment_id: "",
            pipeline_version_reference: Reference { pipeline_id: "P", pipeline_version_id: "V" },
            runtime_config: Config { parameters: &parameters },
        };
        let expected = json!({"display_name": "n", "runtime_config": {},
            "pipeline_version_reference": {"pipeline_id": "P", "pipeline_version_id": "V"}});
        assert_eq!(serde_json::to_value(&run).unwrap(), expected);
    }
}
