//! Doubles over a socket, as a reporter's delivery meets them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use kperf_doubles::{DoubleServer, PagerDuty, Slack};
use serde_json::{Value, json};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const WEBHOOK: &str = "/services/T0/B0/key";

/// An answer: its status, its head in lower case, and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn post(server: &DoubleServer, path: &str, body: &str) -> Answer {
    let url = server.url();
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    // The server may answer a body that is too large before it has arrived.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[test]
fn requests_are_answered_kept_and_watched_in_order() {
    let server = DoubleServer::start(Slack::default(), LOOPBACK).unwrap();
    let (sender, watched) = mpsc::channel();
    server.watch(move |request| sender.send(request.clone()).unwrap());
    let good = post(&server, &format!("{WEBHOOK}?query=1"), r#"{"text": "hello"}"#);
    assert_eq!((good.status, good.body.as_str()), (200, "ok"));
    assert!(good.head.contains("content-type: text/html"), "{}", good.head);
    let bad = post(&server, WEBHOOK, "no json");
    assert_eq!((bad.status, bad.body.as_str()), (400, "invalid_payload"));

    let received = server.received();
    let figures: Vec<_> = received.iter().map(|it| (it.path.as_str(), it.status, it.taken, &it.body)).collect();
    let (hello, text) = (json!({"text": "hello"}), json!("no json"));
    assert_eq!(figures, [(WEBHOOK, 200, true, &hello), (WEBHOOK, 400, false, &text)]);
    assert!(received[0].unix_ns > 0 && received[0].unix_ns <= received[1].unix_ns);
    assert_eq!(watched.try_iter().collect::<Vec<_>>(), received);
}

#[test]
fn a_throttled_double_answers_429_as_often_as_it_was_told() {
    let server = DoubleServer::start(PagerDuty::default(), LOOPBACK).unwrap();
    server.throttle(2, Duration::from_secs(7));
    let event = json!({"routing_key": "0123456789abcdef0123456789abcdef", "event_action": "trigger",
        "payload": {"summary": "s", "source": "x", "severity": "error"}})
    .to_string();
    for _ in 0..2 {
        let answer = post(&server, "/v2/enqueue", &event);
        assert_eq!(answer.status, 429);
        assert!(answer.head.contains("retry-after: 7"), "{}", answer.head);
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["status"], "throttle exceeded");
    }
    assert_eq!(post(&server, "/v2/enqueue", &event).status, 202);
    let taken: Vec<bool> = server.received().iter().map(|it| it.taken).collect();
    assert_eq!(taken, [false, false, true]);
}

#[test]
fn a_dropped_double_frees_its_address() {
    let server = DoubleServer::start(Slack::default(), LOOPBACK).unwrap();
    let address: SocketAddr = server.url().strip_prefix("http://").unwrap().parse().unwrap();
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}
