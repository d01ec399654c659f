//! Answers to `GET /metrics`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::Page;

/// How long a client may take to send a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the page for as long as it is polled. Needs a `LocalRuntime`.
pub async fn serve(listener: TcpListener, page: Rc<RefCell<Page>>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, say: others may close theirs.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let page = Rc::clone(&page);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &page.borrow());
                async { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A connection that breaks is the client's affair.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let plain = |status, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        response
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let mut response = Response::new(Full::new(Bytes::from(page.render())));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
            response
        }
        (_, "/metrics") => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "kperf has /metrics only\n"),
    }
}
