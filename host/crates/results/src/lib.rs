//! The events of a run, its folder, and what they come to.
//!
//! In come [`RunEvent`]s: the [`Journal`] records them while the run goes on, and whoever else wants to know implements [`Sink`].
//! Out come `summary.json`, `series.parquet`, `histograms.hlog` and `records/` ([`finish`]), and waterfalls of single things
//! ([`trace`]). One [`Fold`] makes the figures, from live events as from a journal: nothing can be in a report that would not
//! survive a kill.
//!
//! A matrix that is gone through cell by cell has a folder of its own, with those of its cells in it: what it knows is how each
//! cell stands ([`MatrixJournal`]), and its results come from the cells' ([`finish_matrix`]).
//!
//! This crate must not know plugins, suites or how load is made. It prints nothing.

mod capacity;
mod earlier;
mod error;
mod event;
mod exit;
mod finish;
mod fold;
mod folder;
mod header;
mod histograms;
mod incident;
mod journal;
mod kinds;
mod matrix;
mod records;
mod replace;
mod run_info;
mod seconds;
mod series;
mod sink;
mod spread;
mod summary;
mod threshold_outcome;
mod trace;

pub use capacity::{
    CapacityChange, CapacityOutcome, CapacityProgress, CapacityState, CapacitySummary, CapacityTrial, CriterionSummary,
    RateSummary,
};
pub use error::ReportError;
pub use event::{
    Activity, CommandChange, Doing, End, LoadTarget, Merged, Phase, RemovalProgress, Removed, RunEvent, ScenarioChange,
    ScenarioProgress, Trial,
};
pub use exit::Exit;
pub use finish::{finish, finish_live};
pub use fold::Fold;
pub use folder::RunFolder;
pub use header::{RunHeader, ScenarioInfo, SeverityInfo};
pub use journal::{Journal, JournalReader, header};
pub use kinds::{Kinds, list_of_kinds};
pub use matrix::{
    AxisInfo, CellChange, CellHistory, CellInfo, CellState, CellSummary, CellsSummary, ComponentUse, MatrixError,
    MatrixHeader, MatrixJournal, MatrixState, Usage, finish_matrix, matrix_state,
};
pub use records::{ColumnInfo, ColumnKind, RecordsSummary, SpanInfo, TableInfo};
pub use run_info::{Machine, PluginInfo, RunInfo, Status, commit_of, digest_of, instant};
pub use seconds::{Second, Seconds};
pub use sink::{Sink, SinkError};
pub use spread::{Ends, Spread, TagSpread, TagValue};
pub use summary::{
    CheckSummary, FailureKind, GeneratorSummary, Iterations, MachineUse, MetricSummary, OperationSummary, Phases,
    PreviousOperation, PreviousSummary, PreviousThreshold, ReasonSummary, ScenarioState, ScenarioSummary, StatusCount,
    Summary, ThresholdSummary, VerdictSummary, summary_schema,
};
pub use threshold_outcome::ThresholdOutcome;
pub use trace::{TraceError, TraceOptions, Traced, trace};
