//! From a suite to a plan: plugins loaded, their parameters checked, files and credentials found.
//!
//! In comes a [`kperf_suite::Suite`]; out comes a [`Plan`] with nothing left to find out but what the target and the machine say,
//! or every mistake with its place. Up to here nothing runs and no traffic is sent.
//!
//! This crate must not know how a run is made, and opens no socket: a simulated target is only marked as one.

mod input;
mod kubeconfig;
mod native;
mod params;
mod planner;
mod secrets;
mod targets;

pub use input::{SuiteInput, keep_reporters, keep_scenarios};
pub use kubeconfig::Cluster;
pub use native::PlannedNative;
pub use params::Checked;
pub use planner::{Part, Plan, PlannedScenario, PlannedThreshold, Refused, describe, examine, make, plural};
pub use secrets::{Secrets, wrong_urls};
