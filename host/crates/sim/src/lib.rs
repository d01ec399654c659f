//! A simulated Kubeflow Pipelines server, so that suites, plugins and tests need no cluster.
//!
//! In: HTTP requests as Kubeflow Pipelines' REST API (v2beta1) takes them, and [`SimConfig`]. Out: that API's answers,
//! error bodies and odd status codes included, and runs that take the time a cluster with so many pod slots would take.
//! Must not know: the rest of kperf. To its clients it is a server like any other.
//!
//! The cluster behind the API is a discrete-event model that moves only when somebody looks: each request first replays
//! what has happened since the last one. The one thing that truly waits is the token bucket on run creation.

mod blueprint;
mod bucket;
mod cluster;
mod config;
mod draw;
mod error;
mod experiments;
mod list;
mod pipelines;
mod query;
mod route;
mod runs;
mod server;
mod spec;
mod stamp;
mod store;
mod table;
mod telemetry;
mod upload;

pub use config::SimConfig;
pub use server::{Sim, serve};
