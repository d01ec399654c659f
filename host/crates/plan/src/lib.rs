//! From a suite to a plan: plugins loaded, their parameters checked, files found; then the credentials that the plan uses, and where
//! its targets are.
//!
//! In comes a [`SuiteInput`]; out comes a [`Plan`] with nothing left to find out but what the target and the machine say, or every
//! mistake with its place. [`Secrets`] and [`ResolvedTarget`] are what a run needs beside it. Up to here no plugin is called and no
//! traffic is sent.
//!
//! This crate must not know how a run is made, and opens no socket: a target inside the process is only marked as one, and whoever
//! runs the plan says where it listens. The process environment is what the input's `lookup` gives.

mod input;
mod kubeconfig;
mod load_text;
mod params;
mod plan;
mod planner;
mod replan;
mod secrets;
mod show;
mod target;
#[cfg(test)]
mod testing;

pub use input::SuiteInput;
pub use load_text::{describe, plural};
pub use params::CheckedParams;
pub use plan::{Lookup, Plan, PlanError, PlannedNative, PlannedPlugin, PlannedScenario, PlannedThreshold};
pub use replan::ReplanError;
pub use secrets::Secrets;
pub use target::{Endpoints, ResolvedTarget, TargetAddress, TargetError, TlsMaterial};
