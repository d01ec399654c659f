//! Which run it was, of what, on what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cell;

/// The identity of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// An identifier that no other run has.
    pub id: String,
    /// The suite's name.
    pub suite: String,
    /// The digest of the suite's text: `sha256:` and 64 hexadecimal digits.
    pub suite_digest: String,
    /// The suite's environment that was chosen.
    pub environment: Option<String>,
    /// The suite's values that the command line replaced (`--set`), one each.
    pub overrides: Vec<String>,
    /// The folder that paths in the suite are relative to.
    pub suite_folder: String,
    /// The cell of a matrix that this run is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// The plugins that took part.
    pub plugins: Vec<Plugin>,
    /// The version of kperf.
    pub host_version: String,
    /// The commit that the suite's folder was at, if it is in a git work tree.
    pub git_commit: Option<String>,
    /// The machine that made the load.
    pub machine: Machine,
    /// When the run began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// When the run began (RFC 3339, UTC).
    pub start: String,
    /// When the run ended (RFC 3339, UTC).
    pub end: Option<String>,
    /// `running`, `complete` or `interrupted`.
    pub status: String,
    /// What plugins know about the system under test, by scenario or collector.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, BTreeMap<String, String>>,
}

/// A plugin that took part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plugin {
    /// The name that it gives itself.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits; empty for a native plugin that is part of kperf.
    pub digest: String,
    /// `built-in`, or the path in the suite.
    pub source: String,
}

/// The machine that made the load. What it did not tell is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The name that the kernel has for it.
    pub hostname: String,
    /// The model of its CPU.
    pub cpu: String,
    /// Cores that kperf could use.
    pub cores: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// The kernel and its version.
    pub kernel: String,
}

/// What kperf and its machine used while load was made, from one look a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineUse {
    /// Cores of the machine.
    pub cores: u64,
    /// Cores that kperf itself used, on average.
    pub cpu_mean: f64,
    /// Cores that kperf itself used in its busiest second.
    pub cpu_max: f64,
    /// The share of the machine's CPU that all processes used, on average.
    pub machine_cpu_mean: f64,
    /// The share of the machine's CPU that all processes used in the busiest second.
    pub machine_cpu_max: f64,
    /// The most memory that kperf itself occupied, in bytes.
    pub memory_max: f64,
    /// The share of seconds in which the machine was short of memory.
    pub memory_short_share: f64,
    /// The most files and sockets that kperf itself had open.
    pub open_files_max: f64,
    /// Bytes that the machine received, loopback left out.
    pub network_received: f64,
    /// Bytes that the machine sent, loopback left out.
    pub network_sent: f64,
}
