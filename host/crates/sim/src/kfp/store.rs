//! What the server remembers: its tables, the cluster behind them, its clock and its counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::cluster::workflow::RuntimeState;
use crate::cluster::{Cluster, WorkflowKey};
use crate::config::SimConfig;
use crate::kfp::json::parse_id;
use crate::kfp::rows::experiment::Experiment;
use crate::kfp::rows::pipeline::{Pipeline, Version};
use crate::kfp::rows::recurring_run::{ReconcileQueue, RecurringRun, Trigger};
use crate::kfp::rows::run::{DeletedRuns, Run};
use crate::kfp::rows::run_body::RunJsonCache;
use crate::kfp::table::{Table, namespace_key};
use crate::kfp::telemetry::Telemetry;
use crate::kfp::token_bucket::TokenBucket;
use crate::operation::Operation;
use crate::query::Query;
use crate::random::RandomStream;
use crate::timestamp::Nanos;

/// Triggers are remembered up to so many.
const REMEMBERED_TRIGGERS: usize = 100_000;

/// The server's memory, one for all connections.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) config: SimConfig,
    pub(crate) cluster: Cluster,
    /// Limits how many runs are created in a second.
    pub(crate) creations: TokenBucket,
    /// Limits how many authorisations are reviewed in a second.
    pub(crate) authorizations: TokenBucket,
    pub(crate) pipelines: Table<Pipeline>,
    pub(crate) versions: Table<Version>,
    pub(crate) experiments: Table<Experiment>,
    pub(crate) runs: Table<Run>,
    pub(crate) recurring: Table<RecurringRun>,
    /// When the controller reconciles which recurring run.
    pub(crate) reconcile_queue: ReconcileQueue,
    /// Runs that the controller made and no report has told the server of.
    pub(crate) unreported: FxHashMap<WorkflowKey, Run>,
    /// Triggers of recurring runs, the latest [`REMEMBERED_TRIGGERS`].
    pub(crate) triggers: VecDeque<Trigger>,
    pub(crate) deleted: DeletedRuns,
    /// Resource versions of the Kubernetes API before this instant are too old; none before the first compaction.
    pub(crate) compacted: Nanos,
    pub(crate) run_json: RefCell<RunJsonCache>,
    pub(crate) default_experiment: Uuid,
    pub(crate) telemetry: Telemetry,
    ids: RandomStream,
    made: u64,
    began: Nanos,
    clock: Instant,
}

impl Store {
    /// A server with its `Default` experiment.
    pub(crate) fn new(config: SimConfig) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut store = Self {
            creations: TokenBucket::new(config.create_rate, config.create_burst),
            authorizations: TokenBucket::new(config.authorize_rate, config.authorize_burst),
            ids: RandomStream::new(config.seed).fork_named("ids"),
            cluster: Cluster::new(config.clone()),
            pipelines: Table::default(),
            versions: Table::default(),
            experiments: Table::default(),
            runs: Table::default(),
            recurring: Table::default(),
            reconcile_queue: ReconcileQueue::default(),
            unreported: FxHashMap::default(),
            triggers: VecDeque::new(),
            deleted: DeletedRuns::default(),
            compacted: 0,
            run_json: RefCell::default(),
            default_experiment: Uuid::nil(),
            telemetry: Telemetry::default(),
            made: 0,
            began: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            clock: Instant::now(),
            config,
        };
        // In multi-user mode nothing belongs to everybody.
        if !store.config.multi_user {
            let id = store.id();
            store.default_experiment = id;
            store.experiments.insert(Experiment::new(id, store.now(), "".into(), "Default".to_owned(), String::new()));
        }
        store
    }

    /// The server's clock: started at wall time, then steady.
    pub(crate) fn now(&self) -> Nanos {
        self.began.saturating_add(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// When the server started.
    pub(crate) fn began(&self) -> Nanos {
        self.began
    }

    /// A duration of the cluster's as it is on the clock.
    pub(crate) fn scaled(&self, duration: Duration) -> Nanos {
        self.cluster.scaled(duration.as_secs_f64())
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> Uuid {
        self.made += 1;
        self.ids.fork(self.made).uuid()
    }

    /// The namespace that a client names for a row; in single-user mode rows have none.
    pub(crate) fn namespace_of(&self, named: Option<&str>) -> Arc<str> {
        if self.config.multi_user { named.unwrap_or_default().into() } else { "".into() }
    }

    /// The namespace whose rows a client asks for; in single-user mode there is none.
    pub(crate) fn namespace_of_list(&self, query: &Query) -> Option<Uuid> {
        self.config.multi_user.then(|| namespace_key(query.get("namespace").unwrap_or_default()))
    }

    /// The parent of the rows that a list asks for: an experiment, else in multi-user mode a namespace.
    pub(crate) fn parent_of_list(&self, query: &Query) -> Option<Uuid> {
        let experiment = query.get("experiment_id").filter(|id| !id.is_empty()).map(parse_id);
        experiment.or_else(|| self.namespace_of_list(query))
    }

    /// How many rows of the kind that an operation lists are stored.
    pub(crate) fn rows_behind(&self, operation: Operation) -> Option<usize> {
        Some(match operation {
            Operation::ListRuns => self.runs.len(),
            Operation::ListPipelines => self.pipelines.len(),
            Operation::ListPipelineVersions => self.versions.len(),
            Operation::ListExperiments => self.experiments.len(),
            Operation::ListRecurringRuns => self.recurring.len(),
            _ => return None,
        })
    }

    /// GET /metrics
    pub(crate) fn metrics(&self) -> String {
        let began = self.began;
        let known = self.runs.rows(None).rev().map_while(|run| {
            let workflow = self.cluster.get(run.workflow)?;
            // What was stored before the start is not counted.
            (workflow.created >= began).then_some((run, workflow))
        });
        let ended = known.filter(|(_, workflow)| workflow.finished.is_some());
        let finished =
            ended.map(|(run, w)| (&*run.namespace, run.workflow_name.as_str(), w.state == RuntimeState::Succeeded));
        self.telemetry.text(began as f64 / 1e9, finished)
    }

    /// Remembers what an instant of a recurring run led to, and forgets the oldest if there are too many.
    pub(crate) fn record_trigger(&mut self, trigger: Trigger) {
        if self.triggers.len() >= REMEMBERED_TRIGGERS {
            self.triggers.pop_front();
        }
        self.triggers.push_back(trigger);
    }

    /// The namespace of the pods of an experiment's runs.
    pub(crate) fn pod_namespace(&self, experiment: Uuid) -> Arc<str> {
        match self.experiments.get(experiment) {
            Some(experiment) if !experiment.namespace.is_empty() => Arc::clone(&experiment.namespace),
            _ => self.config.namespace.as_str().into(),
        }
    }
}
