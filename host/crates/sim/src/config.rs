//! What can be set about the simulated server and the cluster behind it.

use std::time::Duration;

/// The knobs of a simulated server. `Default` resembles a small real installation with the settings that Kubeflow ships.
///
/// The durations of the cluster model are means: each draw is spread by `jitter` and divided by `speed`. Image pulls and
/// the work of user containers are only divided by `speed`: a `sleep 5` sleeps for five seconds. Draws depend only on
/// `seed`, on the order in which runs were created and on the pod's place in its run, so the same arrivals give the same
/// history.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Seeds every draw and every generated id.
    pub seed: u64,
    /// Pods that can exist at once; further pods wait in one first-in-first-out queue. At least 1.
    pub slots: usize,
    /// Run creations per second that the server lets through to Kubernetes, a token bucket like client-go's; further
    /// creations wait their turn. 0 = unlimited. Not scaled by `speed`: it limits the API server, not the cluster.
    pub create_rate: f64,
    /// Run creations that may pass at once after a quiet time. At least 1.
    pub create_burst: u32,
    /// From a workflow's creation until the workflow controller picks it up.
    pub pickup: Duration,
    /// From getting a slot until the pod is bound to a node.
    pub schedule: Duration,
    /// How long the first pull of an image takes; later pods with this image find it cached.
    pub image_pull: Duration,
    /// From the image being there until the main container runs.
    pub pod_start: Duration,
    /// How long a driver pod's own work takes.
    pub driver: Duration,
    /// How far the states that the API shows lag behind the workflow (the persistence agent's delay).
    pub report_lag: Duration,
    /// How many times faster than real time the cluster model runs. The server's clock, and with it every timestamp,
    /// stays wall time: at speed 10 a task of 5 s starts and ends 0.5 s apart.
    pub speed: f64,
    /// Added to every answer of the API, on top of what the work takes.
    pub latency: Duration,
    /// Share of the executor tasks that fail at their end, 0 to 1.
    pub failure_rate: f64,
    /// Spread of every draw: uniform within this share below and above the mean, 0 to 1.
    pub jitter: f64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            slots: 20,
            create_rate: 5.0,
            create_burst: 10,
            pickup: Duration::from_millis(300),
            schedule: Duration::from_millis(200),
            image_pull: Duration::from_secs(2),
            pod_start: Duration::from_secs(1),
            driver: Duration::from_millis(500),
            report_lag: Duration::from_secs(1),
            speed: 1.0,
            latency: Duration::ZERO,
            failure_rate: 0.0,
            jitter: 0.2,
        }
    }
}
