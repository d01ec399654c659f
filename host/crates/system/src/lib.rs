//! kperf-system: what processes and this machine use.
//!
//! In come the kernel's counters; out come the levels and counts at an instant ([`machine`], [`myself`], [`waited`]) and, for
//! chosen processes with their descendants, what they used since they were last looked at ([`Observer`]).
//!
//! Only Linux is read, through `/proc`; elsewhere everything is [`Unavailable`], with the reason. This crate knows nothing of
//! metrics or of suites.

mod choice;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod linux;
mod machine;
mod observer;
#[cfg(target_os = "linux")]
mod proc;
mod snapshot;

pub use choice::{Choice, Pattern, PatternError};
pub use linux::{machine, myself, waited};
pub use machine::{Machine, Myself, Pressure, Stalled, Traffic};
pub use observer::{Component, Observed, Observer};

/// What is asked for can't be had on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);
