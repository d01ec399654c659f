//! The Kubernetes API of the simulated cluster, for collectors that look beside Kubeflow Pipelines.
//!
//! In: the server's store, and what a client selects. Out: lists, and the lines of watches, of pods and events; nodes and the version.
//! Must not know connections, and changes nothing: it is a view.

mod list;
pub(crate) mod nodes;
mod pods;

pub(crate) use list::{Resource, Selection, StatusError, bookmark, failed};
