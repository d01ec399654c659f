//! What a kperf plugin written in Rust depends on.
//!
//! In comes the contract in `wit/`; out go three traits to implement ([`Runner`], [`Collector`], [`Reporter`]), a macro each
//! to export the implementation, and the host's capabilities as plain Rust ([`http`], [`metrics`], [`clock`], [`log`],
//! [`artifacts`], [`random`], [`ledger`], [`records`], [`notes`], [`delivery`]). Beside them stands what plugins share: several
//! [`modes`], the [`tenants`] of a scenario, the [`summary`] that reporters read, parts of JSON [`schema`]s, and values as people and
//! servers write them ([`quantity`], [`duration`], [`instant`]). It knows no product and keeps no state beyond the opened plugin
//! of an instance.
//!
//! ```ignore
//! use kperf_plugin_sdk::{Description, Failure, Iteration, Runner, Scenario, export_runner, http::Request};
//!
//! struct Ping;
//!
//! impl Runner for Ping {
//!     fn describe() -> Description {
//!         Description::new("ping", "0.1.0", "Asks for the target's front page").mode("ping", "One GET", "{}")
//!     }
//!
//!     async fn open(_: Scenario, _: Vec<u8>) -> Result<Self, Failure> {
//!         Ok(Ping)
//!     }
//!
//!     async fn iterate(&self, _: Iteration) -> Result<(), Failure> {
//!         Request::get("front_page", "/").send().await?.success()?;
//!         Ok(())
//!     }
//! }
//!
//! export_runner!(Ping);
//! ```

#[doc(hidden)]
pub mod bindings;

pub mod artifacts;
pub mod clock;
mod collector;
pub mod delivery;
mod description;
pub mod duration;
mod failure;
mod finding;
pub mod http;
pub mod instant;
pub mod ledger;
pub mod log;
pub mod metrics;
pub mod modes;
pub mod notes;
mod params;
pub mod quantity;
pub mod random;
pub mod records;
mod reporter;
mod runner;
pub mod schema;
mod slot;
pub mod summary;
pub mod tenants;
mod words;

pub use bindings::kperf::plugin::types::{
    Column, ColumnType, Description, Entry, Failure, Finding, Metric, MetricKind, Mode, Outcome, Severity, Span, Table,
    Tags, Unit,
};
#[doc(hidden)]
pub use collector::CollectorComponent;
pub use collector::{Collection, Collector, ScenarioWindow, Window};
pub use modes::RunnerMode;
#[doc(hidden)]
pub use params::from_json;
#[doc(hidden)]
pub use reporter::ReporterComponent;
pub use reporter::{Event, Reporter, Reporting, ThresholdChange};
#[doc(hidden)]
pub use runner::RunnerComponent;
pub use runner::{Iteration, Runner, Scenario};
#[doc(hidden)]
pub use slot::Slot;
