//! A run, from a plan to the results in its folder, and a matrix of runs.
//!
//! In come a [`kperf_plan::Plan`] and who listens; out come the events of the run, on the way, and how it ended ([`run`],
//! [`run_matrix`]). Removing what an earlier run has left ([`clean_up`]) and sending what its reporters could not deliver
//! ([`resend`]) are here, too, because they need the same plugins in the same environment.
//!
//! This crate emits [`kperf_results::RunEvent`]s and prints nothing; it must not know the terminal, the command line, the process
//! environment, or what a simulated server is made of.

mod capacity;
mod cleanup;
mod clock;
mod command;
mod error;
mod header;
mod interrupts;
mod listeners;
mod matrix;
mod monitor;
mod observers;
mod phases;
mod resend;
mod run;
mod servers;
mod session;
mod sinks;
mod stream;
mod tables;
mod thread;
mod tidy;
mod workers;

pub use cleanup::{CleanupError, Past, clean_up};
pub use error::RunError;
pub use interrupts::Interrupts;
pub use matrix::{
    Leftovers, MatrixEnd, MatrixOptions, MatrixPlan, MatrixRunError, PlannedCell, planned_time, run_matrix,
};
pub use resend::{ResendError, Resent, resend};
pub use run::{MakeSink, Results, RunEnd, RunOptions, run};
pub use servers::{LocalServer, LocalServers, ServerError};
pub use session::EnvironmentError;
pub use sinks::export::ExportError;
