//! What of a plugin's requests does not change from one to the next.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, header};
use kperf_http::Origin;

use crate::environment::context::{PluginContext, WorkerContext};

/// Everything about requests that does not change from one to the next; made with the first one.
#[derive(Debug, Default)]
pub(crate) struct PreparedTarget(OnceLock<Result<Target, kperf_http::Error>>);

#[derive(Debug)]
pub(crate) struct Target {
    /// None without a target.
    pub(crate) origin: Option<Origin>,
    /// What a base URL has beyond its origin.
    pub(crate) prefix: String,
    /// For requests to the target.
    pub(crate) headers: HeaderMap,
    /// For requests elsewhere.
    pub(crate) plain: HeaderMap,
    /// Whether answers are searched for secrets: something secret goes out with the plugin's requests, which a server may send back.
    pub(crate) scans: bool,
}

impl PreparedTarget {
    pub(crate) fn get(&self, worker: &WorkerContext, plugin: &PluginContext) -> Result<&Target, kperf_http::Error> {
        self.0.get_or_init(|| Target::new(worker, plugin)).as_ref().map_err(Clone::clone)
    }
}

impl Target {
    fn new(worker: &WorkerContext, plugin: &PluginContext) -> Result<Self, kperf_http::Error> {
        let mut plain = HeaderMap::new();
        plain.insert(header::USER_AGENT, HeaderValue::from_static(concat!("kperf/", env!("CARGO_PKG_VERSION"))));
        plain.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if plugin.requests.compression {
            plain.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        }
        let mut headers = plain.clone();
        headers.extend(plugin.requests.headers.clone());
        let target = plugin.grants.target.as_ref();
        let origin = target.map(|target| worker.http.origin(target)).transpose()?;
        let prefix = target.map_or("", |target| target.path().trim_end_matches('/')).to_owned();
        let secret_url = target.is_some_and(|target| worker.redactor.masked(target.to_string().as_bytes()).is_some());
        let scans = plugin.grants.has_credentials() || secret_url;
        Ok(Self { origin, prefix, headers, plain, scans })
    }
}
