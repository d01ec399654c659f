//! The tables of a suite: for each the type that it becomes, the description of its keys, and what must be true of them
//! together.
//!
//! In come nodes with variables filled in; out comes a [`Suite`] or diagnostics. How a run is planned or made must stay
//! unknown here.

mod cells;
mod credential;
pub(crate) mod environment;
mod export;
mod limits;
mod load;
pub(crate) mod matrix;
mod native;
mod observer;
mod params;
mod plugin_use;
mod scenario;
mod simulated;
mod suite;
mod target;
mod threshold;

pub use cells::{Axis, AxisValue, Cell, Cells};
pub use credential::{Credential, CredentialSource};
pub use export::{Export, Listen, Push};
pub use limits::Limits;
pub use load::Load;
pub(crate) use load::executors;
pub use native::NativeCollector;
pub use observer::{Collector, Occasion, Reporter};
pub use params::Params;
pub use plugin_use::{PluginRef, PluginUse, TargetRef};
pub use scenario::{Isolation, Scenario};
pub use simulated::{Simulated, simulated_operations};
pub use suite::Suite;
pub(crate) use suite::{ENVIRONMENTS, SUITE, read_suite};
pub use target::{Address, Double, HttpVersion, Kubeconfig, Target};
pub use threshold::Threshold;
