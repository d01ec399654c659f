//! The client against real servers on the loopback interface.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod limits;
mod pooling;
mod protocols;
mod redirects;
mod server;
mod uploads;

use bytes::Bytes;
use http::Method;
use kperf_http::{Client, Exchange, Origin, OriginConfig, Request};

/// A GET of this path.
fn get(path: &str) -> Request {
    Request::new(Method::GET, path.parse().unwrap())
}

/// A client with the default configuration and its origin on this port.
fn client(port: u16) -> (Client, Origin) {
    configured(port, OriginConfig::default())
}

fn configured(port: u16, config: OriginConfig) -> (Client, Origin) {
    let client = Client::new(config);
    let origin = client.origin(&format!("http://127.0.0.1:{port}").parse().unwrap()).unwrap();
    (client, origin)
}

fn body(exchange: &Exchange) -> Bytes {
    exchange.result.as_ref().unwrap().body.clone()
}
