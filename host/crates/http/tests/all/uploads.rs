//! Bodies that are made while they are sent.

use std::io::Write;

use http::Method;
use kperf_http::{Body, Chunk, Error, Request};

use crate::server::Server;
use crate::{body, client};

fn put(chunks: Vec<Chunk>) -> Request {
    Request { body: Body::Chunks(chunks.into()), ..Request::new(Method::PUT, "/upload".parse().unwrap()) }
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn pieces_follow_each_other() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![2; 200_000]).unwrap();
    let chunks = vec![
        Chunk::Bytes(vec![1; 10].into()),
        Chunk::Bytes(bytes::Bytes::new()),
        Chunk::File { path: file.path().to_owned(), length: 150_000 },
        Chunk::Generated { length: 0, seed: 1 },
        Chunk::Bytes(vec![3; 5].into()),
    ];
    let exchange = client.send(&origin, put(chunks)).await;
    assert_eq!(body(&exchange), format!("150015 {}", 10 + 300_000 + 15));
    assert!(exchange.sent_bytes > 150_015 && exchange.sent_bytes < 150_500);
}

#[tokio::test]
async fn generated_bytes_depend_on_the_seed_only() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let mut digests = Vec::new();
    for seed in [1, 1, 2] {
        digests.push(body(&client.send(&origin, put(vec![Chunk::Generated { length: 100_001, seed }])).await));
    }
    assert!(digests[0].starts_with(b"100001 "));
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

#[tokio::test]
async fn a_large_upload_costs_no_memory() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let length = 100 << 20;
    let before = peak_memory();
    let exchange = client.send(&origin, put(vec![Chunk::Generated { length, seed: 7 }])).await;
    assert!(body(&exchange).starts_with(format!("{length} ").as_bytes()));
    // Other tests of this process run at the same time and take some.
    assert!(peak_memory() - before < 80 << 20, "{} bytes", peak_memory() - before);
}

#[tokio::test]
async fn a_missing_or_short_file_fails_the_request() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), "does-not-exist".into()] {
        let exchange = client.send(&origin, put(vec![Chunk::File { path, length: 10 }])).await;
        assert!(matches!(exchange.result, Err(Error::Protocol(_))), "{exchange:?}");
        assert_eq!(client.stats().open, 0);
    }
}
