//! Recurring runs: as clients see them, and the controller that makes runs of them.
//!
//! The controller looks at a recurring run when it was made or changed, at each resync once something is due, some time
//! after it has made a run, and whenever a workflow of it changes. A look makes at most one run.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cluster::{Key, News};
use crate::error::{ApiError, Code};
use crate::list::{Field, Listing};
use crate::query::Query;
use crate::runs::{NewRun, ReferenceBody, RuntimeConfig, Source, VersionReference};
use crate::schedule::{Pattern, Rule, Schedule};
use crate::spec::Spec;
use crate::stamp::{Nanos, Stamp, parse, seconds};
use crate::store::{Answer, PageBody, Store, nothing, parse_id, read, write};
use crate::table::{Row, namespace_key};
use crate::truth::TriggerTruth;

const CREATE: &str = "Failed to create a recurring run";
/// Of the instants that a recurring run lets pass at once, no more are remembered.
const MAX_SKIPPED: usize = 1_000;

/// A recurring run as the server stores it, with what its controller knows.
#[derive(Debug)]
pub(crate) struct Recurring {
    id: Uuid,
    display_name: String,
    description: String,
    pub(crate) namespace: Arc<str>,
    experiment: Uuid,
    service_account: Arc<str>,
    source: Source,
    /// Kept by those that do not follow the latest version: deleting the pipeline does not stop them.
    spec: Option<Arc<Spec>>,
    runtime_config: Option<Box<RuntimeConfig>>,
    max_concurrency: u8,
    no_catchup: bool,
    schedule: Schedule,
    enabled: bool,
    created: u32,
    updated: u32,
    /// The custom resource's name, which names the runs.
    resource_name: String,
    /// The instant that the last run stood for.
    last: Option<i64>,
    /// How many runs were made.
    made: u64,
    active: Vec<Key>,
}

impl Row for Recurring {
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

const LISTING: Listing<Recurring> = Listing {
    noun: "Job",
    keys: &["recurring_run_id", "id", "name", "display_name", "created_at", "updated_at", "description"],
    parent: None,
    column: |row, key| {
        Some(match key {
            "recurring_run_id" | "id" => Field::Id(row.id),
            "name" | "display_name" => Field::text(&row.display_name),
            "created_at" => Field::Number(row.created.into()),
            "updated_at" => Field::Number(row.updated.into()),
            "description" => Field::text(&row.description),
            _ => return None,
        })
    },
};

/// What the controller will look at, and when.
#[derive(Debug, Default)]
pub(crate) struct Looks(BTreeSet<(Nanos, Uuid)>);

impl Looks {
    /// The first look, if it is due by `now`.
    pub(crate) fn due(&self, now: Nanos) -> Option<(Nanos, Uuid)> {
        self.0.first().copied().filter(|(at, _)| *at <= now)
    }
}

/// What a client may send; what only the server sets is read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecurringIn {
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
    trigger: Option<TriggerIn>,
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
struct TriggerIn {
    #[serde(alias = "cronSchedule")]
    cron_schedule: Option<CronIn>,
    #[serde(alias = "periodicSchedule")]
    periodic_schedule: Option<PeriodicIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CronIn {
    cron: Option<String>,
    #[serde(alias = "startTime")]
    start_time: Option<String>,
    #[serde(alias = "endTime")]
    end_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeriodicIn {
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

impl TriggerIn {
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

#[derive(Serialize)]
struct RecurringBody<'a> {
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
    created_at: Stamp,
    updated_at: Stamp,
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
    start_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_second: Option<String>,
}

impl Recurring {
    fn trigger(&self) -> Option<TriggerBody<'_>> {
        let stamp = |at: Option<i64>| at.map(|at| Stamp::Epoch(u32::try_from(at).unwrap_or_default()));
        let (start_time, end_time) = (stamp(self.schedule.start), stamp(self.schedule.end));
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

    fn body(&self) -> RecurringBody<'_> {
        let (pipeline_version_reference, pipeline_spec) = self.source.shown();
        RecurringBody {
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
            created_at: Stamp::Epoch(self.created),
            updated_at: Stamp::Epoch(self.updated),
            status: if self.enabled { "ENABLED" } else { "DISABLED" },
            no_catchup: self.no_catchup,
            namespace: &self.namespace,
            experiment_id: self.experiment,
        }
    }

    /// What the next run is called: the number of the run, and a hash of what stands before it.
    fn next_name(&self) -> String {
        let name = format!("{}-{}", self.resource_name, self.made + 1);
        // FNV-1a with 32 bits, as the real controller hashes.
        let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
        format!("{name}-{hash}")
    }
}

/// The custom resource's name for a display name: what Kubernetes allows of it, and five letters.
fn resource_name(display_name: &str, id: Uuid) -> String {
    let lower = display_name.to_lowercase();
    let allowed = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let mut name: String = allowed.take(25).collect();
    name.push_str(&crate::runs::suffix(id));
    name
}

impl Store {
    /// POST /recurringruns
    pub(crate) fn create_recurring(&mut self, body: &[u8]) -> Answer {
        let mut input: RecurringIn = read(body)?;
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
            .map_or_else(|| Ok(Schedule { rule: Rule::Once, start: None, end: None }), TriggerIn::schedule)?;
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
        spec.check_parameters(parameters).map_err(|text| ApiError::invalid(CREATE, text))?;
        let spec = (!matches!(source, Source::Latest { .. })).then_some(spec);
        let now = self.now();
        let id = self.id();
        let enabled =
            matches!(input.mode.as_ref().map(|m| (m.as_str(), m.as_i64())), Some((Some("ENABLE"), _) | (_, Some(1))));
        let recurring = Recurring {
            id,
            resource_name: resource_name(&display_name, id),
            display_name,
            description: input.description.unwrap_or_default(),
            namespace,
            experiment,
            service_account: self.service_account(input.service_account),
            source,
            spec,
            runtime_config: input.runtime_config.and_then(RuntimeConfig::kept),
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
        self.looks.0.insert((now, id));
        answer
    }

    /// GET /recurringruns
    pub(crate) fn list_recurring(&self, query: &Query) -> Answer {
        let parent = self.parent_of_list(query);
        let page = LISTING.page(&self.recurring, parent, query, |_, _| None)?;
        let rows = page.rows.into_iter().map(Recurring::body).collect();
        write(&PageBody { name: "recurringRuns", rows, total: page.total, next: page.next })
    }

    /// GET /recurringruns/{id}
    pub(crate) fn get_recurring(&self, id: &str) -> Answer {
        write(&self.recurring_run("Failed to fetch a recurring run", id)?.body())
    }

    fn recurring_run(&self, context: &str, id: &str) -> Result<&Recurring, ApiError> {
        self.recurring.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Job", id))
    }

    /// POST /recurringruns/{id}:enable and :disable
    pub(crate) fn switch_recurring(&mut self, id: &str, enabled: bool) -> Answer {
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
            self.looks.0.insert((now, id));
        }
    }

    /// Archiving an experiment stops all that would make runs in it.
    pub(crate) fn disable_all(&mut self, experiment: Uuid) {
        for id in self.recurring.ids(Some(experiment)) {
            self.switch(id, false);
        }
    }

    /// DELETE /recurringruns/{id}. Unless they are to be orphaned, Kubernetes deletes the workflows along with it; their
    /// runs stay in the database as they were last seen.
    pub(crate) fn delete_recurring(&mut self, id: &str, query: &Query) -> Answer {
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
            for workflow in known.chain(recurring.active).collect::<Vec<Key>>() {
                self.cluster.halt(workflow);
                self.appearing.remove(&workflow);
            }
        }
        self.telemetry.jobs -= 1;
        nothing()
    }

    /// Acts on what the cluster told.
    pub(crate) fn hear(&mut self, news: News) {
        match news {
            News::Changed(id) => self.look(id, self.cluster.now()),
            News::Appeared(key) => {
                if let Some(run) = self.appearing.remove(&key) {
                    let gap = self.cluster.now() as f64 / 1e9 - f64::from(run.scheduled);
                    self.telemetry.gap(gap);
                    self.runs.insert(run);
                }
            }
        }
    }

    /// A planned look of the controller.
    pub(crate) fn planned_look(&mut self, at: Nanos, id: Uuid) {
        self.looks.0.remove(&(at, id));
        self.look(id, at);
    }

    /// The controller looks at a recurring run at `at`, the instant that the cluster has been advanced to.
    fn look(&mut self, id: Uuid, at: Nanos) {
        let cluster = &self.cluster;
        let Some(recurring) = self.recurring.get_mut(id) else { return };
        recurring.active.retain(|key| cluster.get(*key).is_some_and(|w| !w.is_over()));
        let now = i64::from(seconds(at));
        let next = recurring.schedule.next(recurring.last, recurring.created.into(), now, !recurring.no_catchup);
        let Some(next) = next.filter(|_| recurring.enabled) else { return };
        if next > now {
            let due = u64::try_from(next).unwrap_or_default().saturating_mul(1_000_000_000);
            let look = (self.resync_after(due), id);
            self.looks.0.insert(look);
            return;
        }
        // A workflow that ends brings the next look.
        if recurring.active.len() >= usize::from(recurring.max_concurrency) {
            return;
        }
        let (from, created) = (recurring.last, i64::from(recurring.created));
        let begin = from.or(recurring.schedule.start).unwrap_or(created);
        let skipped = recurring.schedule.between(begin, next, MAX_SKIPPED);
        let again = at.saturating_add(self.scaled(self.config.resync_after_run));
        let Some(run) = self.make_run(id, next) else {
            // Its pipeline has no version any more: tried again at the next resync.
            let look = (self.resync_after(at.saturating_add(1)), id);
            self.looks.0.insert(look);
            return;
        };
        for nominal in skipped {
            self.note(TriggerTruth::skipped(id, nominal));
        }
        self.note(TriggerTruth::made(id, next, at, run));
        self.looks.0.insert((again, id));
    }

    /// Makes the run that stands for the instant `nominal`.
    fn make_run(&mut self, id: Uuid, nominal: i64) -> Option<Uuid> {
        let recurring = self.recurring.get(id)?;
        let (spec, latest) = match (&recurring.spec, &recurring.source) {
            (Some(spec), _) => (Arc::clone(spec), None),
            (None, Source::Latest { pipeline }) => {
                let version = self.latest_version(*pipeline)?;
                let source = Source::Version { pipeline: *pipeline, version: version.pipeline_version_id };
                (Arc::clone(&version.pipeline_spec), Some(source))
            }
            _ => return None,
        };
        let none = Map::new();
        let parameters = recurring.runtime_config.as_deref().map_or(&none, |c| &c.parameters);
        let blueprint = spec.blueprint(parameters).ok()?;
        let name = recurring.next_name();
        // With the version left open the controller asks the API server for the run; else it makes the workflow itself,
        // and the server learns of it by the agent's report.
        let by_server = latest.is_some();
        let new = NewRun {
            experiment: recurring.experiment,
            display_name: name.clone(),
            description: recurring.description.clone(),
            service_account: Arc::clone(&recurring.service_account),
            source: latest.unwrap_or_else(|| recurring.source.clone()),
            runtime_config: recurring.runtime_config.clone(),
            workflow_name: Cow::Owned(name),
            blueprint,
            recurring: Some((id, nominal)),
            by_server,
        };
        let (run, key) = self.start_run(new);
        let recurring = self.recurring.get_mut(id)?;
        recurring.last = Some(nominal);
        recurring.made += 1;
        recurring.active.push(key);
        Some(run)
    }

    /// The first resync at or after `at`.
    fn resync_after(&self, at: Nanos) -> Nanos {
        let step = self.scaled(self.config.resync).max(1);
        let since = at.saturating_sub(self.began());
        at.max(self.began() + since.div_ceil(step) * step)
    }
}
