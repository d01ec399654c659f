//! Recurring runs.

use kperf_plugin_sdk::clock;
use serde::{Deserialize, Serialize};

use super::{
    ApiError, BASE, answered, delete, equals, filter, read,
    runs::{Config, Reference},
};
use crate::{clock_offset::Exchange, tenant::Tenant, timestamp::Timestamp};

/// A recurring run as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecurringRun {
    pub recurring_run_id: String,
    pub created_at: Timestamp,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RecurringRuns {
    // The one list whose name the server writes in camel case.
    #[serde(rename = "recurringRuns", alias = "recurring_runs")]
    recurring_runs: Vec<RecurringRun>,
}

/// The body of the request that creates a recurring run.
#[derive(Serialize)]
pub struct NewRecurringRun<'a> {
    pub display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub experiment_id: &'a str,
    pub pipeline_version_reference: Reference<'a>,
    pub runtime_config: Config<'a>,
    #[serde(serialize_with = "as_text")]
    pub max_concurrency: u32,
    pub no_catchup: bool,
    /// `ENABLE` or `DISABLE`.
    pub mode: &'a str,
    pub trigger: Trigger<'a>,
}

/// When a recurring run starts runs.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger<'a> {
    PeriodicSchedule { interval_second: u64 },
    CronSchedule { cron: &'a str },
}

/// The server takes 64-bit integers as texts, like all of protocol buffers' JSON.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn as_text<S: serde::Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Creates a recurring run, and tells what the answer says about the server's clock.
pub async fn create(tenant: &Tenant, run: &NewRecurringRun<'_>) -> Result<(RecurringRun, Option<Exchange>), ApiError> {
    let request = tenant.request("create_recurring_run", "POST", format!("{BASE}/recurringruns")).json(run)?;
    let sent = clock::wall();
    let run: RecurringRun = read(request).await?;
    let received = clock::wall();
    let exchange = run.created_at.seconds().map(|second| Exchange { second, sent, received });
    Ok((run, exchange))
}

/// Switches a recurring run on or off.
pub async fn switch(tenant: &Tenant, id: &str, on: bool) -> Result<(), ApiError> {
    let (operation, verb) = if on { ("enable_recurring_run", "enable") } else { ("disable_recurring_run", "disable") };
    answered(tenant.request(operation, "POST", format!("{BASE}/recurringruns/{id}:{verb}"))).await.map(|_| ())
}

/// The ids of the recurring runs with exactly this name.
pub async fn find(tenant: &Tenant, name: &str) -> Result<Vec<String>, ApiError> {
    let filter = filter(&[equals("name", name)]);
    let url =
        super::url("/recurringruns", &[("namespace", &tenant.namespace), ("page_size", "200"), ("filter", &filter)]);
    let found: RecurringRuns = read(tenant.request("find_recurring_runs", "GET", url)).await?;
    Ok(found.recurring_runs.into_iter().map(|run| run.recurring_run_id).collect())
}

/// Deletes a recurring run; the runs that it has produced stay.
pub async fn remove(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    delete(tenant, "delete_recurring_run", format!("{BASE}/recurringruns/{id}")).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn a_recurring_run_is_written_as_the_server_reads_it() {
        let parameters = Map::new();
        let run = NewRecurringRun {
            display_name: "n",
            experiment_id: "",
            pipeline_version_reference: Reference { pipeline_id: "P", pipeline_version_id: "V" },
            runtime_config: Config { parameters: &parameters },
            max_concurrency: 2,
            no_catchup: true,
            mode: "ENABLE",
            trigger: Trigger::PeriodicSchedule { interval_second: 60 },
        };
        let written = serde_json::to_value(&run).unwrap();
        assert_eq!(written["trigger"], json!({"periodic_schedule": {"interval_second": 60}}));
        assert_eq!(written["max_concurrency"], "2");
        let cron = serde_json::to_value(Trigger::CronSchedule { cron: "0 * * * * *" }).unwrap();
        assert_eq!(cron, json!({"cron_schedule": {"cron": "0 * * * * *"}}));
    }
}
