//! What one request costs in CPU time on the client's thread, against hyper's connection driven by a task of its own.
//!
//! `cargo run --release -p kperf-http --example cost -- 50 200000` (connections, requests). A third argument, `hyper` or
//! `kperf`, measures only that one, as a profiler wants it.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, reason = "a measurement, run by hand")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kperf_http::{Client, OriginConfig, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |text| text.parse::<usize>().expect("a number"));
    let (connections, requests) = (number(50), number(200_000));
    let only = arguments.next().unwrap_or_default();
    let address = serve();
    let share = requests / connections;
    for round in 1..=3 {
        for (name, kperf) in [("hyper", false), ("kperf", true)] {
            if !only.is_empty() && only != name {
                continue;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cost = runtime.block_on(async {
                // The first request of each connection is not counted.
                if kperf { ours(address, connections, share).await } else { hyper(address, connections, share).await }
            });
            let each = cost.as_secs_f64() * 1e6 / (share * connections) as f64;
            println!("round {round}: {name:5} {each:6.2} us per request, {connections} connections");
        }
    }
    let client = Client::new(OriginConfig::default());
    let origin = client.origin(&format!("http://{address}").parse().unwrap()).unwrap();
    let future = client.send(&origin, Request::new(Method::GET, "/".parse().unwrap()));
    println!("the future of a request takes {} bytes", size_of_val(&future));
}

/// Answers 300 bytes to whatever comes in one read, on a thread of its own.
fn serve() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                 content-length: 300\r\n\r\n{}",
                "x".repeat(300)
            );
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    receiver.recv().unwrap()
}

/// CPU time of this thread, user and system.
fn spent() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert("authorization", HeaderValue::from_static("Bearer 0123456789abcdef"));
    headers.insert("accept", HeaderValue::from_static("application/json"));
    headers.insert("x-request-id", HeaderValue::from_static("0123456789abcdef"));
    headers
}

async fn ours(address: SocketAddr, connections: usize, share: usize) -> Duration {
    let client = Client::new(OriginConfig::default());
    let origin = client.origin(&format!("http://{address}").parse().unwrap()).unwrap();
    let request = || Request {
        headers: headers(),
        timeout: Some(Duration::from_secs(30)),
        ..Request::new(Method::GET, "/a/path?with=query".parse().unwrap())
    };
    let mut warm = JoinSet::new();
    for _ in 0..connections {
        let (client, origin, request) = (client.clone(), origin.clone(), request());
        warm.spawn(async move { client.send(&origin, request).await.result.unwrap() });
    }
    warm.join_all().await;
    let start = spent();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (client, origin) = (client.clone(), origin.clone());
        tasks.spawn(async move {
            for _ in 0..share {
                assert_eq!(client.send(&origin, request()).await.result.unwrap().body.len(), 300);
            }
        });
    }
    tasks.join_all().await;
    spent() - start
}

async fn hyper(address: SocketAddr, connections: usize, share: usize) -> Duration {
    let host = HeaderValue::from_str(&address.to_string()).unwrap();
    let mut senders = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        senders.push(sender);
    }
    let start = spent();
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let host = host.clone();
        tasks.spawn(async move {
            for _ in 0..share {
                let mut request = http::Request::new(Empty::<Bytes>::new());
                *request.uri_mut() = "/a/path?with=query".parse::<Uri>().unwrap();
                *request.headers_mut() = headers();
                request.headers_mut().insert(HOST, host.clone());
                sender.ready().await.unwrap();
                let response = tokio::time::timeout(Duration::from_secs(30), async {
                    sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
                });
                assert_eq!(response.await.unwrap().len(), 300);
            }
        });
    }
    tasks.join_all().await;
    spent() - start
}
