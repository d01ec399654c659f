//! Which connection carries which request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kperf_http::{Body, Error, OriginConfig, Request};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::server::{Server, read_head};
use crate::{body, client, configured, get};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let first = client.send(&origin, get("/hello")).await;
    assert_eq!(body(&first), "hello");
    assert!(!first.reused);
    assert!(first.timing.connecting > Duration::ZERO);
    for _ in 0..10 {
        let next = client.send(&origin, get("/hello")).await;
        assert_eq!(body(&next), "hello");
        assert!(next.reused);
        assert_eq!(next.timing.connecting, Duration::ZERO);
        assert!(next.timing.waiting > Duration::ZERO);
        assert!(next.timing.duration() <= next.started.elapsed());
    }
    assert_eq!(server.accepted(), 1);
    let stats = client.stats();
    assert_eq!((stats.open, stats.idle, stats.opened_total, stats.reused_total), (1, 1, 1, 10));
}

#[tokio::test]
async fn bytes_are_counted_at_the_socket() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let server = Server::script(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                seen.lock().push(head);
                stream.write_all(OK).await.unwrap();
            }
        }
    })
    .await;
    let (client, origin) = client(server.port);
    for _ in 0..2 {
        let exchange = client.send(&origin, get("/a?b=c")).await;
        let head = heads.lock().pop().unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{head}");
        assert_eq!(exchange.sent_bytes, head.len() as u64);
        assert_eq!(exchange.received_bytes, OK.len() as u64);
    }
}

#[tokio::test]
async fn idle_connections_are_swept() {
    let server = Server::start(None).await;
    let config = OriginConfig { idle_timeout: Duration::from_millis(20), ..OriginConfig::default() };
    let (client, origin) = configured(server.port, config);
    client.send(&origin, get("/hello")).await;
    sleep(Duration::from_millis(60)).await;
    client.sweep();
    assert_eq!(client.stats().open, 0);
    client.send(&origin, get("/hello")).await;
    sleep(Duration::from_millis(60)).await;
    let late = client.send(&origin, get("/hello")).await;
    assert!(!late.reused, "an old connection is not used, even unswept");
    assert_eq!((client.stats().open, server.accepted()), (1, 3));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_used_again() {
    let closed = Arc::new(Notify::new());
    let close = Arc::clone(&closed);
    let server = Server::script(move |_, mut stream| {
        let close = Arc::clone(&close);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK).await.unwrap();
            close.notified().await;
        }
    })
    .await;
    let (client, origin) = client(server.port);
    let post =
        || Request { body: Body::Bytes(Bytes::from_static(b"x")), ..Request::new(Method::POST, "/".parse().unwrap()) };
    assert_eq!(body(&client.send(&origin, post()).await), "ok");
    closed.notify_one();
    sleep(Duration::from_millis(50)).await;
    let next = client.send(&origin, get("/")).await;
    assert_eq!(body(&next), "ok");
    assert!(!next.reused);
    closed.notify_one();
    sleep(Duration::from_millis(50)).await;
    client.sweep();
    assert_eq!(client.stats().open, 0);
}

/// A server that answers the first request of each connection, and closes on the second without a byte.
async fn forgetful() -> Server {
    Server::script(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
        read_head(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn an_idempotent_request_is_repeated_once() {
    let server = forgetful().await;
    let (client, origin) = client(server.port);
    assert_eq!(body(&client.send(&origin, get("/")).await), "ok");
    let second = client.send(&origin, get("/")).await;
    assert_eq!(body(&second), "ok");
    assert!(!second.reused);
    assert_eq!((server.accepted(), client.stats().open), (2, 1));
}

#[tokio::test]
async fn a_request_that_may_have_had_an_effect_is_not_repeated() {
    let server = forgetful().await;
    let (client, origin) = client(server.port);
    let post = || Request::new(Method::POST, "/".parse().unwrap());
    assert_eq!(body(&client.send(&origin, post()).await), "ok");
    let second = client.send(&origin, post()).await;
    assert!(matches!(second.result, Err(Error::Protocol(_))), "{second:?}");
    assert_eq!((server.accepted(), client.stats().open), (1, 0));
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_an_error() {
    let server = Server::script(|_, mut stream| async move { drop(read_head(&mut stream).await) }).await;
    let (client, origin) = client(server.port);
    let exchange = client.send(&origin, get("/")).await;
    assert!(matches!(exchange.result, Err(Error::Protocol(_))), "{exchange:?}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn connection_close_is_obeyed() {
    let server = Server::script(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end").await.unwrap();
    })
    .await;
    let (client, origin) = client(server.port);
    for _ in 0..3 {
        assert_eq!(body(&client.send(&origin, get("/")).await), "until the end");
        assert_eq!(client.stats().open, 0);
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn requests_wait_for_a_connection_in_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let server = Server::script(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                seen.lock().push(head.split(' ').nth(1).unwrap().to_owned());
                sleep(Duration::from_millis(20)).await;
                stream.write_all(OK).await.unwrap();
            }
        }
    })
    .await;
    let (client, origin) = configured(server.port, OriginConfig { max_connections: Some(1), ..Default::default() });
    let paths: Vec<_> = (0..5).map(|number| format!("/{number}")).collect();
    let tasks: Vec<_> = paths
        .iter()
        .map(|path| {
            let (client, origin, request) = (client.clone(), origin.clone(), get(path));
            tokio::spawn(async move { client.send(&origin, request).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(client.stats().waiting, 4);
    let mut blocked = Vec::new();
    for task in tasks {
        let exchange = task.await.unwrap();
        assert_eq!(body(&exchange), "ok");
        blocked.push(exchange.timing.blocked);
    }
    assert_eq!(*order.lock(), paths);
    assert!(blocked.is_sorted(), "{blocked:?}");
    assert!(blocked[4] >= Duration::from_millis(70), "{blocked:?}");
    assert_eq!((server.accepted(), client.stats().waiting), (1, 0));
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection_and_lets_the_next_one_in() {
    let server = Server::start(None).await;
    let (client, origin) = configured(server.port, OriginConfig { max_connections: Some(1), ..Default::default() });
    assert!(timeout(Duration::from_millis(50), client.send(&origin, get("/never"))).await.is_err());
    assert_eq!(client.stats().open, 0);
    // One in front of the next is given up while it waits, another while it holds the connection.
    let mut holder = Box::pin(client.send(&origin, get("/never")));
    assert!(timeout(Duration::from_millis(50), &mut holder).await.is_err());
    assert!(timeout(Duration::from_millis(10), client.send(&origin, get("/hello"))).await.is_err());
    drop(holder);
    assert_eq!(body(&client.send(&origin, get("/hello")).await), "hello");
    assert_eq!((client.stats().open, client.stats().idle, client.stats().waiting), (1, 1, 0));
}

#[tokio::test]
async fn an_interrupted_client_ends_everything() {
    let server = Server::start(None).await;
    let (client, origin) = configured(server.port, OriginConfig { max_connections: Some(1), ..Default::default() });
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (client, origin) = (client.clone(), origin.clone());
            tokio::spawn(async move { client.send(&origin, get("/never")).await })
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    client.interrupt();
    for task in tasks {
        assert_eq!(task.await.unwrap().result.unwrap_err(), Error::Interrupted);
    }
    assert_eq!(client.send(&origin, get("/hello")).await.result.unwrap_err(), Error::Interrupted);
    assert_eq!((client.stats().open, client.stats().waiting), (0, 0));
}
