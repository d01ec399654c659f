//! Following redirects.

use std::sync::Arc;

use http::header::HeaderName;
use http::{Method, Uri};
use kperf_http::{Error, Redirects, Request};

use crate::server::Server;
use crate::{body, client, get};

fn policy(limit: u32, permit: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> Option<Arc<Redirects>> {
    let sensitive = vec![HeaderName::from_static("x-token")];
    Some(Arc::new(Redirects { limit, permit: Box::new(permit), sensitive }))
}

fn with_secrets(mut request: Request) -> Request {
    for (name, value) in [("authorization", "a"), ("cookie", "b"), ("x-token", "c"), ("x-harmless", "d")] {
        request.headers.insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_redirect_is_handed_back_unless_following_is_wanted() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let exchange = client.send(&origin, get("/redirect?302=/hello")).await;
    assert_eq!(exchange.result.unwrap().status, 302);
    let none = Request { redirects: policy(0, |_| true), ..get("/redirect?302=/hello") };
    let exchange = client.send(&origin, none).await;
    assert_eq!((exchange.redirects, exchange.result.unwrap().status.as_u16()), (0, 302));
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    let path = "/redirect?302=/redirect?301=/hello";
    let exchange = client.send(&origin, Request { redirects: policy(2, |_| true), ..get(path) }).await;
    assert_eq!(exchange.redirects, 2);
    assert_eq!(body(&exchange), "hello");
    let exchange = client.send(&origin, Request { redirects: policy(1, |_| true), ..get(path) }).await;
    assert_eq!((exchange.redirects, exchange.result.unwrap().status.as_u16()), (1, 301));
}

#[tokio::test]
async fn another_origin_gets_no_secrets() {
    let (here, there) = (Server::start(None).await, Server::start(None).await);
    let (client, origin) = client(here.port);
    let same = with_secrets(get("/redirect?307=/head"));
    let seen = client.send(&origin, Request { redirects: policy(5, |_| true), ..same }).await;
    let seen = String::from_utf8(body(&seen).to_vec()).unwrap();
    for header in ["authorization: a", "cookie: b", "x-token: c", "x-harmless: d"] {
        assert!(seen.contains(header), "{seen}");
    }
    let other = with_secrets(get(&format!("/redirect?307=http://127.0.0.1:{}/head", there.port)));
    let seen = client.send(&origin, Request { redirects: policy(5, |_| true), ..other }).await;
    let seen = String::from_utf8(body(&seen).to_vec()).unwrap();
    for header in ["authorization", "cookie", "x-token"] {
        assert!(!seen.contains(header), "{seen}");
    }
    assert!(seen.contains("x-harmless: d"), "{seen}");
    assert!(seen.contains(&format!("host: 127.0.0.1:{}", there.port)), "{seen}");
}

#[tokio::test]
async fn every_hop_needs_permission() {
    let (here, there) = (Server::start(None).await, Server::start(None).await);
    let (client, origin) = client(here.port);
    let (allowed, path) = (here.port, format!("/redirect?302=http://127.0.0.1:{}/hello?secret", there.port));
    let permit = move |uri: &Uri| uri.port_u16() == Some(allowed);
    let exchange = client.send(&origin, Request { redirects: policy(5, permit), ..get(&path) }).await;
    let error = exchange.result.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(there.accepted(), 0);
}

#[tokio::test]
async fn a_post_becomes_a_get_where_browsers_do_that() {
    let server = Server::start(None).await;
    let (client, origin) = client(server.port);
    for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let mut request = Request::new(Method::POST, format!("/redirect?{status}=/head").parse().unwrap());
        request.body = kperf_http::Body::Bytes("{}".into());
        request.headers.insert("content-type", "application/json".parse().unwrap());
        request.redirects = policy(1, |_| true);
        let seen = String::from_utf8(body(&client.send(&origin, request).await).to_vec()).unwrap();
        assert!(seen.starts_with(&format!("{method} /head")), "{status}: {seen}");
        assert_eq!(seen.contains("content-type"), method == "POST", "{status}: {seen}");
        assert_eq!(seen.contains("content-length: 2"), method == "POST", "{status}: {seen}");
    }
}
