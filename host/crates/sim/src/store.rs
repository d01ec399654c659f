//! Everything the server remembers, and how it learns the time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::cluster::{Cluster, Key};
use crate::config::SimConfig;
use crate::draw::Draw;
use crate::error::ApiError;
use crate::experiments::Experiment;
use crate::pipelines::{Pipeline, Version};
use crate::query::Query;
use crate::recurring::{Looks, Recurring};
use crate::run_body::Written;
use crate::runs::Run;
use crate::stamp::Nanos;
use crate::table::{Table, namespace_key};
use crate::telemetry::Telemetry;
use crate::truth::{Gone, TriggerTruth};
use crate::workflow::State;

/// What a handler answers: the JSON body of a success.
pub(crate) type Answer = Result<Vec<u8>, ApiError>;

/// The server's memory, one for all connections.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) config: SimConfig,
    pub(crate) cluster: Cluster,
    /// Run creations.
    pub(crate) bucket: Bucket,
    /// Authorisations.
    pub(crate) reviews: Bucket,
    pub(crate) pipelines: Table<Pipeline>,
    pub(crate) versions: Table<Version>,
    pub(crate) experiments: Table<Experiment>,
    pub(crate) runs: Table<Run>,
    pub(crate) recurring: Table<Recurring>,
    /// When the controller of recurring runs looks at which.
    pub(crate) looks: Looks,
    /// Runs that the controller made and the server has not heard of.
    pub(crate) appearing: FxHashMap<Key, Run>,
    pub(crate) triggers: VecDeque<TriggerTruth>,
    pub(crate) gone: Gone,
    /// Versions of the Kubernetes API before this instant are forgotten.
    pub(crate) compacted: Nanos,
    pub(crate) written: RefCell<Written>,
    pub(crate) default_experiment: Uuid,
    pub(crate) telemetry: Telemetry,
    ids: Draw,
    made: u64,
    began: Nanos,
    clock: Instant,
}

impl Store {
    /// A server with its `Default` experiment and what it is to be filled with.
    pub(crate) fn new(config: SimConfig) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut store = Self {
            bucket: Bucket::new(config.create_rate, config.create_burst),
            reviews: Bucket::new(config.authorize_rate, config.authorize_burst),
            ids: Draw::new(config.seed).named("ids"),
            cluster: Cluster::new(config.clone()),
            pipelines: Table::default(),
            versions: Table::default(),
            experiments: Table::default(),
            runs: Table::default(),
            recurring: Table::default(),
            looks: Looks::default(),
            appearing: FxHashMap::default(),
            triggers: VecDeque::new(),
            gone: Gone::default(),
            compacted: 0,
            written: RefCell::default(),
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
        store.prefill();
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

    /// Brings the cluster, and the controller of recurring runs, up to the present.
    pub(crate) fn catch_up(&mut self) -> Nanos {
        let now = self.now();
        loop {
            let look = self.looks.due(now);
            // What the cluster tells comes before a look that is planned for later.
            if let Some(news) = self.cluster.advance(look.map_or(now, |(at, _)| at)) {
                self.hear(news);
                continue;
            }
            match look {
                Some((at, id)) => self.planned_look(at, id),
                None => return now,
            }
        }
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> Uuid {
        self.made += 1;
        self.ids.of(self.made).uuid()
    }

    /// The namespace that a client names for a row; in single-user mode rows have none.
    pub(crate) fn namespace_of(&self, named: Option<&str>) -> Arc<str> {
        if self.config.multi_user { named.unwrap_or_default().into() } else { "".into() }
    }

    /// The namespace whose rows a client asks for; in single-user mode all rows are asked for.
    pub(crate) fn namespace_of_list(&self, query: &Query) -> Option<Uuid> {
        self.config.multi_user.then(|| namespace_key(query.get("namespace").unwrap_or_default()))
    }

    /// What the asked for runs belong to: an experiment, else in multi-user mode a namespace.
    pub(crate) fn parent_of_list(&self, query: &Query) -> Option<Uuid> {
        let experiment = query.get("experiment_id").filter(|id| !id.is_empty()).map(parse_id);
        experiment.or_else(|| self.namespace_of_list(query))
    }

    /// How many rows of the kind that an operation lists are stored.
    pub(crate) fn rows_behind(&self, operation: &str) -> Option<usize> {
        Some(match operation {
            "list_runs" => self.runs.len(),
            "list_pipelines" => self.pipelines.len(),
            "list_pipeline_versions" => self.versions.len(),
            "list_experiments" => self.experiments.len(),
            "list_recurring_runs" => self.recurring.len(),
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
        let outcomes = ended.map(|(run, w)| (&*run.namespace, run.workflow_name.as_str(), w.state == State::Succeeded));
        self.telemetry.text(began as f64 / 1e9, outcomes)
    }

    /// Where the pods of an experiment's runs live.
    pub(crate) fn pod_namespace(&self, experiment: Uuid) -> Arc<str> {
        match self.experiments.get(experiment) {
            Some(experiment) if !experiment.namespace.is_empty() => Arc::clone(&experiment.namespace),
            _ => self.config.namespace.as_str().into(),
        }
    }
}

/// The id in a path or body; what is no id can't exist, so it is not found.
pub(crate) fn parse_id(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or(Uuid::nil())
}

/// Reads a request's body strictly.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::body(&e))
}

/// Writes an answer.
pub(crate) fn write(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map_err(|e| ApiError::internal("Failed to write the answer", &e.to_string()))
}

/// Writes a text that rows share.
pub(crate) fn shared_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The answer of what only acts.
pub(crate) fn nothing() -> Answer {
    Ok(b"{}".to_vec())
}

/// A page under the field name of its resource; empty things are left out.
pub(crate) struct PageBody<T> {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<T>,
    pub(crate) total: usize,
    pub(crate) next: Option<String>,
}

impl<T: Serialize> Serialize for PageBody<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.rows.is_empty() {
            map.serialize_entry(self.name, &self.rows)?;
        }
        if self.total > 0 {
            map.serialize_entry("total_size", &self.total)?;
        }
        if let Some(next) = &self.next {
            map.serialize_entry("next_page_token", next)?;
        }
        map.end()
    }
}
