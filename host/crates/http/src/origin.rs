//! An origin as callers hold it.

use std::fmt;
use std::sync::Arc;

use http::uri::Scheme;

use crate::endpoint::Endpoint;
use crate::pool::Pool;

/// A scheme, a host and a port that one client speaks to. Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Origin(pub(crate) Arc<Pool>);

impl Origin {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Pool::new(endpoint)))
    }

    /// The host's name or address, as it was written.
    pub fn host(&self) -> &str {
        &self.0.endpoint.host
    }

    /// The port, the scheme's own if none was written.
    pub fn port(&self) -> u16 {
        self.0.endpoint.port
    }

    /// Whether the origin is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.endpoint.scheme == Scheme::HTTPS
    }

    /// Whether both mean the same scheme, host and port.
    pub fn same_as(&self, other: &Self) -> bool {
        let (this, other) = (&self.0.endpoint, &other.0.endpoint);
        this.scheme == other.scheme && this.port == other.port && this.host.eq_ignore_ascii_case(&other.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.endpoint.fmt(f)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}
