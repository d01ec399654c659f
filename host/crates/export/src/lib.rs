//! kperf-export: series on their way to other systems while a run goes on.
//!
//! In come series and what they gathered. Out come the text that Prometheus fetches ([`Page`], [`serve`]), and bodies of
//! requests for servers that are sent each second ([`RemoteWrite`], [`Otlp`]), which [`deliver`] brings there, patiently and
//! apart from everything else.
//!
//! All of them show cumulative values, so that one that is lost costs a point and no sum. This crate knows nothing of suites,
//! of how load is made, or of how seconds are put together.

mod cumulative;
mod deliver;
mod names;
mod otlp;
mod page;
mod remote_write;
mod serve;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use deliver::{Delivered, Destination, Headers, deliver};
pub use otlp::Otlp;
pub use page::Page;
pub use remote_write::RemoteWrite;
pub use serve::serve;

/// What all series of a run have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// The suite's name.
    pub suite: String,
    /// The run's identifier.
    pub run: String,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// When the run began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
}

impl Common {
    /// The labels of every series, `suite` and `run` among them.
    fn all(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("suite".to_owned(), self.suite.clone());
        labels.insert("run".to_owned(), self.run.clone());
        labels
    }
}

/// What one series gathered in one second.
pub type Touched<'a> = (Arc<kperf_metrics::SeriesInfo>, &'a kperf_metrics::Delta);
