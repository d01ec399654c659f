//! kperf-host: the process that runs performance suites.
//!
//! In come a suite and a command; out come a folder of results, a summary for people, and an exit code. The crates below
//! `crates/` each know one thing (metrics, suites, load, HTTP, plugins, the simulated server); this one brings them together
//! and is the only one that knows them all.

pub mod cells;
pub mod cli;
pub mod exit;
pub mod kubeconfig;
pub mod params;
pub mod plan;
pub mod report;
pub mod run;
mod simulated;
pub mod terminal;
