//! kperf-host: the process that runs performance suites.
//!
//! In come a suite and a command; out come a folder of results, a summary for people, and an exit code. The crates below
//! `crates/` each know one thing (metrics, suites, load, HTTP, plugins, runs and their results, the simulated server); this one
//! brings them together: [`cli`] reads the command line, [`terminal`] shows, and nothing else is here.

pub mod cli;
mod servers;
pub mod terminal;
