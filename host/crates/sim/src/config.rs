//! Settings of the simulated server and of the cluster behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::operation::Operation;

/// The settings of a simulated server. `Default` resembles a small real installation with the settings that Kubeflow ships.
///
/// The durations of the cluster model are means: each is spread by `jitter` and divided by `speed`. Image pulls and
/// the work of user containers are only divided by `speed`: a `sleep 5` sleeps for five seconds. Random values depend only on
/// `seed`, on the order in which runs were created and on the pod's place in its run, so the same arrivals give the same
/// history.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Seeds every random value and every generated id.
    pub seed: u64,
    /// Pods that can exist at once; further pods wait in one first-in-first-out queue. At least 1.
    pub slots: usize,
    /// Run creations per second that the server lets through to Kubernetes, a token bucket like client-go's; further
    /// creations wait their turn. None: no limit. Not scaled by `speed`: it limits the API server, not the cluster.
    pub create_rate: Option<f64>,
    /// Run creations that may pass at once after a quiet time. At least 1.
    pub create_burst: u32,
    /// From a workflow's creation until the workflow controller picks it up.
    pub pickup: Duration,
    /// From getting a slot until the pod is bound to a node.
    pub schedule: Duration,
    /// How long the first pull of an image takes; later pods with this image find it cached.
    pub image_pull: Duration,
    /// The time of a pod with a cached image for it.
    pub image_pull_warm: Duration,
    /// Share of those later pods that must pull their image all the same, as on a fresh node, 0 to 1.
    pub cold_pulls: f64,
    /// From the image being there until the main container runs.
    pub pod_start: Duration,
    /// How long a driver pod's own work takes.
    pub driver: Duration,
    /// How far the states that the API shows lag behind the workflow (the persistence agent's delay).
    pub report_lag: Duration,
    /// How often the controller reconciles all recurring runs: the longest that a trigger waits.
    pub resync: Duration,
    /// After making a run, how long that controller leaves the recurring run alone.
    pub resync_after_run: Duration,
    /// How many times faster than real time the cluster model runs. The server's clock, and with it every timestamp,
    /// stays wall time: at speed 10 a task of 5 s starts and ends 0.5 s apart.
    pub speed: f64,
    /// Spread of every duration: uniform within this share below and above the mean, 0 to 1.
    pub jitter: f64,
    /// Share of the executor tasks that fail at their end, 0 to 1.
    pub failure_rate: f64,
    /// Share of the executor tasks that take `slow_factor` times as long, 0 to 1.
    pub slow_rate: f64,
    /// How many times longer slow tasks take.
    pub slow_factor: f64,
    /// Share of the executor tasks with caching enabled that are found in the cache though nobody ran them before.
    pub cache_rate: f64,
    /// Added to every answer of the API, on top of what the work takes.
    pub latency: Duration,
    /// Added to the answers of single operations.
    pub latencies: BTreeMap<Operation, Duration>,
    /// Added to the answer of a list for every 1,000 rows of its kind that are stored, as a database without a fitting
    /// index needs it.
    pub list_latency: Duration,
    /// Share of the API's requests that are refused before any work, 0 to 1.
    pub error_rate: f64,
    /// The HTTP status of such a refusal, 400 to 599.
    pub error_status: u16,
    /// Share of the API's requests whose connection is reset instead of an answer, 0 to 1. Every second one is reset
    /// after the work was done: the client can't know.
    pub reset_rate: f64,
    /// Callers must identify themselves, and everything lives in namespaces.
    pub multi_user: bool,
    /// Users who may not act in a namespace; everybody else may act everywhere.
    pub denied: Vec<Denial>,
    /// Authorisations per second in multi-user mode, a token bucket as for creations. None: no limit.
    pub authorize_rate: Option<f64>,
    /// Authorisations that may pass at once after a quiet time. At least 1.
    pub authorize_burst: u32,
    /// Where pods live in single-user mode, and prefilled rows in multi-user mode.
    pub namespace: String,
    /// Rows that the server has stored when it starts.
    pub prefill: Prefill,
}

/// Rows that a server starts with, made up as if of the past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefill {
    /// Finished runs, spread over the pipelines and experiments.
    pub runs: usize,
    /// Pipelines with one version each; at least one if there are runs.
    pub pipelines: usize,
    /// Experiments besides `Default`.
    pub experiments: usize,
}

/// Someone who may not act somewhere: `USER=NAMESPACE`, where `*` stands for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    user: String,
    namespace: String,
}

impl Denial {
    /// Whether it is about this user in this namespace.
    #[must_use]
    pub fn applies(&self, user: &str, namespace: &str) -> bool {
        let matches = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        matches(&self.user, user) && matches(&self.namespace, namespace)
    }
}

/// A text that is no [`Denial`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no denial: write it like user@example.com=team-1, or *=team-1")]
pub struct DenialError(String);

impl FromStr for Denial {
    type Err = DenialError;

    fn from_str(text: &str) -> Result<Self, DenialError> {
        match text.split_once('=') {
            Some((user, namespace)) if !user.is_empty() && !namespace.is_empty() => {
                Ok(Self { user: user.to_owned(), namespace: namespace.to_owned() })
            }
            _ => Err(DenialError(text.to_owned())),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.user, self.namespace)
    }
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            slots: 20,
            create_rate: Some(5.0),
            create_burst: 10,
            pickup: Duration::from_millis(300),
            schedule: Duration::from_millis(200),
            image_pull: Duration::from_secs(2),
            image_pull_warm: Duration::ZERO,
            cold_pulls: 0.0,
            pod_start: Duration::from_secs(1),
            driver: Duration::from_millis(500),
            report_lag: Duration::from_secs(1),
            resync: Duration::from_secs(30),
            resync_after_run: Duration::from_secs(10),
            speed: 1.0,
            jitter: 0.2,
            failure_rate: 0.0,
            slow_rate: 0.0,
            slow_factor: 10.0,
            cache_rate: 0.0,
            latency: Duration::ZERO,
            latencies: BTreeMap::new(),
            list_latency: Duration::ZERO,
            error_rate: 0.0,
            error_status: 503,
            reset_rate: 0.0,
            multi_user: false,
            denied: Vec::new(),
            authorize_rate: Some(5.0),
            authorize_burst: 10,
            namespace: "kubeflow".to_owned(),
            prefill: Prefill::default(),
        }
    }
}

/// A setting outside of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A share below 0 or above 1.
    #[error("{name} is {value}: a share is from 0 to 1")]
    Share {
        /// The field of [`SimConfig`].
        name: &'static str,
        /// The value that it has.
        value: f64,
    },
    /// A factor or a rate that is not a number above 0.
    #[error("{name} is {value}: it must be above 0")]
    NotPositive {
        /// The field of [`SimConfig`].
        name: &'static str,
        /// The value that it has.
        value: f64,
    },
    /// A status that tells of no failure.
    #[error("error_status is {0}: a refusal is from 400 to 599")]
    ErrorStatus(u16),
}

impl SimConfig {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// The first setting that is outside of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let shares = [
            ("jitter", self.jitter),
            ("failure_rate", self.failure_rate),
            ("slow_rate", self.slow_rate),
            ("cache_rate", self.cache_rate),
            ("cold_pulls", self.cold_pulls),
            ("error_rate", self.error_rate),
            ("reset_rate", self.reset_rate),
        ];
        if let Some((name, value)) = shares.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return Err(ConfigError::Share { name, value });
        }
        if !(400..600).contains(&self.error_status) {
            return Err(ConfigError::ErrorStatus(self.error_status));
        }
        let mut positive = [
            ("speed", Some(self.speed)),
            ("slow_factor", Some(self.slow_factor)),
            ("create_rate", self.create_rate),
            ("authorize_rate", self.authorize_rate),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
        match positive.find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
            Some((name, value)) => Err(ConfigError::NotPositive { name, value }),
            None => Ok(()),
        }
    }
}
