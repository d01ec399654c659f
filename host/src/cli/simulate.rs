//! `kperf-host simulate`: a simulated server on its own.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use kperf_sim::SimConfig;

use crate::exit::Exit;
use crate::terminal;

/// Which server.
#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Kubeflow Pipelines: API and cluster
    Kfp(Kfp),
}

#[derive(Debug, Args)]
pub(super) struct Kfp {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8888", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How many pods run at once
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// Run creations per second, as the real server's Kubernetes client allows; 0 for no limit
    #[arg(long, value_name = "N")]
    create_rate: Option<f64>,
    /// How many times faster than real the simulated cluster works
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// The seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Kfp {
    fn config(&self) -> SimConfig {
        let defaults = SimConfig::default();
        SimConfig {
            seed: self.seed.unwrap_or(defaults.seed),
            slots: self.slots.map_or(defaults.slots, |slots| slots as usize),
            create_rate: self.create_rate.unwrap_or(defaults.create_rate),
            speed: self.speed.unwrap_or(defaults.speed),
            ..defaults
        }
    }
}

/// Runs the server until the user stops it.
pub(super) fn run(what: &Simulate) -> Exit {
    let Simulate::Kfp(kfp) = what;
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
            served = kperf_sim::serve(kfp.config(), listener) => match served {
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
