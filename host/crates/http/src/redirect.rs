//! Following redirects, with the caller's consent to each hop.

use std::fmt;
use std::time::Instant;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use url::Url;

use crate::body::Body;
use crate::client::Client;
use crate::error::Error;
use crate::exchange::{Measured, Response};
use crate::origin::Origin;
use crate::request::Request;

/// How to follow redirects.
pub struct Redirects {
    /// How many to follow; the one after that is handed back as the response.
    pub limit: u32,
    /// Asked before every hop with the absolute URL; `false` ends the request with [`Error::Denied`].
    pub permit: Box<dyn Fn(&Uri) -> bool + Send + Sync>,
    /// Headers that must not reach another origin, beyond `authorization`, `proxy-authorization` and `cookie`.
    pub sensitive: Vec<HeaderName>,
}

impl fmt::Debug for Redirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirects")
            .field("limit", &self.limit)
            .field("sensitive", &self.sensitive)
            .finish_non_exhaustive()
    }
}

/// Sends a request and follows its redirects.
pub(crate) async fn follow(
    client: &Client,
    origin: &Origin,
    mut request: Request,
    policy: &Redirects,
    started: Instant,
    measured: &mut Measured,
) -> Result<(), Error> {
    let mut origin = origin.clone();
    loop {
        let mut next = request.clone();
        client.once(&origin, &mut request, started, measured).await?;
        let Some(response) = &measured.response else { return Ok(()) };
        if measured.redirects >= policy.limit {
            return Ok(());
        }
        let Some(target) = target(&origin, &next, response) else { return Ok(()) };
        if !(policy.permit)(&target) {
            let (scheme, host) = (target.scheme_str().unwrap_or_default(), target.host().unwrap_or_default());
            return Err(Error::Denied(format!("{scheme}://{host}")));
        }
        let from = origin;
        origin = client.origin(&target)?;
        if !origin.same_as(&from) {
            strip(&mut next.headers, &policy.sensitive);
        }
        next.headers.remove(HOST);
        change_method(&mut next, response.status);
        measured.response = None;
        next.path = target.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        request = next;
        measured.redirects += 1;
    }
}

/// Where a response points to; None if it is no redirect, or one that can't be followed.
fn target(origin: &Origin, request: &Request, response: &Response) -> Option<Uri> {
    if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.get(LOCATION)?.to_str().ok()?;
    let here = Url::parse(&format!("{origin}{}", request.path)).ok()?;
    let mut there = here.join(location).ok()?;
    there.set_fragment(None);
    matches!(there.scheme(), "http" | "https").then(|| there.as_str().parse().ok()).flatten()
}

fn strip(headers: &mut HeaderMap, sensitive: &[HeaderName]) {
    for name in [&AUTHORIZATION, &PROXY_AUTHORIZATION, &COOKIE].into_iter().chain(sensitive) {
        headers.remove(name);
    }
}

/// What browsers do: a `POST` becomes a `GET` after 301 and 302, everything but a `HEAD` after 303.
fn change_method(request: &mut Request, status: StatusCode) {
    let to_get = match status.as_u16() {
        301 | 302 => request.method == Method::POST,
        303 => request.method != Method::HEAD,
        _ => false,
    };
    if to_get {
        request.method = Method::GET;
        request.body = Body::Empty;
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
            request.headers.remove(name);
        }
    }
}
