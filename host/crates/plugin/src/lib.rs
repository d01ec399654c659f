//! Plugins: everything that knows wasmtime.
//!
//! In come a component's bytes and, per worker thread and scenario, what the host lends to it: grants, limits, the
//! thread's HTTP client and metric shard. Out come a [`Plugin`] with its [`Description`], the calls of the three worlds
//! ([`Runner`], [`Collector`], [`Reporter`]), samples in the shard, [`Records`], [`Incidents`], the [`Ledger`] of what guests
//! create, and the [`Outbox`] of what they have to say.
//!
//! Guests are hostile until proven otherwise: whatever one does ends as an outcome with a name ([`Fault`]), never as a
//! panic, and never reaches another plugin.
//!
//! This crate must not know suites, when an iteration starts, or what a verdict is.

mod bindings;
mod call;
mod capability;
mod component;
mod environment;
mod recording;

pub use call::bounded::CallError;
pub use call::collector::{Collector, ScenarioWindow, Window};
pub use call::fault::{Fault, Incidents};
pub use call::iteration_outcome::IterationOutcome;
pub use call::reporter::{Event, Reporter};
pub use call::runner::{IsolationError, Runner, RunnerPool, WrongWorld};
pub use component::cache::CacheError;
pub use component::description::{Description, Mode, is_metric_name};
pub use component::description_error::DescriptionError;
pub use component::engine::{Engine, EngineConfig, EngineError, TICK};
pub use component::inspect::{CONTRACT_VERSION, InspectError, World};
pub use component::load::{LoadError, Plugin};
pub use environment::context::{
    ArtifactsLeft, DEFAULT_GROUP, Delivery, Isolation, PluginContext, RequestDefaults, WorkerContext,
};
pub use environment::delivery::Resender;
pub use environment::grants::{Grants, HostGrant, HostGrantError};
pub use environment::limits::Limits;
pub use environment::redactor::Redactor;
pub use environment::secret::{Credential, CredentialError, HMAC_SHA256, Secret};
pub use recording::fact::Facts;
pub use recording::ledger::{Ledger, LedgerEntry, LedgerError, ScenarioLedger};
pub use recording::outbox::{DeliveryState, Message, Outbox, OutboxError, Piece};
pub use recording::record::Records;
pub use recording::table::{Column, ColumnType, Span, Table};
