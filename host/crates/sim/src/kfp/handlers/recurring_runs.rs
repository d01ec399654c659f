//! Calls about recurring runs.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cluster::WorkflowKey;
use crate::kfp::error::{ApiError, Code};
use crate::kfp::handlers::runs::VersionReference;
use crate::kfp::json::{ApiResult, PageBody, nothing, parse_id, read, write};
use crate::kfp::rows::recurring_run::{RECURRING_RUNS, RecurringRun, resource_name};
use crate::kfp::rows::run::{RuntimeConfig, Source};
use crate::kfp::schedule::{Pattern, Rule, Schedule};
use crate::kfp::store::Store;
use crate::query::Query;
use crate::timestamp::{parse, seconds};

const CREATE: &str = "Failed to create a recurring run";

/// The body of a creation. Fields that only the server sets are read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecurringRunRequest {
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    description: Option<String>,
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    #[serde(alias = "pipelineVersionReference")]
    pipeline_version_reference: Option<VersionReference>,
    #[serde(alias = "pipelineSpec")]
    pipeline_spec: Option<Value>,
    #[serde(alias = "runtimeConfig")]
    runtime_config: Option<RuntimeConfig>,
    #[serde(alias = "serviceAccount")]
    service_account: Option<String>,
    #[serde(alias = "maxConcurrency")]
    max_concurrency: Option<Value>,
    #[serde(alias = "noCatchup")]
    no_catchup: Option<bool>,
    trigger: Option<TriggerRequest>,
    mode: Option<Value>,
    #[serde(rename = "namespace")]
    _namespace: Option<IgnoredAny>,
    #[serde(rename = "pipeline_version_id", alias = "pipelineVersionId")]
    _pipeline_version_id: Option<IgnoredAny>,
    #[serde(rename = "plugins_input", alias = "pluginsInput")]
    _plugins_input: Option<IgnoredAny>,
    #[serde(rename = "recurring_run_id", alias = "recurringRunId")]
    _recurring_run_id: Option<IgnoredAny>,
    #[serde(rename = "created_at", alias = "createdAt")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "updated_at", alias = "updatedAt")]
    _updated_at: Option<IgnoredAny>,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerRequest {
    #[serde(alias = "cronSchedule")]
    cron_schedule: Option<CronScheduleRequest>,
    #[serde(alias = "periodicSchedule")]
    periodic_schedule: Option<PeriodicScheduleRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CronScheduleRequest {
    cron: Option<String>,
    #[serde(alias = "startTime")]
    start_time: Option<String>,
    #[serde(alias = "endTime")]
    end_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeriodicScheduleRequest {
    #[serde(alias = "intervalSecond")]
    interval_second: Option<Value>,
    #[serde(alias = "startTime")]
    start_time: Option<String>,
    #[serde(alias = "endTime")]
    end_time: Option<String>,
}

/// A 64-bit number, which JSON made from protocol buffers writes as text.
fn long(value: Option<&Value>) -> i64 {
    value.and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok())).unwrap_or_default()
}

fn instant(text: Option<&String>) -> Result<Option<i64>, ApiError> {
    let bad = |text: &str| {
        ApiError::gateway(Code::InvalidArgument, format!("proto: invalid google.protobuf.Timestamp value {text:?}"))
    };
    text.map(|text| parse(text).ok_or_else(|| bad(text))).transpose()
}

impl TriggerRequest {
    fn schedule(&self) -> Result<Schedule, ApiError> {
        if let Some(cron) = &self.cron_schedule {
            let text = cron.cron.clone().unwrap_or_default();
            let pattern = Pattern::parse(&text).map_err(|cause| {
                let text = format!(
                    "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron). Error: {cause}"
                );
                ApiError::invalid(CREATE, text)
            })?;
            let (start, end) = (instant(cron.start_time.as_ref())?, instant(cron.end_time.as_ref())?);
            return Ok(Schedule { rule: Rule::Cron { text, pattern }, start, end });
        }
        let Some(periodic) = &self.periodic_schedule else {
            return Ok(Schedule { rule: Rule::Once, start: None, end: None });
        };
        let interval = long(periodic.interval_second.as_ref());
        if interval < 1 {
            let text = format!("Found invalid period schedule interval {interval}. Set at interval to least 1 second");
            return Err(ApiError::invalid(CREATE, text));
        }
        let (start, end) = (instant(periodic.start_time.as_ref())?, instant(periodic.end_time.as_ref())?);
        Ok(Schedule { rule: Rule::Interval(interval), start, end })
    }
}

impl Store {
    /// POST /recurringruns
    pub(crate) fn create_recurring(&mut self, body: &[u8]) -> ApiResult {
        let mut input: RecurringRunRequest = read(body)?;
        let max_concurrency = long(input.max_concurrency.as_ref());
        if !(1..=10).contains(&max_concurrency) {
            let text = format!(
                "Max concurrency of a recurring run must be at least 1 and at most 10. Received {max_concurrency}"
            );
            return Err(ApiError::invalid(CREATE, text));
        }
        let schedule = input
            .trigger
            .as_ref()
            .map_or_else(|| Ok(Schedule { rule: Rule::Once, start: None, end: None }), TriggerRequest::schedule)?;
        let display_name = input.display_name.take().unwrap_or_default();
        if display_name.is_empty() {
            let text = "Invalid input error: Recurring run name is empty. Please specify a valid name";
            return Err(ApiError::internal(CREATE, text));
        }
        let experiment = self.experiment_for(CREATE, input.experiment_id.as_deref())?;
        let namespace = self.pod_namespace(experiment);
        let reference = input.pipeline_version_reference.as_ref();
        let (source, spec) = self.source(CREATE, reference, input.pipeline_spec.take(), true)?;
        let none = Map::new();
        let parameters = input.runtime_config.as_ref().map_or(&none, |c| &c.parameters);
        spec.check_parameters(parameters).map_err(|cause| ApiError::invalid(CREATE, cause.to_string()))?;
        let spec = (!matches!(source, Source::Latest { .. })).then_some(spec);
        let now = self.now();
        let id = self.id();
        let enabled =
            matches!(input.mode.as_ref().map(|m| (m.as_str(), m.as_i64())), Some((Some("ENABLE"), _) | (_, Some(1))));
        let recurring = RecurringRun {
            id,
            resource_name: resource_name(&display_name, id),
            display_name,
            description: input.description.unwrap_or_default(),
            namespace,
            experiment,
            service_account: self.service_account(input.service_account),
            source,
            spec,
            runtime_config: input.runtime_config.and_then(RuntimeConfig::unless_empty),
            max_concurrency: u8::try_from(max_concurrency).unwrap_or(1),
            no_catchup: input.no_catchup.unwrap_or_default(),
            schedule,
            enabled,
            created: seconds(now),
            updated: seconds(now),
            last: None,
            made: 0,
            active: Vec::new(),
        };
        let answer = write(&recurring.body());
        self.recurring.insert(recurring);
        self.telemetry.jobs += 1;
        self.reconcile_queue.insert(now, id);
        answer
    }

    /// GET /recurringruns
    pub(crate) fn list_recurring(&self, query: &Query) -> ApiResult {
        let parent = self.parent_of_list(query);
        let page = RECURRING_RUNS.page(&self.recurring, parent, query, |_, _| None)?;
        let rows = page.rows.into_iter().map(RecurringRun::body).collect();
        write(&PageBody { name: "recurringRuns", rows, total: page.total, next: page.next })
    }

    /// GET /recurringruns/{id}
    pub(crate) fn get_recurring(&self, id: &str) -> ApiResult {
        write(&self.recurring_run("Failed to fetch a recurring run", id)?.body())
    }

    fn recurring_run(&self, context: &str, id: &str) -> Result<&RecurringRun, ApiError> {
        self.recurring.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Job", id))
    }

    /// POST /recurringruns/{id}:enable and :disable
    pub(crate) fn switch_recurring(&mut self, id: &str, enabled: bool) -> ApiResult {
        let context = if enabled { "Failed to enable a recurring run" } else { "Failed to disable a recurring run" };
        let key = self.recurring_run(context, id)?.id;
        self.switch(key, enabled);
        nothing()
    }

    fn switch(&mut self, id: Uuid, enabled: bool) {
        let now = self.now();
        if let Some(recurring) = self.recurring.get_mut(id) {
            recurring.enabled = enabled;
            recurring.updated = seconds(now);
            self.reconcile_queue.insert(now, id);
        }
    }

    /// Disables every recurring run of an experiment, which has been archived.
    pub(crate) fn disable_recurring_runs(&mut self, experiment: Uuid) {
        for id in self.recurring.ids(Some(experiment)) {
            self.switch(id, false);
        }
    }

    /// DELETE /recurringruns/{id}. Unless they are to be orphaned, Kubernetes deletes the workflows along with it; their
    /// runs stay in the database as they were last seen.
    pub(crate) fn delete_recurring(&mut self, id: &str, query: &Query) -> ApiResult {
        let policy = query.get("propagation_policy").unwrap_or_default();
        let orphan = match policy {
            "" | "0" | "1" | "2" | "DELETE_PROPAGATION_POLICY_UNSPECIFIED" | "FOREGROUND" | "BACKGROUND" => false,
            "3" | "ORPHAN" => true,
            other => {
                let text = format!("type mismatch, parameter: propagation_policy, error: {other} is not valid");
                return Err(ApiError::gateway(Code::InvalidArgument, text));
            }
        };
        let context = "Failed to delete a recurring run";
        let key = self.recurring_run(context, id)?.id;
        if let Some(recurring) = self.recurring.remove(key)
            && !orphan
        {
            let runs = self.runs.ids(Some(key));
            let known = runs.iter().filter_map(|run| self.runs.get(*run)).map(|run| run.workflow);
            for workflow in known.chain(recurring.active).collect::<Vec<WorkflowKey>>() {
                self.cluster.delete_in_cluster(workflow);
                self.unreported.remove(&workflow);
            }
        }
        self.telemetry.jobs -= 1;
        nothing()
    }
}
