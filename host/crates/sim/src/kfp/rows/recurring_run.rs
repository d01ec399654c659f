//! Rows of recurring runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::cluster::WorkflowKey;
use crate::kfp::list::{ColumnValue, ListSchema};
use crate::kfp::rows::run::{ReferenceBody, RuntimeConfig, Source, name_suffix};
use crate::kfp::schedule::{Rule, Schedule};
use crate::kfp::spec::Spec;
use crate::kfp::table::{Row, namespace_key};
use crate::timestamp::{Nanos, Timestamp};

/// A recurring run as the server stores it, with what its controller knows.
#[derive(Debug)]
pub(crate) struct RecurringRun {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) namespace: Arc<str>,
    pub(crate) experiment: Uuid,
    pub(crate) service_account: Arc<str>,
    pub(crate) source: Source,
    /// Kept by those that do not follow the latest version: deleting the pipeline does not stop them.
    pub(crate) spec: Option<Arc<Spec>>,
    pub(crate) runtime_config: Option<Box<RuntimeConfig>>,
    pub(crate) max_concurrency: u8,
    pub(crate) no_catchup: bool,
    pub(crate) schedule: Schedule,
    pub(crate) enabled: bool,
    pub(crate) created: u32,
    pub(crate) updated: u32,
    /// The custom resource's name, which names the runs.
    pub(crate) resource_name: String,
    /// The instant that the last run stood for.
    pub(crate) last: Option<i64>,
    /// How many runs were made.
    pub(crate) made: u64,
    pub(crate) active: Vec<WorkflowKey>,
}

impl Row for RecurringRun {
    fn id(&self) -> Uuid {
        self.id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parents(&self) -> [Option<Uuid>; 3] {
        [Some(self.experiment), Some(namespace_key(&self.namespace)), None]
    }
}

pub(crate) const RECURRING_RUNS: ListSchema<RecurringRun> = ListSchema {
    noun: "Job",
    keys: &["recurring_run_id", "id", "name", "display_name", "created_at", "updated_at", "description"],
    parent: None,
    column: |row, key| {
        Some(match key {
            "recurring_run_id" | "id" => ColumnValue::Id(row.id),
            "name" | "display_name" => ColumnValue::text(&row.display_name),
            "created_at" => ColumnValue::Number(row.created.into()),
            "updated_at" => ColumnValue::Number(row.updated.into()),
            "description" => ColumnValue::text(&row.description),
            _ => return None,
        })
    },
};

/// When the controller reconciles which recurring run.
#[derive(Debug, Default)]
pub(crate) struct ReconcileQueue(BTreeSet<(Nanos, Uuid)>);

impl ReconcileQueue {
    /// Plans a reconciliation.
    pub(crate) fn insert(&mut self, at: Nanos, id: Uuid) {
        self.0.insert((at, id));
    }

    /// Takes out a reconciliation.
    pub(crate) fn remove(&mut self, at: Nanos, id: Uuid) {
        self.0.remove(&(at, id));
    }

    /// The first reconciliation, if it is due by `now`.
    pub(crate) fn first_due(&self, now: Nanos) -> Option<(Nanos, Uuid)> {
        self.0.first().copied().filter(|(at, _)| *at <= now)
    }
}

/// An instant at which a recurring run was due, and the run that was made for it.
#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) recurring: Uuid,
    /// The instant, in seconds since the epoch.
    pub(crate) nominal: i64,
    /// When a run was made for the instant, and its id; none if the controller skipped the instant.
    pub(crate) made: Option<(Nanos, Uuid)>,
}

#[derive(Serialize)]
pub(crate) struct RecurringRunBody<'a> {
    recurring_run_id: Uuid,
    display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_version_reference: Option<ReferenceBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_spec: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_config: Option<&'a RuntimeConfig>,
    service_account: &'a str,
    max_concurrency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<TriggerBody<'a>>,
    mode: &'static str,
    created_at: Timestamp,
    updated_at: Timestamp,
    status: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_catchup: bool,
    namespace: &'a str,
    experiment_id: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum TriggerBody<'a> {
    CronSchedule(ScheduleBody<'a>),
    PeriodicSchedule(ScheduleBody<'a>),
}

#[derive(Serialize)]
struct ScheduleBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_second: Option<String>,
}

impl RecurringRun {
    fn trigger(&self) -> Option<TriggerBody<'_>> {
        let timestamp = |at: Option<i64>| at.map(|at| Timestamp::Epoch(u32::try_from(at).unwrap_or_default()));
        let (start_time, end_time) = (timestamp(self.schedule.start), timestamp(self.schedule.end));
        match &self.schedule.rule {
            Rule::Once => None,
            Rule::Cron { text, .. } => Some(TriggerBody::CronSchedule(ScheduleBody {
                start_time,
                end_time,
                cron: Some(text),
                interval_second: None,
            })),
            Rule::Interval(interval) => Some(TriggerBody::PeriodicSchedule(ScheduleBody {
                start_time,
                end_time,
                cron: None,
                interval_second: Some(interval.to_string()),
            })),
        }
    }

    /// The recurring run as the API shows it.
    pub(crate) fn body(&self) -> RecurringRunBody<'_> {
        let (pipeline_version_reference, pipeline_spec) = self.source.shown();
        RecurringRunBody {
            recurring_run_id: self.id,
            display_name: &self.display_name,
            description: &self.description,
            pipeline_version_reference,
            pipeline_spec,
            runtime_config: self.runtime_config.as_deref(),
            service_account: &self.service_account,
            max_concurrency: self.max_concurrency.to_string(),
            trigger: self.trigger(),
            mode: if self.enabled { "ENABLE" } else { "DISABLE" },
            created_at: Timestamp::Epoch(self.created),
            updated_at: Timestamp::Epoch(self.updated),
            status: if self.enabled { "ENABLED" } else { "DISABLED" },
            no_catchup: self.no_catchup,
            namespace: &self.namespace,
            experiment_id: self.experiment,
        }
    }

    /// The name of the next run: the resource's name, the run's number, and a hash of both.
    pub(crate) fn next_name(&self) -> String {
        let name = format!("{}-{}", self.resource_name, self.made + 1);
        // FNV-1a with 32 bits, as the real controller hashes.
        let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
        format!("{name}-{hash}")
    }
}

/// The custom resource's name for a display name: what Kubernetes allows of it, and five letters.
pub(crate) fn resource_name(display_name: &str, id: Uuid) -> String {
    let lower = display_name.to_lowercase();
    let allowed = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let mut name: String = allowed.take(25).collect();
    name.push_str(&name_suffix(id));
    name
}
