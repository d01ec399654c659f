//! WASI 0.2 for guests whose toolchain wants it: clocks and random numbers, output as log lines, and nothing else. No
//! environment, no arguments, no files, no sockets.
//!
//! `wasi:http`, which is what `fetch` becomes in other languages, goes through the very same grants and measurement as
//! the `http` capability. The operation's name comes from the header `x-kperf-operation`, which is not sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::bindings::http::{self, BodyMode, Chunk};
use crate::bindings::log::Level;
use crate::environment::log_line;
use crate::environment::random::Stream;
use crate::environment::sender::Sender;
use crate::environment::services::Services;

/// The header in which a guest that speaks `wasi:http` names the operation.
const OPERATION: &str = "x-kperf-operation";

/// The largest request body in bytes that is taken from such a guest: it is gathered before it is sent.
const LARGEST_BODY: usize = 64 << 20;

/// What WASI offers to a guest.
pub(crate) fn context(services: &Arc<Services>) -> WasiCtx {
    let seed = services.random_root;
    WasiCtxBuilder::new()
        .stdout(Lines { services: Arc::clone(services), level: Level::Info })
        .stderr(Lines { services: Arc::clone(services), level: Level::Warn })
        .secure_random(Stream::new(seed))
        .insecure_random(Stream::new(seed.rotate_left(32)))
        .insecure_random_seed(u128::from(seed))
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// Output that becomes log lines.
#[derive(Clone)]
struct Lines {
    services: Arc<Services>,
    level: Level,
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter { lines: self.clone(), begun: Vec::new() })
    }
}

struct LineWriter {
    lines: Lines,
    /// A line that has not ended yet.
    begun: Vec<u8>,
}

/// A line without an end is written when it is this long.
const LONGEST_LINE: usize = 8192;

impl LineWriter {
    fn write(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if !line.trim_end().is_empty() {
            log_line::write(&self.lines.services, self.lines.level, line.trim_end());
        }
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let mut begun = std::mem::take(&mut self.begun);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") || begun.len() >= LONGEST_LINE {
                self.write(&begun);
                begun.clear();
            }
        }
        self.begun = begun;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.write(&self.begun);
    }
}

/// Sends the requests of `wasi:http`.
pub(crate) struct Hooks {
    services: Arc<Services>,
    /// How late the iteration started, where only one is running.
    pub(crate) late: Option<std::time::Duration>,
}

impl Hooks {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), late: None }
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Result<(::http::Response<WasiBody>, Io), Error>> + Send> {
        let services = Arc::clone(&self.services);
        let late = self.late;
        Box::new(async move {
            let request = translate(request, options.as_ref()).await?;
            let sender = Sender::new(&services, late, 0);
            let exchanging = sender.exchange(request, |response, _| response).map_err(refuse)?;
            let response = exchanging.await.map_err(refuse)?;
            let mut answer =
                ::http::Response::new(Full::new(response.body).map_err(|never| match never {}).boxed_unsync());
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers;
            let done: Io = Box::new(std::future::ready(Ok(())));
            Ok((answer, done))
        })
    }
}

/// The same request as the `http` capability takes it.
async fn translate(
    request: ::http::Request<WasiBody>,
    options: Option<&RequestOptions>,
) -> Result<http::Request, Error> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, LARGEST_BODY).collect().await;
    let body: Bytes = body.map_err(|_| Error::HttpRequestBodySize(Some(LARGEST_BODY as u64)))?.to_bytes();
    let mut headers = Vec::with_capacity(parts.headers.len());
    let mut operation = "http".to_owned();
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| Error::HttpRequestHeaderSize { field_name: None, field_size: None })?;
        match name.as_str() {
            OPERATION => value.clone_into(&mut operation),
            // The host sets them.
            "host" | "content-length" | "transfer-encoding" => {}
            name => headers.push((name.to_owned(), value.to_owned())),
        }
    }
    let timeout = options.and_then(|options| options.first_byte_timeout).map(crate::call::duration::nanoseconds);
    Ok(http::Request {
        operation,
        method: parts.method.as_str().to_owned(),
        url: parts.uri.to_string(),
        headers,
        body: if body.is_empty() { Vec::new() } else { vec![Chunk::Bytes(body.into())] },
        credential: None,
        timeout,
        redirects: 0,
        expected: Vec::new(),
        response_headers: Vec::new(),
        response_body: BodyMode::Keep,
        tags: Vec::new(),
    })
}

fn refuse(error: http::Error) -> Error {
    match error {
        http::Error::Denied(_) => Error::HttpRequestDenied,
        http::Error::Invalid(_) => Error::HttpRequestUriInvalid,
        http::Error::Connect(_) => Error::ConnectionRefused,
        http::Error::Tls(_) => Error::TlsProtocolError,
        http::Error::Timeout(_) => Error::HttpResponseTimeout,
        http::Error::TooLarge(_) => Error::HttpResponseBodySize(None),
        http::Error::Protocol(_) => Error::HttpProtocolError,
        http::Error::Interrupted(_) => Error::ConnectionTerminated,
    }
}
