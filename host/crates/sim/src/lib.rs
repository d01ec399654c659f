//! A simulated Kubeflow Pipelines server, so that suites, plugins and tests need no cluster.
//!
//! In: HTTP requests as Kubeflow Pipelines' REST API (v2beta1) takes them, and [`SimConfig`]. Out: that API's answers,
//! error bodies and odd status codes included, and runs that take the time a cluster with so many pod slots would take.
//! Must not know: the rest of kperf. To its clients it is a server like any other.
//!
//! From the ground up: `cluster` is a discrete-event model of pods and workflows; `kfp` is the API server with its rows and its
//! controller; `kubernetes` and `truth` show what is in them to collectors and to tests; `server` listens and routes. The model moves
//! only when somebody looks: each request first replays what has happened since the last one. Only token buckets and answers that are
//! delayed on purpose make a request wait.

mod cluster;
mod config;
mod kfp;
mod kubernetes;
mod operation;
mod query;
mod random;
mod server;
mod timestamp;
mod truth;

pub use cluster::template::TemplateError;
pub use config::{ConfigError, Denial, DenialError, Prefill, SimConfig};
pub use kfp::spec::SpecError;
pub use operation::{Operation, UnknownOperation};
pub use server::sim::{Sim, serve};
pub use truth::{NodeTruth, RunTruth, TriggerTruth, Truth};
