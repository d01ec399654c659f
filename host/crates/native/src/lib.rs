//! kperf-native: collectors outside the sandbox.
//!
//! In come the name of a collector that is part of kperf, or a shared library and its digest; out come a [`Plugin`] with its
//! [`Description`], and, once started, a [`CollectorThread`] that takes observations. Whatever a collector does, it answers
//! within its deadline. That is all that can be promised of code that shares the process: a crash is not survived.
//!
//! The C interface is `include/kperf_collector.h`; everything unsafe is in `foreign`. This crate must not know suites, or what
//! becomes of samples.

mod builtin;
mod description;
mod foreign;
mod nvml;
mod observations;
mod plugin;
mod system;
mod thread;

use std::time::Duration;

pub use builtin::names;
pub use description::{Description, DescriptionError, Mode};
pub use observations::{Level, Observations, Sample};
pub use plugin::{LoadError, Plugin};
pub use thread::CollectorThread;

/// How long a library may take to be loaded and to describe itself.
pub const LOAD_LIMIT: Duration = Duration::from_secs(10);
/// How long each call of a collector may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// What a collector is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The collector's name in the suite.
    pub name: String,
    /// One of its modes.
    pub mode: String,
    /// The parameters as JSON text, defaults filled in.
    pub parameters: String,
    /// The run's identifier.
    pub run: String,
    /// The folder that paths are relative to.
    pub folder: String,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is nothing to observe on this machine.
    #[error("not available here: {0}")]
    Unavailable(String),
    /// It went wrong; the next call may go well.
    #[error("{0}")]
    Failed(String),
    /// It did not return in time; the collector is given up.
    #[error("{call} has not returned after {limit:?}: the collector is given up, and its thread is left behind")]
    Hung {
        /// Which call.
        call: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It ended without an answer: its thread is gone.
    #[error("the collector's thread ended without an answer")]
    Gone,
}

impl Failure {
    /// A short word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "not-available",
            Self::Failed(_) => "failed",
            Self::Hung { .. } => "hung",
            Self::Gone => "gone",
        }
    }
}

/// A collector at work, on its own thread.
pub(crate) trait Collector {
    /// Takes one observation.
    fn collect(&mut self, observations: &mut Observations) -> Result<(), Failure>;

    /// Takes what can only be had afterwards, for the time in which load ran: nanoseconds since the Unix epoch.
    fn finish(&mut self, start: u64, end: u64, observations: &mut Observations) -> Result<(), Failure>;
}

/// What makes collectors of one kind.
pub(crate) trait Kind: Send + Sync {
    /// Prepares one.
    fn start(&self, collection: &Collection, observations: &mut Observations) -> Result<Box<dyn Collector>, Failure>;
}
