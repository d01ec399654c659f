//! Limits on time and size, and decoding.

use std::time::Duration;

use http::Method;
use kperf_http::{Body, Chunk, Error, OriginConfig, Phase, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::server::{Server, read_head};
use crate::{body, client, configured, get};

const SHORT: Duration = Duration::from_millis(40);

fn short(request: Request) -> Request {
    Request { timeout: Some(SHORT), ..request }
}

fn phase(result: Result<kperf_http::Response, Error>) -> Option<Phase> {
    match result {
        Err(Error::Timeout { phase, .. }) => Some(phase),
        _ => None,
    }
}

#[tokio::test]
async fn a_timeout_tells_its_phase() {
    let server = Server::script(|_, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        if head.contains("/part") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart").await.unwrap();
        }
        if head.contains("/next") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            drop(read_head(&mut stream).await);
        }
        sleep(Duration::from_secs(60)).await;
        drop(stream.read_u8().await);
    })
    .await;
    let config = OriginConfig { max_connections: Some(1), ..Default::default() };
    let (client, origin) = configured(server.port, config);

    let waiting = client.send(&origin, short(get("/silent"))).await;
    assert!(waiting.timing.waiting >= SHORT / 2, "{waiting:?}");
    assert_eq!(phase(waiting.result), Some(Phase::Waiting));
    let receiving = client.send(&origin, short(get("/part"))).await;
    assert!(receiving.timing.receiving >= SHORT / 2, "{receiving:?}");
    assert_eq!(phase(receiving.result), Some(Phase::Receiving));

    let upload = Chunk::Generated { length: 64 << 20, seed: 1 };
    let put = Request { body: Body::Chunks([upload].into()), ..Request::new(Method::PUT, "/".parse().unwrap()) };
    let sending = client.send(&origin, short(put)).await;
    assert!(sending.sent_bytes < 64 << 20);
    assert_eq!(phase(sending.result), Some(Phase::Sending));

    // The timer of a connection lives on from one request to the next.
    assert_eq!(body(&client.send(&origin, Request { timeout: Some(SHORT * 20), ..get("/next") }).await), "ok");
    assert_eq!(phase(client.send(&origin, short(get("/again"))).await.result), Some(Phase::Waiting));

    let mut holder = Box::pin(client.send(&origin, get("/silent")));
    assert!(tokio::time::timeout(SHORT, &mut holder).await.is_err());
    let blocked = client.send(&origin, short(get("/"))).await;
    assert!(blocked.timing.blocked >= SHORT, "{blocked:?}");
    assert_eq!(phase(blocked.result), Some(Phase::Blocked));
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // Accepts, and never says a word of TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = OriginConfig { connect_timeout: SHORT, tls: kperf_http::Tls::insecure(), ..Default::default() };
    let client = kperf_http::Client::new(config);
    let origin = client.origin(&format!("https://127.0.0.1:{port}").parse().unwrap()).unwrap();
    let exchange = client.send(&origin, get("/")).await;
    assert!(exchange.timing.tls > Duration::ZERO, "{exchange:?}");
    assert_eq!(phase(exchange.result), Some(Phase::Tls));
    assert_eq!(client.stats().open, 0);
}

#[tokio::test]
async fn a_refused_connection_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (client, origin) = client(port);
    let error = client.send(&origin, get("/secret?token=1")).await.result.unwrap_err();
    assert!(matches!(&error, Error::Connect(text) if text.contains(&port.to_string())), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(client.stats().open, 0);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    for keep_body in [true, false] {
        let at_limit = Request { body_limit: 1000, keep_body, ..get("/zeros?1000") };
        let exchange = client.send(&origin, at_limit).await;
        let response = exchange.result.unwrap();
        assert_eq!((response.body.len(), response.body_bytes), (if keep_body { 1000 } else { 0 }, 1000));
        let beyond = Request { body_limit: 999, keep_body, ..get("/zeros?1000") };
        let error = client.send(&origin, beyond).await.result.unwrap_err();
        assert_eq!(error, Error::TooLarge { limit: 999 });
    }
    assert_eq!(client.stats().open, 0, "what is left of a body must not reach the next request");
}

#[tokio::test]
async fn a_body_without_length_is_limited_too() {
    let server = Server::script(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        while stream.write_all(b"5\r\nhello\r\n").await.is_ok() {}
    })
    .await;
    let (client, origin) = client(server.port);
    let error = client.send(&origin, Request { body_limit: 100_000, ..get("/") }).await.result.unwrap_err();
    assert_eq!(error, Error::TooLarge { limit: 100_000 });
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let exchange = client.send(&origin, get("/zeros?5000000")).await;
    assert_eq!(body(&exchange), vec![0; 5_000_000]);
    assert!(exchange.received_bytes > 5_000_000);
    assert_eq!(client.stats().idle, 1);
}

#[tokio::test]
async fn encoded_bodies_are_decoded() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    for encoding in ["gzip", "zlib", "deflate"] {
        let exchange = client.send(&origin, get(&format!("/{encoding}?100000"))).await;
        let response = exchange.result.unwrap();
        assert_eq!(response.body, vec![b'x'; 100_000], "{encoding}");
        assert!(response.body_bytes < 1000, "{encoding}");
        assert!(!response.headers.contains_key("content-encoding"));
        let raw = client.send(&origin, Request { decompress: false, ..get(&format!("/{encoding}?100000")) }).await;
        let raw = raw.result.unwrap();
        assert_eq!(raw.body.len() as u64, response.body_bytes);
        assert!(raw.headers.contains_key("content-encoding"));
    }
}

#[tokio::test]
async fn a_decoded_body_is_limited() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    for encoding in ["gzip", "zlib", "deflate"] {
        let bomb = Request { body_limit: 100_000, ..get(&format!("/{encoding}?5000000")) };
        let error = client.send(&origin, bomb).await.result.unwrap_err();
        assert_eq!(error, Error::TooLarge { limit: 100_000 }, "{encoding}");
    }
}

#[tokio::test]
async fn garbage_is_a_protocol_error() {
    let server = Server::script(|number, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        let answer: &[u8] = match number {
            0 => b"nonsense\r\n\r\n",
            1 => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
            _ => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
        };
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let (client, origin) = client(server.port);
    for number in 0..3 {
        let exchange = client.send(&origin, get("/")).await;
        assert!(matches!(exchange.result, Err(Error::Protocol(_))), "{number}: {exchange:?}");
        assert_eq!(client.stats().open, 0);
    }
}
