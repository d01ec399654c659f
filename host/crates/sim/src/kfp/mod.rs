//! The API server of Kubeflow Pipelines.
//!
//! In: calls, with their bodies and queries. Out: JSON, and errors as the real server words them; new workflows for the cluster. Must
//! not know HTTP connections, nor how Kubernetes or the truth are shown.
//!
//! `rows` are what is stored, `store` holds them with the cluster behind them, `handlers` are the calls, `controller` makes the runs of
//! recurring runs.

pub(crate) mod authorization;
pub(crate) mod call;
mod capacity;
mod controller;
pub(crate) mod error;
pub(crate) mod handlers;
pub(crate) mod json;
mod list;
mod prefill;
pub(crate) mod rows;
mod schedule;
pub(crate) mod spec;
pub(crate) mod store;
mod table;
mod telemetry;
mod token_bucket;
