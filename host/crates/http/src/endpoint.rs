//! Where an origin is, and how to connect to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use rustls::ClientConfig;

use crate::error::Error;
use crate::tls::Tls;

/// Which version of HTTP to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// Over TLS what the server chooses, HTTP/2 preferred; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: without TLS right away ("prior knowledge"), over TLS only if the server agrees.
    Http2,
}

/// How to connect to an origin.
#[derive(Clone, Debug)]
pub struct OriginConfig {
    /// Whom to trust. Clone one [`Tls`] for all workers: loading the platform's authorities takes a while.
    pub tls: Tls,
    /// Which version of HTTP to speak.
    pub version: HttpVersion,
    /// The longest time for name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How many connections this client may have to the origin at once; None for no limit.
    pub max_connections: Option<usize>,
    /// How long a connection may lie unused before it is closed.
    pub idle_timeout: Duration,
    /// The largest response head in bytes.
    pub max_head: usize,
    /// Whether bytes count as received when the kernel took them in, however late this thread reads them. Takes a tenth of a
    /// request's processor time and more; only on Linux, and with HTTP/1.1.
    pub kernel_timestamps: bool,
}

impl Default for OriginConfig {
    /// Platform trust, automatic version, 10 s to connect, unlimited connections, 90 s idle, 64 KiB of head, no kernel timestamps.
    fn default() -> Self {
        Self {
            tls: Tls::default(),
            version: HttpVersion::Auto,
            connect_timeout: Duration::from_secs(10),
            max_connections: None,
            idle_timeout: Duration::from_secs(90),
            max_head: 64 * 1024,
            kernel_timestamps: false,
        }
    }
}

/// A scheme, a host and a port, how to connect to them, and which protocol is spoken there.
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    authority: Authority,
    /// As name resolution wants it: an IPv6 address without brackets.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) host_header: HeaderValue,
    pub(crate) config: OriginConfig,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    protocol: AtomicU8,
}

/// What is known about the protocol of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Protocol {
    Unknown = 0,
    Http1 = 1,
    Http2 = 2,
}

impl Endpoint {
    pub(crate) fn new(scheme: Scheme, authority: Authority, config: OriginConfig) -> Result<Self, Error> {
        if authority.as_str().contains('@') {
            return Err(Error::Invalid("url holds a user or password; use a credential instead".into()));
        }
        let secure = scheme == Scheme::HTTPS;
        let host: Box<str> = authority.host().trim_start_matches('[').trim_end_matches(']').into();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host_header = HeaderValue::from_str(authority.as_str())
            .map_err(|_| Error::Invalid("host can't be written as a header".into()))?;
        let protocol = match (config.version, secure) {
            (HttpVersion::Auto, false) | (HttpVersion::Http1, _) => Protocol::Http1,
            (HttpVersion::Http2, _) => Protocol::Http2,
            (HttpVersion::Auto, true) => Protocol::Unknown,
        };
        let offered: &[&[u8]] = match config.version {
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        let tls = if secure { Some(config.tls.config(offered)?) } else { None };
        let protocol = AtomicU8::new(protocol as u8);
        Ok(Self { scheme, authority, host, port, host_header, config, tls, protocol })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self.protocol.load(Ordering::Relaxed) {
            1 => Protocol::Http1,
            2 => Protocol::Http2,
            _ => Protocol::Unknown,
        }
    }

    /// Remembers what the server chose.
    pub(crate) fn learn(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    /// The absolute form of a path, as HTTP/2 wants it.
    pub(crate) fn absolute(&self, path: PathAndQuery) -> Result<Uri, Error> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| Error::Invalid(error.to_string()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}
