//! Where a redirect leads, and what of a request goes there. Whether to go is the caller's decision.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use url::Url;

use crate::body::Body;
use crate::exchange::Response;
use crate::origin::Origin;
use crate::request::Request;

/// Where a response points to; None if it is no redirect, or one that can't be followed.
pub(crate) fn target(origin: &Origin, request: &Request, response: &Response) -> Option<Uri> {
    if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.get(LOCATION)?.to_str().ok()?;
    let here = Url::parse(&format!("{origin}{}", request.path)).ok()?;
    let mut there = here.join(location).ok()?;
    there.set_fragment(None);
    matches!(there.scheme(), "http" | "https").then(|| there.as_str().parse().ok()).flatten()
}

/// Takes away what must not reach another origin.
pub(crate) fn strip_credentials(headers: &mut HeaderMap, sensitive: &[HeaderName]) {
    for name in [&AUTHORIZATION, &PROXY_AUTHORIZATION, &COOKIE].into_iter().chain(sensitive) {
        headers.remove(name);
    }
}

/// Makes the request one to `target`, to which a response with this status pointed.
pub(crate) fn retarget(request: &mut Request, target: &Uri, status: StatusCode) {
    request.headers.remove(HOST);
    change_method(request, status);
    request.path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
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
