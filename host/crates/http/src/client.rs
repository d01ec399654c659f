//! The client: finds a connection for each request, and tries once more where that is safe.

use std::sync::Arc;
use std::time::Instant;

use http::Uri;
use http::header::{Entry, HOST};
use http::uri::{Authority, Scheme};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::body::SendBody;
use crate::connection::ReceiveOptions;
use crate::dial::{self, Channel};
use crate::endpoint::{Endpoint, OriginConfig, Protocol};
use crate::error::Error;
use crate::exchange::{Exchange, Measured};
use crate::origin::Origin;
use crate::pool::PoolStats;
use crate::redirect;
use crate::request::{Redirects, Request};
use crate::stop::{Deadline, StopSignal};

/// An HTTP client for one thread and its current-thread runtime. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: OriginConfig,
    origins: Mutex<FxHashMap<(Scheme, Authority), Origin>>,
    stop: StopSignal,
}

impl Client {
    /// A client that reaches every origin with this configuration, unless [`Client::register`] gave it another one.
    pub fn new(config: OriginConfig) -> Self {
        Self(Arc::new(Shared { config, origins: Mutex::default(), stop: StopSignal::default() }))
    }

    /// The origin of an absolute `http` or `https` URL. Keep it rather than look it up for each request.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the URL is not absolute or holds a user, [`Error::Tls`] if nothing can be trusted.
    pub fn origin(&self, url: &Uri) -> Result<Origin, Error> {
        self.find(url, None)
    }

    /// The origin of an absolute URL, reached with a configuration of its own. An origin that is known already keeps the
    /// configuration that it has.
    ///
    /// # Errors
    /// Like [`Client::origin`].
    pub fn register(&self, url: &Uri, config: OriginConfig) -> Result<Origin, Error> {
        self.find(url, Some(config))
    }

    fn find(&self, url: &Uri, config: Option<OriginConfig>) -> Result<Origin, Error> {
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
            return Err(Error::Invalid("url has no scheme or host; give it as http://host:port/path".into()));
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(Error::Invalid(format!("scheme {scheme} is neither http nor https")));
        }
        let key = (scheme.clone(), authority.clone());
        let mut origins = self.0.origins.lock();
        if let Some(origin) = origins.get(&key) {
            return Ok(origin.clone());
        }
        let config = config.unwrap_or_else(|| self.0.config.clone());
        let origin = Origin::new(Endpoint::new(key.0.clone(), key.1.clone(), config)?);
        origins.insert(key, origin.clone());
        Ok(origin)
    }

    /// Sends a request and waits for the whole response.
    ///
    /// If a reused connection turns out to be closed before any byte of a response came, the request is sent once more on
    /// another connection, provided that none of it was sent yet, or that its method is idempotent (RFC 9110, 9.2.2), or
    /// that it has an `idempotency-key`. Servers close idle connections at any time, so that this is no failure.
    ///
    /// Dropping the future closes its HTTP/1.1 connection or resets its HTTP/2 stream.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn would keep its arguments twice, and could lose `Send` unseen"
    )]
    pub fn send<'a>(&'a self, origin: &'a Origin, mut request: Request) -> impl Future<Output = Exchange> + Send + 'a {
        async move {
            let started = Instant::now();
            let mut measured = Measured::default();
            let result = if let Some(policy) = request.redirects.take() {
                Box::pin(self.follow(origin, request, &policy, started, &mut measured)).await
            } else {
                self.once(origin, &mut request, started, &mut measured).await
            };
            measured.exchange(started, result)
        }
    }

    /// Sends a request and follows its redirects.
    async fn follow(
        &self,
        origin: &Origin,
        mut request: Request,
        policy: &Redirects,
        started: Instant,
        measured: &mut Measured,
    ) -> Result<(), Error> {
        let mut origin = origin.clone();
        loop {
            let mut next = request.clone();
            self.once(&origin, &mut request, started, measured).await?;
            let Some(response) = &measured.response else { return Ok(()) };
            if measured.redirects >= policy.limit {
                return Ok(());
            }
            let Some(target) = redirect::target(&origin, &next, response) else { return Ok(()) };
            if !(policy.permit)(&target) {
                let (scheme, host) = (target.scheme_str().unwrap_or_default(), target.host().unwrap_or_default());
                return Err(Error::Denied(format!("{scheme}://{host}")));
            }
            let from = origin;
            origin = self.origin(&target)?;
            if !origin.same_as(&from) {
                redirect::strip_credentials(&mut next.headers, &policy.sensitive);
            }
            redirect::retarget(&mut next, &target, response.status);
            measured.response = None;
            request = next;
            measured.redirects += 1;
        }
    }

    /// Sends a request, perhaps twice, and follows no redirect.
    async fn once(
        &self,
        origin: &Origin,
        request: &mut Request,
        started: Instant,
        measured: &mut Measured,
    ) -> Result<(), Error> {
        let deadline = request.timeout.and_then(|limit| Some(Deadline { at: started.checked_add(limit)?, limit }));
        let failed =
            match self.attempt(origin, request, Attempt { at: started, deadline, fresh: false }, measured).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
        if !failed.repeat {
            return Err(failed.error);
        }
        let again = Attempt { at: Instant::now(), deadline, fresh: true };
        Box::pin(self.attempt(origin, request, again, measured)).await.map_err(|failed| failed.error)
    }

    async fn attempt(
        &self,
        origin: &Origin,
        request: &mut Request,
        attempt: Attempt,
        measured: &mut Measured,
    ) -> Result<(), Failed> {
        let stop = &self.0.stop;
        if stop.is_stopped() {
            return Err(Error::Interrupted.into());
        }
        let mut begun = attempt.at;
        let ready = if attempt.fresh { None } else { ready(origin, begun) };
        let channel = match ready {
            Some(channel) => channel,
            None => {
                let dialed =
                    Box::pin(dial::obtain(&origin.0, stop, begun, attempt.deadline, &mut measured.timing)).await?;
                begun = Instant::now();
                dialed
            }
        };
        let options = ReceiveOptions::from(&*request);
        measured.reused = channel.is_reused();
        // Only a request that may have to be sent again pays for the copy.
        let spare = (measured.reused && !attempt.fresh && is_idempotent(request)).then(|| request.headers.clone());
        let outgoing = outgoing(origin, request, matches!(channel, Channel::Http2(_)))?;
        let result = match channel {
            Channel::Http1(mut lease) => {
                let Some(connection) = lease.connection() else { return Err(Error::Interrupted.into()) };
                let result = connection.exchange(outgoing, options, attempt.deadline, stop, begun, measured).await;
                let settled = result.is_ok() && connection.settle();
                result.map(|end| {
                    if settled {
                        lease.give_back(end);
                    }
                })
            }
            Channel::Http2(stream) => {
                Box::pin(stream.exchange(outgoing, options, attempt.deadline, stop, begun, measured)).await
            }
        };
        result.map_err(|failure| {
            let headers = match failure.unsent {
                Some(unsent) => Some(unsent.into_parts().0.headers),
                None if failure.silent => spare,
                None => None,
            };
            let repeat = measured.reused && !attempt.fresh && headers.is_some();
            request.headers = headers.unwrap_or_default();
            Failed { error: failure.error, repeat }
        })
    }

    /// Ends every request with [`Error::Interrupted`], those to come as well.
    pub fn interrupt(&self) {
        self.0.stop.stop();
        for origin in self.origins() {
            origin.0.wake_all();
        }
    }

    /// Closes connections that are idle for too long or that the server closed. To be called about once a second.
    pub fn sweep(&self) {
        let now = Instant::now();
        for origin in self.origins() {
            origin.0.sweep(now);
        }
    }

    /// The connections to all origins together.
    pub fn stats(&self) -> PoolStats {
        self.origins().iter().map(|origin| origin.0.stats()).fold(PoolStats::default(), |sum, stats| PoolStats {
            open: sum.open + stats.open,
            idle: sum.idle + stats.idle,
            opened_total: sum.opened_total + stats.opened_total,
            reused_total: sum.reused_total + stats.reused_total,
            waiting: sum.waiting + stats.waiting,
        })
    }

    fn origins(&self) -> Vec<Origin> {
        self.0.origins.lock().values().cloned().collect()
    }
}

impl Drop for Shared {
    /// A shared connection knows its origin and the origin knows the connection; this parts them.
    fn drop(&mut self) {
        for origin in self.origins.get_mut().values() {
            origin.0.forget_shared();
        }
    }
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    deadline: Option<Deadline>,
    /// Whether idle connections are not to be trusted.
    fresh: bool,
}

struct Failed {
    error: Error,
    /// Whether the request is whole again and may be sent once more.
    repeat: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, repeat: false }
    }
}

/// A connection that can be used without waiting.
fn ready(origin: &Origin, now: Instant) -> Option<Channel> {
    match origin.0.endpoint.protocol() {
        Protocol::Http1 => origin.0.take_idle(now).map(Channel::Http1),
        Protocol::Http2 => origin.0.open_stream().map(Channel::Http2),
        Protocol::Unknown => None,
    }
}

/// The request as the connection wants it; takes the headers.
fn outgoing(origin: &Origin, request: &mut Request, http2: bool) -> Result<http::Request<SendBody>, Error> {
    let mut outgoing = http::Request::new(SendBody::new(&request.body));
    *outgoing.method_mut() = request.method.clone();
    *outgoing.headers_mut() = std::mem::take(&mut request.headers);
    if http2 {
        *outgoing.version_mut() = http::Version::HTTP_2;
        *outgoing.uri_mut() = origin.0.endpoint.absolute(request.path.clone())?;
        outgoing.headers_mut().remove(HOST);
    } else {
        *outgoing.uri_mut() = request.path.clone().into();
        if let Entry::Vacant(host) = outgoing.headers_mut().entry(HOST) {
            host.insert(origin.0.endpoint.host_header.clone());
        }
    }
    Ok(outgoing)
}

fn is_idempotent(request: &Request) -> bool {
    request.method.is_idempotent() || request.headers.contains_key("idempotency-key")
}
