//! Everything that happens in a run.
//!
//! A run is a stream of these events. Who acts (phases, workers' monitor, the matrix) emits them and does nothing else with what it
//! knows; who wants to know (journal, terminal, exporters, reporters) listens, and the results are what [`crate::Fold`] makes of
//! them. Figures are numbers in base units (seconds, bytes, nanoseconds since the Unix epoch): how they are shown is the
//! listener's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kperf_metrics::{DeliveryChange, Fact, Incident, Interval, PreflightCheck, Record, Registry, ThresholdChange};
use serde::{Deserialize, Serialize};

use crate::{CapacityChange, CellInfo, CellState, Kinds, RunHeader, Summary};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The run is known and its folder is there. The first event of every run.
    Prepared(Box<RunHeader>),
    /// A plugin has checked something before anything is set up.
    Preflight {
        /// The scenario's or collector's name in the suite.
        scenario: String,
        /// What was looked at, and how it went.
        check: PreflightCheck,
    },
    /// A scenario has been set up.
    SetUp {
        /// The scenario's name in the suite.
        scenario: String,
        /// How long that took.
        took: Duration,
    },
    /// Workers begin to make load.
    LoadStarted {
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
    },
    /// What all workers and collectors measured in about a second, merged.
    Merged(Merged),
    /// How the scenarios stand, once a second. For live display; everything in it follows from other events.
    Progress(Vec<ScenarioProgress>),
    /// Rows of records.
    Records(Vec<Record>),
    /// A scenario begins to make load, or has ended.
    Scenario(ScenarioChange),
    /// A threshold is breached, holds again, or ends the run.
    Threshold(ThresholdChange),
    /// A capacity search has come further.
    Capacity(Box<CapacityChange>),
    /// Somebody changed the load while it was made.
    LoadChanged {
        /// The scenario's name in the suite.
        scenario: String,
        /// What is asked for now.
        target: LoadTarget,
    },
    /// Something went wrong and did not end the run.
    Incident(Incident),
    /// A phase of the run failed, or a part of it.
    PhaseFailed {
        /// Which phase.
        phase: Phase,
        /// What went wrong there.
        incident: Incident,
    },
    /// A plugin knows something about the system under test.
    Fact(Fact),
    /// A message of a reporter has arrived, or has not.
    Delivery(DeliveryChange),
    /// The user wants the run to stop.
    Interrupted {
        /// In which phase it was.
        phase: Phase,
    },
    /// How far the removal of what the run has created is.
    Removal(RemovalProgress),
    /// A foreign program began or ended.
    Command(CommandChange),
    /// A file was written that a person may want to open.
    ArtifactWritten {
        /// The plugin or part of kperf that wrote it.
        source: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A matrix is about to be gone through.
    MatrixPlanned {
        /// How many cells it has.
        cells: usize,
    },
    /// A cell of a matrix begins.
    CellBegan {
        /// The cell, with its number and values.
        cell: CellInfo,
        /// Its combination for people.
        label: String,
        /// How many cells there are.
        of: usize,
        /// How long the cells that are not done may take together.
        left: Duration,
    },
    /// A cell of a matrix is set aside and will be run again.
    CellAgain {
        /// Its combination for people.
        label: String,
    },
    /// The matrix waits between two cells.
    CellPause(Duration),
    /// A cell of a matrix has ended.
    CellEnded {
        /// The cell, with its number and values.
        cell: CellInfo,
        /// Its combination for people.
        label: String,
        /// How it stands.
        state: CellState,
        /// How long it took.
        took: Duration,
        /// Its results, if it has any.
        summary: Option<Arc<Summary>>,
        /// Why it failed, or what went wrong beside it.
        message: Option<String>,
    },
    /// A sink has not passed on what it should have.
    SinkFailed {
        /// What the sink is called.
        sink: String,
        /// Whether the run has failed for that.
        required: bool,
        /// What went wrong, for people.
        message: String,
    },
    /// Nothing more is measured.
    Ended(End),
    /// The verdict, with the whole summary that it is part of. The last event of a run.
    Verdict {
        /// The results, which hold the verdict.
        summary: Arc<Summary>,
        /// The same as it stands in `summary.json`.
        json: Arc<str>,
    },
}

/// What was measured in about a second.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Knows the series; shared with the whole run.
    pub registry: Registry,
    /// The samples, those of collectors that came late included.
    pub interval: Interval,
}

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Plugins check whether the targets are usable.
    Preflight,
    /// Plugins make what the load needs, and observers get ready.
    Setup,
    /// Load is made.
    Load,
    /// Plugins undo their setup.
    Teardown,
    /// What the run has created is removed from the targets.
    Removal,
}

impl Phase {
    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Setup => "setup",
            Self::Load => "load",
            Self::Teardown => "teardown",
            Self::Removal => "removal",
        }
    }
}

/// A scenario that changes its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScenarioChange {
    /// Its first iteration may start.
    Started {
        /// The scenario's name in the suite.
        scenario: String,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
    },
    /// Its last iteration has ended.
    Finished {
        /// The scenario's name in the suite.
        scenario: String,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
        /// How long load was made, in nanoseconds: what `rate` of a counter is divided by.
        elapsed_ns: u64,
        /// Iterations that were cut off at the end of the graceful stop.
        interrupted: u64,
    },
}

/// What a schedule asks for at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadTarget {
    /// So many virtual users.
    Users(u32),
    /// So many iterations started per second.
    PerSecond(f64),
}

/// What a scenario does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Its start is still ahead.
    #[default]
    Waiting,
    /// Iterations are started.
    Running,
    /// Running iterations may end; no more are started.
    Stopping,
    /// All iterations have ended.
    Done,
}

/// How a scenario stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioProgress {
    /// The scenario's name in the suite.
    pub scenario: String,
    /// What it does.
    pub activity: Activity,
    /// Since its own start; zero before.
    pub elapsed: Duration,
    /// How long load is planned to be made; none where that is not known before.
    pub planned: Option<Duration>,
    /// How far it is, 0 to 1.
    pub share: f64,
    /// The current stage of its load, from 1, and how many there are.
    pub stage: (usize, usize),
    /// What the schedule asks for; of a capacity search what it does and knows.
    pub doing: Doing,
    /// Virtual users in an iteration.
    pub users: u64,
    /// Iterations that ended.
    pub iterations: u64,
    /// Of these, failed ones.
    pub failed: u64,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Iterations that ended in the last second.
    pub rate: f64,
    /// The 95th percentile of the service time of the last second's requests, in seconds.
    pub p95: Option<f64>,
}

/// What a scenario is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Doing {
    /// What its schedule asks for.
    Schedule(LoadTarget),
    /// A capacity search.
    Search {
        /// What goes on in it.
        trial: Trial,
        /// What is known so far.
        standing: crate::CapacityProgress,
    },
}

/// What goes on in a capacity search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trial {
    /// Between two trials.
    Between,
    /// A rate is held.
    Running {
        /// Which trial, from 1.
        number: u32,
        /// Iterations started per second.
        rate: f64,
    },
    /// Running iterations may end.
    Recovering,
}

/// How far the removal of what a scenario has created is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalProgress {
    /// It begins.
    Began {
        /// The scenario's name in the suite.
        scenario: String,
        /// How many things there are.
        total: u64,
    },
    /// So many things are gone.
    Going {
        /// The scenario's name in the suite.
        scenario: String,
        /// How many things are gone.
        removed: u64,
        /// How many there were.
        total: u64,
    },
    /// It is over.
    Ended {
        /// The scenario's name in the suite.
        scenario: String,
        /// What came of it.
        removed: Removed,
        /// How long it took.
        took: Duration,
    },
}

/// What came of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What is gone, by kind.
    pub gone: Kinds,
    /// What is still there, by kind.
    pub left: Kinds,
    /// What the plugin said last, or what became of it, if anything went wrong.
    #[serde(default)]
    pub error: Option<String>,
}

/// A foreign program that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandChange {
    /// It began.
    Began {
        /// What it is for: `before`, `after`.
        name: String,
        /// The program and its arguments.
        command: Vec<String>,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
    },
    /// It ended.
    Ended {
        /// What it is for: `before`, `after`.
        name: String,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
        /// Why it did not end well, if it did not.
        #[serde(default)]
        error: Option<String>,
    },
}

/// The run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// Whether somebody stopped it.
    pub interrupted: bool,
    /// The exit code, where it does not follow from the verdict (a plugin that failed before load).
    pub exit_code: Option<u8>,
}
