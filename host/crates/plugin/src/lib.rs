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
mod cache;
mod call;
mod capability;
mod collector;
mod context;
mod delivery;
mod description;
mod description_error;
mod duration;
mod engine;
mod fact;
mod fault;
mod grants;
mod group;
mod guest;
mod http_target;
mod inspect;
mod iteration_outcome;
mod ledger;
mod limits;
mod load;
mod log_line;
mod outbox;
mod random;
mod record;
mod reporter;
mod runner;
mod secret;
mod sender;
mod series;
mod services;
mod stopped;
mod table;
mod unit;
mod wasi;

pub use cache::CacheError;
pub use call::CallError;
pub use collector::{Collector, ScenarioWindow, Window};
pub use context::{DEFAULT_GROUP, Delivery, Isolation, PluginContext, RequestDefaults, WorkerContext};
pub use delivery::Resender;
pub use description::{Description, Mode, is_metric_name};
pub use description_error::DescriptionError;
pub use engine::{Engine, EngineConfig, EngineError, TICK};
pub use fact::Facts;
pub use fault::{Fault, Incidents};
pub use grants::{Grants, HostGrant, HostGrantError};
pub use inspect::{CONTRACT_VERSION, InspectError, World};
pub use iteration_outcome::IterationOutcome;
pub use ledger::{Ledger, LedgerEntry, LedgerError, ScenarioLedger};
pub use limits::Limits;
pub use load::{LoadError, Plugin};
pub use outbox::{DeliveryState, Message, Outbox, OutboxError, Piece};
pub use record::Records;
pub use reporter::{Event, Reporter};
pub use runner::{IsolationError, Runner, RunnerPool, WrongWorld};
pub use secret::{Credential, CredentialError, HMAC_SHA256, Redactor, Secret};
pub use table::{Column, ColumnType, Span, Table};
