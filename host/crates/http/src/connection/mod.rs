//! Connections, from the socket up to one request and its response.
//!
//! In comes a socket and, one by one or side by side, requests in hyper's form; out come responses and what was measured on the
//! way. A connection must not know of pools, of origins or of other connections.

mod failure;
pub(crate) mod http1;
pub(crate) mod http2;
mod link;
mod receive;
mod socket;

pub(crate) use failure::Failure;
pub(crate) use link::{Link, MeteredStream, Transport};
pub(crate) use receive::ReceiveOptions;
pub(crate) use socket::Socket;
