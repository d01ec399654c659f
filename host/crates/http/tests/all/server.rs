//! Servers to test against: a well-behaved one, and one that follows a script byte by byte.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A running server.
pub struct Server {
    pub port: u16,
    pub accepted: Arc<AtomicUsize>,
}

impl Server {
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Speaks HTTP/1.1 and HTTP/2, over TLS if there is an acceptor.
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        Self::script(move |_, stream| {
            let tls = tls.clone();
            async move {
                match tls {
                    None => serve(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream).await;
                        }
                    }
                }
            }
        })
        .await
    }

    /// Runs a script for each connection, which gets the connection's number, from 0.
    pub async fn script<F, S>(script: S) -> Self
    where
        S: Fn(usize, TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(script(counter.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { port, accepted }
    }
}

/// Reads one request without a body.
pub async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let builder = auto::Builder::new(TokioExecutor::new());
    drop(builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let response = Response::builder();
    let (response, body) = match path.as_str() {
        "/hello" => (response, Bytes::from_static(b"hello")),
        "/head" => {
            let lines: Vec<_> =
                request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            (response, format!("{} {}\n{}", request.method(), request.uri(), lines.join("\n")).into())
        }
        "/never" => std::future::pending().await,
        "/zeros" => (response, vec![0; query.parse().unwrap()].into()),
        "/gzip" => (response.header("content-encoding", "gzip"), packed(&query, GzEncoder::new)),
        "/zlib" => (response.header("content-encoding", "deflate"), packed(&query, ZlibEncoder::new)),
        "/deflate" => (response.header("content-encoding", "deflate"), packed(&query, DeflateEncoder::new)),
        "/redirect" => {
            let (status, location) = query.split_once('=').unwrap();
            (response.status(status.parse::<u16>().unwrap()).header("location", location), Bytes::new())
        }
        "/upload" => (response, digest(request.into_body()).await.into()),
        _ => (response.status(404), Bytes::new()),
    };
    Ok(response.body(Full::new(body)).unwrap())
}

/// The length of a body and the sum of its bytes.
async fn digest(mut body: Incoming) -> String {
    let (mut length, mut sum) = (0, 0);
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            length += data.len();
            sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }
    format!("{length} {sum}")
}

fn packed<E: Write + Finish>(length: &str, encoder: impl Fn(Vec<u8>, Compression) -> E) -> Bytes {
    let mut encoder = encoder(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'x'; length.parse().unwrap()]).unwrap();
    encoder.done().into()
}

trait Finish {
    fn done(self) -> Vec<u8>;
}

impl Finish for GzEncoder<Vec<u8>> {
    fn done(self) -> Vec<u8> {
        self.finish().unwrap()
    }
}

impl Finish for ZlibEncoder<Vec<u8>> {
    fn done(self) -> Vec<u8> {
        self.finish().unwrap()
    }
}

impl Finish for DeflateEncoder<Vec<u8>> {
    fn done(self) -> Vec<u8> {
        self.finish().unwrap()
    }
}
