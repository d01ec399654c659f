//! The servers inside this process that suites may use as targets: which program each of them is.

use std::io;
use std::net::SocketAddr;

use kperf_doubles::{DoubleServer, PagerDuty, Slack};
use kperf_run::{LocalServer, LocalServers};

use kperf_sim::{Prefill, SimConfig};
use kperf_suite::{Double, Simulated};

/// The simulated Kubeflow Pipelines server and the doubles of Slack and PagerDuty.
pub struct BuiltIn;

impl LocalServers for BuiltIn {
    fn simulated(&self, wanted: &Simulated) -> io::Result<Box<dyn LocalServer>> {
        Ok(Box::new(SimulatedServer(kperf_sim::Sim::start(config(wanted), loopback())?)))
    }

    fn double(&self, which: Double) -> io::Result<Box<dyn LocalServer>> {
        let server = match which {
            Double::Slack => DoubleServer::start(Slack::default(), loopback()),
            Double::PagerDuty => DoubleServer::start(PagerDuty::default(), loopback()),
        };
        Ok(Box::new(RunningDouble(server?)))
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

struct SimulatedServer(kperf_sim::Sim);

impl LocalServer for SimulatedServer {
    fn url(&self) -> String {
        self.0.url()
    }

    fn received(&self) -> Vec<String> {
        Vec::new()
    }
}

struct RunningDouble(DoubleServer);

impl LocalServer for RunningDouble {
    fn url(&self) -> String {
        self.0.url()
    }

    fn received(&self) -> Vec<String> {
        self.0.received().iter().filter_map(|received| serde_json::to_string(received).ok()).collect()
    }
}

/// The simulator's configuration for a suite's `[simulated]`.
fn config(wanted: &Simulated) -> SimConfig {
    SimConfig {
        seed: wanted.seed,
        slots: wanted.slots as usize,
        create_rate: wanted.create_rate.map(kperf_schedule::Rate::as_per_second),
        create_burst: wanted.create_burst,
        pickup: wanted.pickup,
        schedule: wanted.schedule,
        image_pull: wanted.image_pull,
        image_pull_warm: wanted.image_pull_warm,
        cold_pulls: wanted.cold_pulls.ratio(),
        pod_start: wanted.pod_start,
        driver: wanted.driver,
        report_lag: wanted.report_lag,
        resync: wanted.resync,
        resync_after_run: wanted.resync_after_run,
        speed: wanted.speed,
        jitter: wanted.jitter.ratio(),
        failure_rate: wanted.failure_rate.ratio(),
        slow_rate: wanted.slow_rate.ratio(),
        slow_factor: wanted.slow_factor,
        cache_rate: wanted.cache_rate.ratio(),
        latency: wanted.latency,
        // The suite has checked the names.
        latencies: wanted.latencies.iter().filter_map(|(name, latency)| Some((name.parse().ok()?, *latency))).collect(),
        list_latency: wanted.list_latency,
        error_rate: wanted.error_rate.ratio(),
        error_status: u16::try_from(wanted.error_status).unwrap_or(503),
        reset_rate: wanted.reset_rate.ratio(),
        multi_user: wanted.multi_user,
        // The suite has checked them.
        denied: wanted.denied.iter().filter_map(|denial| denial.parse().ok()).collect(),
        authorize_rate: wanted.authorize_rate.map(kperf_schedule::Rate::as_per_second),
        authorize_burst: wanted.authorize_burst,
        namespace: wanted.namespace.clone(),
        prefill: Prefill {
            runs: wanted.runs as usize,
            pipelines: wanted.pipelines as usize,
            experiments: wanted.experiments as usize,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn a_suite_knows_the_operations_that_the_server_has() {
        let written: BTreeSet<&str> = kperf_suite::simulated_operations().collect();
        assert_eq!(written, kperf_sim::Operation::ALL.iter().map(|operation| operation.name()).collect());
    }

    #[test]
    fn an_empty_table_means_the_servers_own_defaults() {
        let suite = "name = 'n'\nseed = 0\n[[scenario]]\nname = 's'\nplugin = 'p'\ntarget = 'simulated'\n\
                     load = { executor = 'constant-vus', duration = '10s' }\n";
        let source = kperf_suite::Source { name: "suite.toml", text: suite };
        let options = kperf_suite::LoadOptions { environment: None, sets: &[], lookup: &|_| None };
        let suite = kperf_suite::load(source, &options).unwrap();
        assert_eq!(super::config(&suite.simulated), kperf_sim::SimConfig::default());
    }
}
