//! Everything the server remembers, and how it learns the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::cluster::Cluster;
use crate::config::SimConfig;
use crate::draw::Draw;
use crate::error::ApiError;
use crate::experiments::Experiment;
use crate::pipelines::{Pipeline, Version};
use crate::runs::Run;
use crate::stamp::Nanos;
use crate::table::Table;
use crate::telemetry::Telemetry;

/// What a handler answers: the JSON body of a success.
pub(crate) type Answer = Result<Vec<u8>, ApiError>;

/// The server's memory, one for all connections.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) cluster: Cluster,
    pub(crate) bucket: Bucket,
    pub(crate) pipelines: Table<Pipeline>,
    pub(crate) versions: Table<Version>,
    pub(crate) experiments: Table<Experiment>,
    pub(crate) runs: Table<Run>,
    pub(crate) default_experiment: Uuid,
    pub(crate) telemetry: Telemetry,
    ids: Draw,
    made: u64,
    began: Nanos,
    clock: Instant,
}

impl Store {
    /// An empty server with its `Default` experiment.
    pub(crate) fn new(config: SimConfig) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut store = Self {
            bucket: Bucket::new(config.create_rate, config.create_burst),
            ids: Draw::new(config.seed).named("ids"),
            cluster: Cluster::new(config),
            pipelines: Table::default(),
            versions: Table::default(),
            experiments: Table::default(),
            runs: Table::default(),
            default_experiment: Uuid::nil(),
            telemetry: Telemetry::default(),
            made: 0,
            began: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            clock: Instant::now(),
        };
        let experiment = Experiment::new(store.id(), store.now(), "Default".to_owned(), String::new());
        store.default_experiment = experiment.experiment_id;
        store.experiments.insert(experiment);
        store
    }

    /// The server's clock: started at wall time, then steady.
    pub(crate) fn now(&self) -> Nanos {
        self.began.saturating_add(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Brings the cluster up to the present.
    pub(crate) fn catch_up(&mut self) -> Nanos {
        let now = self.now();
        self.cluster.advance(now);
        now
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> Uuid {
        self.made += 1;
        self.ids.of(self.made).uuid()
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
