//! What the server stores, and how the API shows it.
//!
//! In: figures that handlers have checked. Out: rows for the tables, and their JSON. Must not know the store that they are in.

pub(crate) mod experiment;
pub(crate) mod pipeline;
pub(crate) mod recurring_run;
pub(crate) mod run;
pub(crate) mod run_body;
