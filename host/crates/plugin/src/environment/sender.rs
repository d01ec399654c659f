//! Requests of guests on their way: checked against the grants, sent, timed and recorded by the host.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use kperf_http::{Body, Origin, Redirects, Timing};
use tokio::task::JoinHandle;

use crate::bindings::http::{self as wit, BodyMode, Error, StatusRange};
use crate::call::fault::Fault;
use crate::environment::http_target::Target;
use crate::environment::secret::Credential;
use crate::environment::services::Services;
use crate::recording::series::Sent;

/// The longest name of an operation in bytes: it is a tag's value.
const LONGEST_OPERATION: usize = 128;

/// Headers that only the host may set.
const HOSTS: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "traceparent", "x-request-id"];

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request on its way. Dropping it gives it up.
pub(crate) struct Exchanging<R>(JoinHandle<Result<R, Error>>);

impl<R> Future for Exchanging<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| match joined {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Interrupted("the run is being stopped".into())),
            },
        })
    }
}

impl<R> Drop for Exchanging<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends requests for one plugin, on behalf of one iteration.
pub(crate) struct Sender {
    services: Arc<Services>,
    late: Option<Duration>,
    /// For generated bodies.
    seed: u64,
}

/// A request that may be sent.
struct Outgoing {
    origin: Origin,
    request: kperf_http::Request,
    /// Whether the answer may hold a secret.
    scans: bool,
}

impl Sender {
    pub(crate) fn new(services: &Arc<Services>, late: Option<Duration>, seed: u64) -> Self {
        Self { services: Arc::clone(services), late, seed }
    }

    /// Sends a request, records it, and makes `answer` of the response, which has the `x-request-id` that was sent if the guest
    /// names that header. What is refused before it is sent is not recorded as a request.
    ///
    /// All of that happens in a task of its own. With many requests in flight a worker then writes many of them, later reads
    /// many answers, and runs the guest many times, one kind of work after the other. Going through all of it request by
    /// request costs a third as much again: so much code does not fit into a core's caches.
    pub(crate) fn exchange<R: Send + 'static>(
        self,
        mut request: wit::Request,
        answer: impl FnOnce(kperf_http::Response, Timing) -> R + Send + 'static,
    ) -> Result<Exchanging<R>, Error> {
        let Outgoing { origin, request: outgoing, scans } = self.prepare(&mut request).inspect_err(|error| {
            if let Error::Denied(message) = error {
                self.services.fault(Fault::HostDenied, 1, message);
            }
        })?;
        // The task's turn may be long in coming, which response times have to show.
        let late = self.late.map(|late| (late, Instant::now()));
        let services = self.services;
        let wit::Request { operation, tags, expected, response_headers, .. } = request;
        let method = outgoing.method.clone();
        let wants_id = response_headers.iter().any(|name| name.eq_ignore_ascii_case(X_REQUEST_ID.as_str()));
        let id = if wants_id { outgoing.headers.get(X_REQUEST_ID).cloned() } else { None };
        // Boxed, because a task moves its future and its output around in one piece.
        Ok(Exchanging(tokio::spawn(Box::pin(async move {
            let exchange = services.worker.http.send(&origin, outgoing).await;
            let status = exchange.result.as_ref().map_or(0, |response| response.status.as_u16());
            if !matches!(exchange.result, Err(kperf_http::Error::Interrupted)) {
                let sent = Sent {
                    operation: &operation,
                    tags: &tags,
                    method: &method,
                    status,
                    expected: exchange.result.is_ok() && is_expected(&expected, status),
                    exchange: &exchange,
                    late: late.map(|(late, asked)| late + exchange.started.saturating_duration_since(asked)),
                };
                services.record(|series, shard| series.request(shard, &sent));
            }
            let mut response = exchange.result.map_err(refusal)?;
            if scans {
                services.mask_echo(&operation, &mut response);
            }
            if let Some(id) = id {
                response.headers.insert(X_REQUEST_ID, id);
            }
            Ok(answer(response, exchange.timing))
        }))))
    }

    fn prepare(&self, request: &mut wit::Request) -> Result<Outgoing, Error> {
        let services = &*self.services;
        if !services.capable {
            return Err(Error::Denied("nothing can be sent while the plugin describes itself".into()));
        }
        if services.stopped() {
            return Err(Error::Interrupted("the run is being stopped".into()));
        }
        if request.operation.is_empty() || request.operation.len() > LONGEST_OPERATION {
            return Err(Error::Invalid(format!("an operation's name has 1 to {LONGEST_OPERATION} bytes")));
        }
        let target = services.http.get(&services.worker, &services.plugin).map_err(refusal)?;
        let (origin, path, to_target) = self.locate(target, std::mem::take(&mut request.url))?;
        let credential = match &request.credential {
            Some(name) => {
                Some(services.plugin.grants.credential(name).map_err(|denied| Error::Denied(denied.to_string()))?)
            }
            None => None,
        };
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| Error::Invalid("the method is none; use one like `GET`".into()))?;
        let base = if to_target { &target.headers } else { &target.plain };
        if request.body.iter().any(|chunk| matches!(chunk, wit::Chunk::Secret(_)))
            && (!to_target || request.redirects > 0)
        {
            let text = "a secret in a body may go to the target only, and without redirects; set `target`";
            return Err(Error::Denied(text.into()));
        }
        let body = self.body(std::mem::take(&mut request.body))?;
        let own = std::mem::take(&mut request.headers);
        let headers = headers(services, base, own, to_target, credential.map(|c| &**c), &body)?;
        let defaults = &services.plugin.requests;
        let outgoing = kperf_http::Request {
            method,
            path,
            headers,
            body,
            timeout: request.timeout.map(Duration::from_nanos).or(defaults.timeout),
            body_limit: defaults.body_limit,
            keep_body: request.response_body == BodyMode::Keep,
            decompress: defaults.compression,
            redirects: (request.redirects > 0).then(|| self.redirects(request.redirects, credential.map(|c| &**c))),
        };
        Ok(Outgoing { origin, request: outgoing, scans: target.scans })
    }

    /// Where a URL leads to, if the plugin may go there, and whether that is the target.
    fn locate(&self, target: &Target, url: String) -> Result<(Origin, PathAndQuery, bool), Error> {
        let invalid = |error: &dyn std::fmt::Display| Error::Invalid(format!("the url can't be sent to: {error}"));
        if url.is_empty() || (url.starts_with('/') && !url.starts_with("//")) {
            let Some(origin) = &target.origin else {
                return Err(Error::Denied(crate::environment::grants::Denied::NoTarget.to_string()));
            };
            let path = match (target.prefix.as_str(), url) {
                ("", url) if url.is_empty() => "/".to_owned(),
                ("", url) => url,
                (prefix, url) => format!("{prefix}{url}"),
            };
            let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|error| invalid(&error))?;
            return Ok((origin.clone(), path, true));
        }
        let uri = Uri::from_maybe_shared(Bytes::from(url)).map_err(|error| invalid(&error))?;
        let grants = &self.services.plugin.grants;
        if uri.authority().is_none() {
            return Err(invalid(&"give an absolute http or https URL, or a path that starts with `/`"));
        }
        if !grants.permits(&uri) {
            let place = uri.authority().map_or("", |authority| authority.as_str());
            let place = place.rsplit_once('@').map_or(place, |(_, host)| host);
            return Err(Error::Denied(crate::environment::grants::Denied::Host(place.to_owned()).to_string()));
        }
        let origin = self.services.worker.http.origin(&uri).map_err(refusal)?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok((origin, path, grants.is_target(&uri)))
    }

    fn body(&self, mut chunks: Vec<wit::Chunk>) -> Result<Body, Error> {
        if let [wit::Chunk::Bytes(bytes)] = chunks.as_mut_slice() {
            return Ok(Body::Bytes(std::mem::take(bytes).into()));
        }
        if chunks.is_empty() {
            return Ok(Body::Empty);
        }
        let in_memory = |chunk: &wit::Chunk| matches!(chunk, wit::Chunk::Bytes(_) | wit::Chunk::Secret(_));
        if chunks.iter().all(in_memory) {
            let mut whole = BytesMut::new();
            for chunk in &chunks {
                match chunk {
                    wit::Chunk::Bytes(bytes) => whole.extend_from_slice(bytes),
                    wit::Chunk::Secret(name) => whole.extend_from_slice(self.escaped(name)?.as_bytes()),
                    _ => {}
                }
            }
            return Ok(Body::Bytes(whole.freeze()));
        }
        let chunk = |(at, chunk): (usize, wit::Chunk)| match chunk {
            wit::Chunk::Bytes(bytes) => Ok(kperf_http::Chunk::Bytes(bytes.into())),
            wit::Chunk::Secret(name) => Ok(kperf_http::Chunk::Bytes(self.escaped(&name)?.into())),
            wit::Chunk::File(path) => {
                let file = self.services.granted_file(&path).map_err(Error::Denied)?;
                let metadata = std::fs::metadata(&file);
                let length = metadata.map_err(|error| Error::Invalid(format!("can't read `{path}`: {error}")))?.len();
                Ok(kperf_http::Chunk::File { path: file, length })
            }
            wit::Chunk::Generated(length) => {
                Ok(kperf_http::Chunk::Generated { length, seed: self.seed.wrapping_add(at as u64) })
            }
        };
        let chunks = chunks.into_iter().enumerate().map(chunk).collect::<Result<Arc<[_]>, Error>>()?;
        Ok(Body::Chunks(chunks))
    }

    /// A secret for the inside of a JSON string.
    fn escaped(&self, name: &str) -> Result<String, Error> {
        let credential = self.services.plugin.grants.credential(name);
        let secret = credential.map_err(|denied| Error::Denied(denied.to_string()))?.secret();
        let quoted = serde_json::Value::from(secret.expose()).to_string();
        let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(inside.unwrap_or_default().to_owned())
    }

    fn redirects(&self, limit: u32, credential: Option<&Credential>) -> Arc<Redirects> {
        let services = Arc::clone(&self.services);
        let target = self.services.plugin.grants.target_credential.as_deref();
        let credentials = credential.into_iter().chain(target).map(|credential| credential.header.clone());
        // Whatever its name: a key of an API may be in any of the target's own headers.
        let of_target = self.services.plugin.requests.headers.keys().cloned();
        Arc::new(Redirects {
            limit,
            sensitive: credentials.chain(of_target).collect(),
            permit: Box::new(move |uri| services.plugin.grants.permits(uri)),
        })
    }
}

/// The host's headers, the guest's, and the credential's; the later ones win.
fn headers(
    services: &Services,
    base: &HeaderMap,
    own: Vec<(String, String)>,
    to_target: bool,
    credential: Option<&Credential>,
    body: &Body,
) -> Result<HeaderMap, Error> {
    let mut headers = base.clone();
    let attached = credential.or(services.plugin.grants.target_credential.as_deref().filter(|_| to_target));
    let mut earlier: smallvec::SmallVec<[HeaderName; 8]> = smallvec::SmallVec::new();
    for (name, value) in own {
        if HOSTS.iter().any(|set| name.eq_ignore_ascii_case(set)) {
            return Err(Error::Invalid(format!("the header `{name}` is set by the host; leave it out")));
        }
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| Error::Invalid("a header's name has characters that can't be sent".into()))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        let value =
            value.map_err(|_| Error::Invalid(format!("the value of `{name}` has characters that can't be sent")))?;
        if attached.is_some_and(|credential| credential.header == name) {
            continue;
        }
        if earlier.contains(&name) {
            headers.append(name, value);
        } else {
            earlier.push(name.clone());
            headers.insert(name, value);
        }
    }
    if let Some(credential) = attached {
        let body: Option<&[u8]> = match body {
            Body::Empty => Some(&[]),
            Body::Bytes(bytes) => Some(bytes),
            Body::Chunks(_) => None,
        };
        let value = credential.value(body).ok_or_else(|| {
            Error::Invalid("a body that is signed can't have files and generated bytes; send its bytes".into())
        })?;
        headers.insert(credential.header.clone(), value);
    }
    let (parent, id) = trace(services);
    headers.insert(TRACEPARENT, parent);
    headers.insert(X_REQUEST_ID, id);
    Ok(headers)
}

/// The values of `traceparent` (W3C Trace Context, version 00, sampled) and `x-request-id`, which is the trace's id: both
/// lead to the same request in a server's log.
fn trace(services: &Services) -> (HeaderValue, HeaderValue) {
    let (high, low, span) = services.trace_ids();
    let mut text = BytesMut::with_capacity(55);
    text.extend_from_slice(b"00-");
    for (at, number) in [high, low, span | 1].into_iter().enumerate() {
        let hex = hex(number);
        text.extend_from_slice(&hex);
        if at > 0 {
            text.extend_from_slice(b"-");
        }
    }
    text.extend_from_slice(b"01");
    let text = text.freeze();
    let id = text.slice(3..35);
    let value = |bytes| HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static("0"));
    (value(text), value(id))
}

/// A number as 16 hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (at, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * at)) & 15;
        let nibble = nibble as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}

fn is_expected(ranges: &[StatusRange], status: u16) -> bool {
    match ranges {
        [] => (200..400).contains(&status),
        ranges => ranges.iter().any(|range| (range.first..=range.last).contains(&status)),
    }
}

fn refusal(error: kperf_http::Error) -> Error {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{error}");
    match error {
        kperf_http::Error::Invalid(_) => Error::Invalid(text),
        kperf_http::Error::Denied(place) => Error::Denied(crate::environment::grants::Denied::Host(place).to_string()),
        kperf_http::Error::Connect(_) => Error::Connect(text),
        kperf_http::Error::Tls(_) => Error::Tls(text),
        kperf_http::Error::Timeout { .. } => Error::Timeout(text),
        kperf_http::Error::TooLarge { .. } => Error::TooLarge(text),
        kperf_http::Error::Protocol(_) => Error::Protocol(text),
        kperf_http::Error::Interrupted => Error::Interrupted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_with_all_its_digits() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        assert_eq!(&hex(1), b"0000000000000001");
    }

    #[test]
    fn without_ranges_the_statuses_from_200_to_399_are_expected() {
        let ranges = [StatusRange { first: 404, last: 404 }, StatusRange { first: 200, last: 204 }];
        for (status, by_default, by_ranges) in
            [(0, false, false), (200, true, true), (302, true, false), (404, false, true)]
        {
            assert_eq!(is_expected(&[], status), by_default, "{status}");
            assert_eq!(is_expected(&ranges, status), by_ranges, "{status}");
        }
    }
}
