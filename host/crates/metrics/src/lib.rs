//! What was measured, and whether it is good enough.
//!
//! In come single values: one [`Shard`] per worker thread takes them without a lock and hands them over once a second
//! as an [`Interval`]. Out come cumulative [`Totals`], [`Figures`] of a distribution, evaluated [`Threshold`]s and the
//! [`Verdict`]. Plain data that plugins and results both speak ([`Fact`], [`Incident`], [`ThresholdChange`], [`Record`]) and the
//! form in which people read figures ([`quantity`]) are here, too. Everything merges exactly, so that shards of one machine and shards of many are the same thing.
//!
//! This crate is pure: it reads no clock, does no I/O, and knows nothing of suites, plugins or HTTP.

pub mod builtin;
mod delivery_change;
mod delta;
mod fact;
mod histogram;
mod incident;
mod interval;
mod load_times;
mod metric;
mod preflight;
mod printable;
pub mod quantity;
mod record;
mod registry;
mod row;
mod severity;
mod shard;
mod tags;
mod threshold;
mod threshold_change;
mod totals;
mod verdict;

pub use builtin::Builtin;
pub use delivery_change::DeliveryChange;
pub use delta::{Delta, Gauge, Rate};
pub use fact::Fact;
pub use histogram::{Figures, Histogram, HistogramRecord};
pub use incident::Incident;
pub use interval::{Dated, Interval};
pub use load_times::{LoadTime, LoadTimes, per_second};
pub use metric::{MetricDef, MetricKind, Unit};
pub use preflight::{CheckOutcome, PreflightCheck};
pub use printable::printable;
pub use record::{DeltaRecord, IntervalRecord, RecordError};
pub use registry::{MetricConflict, MetricId, Registry, SeriesId, SeriesInfo, SeriesLimit};
pub use row::{Cell, Record};
pub use severity::Severity;
pub use shard::Shard;
pub use tags::Tags;
pub use threshold::{Aggregation, Comparison, Evaluation, Threshold, ThresholdError};
pub use threshold_change::{ThresholdChange, ThresholdState};
pub use totals::Totals;
pub use verdict::{Arrivals, Evidence, Judged, Memory, Outcome, Reason, Saturation, Searched, Verdict, judge};
