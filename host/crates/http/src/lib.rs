//! The HTTP client that measures.
//!
//! In comes a [`Request`] for an [`Origin`]; out comes an [`Exchange`]: the response or the reason why there is none,
//! where the time went, and how many bytes moved. There is one [`Client`] per worker thread, made for that thread's
//! current-thread runtime; its connections belong to it alone.
//!
//! An HTTP/1.1 connection has no task of its own: the future of the request that uses it drives it, so that one
//! request costs one wake-up of one task. An HTTP/2 connection is shared by many requests and is driven by a task.
//!
//! This crate must not know of plugins, of metrics, of credentials or of grants: callers bring headers, and decide about
//! every redirect through [`Redirects`].

mod body;
mod client;
mod connection;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod origin;
mod pool;
mod redirect;
mod request;
mod stop;
mod tls;

pub use body::{Body, Chunk};
pub use client::Client;
pub use endpoint::{HttpVersion, OriginConfig};
pub use error::{Error, Phase};
pub use exchange::{Exchange, Response, Timing};
pub use origin::Origin;
pub use pool::PoolStats;
pub use request::{Redirects, Request};
pub use tls::{Tls, TlsConfig};
