//! The run's folder: what is known goes to disk while the run goes on, and the results are made from that.
//!
//! In come the identity of the run, what was measured each second, and what happened ([`Journal`]). Out come
//! `summary.json`, `series.parquet`, `histograms.hlog` and `records/` ([`finish`]), and waterfalls of single things
//! ([`trace`]). There is one way from the one to the other, through the journal and its rows of records, whether the run ended
//! well or was killed: so nothing can be in a report that would not survive.
//!
//! A matrix that is gone through cell by cell has a folder of its own, with those of its cells in it: what it knows is how each
//! cell stands ([`CellsLog`]), and its results come from the cells' ([`finish_cells`]).
//!
//! This module knows nothing of plugins or of how load is made, and prints nothing.

mod capacity;
mod cells;
mod condense;
mod finish;
mod histograms;
mod incident;
mod journal;
mod previous;
mod records;
mod replace;
mod run_info;
pub(crate) mod seconds;
mod series;
mod spread;
mod summary;
mod table;
mod trace;
mod whole;

pub use capacity::{
    CapacityOutcome, CapacityStanding, CapacityState, CapacityStep, CapacitySummary, CriterionSummary, RateSummary,
};
pub use cells::{
    AxisInfo, CellChange, CellHistory, CellInfo, CellState, CellsError, CellsLog, CellsOpening, CellsStory,
    FOLDER as CELLS_FOLDER, cells_story, is_matrix,
};
pub use finish::{ReportError, finish};
pub use journal::{CapacityChange, End, Journal, Opening, ScenarioChange, ScenarioInfo, SeverityInfo, opening};
pub use kperf_metrics::{Incident, ThresholdChange, ThresholdState};
pub use records::{ColumnInfo, ColumnKind, RecordsSummary, SpanInfo, TableInfo};
pub use run_info::{Machine, PluginInfo, RunInfo, Status, commit_of, digest_of, instant};
pub use spread::{Ends, TagSpread, TagValue};
pub use summary::{
    CheckSummary, FailureKind, GeneratorSummary, Iterations, MachineUse, MetricSummary, OperationSummary, Phases,
    PreviousOperation, PreviousSummary, PreviousThreshold, ReasonSummary, ScenarioState, ScenarioSummary, Spread,
    StatusCount, Summary, ThresholdOutcome, ThresholdSummary, VerdictSummary, summary_schema,
};
pub use trace::{TraceError, TraceOptions, Traced, trace};
pub use whole::{CellSummary, CellsSummary, ComponentUse, Usage, finish_cells};
