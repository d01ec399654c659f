//! How a table's keys are described, and how their values are read by that description.
//!
//! In comes a [`TableSpec`] and what is written; out come typed values, and diagnostics about those that can't be read. The
//! descriptions also give the JSON Schema and the reference. Which tables a suite has must stay unknown here.

mod reader;
mod spec;
mod typed;

pub(crate) use reader::{MISSING, Reader, Section};
pub(crate) use spec::{COUNT, COUNT_OR_NONE, DURATION, KeySpec, Kind, Need, SOME_DURATION, TableSpec};
pub(crate) use typed::Typed;
