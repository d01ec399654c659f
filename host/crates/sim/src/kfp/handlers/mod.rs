//! The calls of the API, one file a resource.
//!
//! In: a call's ids, query and body. Out: JSON or an error. Must not know the connection, nor who the caller is: that has been checked.

mod experiments;
pub(crate) mod pipelines;
mod recurring_runs;
pub(crate) mod runs;
pub(crate) mod upload;
