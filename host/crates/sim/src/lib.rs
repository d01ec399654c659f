//! A simulated Kubeflow Pipelines server, so that suites, plugins and tests need no cluster.
//!
//! In: HTTP requests as Kubeflow Pipelines' REST API (v2beta1) takes them, and [`SimConfig`]. Out: that API's answers,
//! error bodies and odd status codes included, and runs that take the time a cluster with so many pod slots would take.
//! Must not know: the rest of kperf. To its clients it is a server like any other.
//!
//! The cluster behind the API is a discrete-event model that moves only when somebody looks: each request first replays
//! what has happened since the last one. What truly waits are the token buckets, and answers that are delayed on purpose.

mod blueprint;
mod bucket;
mod cluster;
mod config;
mod draw;
mod error;
mod experiments;
mod faults;
mod kubernetes;
mod list;
mod nodes;
mod pipelines;
mod pods;
mod prefill;
mod query;
mod recurring;
mod route;
mod run_body;
mod runs;
mod schedule;
mod server;
mod spec;
mod stamp;
mod store;
mod table;
mod telemetry;
mod truth;
mod upload;
mod users;
mod watch;
mod workflow;

pub use config::{Denial, Prefill, SimConfig};
pub use route::OPERATIONS;
pub use server::{Sim, serve};
pub use truth::{NodeTruth, RunTruth, TriggerTruth, Truth};
