//! Requests by operation, and how values are spread.

use serde::{Deserialize, Serialize};

/// The requests of one operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// The operation, as the plugin calls it.
    pub operation: String,
    /// How many requests.
    pub count: u64,
    /// How many of them without an expected response.
    pub failures: u64,
    /// Requests per second.
    pub rate: f64,
    /// Requests per status.
    pub statuses: Vec<StatusCount>,
    /// Service time: sending, waiting and receiving, in seconds.
    pub duration: Option<Spread>,
    /// Service time plus how late the iteration started, in seconds (open model).
    pub response_time: Option<Spread>,
    /// Where the time went.
    pub phases: Phases,
    /// How the values of the scenario's `spread` tag differ; none if no request carries the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<TagSpread>,
}

/// Requests with one status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusCount {
    /// The HTTP status; `0` where there was no response.
    pub status: String,
    /// How many requests.
    pub count: u64,
}

/// Where the time of requests went, in seconds. None for a phase that never happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Waiting for a connection of the pool.
    pub blocked: Option<Spread>,
    /// Name resolution and TCP.
    pub connecting: Option<Spread>,
    /// TLS handshake.
    pub tls: Option<Spread>,
    /// Sending the request.
    pub sending: Option<Spread>,
    /// From the last byte sent to the first byte received.
    pub waiting: Option<Spread>,
    /// From the first byte received to the last.
    pub receiving: Option<Spread>,
}

/// How values are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The largest value.
    pub max: f64,
}

/// How the values of a tag (tenants, say) differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagSpread {
    /// The tag's key.
    pub tag: String,
    /// How many values had requests, or samples of a metric.
    pub values: u64,
    /// Over the values: the 95th percentile of each, of the service time in seconds, of a metric in its unit.
    pub p95: Ends,
    /// The slowest values by that percentile, five at most.
    pub slowest: Vec<TagValue>,
    /// Jain's index of the values' mean service times: 1 when all are served alike.
    pub fairness_latency: f64,
    /// Jain's index of the values' requests per second.
    pub fairness_throughput: f64,
}

/// The ends and the middle of some figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ends {
    /// The smallest figure.
    pub min: f64,
    /// The median; of an even number the lower one of the two.
    pub median: f64,
    /// The largest figure.
    pub max: f64,
}

/// One value of a tag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagValue {
    /// The tag's value: a tenant's name, say.
    pub value: String,
    /// How many requests, or samples.
    pub count: u64,
    /// How many of the requests had no expected response; none for a metric's samples.
    pub failures: Option<u64>,
    /// Requests, or samples, per second.
    pub rate: f64,
    /// The mean of their service time, in seconds; of a metric in its unit, like the next two.
    pub mean: f64,
    /// The 95th percentile of their service time, in seconds.
    pub p95: f64,
    /// The largest service time, in seconds.
    pub max: f64,
}
