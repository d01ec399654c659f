//! What the host lends to its plugins: per worker thread, and per scenario, collector or reporter.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http::HeaderMap;
use kperf_metrics::{DeliveryChange, MetricDef, Registry, Shard, Tags};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::call::fault::Incidents;
use crate::environment::grants::Grants;
use crate::environment::limits::Limits;
use crate::environment::redactor::Redactor;
use crate::recording::fact::Facts;
use crate::recording::ledger::ScenarioLedger;
use crate::recording::outbox::Outbox;
use crate::recording::record::Records;

/// What one thread lends to the plugins that run on it. Cheap to clone.
#[derive(Clone)]
pub struct WorkerContext {
    /// Which metrics and series there are.
    pub registry: Registry,
    /// Where this thread's samples go. Only this thread locks it, but for the hand-over once a second.
    pub shard: Arc<Mutex<Shard>>,
    /// Where this thread's records go.
    pub records: Records,
    /// Where facts go.
    pub facts: Facts,
    /// This thread's HTTP client, configured for the target.
    pub http: kperf_http::Client,
    /// When the run started: the guests' clock counts from here.
    pub epoch: Instant,
    /// True when the run is being stopped: guests wake from their sleep and can send nothing more.
    pub stop: watch::Receiver<bool>,
    /// True once the run is ending in order before its time: long iterations ask, to end early.
    pub ending: Arc<AtomicBool>,
    /// Where incidents go.
    pub incidents: Incidents,
    /// Removes secrets from what plugins say.
    pub redactor: Redactor,
    /// The suite's seed.
    pub seed: u64,
}

/// How many virtual users share an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A group of users runs concurrently in one instance. Only for guests that are built for it (async lift).
    Shared,
    /// Each user has an instance of its own.
    User,
    /// Each iteration has a fresh instance.
    Iteration,
}

/// How requests are sent unless the plugin says otherwise.
#[derive(Debug, Clone)]
pub struct RequestDefaults {
    /// From `send` to the last byte.
    pub timeout: Option<Duration>,
    /// The largest response body in bytes.
    pub body_limit: u64,
    /// Whether to ask for compressed bodies and decode them.
    pub compression: bool,
    /// Headers of every request for the target.
    pub headers: HeaderMap,
}

impl Default for RequestDefaults {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            body_limit: 16 << 20,
            compression: true,
            headers: HeaderMap::new(),
        }
    }
}

/// How many artifacts a plugin has left so far, and bytes in them; clones count together.
#[derive(Debug, Clone, Default)]
pub struct ArtifactsLeft(Arc<Mutex<(u64, u64)>>);

impl ArtifactsLeft {
    /// The most artifacts of one plugin in a run.
    pub const MOST: u64 = 10_000;
    /// The most bytes in them.
    pub const LARGEST: u64 = 1 << 30;

    /// Counts one more; false if that would be too many, or too much.
    pub(crate) fn add(&self, bytes: u64) -> bool {
        let (number, sum) = &mut *self.0.lock();
        let fits = *number < Self::MOST && *sum + bytes <= Self::LARGEST;
        if fits {
            *number += 1;
            *sum += bytes;
        }
        fits
    }
}

/// How a reporter's messages are delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where they are written down.
    pub outbox: Arc<Outbox>,
    /// How long a message is tried.
    pub patience: Duration,
    /// The instant from which on nothing is tried any more, once there is one: the end of the run is near.
    pub until: watch::Receiver<Option<Instant>>,
    /// Learns what becomes of each message.
    pub changes: mpsc::UnboundedSender<DeliveryChange>,
}

/// What a plugin works on as one scenario, collector or reporter of a suite.
#[derive(Debug, Clone)]
pub struct PluginContext {
    /// The scenario's, collector's or reporter's name.
    pub name: Arc<str>,
    /// One of the plugin's modes.
    pub mode: String,
    /// The parameters as JSON text, defaults filled in.
    pub parameters: String,
    /// Metrics that the parameters declare, beside those of the plugin's description.
    pub metrics: Vec<MetricDef>,
    /// The target's base URL without a trailing slash; empty for none.
    pub target: String,
    /// The run's identifier.
    pub run: String,
    /// The suite's name.
    pub suite: String,
    /// The most virtual users that may run at once.
    pub users: u32,
    /// What the plugin may reach.
    pub grants: Grants,
    /// What the plugin may use.
    pub limits: Limits,
    /// The tags of every sample: `scenario`, and the scenario's own.
    pub tags: Tags,
    /// How requests are sent.
    pub requests: RequestDefaults,
    /// The folder of the run in which the plugin may leave files. None refuses them.
    pub artifacts: Option<PathBuf>,
    /// How much it has left there, over all its instances.
    pub left: ArtifactsLeft,
    /// Where the plugin's creations are written down. None for all but runners.
    pub ledger: Option<Arc<ScenarioLedger>>,
    /// The number that the plugin's first table has in the run. None where records are not kept.
    pub tables: Option<u32>,
    /// How messages are delivered. None for all but reporters.
    pub delivery: Option<Delivery>,
    /// How users share instances; none by how the guest was built.
    pub isolation: Option<Isolation>,
    /// How many users share an instance at most, if they do.
    pub group: u32,
}

/// Users that share an instance unless the suite says otherwise: a trap loses at most so many iterations, and an instance
/// costs next to nothing when it is divided by it.
pub const DEFAULT_GROUP: u32 = 128;

impl Default for PluginContext {
    fn default() -> Self {
        Self {
            name: "".into(),
            mode: String::new(),
            parameters: "{}".into(),
            metrics: Vec::new(),
            target: String::new(),
            run: String::new(),
            suite: String::new(),
            users: 1,
            grants: Grants::default(),
            limits: Limits::default(),
            tags: Tags::default(),
            requests: RequestDefaults::default(),
            artifacts: None,
            left: ArtifactsLeft::default(),
            ledger: None,
            tables: None,
            delivery: None,
            isolation: None,
            group: DEFAULT_GROUP,
        }
    }
}
