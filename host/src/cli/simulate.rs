//! `kperf-host simulate`: a simulated server on its own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use kperf_sim::{Denial, Operation, Prefill, SimConfig};
use kperf_suite::Share;

use crate::terminal;
use kperf_results::Exit;

/// Which server.
#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Kubeflow Pipelines: API and cluster
    Kfp(Box<Kfp>),
    /// Slack: incoming webhooks and chat.postMessage; prints what it is told
    Slack(Listener),
    /// PagerDuty: the Events API v2; prints what it is told
    Pagerduty(Listener),
}

/// A double of a service that reporters deliver to.
#[derive(Debug, Args)]
pub(super) struct Listener {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8889", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Answer the first so many requests with 429
    #[arg(long, value_name = "N", default_value_t = 0)]
    busy: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Durations are written like 20ms or 1.5s, shares like 5%. Times of the cluster are means, before --speed.\n\
                        What it simulates and what it does not: docs/simulated-kfp.md"
)]
pub(super) struct Kfp {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8888", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    tasks: Tasks,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    faults: Faults,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    stored: Stored,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
struct Cluster {
    /// How many pods run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// How many times faster than real the simulated cluster works
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Spread of drawn times below and above their mean
    #[arg(long, value_name = "SHARE")]
    jitter: Option<Share>,
    /// From a run's creation until the workflow controller picks it up
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pickup: Option<Duration>,
    /// From a pod's slot to its node
    #[arg(long, value_name = "TIME", value_parser = duration)]
    schedule: Option<Duration>,
    /// The first pull of an image
    #[arg(long, value_name = "TIME", value_parser = duration)]
    image_pull: Option<Duration>,
    /// What a pod whose image is there already spends on it
    #[arg(long, value_name = "TIME", value_parser = duration)]
    image_pull_warm: Option<Duration>,
    /// Pods that must pull an image that was pulled before
    #[arg(long, value_name = "SHARE")]
    cold_pulls: Option<Share>,
    /// From an image to a running container
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pod_start: Option<Duration>,
    /// The work of a driver pod
    #[arg(long, value_name = "TIME", value_parser = duration)]
    driver: Option<Duration>,
    /// From a task's end to its state in the API
    #[arg(long, value_name = "TIME", value_parser = duration)]
    report_lag: Option<Duration>,
    /// How often the controller of recurring runs looks for due triggers
    #[arg(long, value_name = "TIME", value_parser = duration)]
    resync: Option<Duration>,
    /// How long that controller leaves a recurring run alone after it made a run
    #[arg(long, value_name = "TIME", value_parser = duration)]
    resync_after_run: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tasks")]
struct Tasks {
    /// Tasks that fail
    #[arg(long, value_name = "SHARE")]
    failure_rate: Option<Share>,
    /// Tasks that are slow
    #[arg(long, value_name = "SHARE")]
    slow_rate: Option<Share>,
    /// How many times longer slow tasks take
    #[arg(long, value_name = "FACTOR")]
    slow_factor: Option<f64>,
    /// Tasks with caching enabled that are found in the cache though nobody ran them before
    #[arg(long, value_name = "SHARE")]
    cache_rate: Option<Share>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "API server")]
struct Server {
    /// Run creations per second, as the real server's Kubernetes client allows; 0 for no limit
    #[arg(long, value_name = "N")]
    create_rate: Option<f64>,
    /// Run creations that pass at once after a quiet time
    #[arg(long, value_name = "N")]
    create_burst: Option<u32>,
    /// Added to every answer, or to one operation's: 20ms, or list_runs=20ms; may be repeated
    #[arg(long, value_name = "[OPERATION=]TIME", value_parser = latency)]
    latency: Vec<(Option<Operation>, Duration)>,
    /// Added to the answer of a list per 1,000 rows stored
    #[arg(long, value_name = "TIME", value_parser = duration)]
    list_latency: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
struct Faults {
    /// Requests that are refused before any work
    #[arg(long, value_name = "SHARE")]
    error_rate: Option<Share>,
    /// The HTTP status that they are refused with
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(400..600))]
    error_status: Option<u16>,
    /// Requests that end in a connection reset, half of them after the work was done
    #[arg(long, value_name = "SHARE")]
    reset_rate: Option<Share>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Users")]
struct Users {
    /// Callers must identify themselves (kubeflow-userid, or a bearer token NAME or NAME;exp=SECONDS)
    #[arg(long)]
    multi_user: bool,
    /// Who may not act where, `*` for all; may be repeated
    #[arg(long, value_name = "USER=NAMESPACE")]
    deny: Vec<Denial>,
    /// Authorisations per second in multi-user mode; 0 for no limit
    #[arg(long, value_name = "N")]
    authorize_rate: Option<f64>,
    /// Authorisations that pass at once after a quiet time
    #[arg(long, value_name = "N")]
    authorize_burst: Option<u32>,
    /// Where pods live in single-user mode, and stored rows in multi-user mode
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Stored at the start")]
struct Stored {
    /// Finished runs
    #[arg(long, value_name = "N", default_value_t = 0)]
    runs: usize,
    /// Pipelines
    #[arg(long, value_name = "N", default_value_t = 0)]
    pipelines: usize,
    /// Experiments besides `Default`
    #[arg(long, value_name = "N", default_value_t = 0)]
    experiments: usize,
}

fn duration(text: &str) -> Result<Duration, String> {
    kperf_suite::parse_duration(text).map_err(|error| error.to_string())
}

/// A time for all operations, or for the one before the equals sign.
fn latency(text: &str) -> Result<(Option<Operation>, Duration), String> {
    match text.split_once('=') {
        None => Ok((None, duration(text)?)),
        Some((name, time)) => match name.parse::<Operation>() {
            Ok(operation) => Ok((Some(operation), duration(time)?)),
            Err(unknown) => {
                let help = kperf_suite::suggestion(name, Operation::ALL.iter().map(|operation| operation.name()));
                Err(format!("{unknown}: {help}"))
            }
        },
    }
}

/// A rate as a flag gives it, where 0 stands for no limit.
fn rate_limit(given: Option<f64>, usual: Option<f64>) -> Option<f64> {
    given.map_or(usual, |rate| (rate != 0.0).then_some(rate))
}

impl Kfp {
    fn config(&self) -> SimConfig {
        let Self { seed, cluster, tasks, server, faults, users, stored, .. } = self;
        let usual = SimConfig::default();
        let share = |given: Option<Share>, usual: f64| given.map_or(usual, Share::ratio);
        let all = server.latency.iter().rev().find(|(operation, _)| operation.is_none());
        let single = server.latency.iter().filter_map(|(operation, time)| Some(((*operation)?, *time)));
        SimConfig {
            seed: seed.unwrap_or(usual.seed),
            slots: cluster.slots.map_or(usual.slots, |slots| slots as usize),
            speed: cluster.speed.unwrap_or(usual.speed),
            jitter: share(cluster.jitter, usual.jitter),
            pickup: cluster.pickup.unwrap_or(usual.pickup),
            schedule: cluster.schedule.unwrap_or(usual.schedule),
            image_pull: cluster.image_pull.unwrap_or(usual.image_pull),
            image_pull_warm: cluster.image_pull_warm.unwrap_or(usual.image_pull_warm),
            cold_pulls: share(cluster.cold_pulls, usual.cold_pulls),
            pod_start: cluster.pod_start.unwrap_or(usual.pod_start),
            driver: cluster.driver.unwrap_or(usual.driver),
            report_lag: cluster.report_lag.unwrap_or(usual.report_lag),
            resync: cluster.resync.unwrap_or(usual.resync),
            resync_after_run: cluster.resync_after_run.unwrap_or(usual.resync_after_run),
            failure_rate: share(tasks.failure_rate, usual.failure_rate),
            slow_rate: share(tasks.slow_rate, usual.slow_rate),
            slow_factor: tasks.slow_factor.unwrap_or(usual.slow_factor),
            cache_rate: share(tasks.cache_rate, usual.cache_rate),
            create_rate: rate_limit(server.create_rate, usual.create_rate),
            create_burst: server.create_burst.unwrap_or(usual.create_burst),
            latency: all.map_or(usual.latency, |(_, time)| *time),
            latencies: single.collect(),
            list_latency: server.list_latency.unwrap_or(usual.list_latency),
            error_rate: share(faults.error_rate, usual.error_rate),
            error_status: faults.error_status.unwrap_or(usual.error_status),
            reset_rate: share(faults.reset_rate, usual.reset_rate),
            multi_user: users.multi_user,
            denied: users.deny.clone(),
            authorize_rate: rate_limit(users.authorize_rate, usual.authorize_rate),
            authorize_burst: users.authorize_burst.unwrap_or(usual.authorize_burst),
            namespace: users.namespace.clone().unwrap_or(usual.namespace),
            prefill: Prefill { runs: stored.runs, pipelines: stored.pipelines, experiments: stored.experiments },
        }
    }
}

/// Runs the server until the user stops it.
pub(super) fn run(what: &Simulate) -> Exit {
    let kfp = match what {
        Simulate::Kfp(kfp) => kfp,
        Simulate::Slack(listener) => return double(kperf_doubles::Slack::default(), listener),
        Simulate::Pagerduty(listener) => return double(kperf_doubles::PagerDuty::default(), listener),
    };
    let config = kfp.config();
    if let Err(error) = config.check() {
        terminal::error(&error.to_string());
        return Exit::Usage;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::error(&format!("can't make a runtime: {error}"));
            return Exit::Internal;
        }
    };
    runtime.block_on(async {
        let listener = match tokio::net::TcpListener::bind(kfp.listen).await {
            Ok(listener) => listener,
            Err(error) => {
                terminal::error(&format!("can't listen on {}: {error}; choose another with --listen", kfp.listen));
                return Exit::Usage;
            }
        };
        let address = listener.local_addr().unwrap_or(kfp.listen);
        terminal::out(&format!("simulated Kubeflow Pipelines on http://{address}, Ctrl-C to stop"));
        tokio::select! {
            served = kperf_sim::serve(config, listener) => match served {
                Ok(()) => Exit::Pass,
                Err(error) => {
                    terminal::error(&error.to_string());
                    Exit::Internal
                }
            },
            _ = tokio::signal::ctrl_c() => Exit::Pass,
        }
    })
}

/// Runs a double until the user stops it.
fn double<S: kperf_doubles::Service>(service: S, listener: &Listener) -> Exit {
    let server = match kperf_doubles::DoubleServer::start(service, listener.listen) {
        Ok(server) => server,
        Err(error) => {
            terminal::error(&format!("can't listen on {}: {error}; choose another with --listen", listener.listen));
            return Exit::Usage;
        }
    };
    server.throttle(listener.busy, Duration::from_secs(1));
    server.watch(|received| match serde_json::to_string(received) {
        Ok(line) => terminal::out(&line),
        Err(error) => terminal::error(&error.to_string()),
    });
    terminal::note(&format!("double of {} on {}, Ctrl-C to stop", S::NAME, server.url()));
    super::block_on(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Pass,
            Err(error) => {
                terminal::error(&error.to_string());
                Exit::Internal
            }
        }
    })
}
