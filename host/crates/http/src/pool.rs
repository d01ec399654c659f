//! The connections to one origin: which are idle, how many there are, who waits for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::body::SendBody;
use crate::connection::{Failure, Link, ReceiveOptions, http1, http2};
use crate::endpoint::Endpoint;
use crate::exchange::Measured;
use crate::stop::{Deadline, StopSignal};

/// How many connections there are, and what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Connections that are open or being opened.
    pub open: usize,
    /// Connections without a request.
    pub idle: usize,
    /// Connections opened so far.
    pub opened_total: u64,
    /// Requests so far that found a connection to reuse.
    pub reused_total: u64,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

/// The connections to one origin, and all that the client keeps for it.
pub(crate) struct Pool {
    pub(crate) endpoint: Endpoint,
    limit: usize,
    reused: AtomicU64,
    state: Mutex<State>,
    /// One dial at a time where connections may turn out to be shared.
    pub(crate) dialing: tokio::sync::Mutex<()>,
    /// A stream of a shared connection has become free.
    pub(crate) freed: Notify,
}

#[derive(Default)]
struct State {
    /// The most recently used last, so that the others grow old and are closed.
    #[expect(clippy::vec_box, reason = "a connection is large, and moves from here into a request and back")]
    idle: Vec<Box<http1::Connection>>,
    shared: Vec<Arc<SharedConnection>>,
    links: Vec<Weak<Link>>,
    waiters: VecDeque<oneshot::Sender<Lease>>,
    open: usize,
    opened: u64,
}

/// The right to have a connection. Dropping it hands it to the first who waits.
pub(crate) struct Permit {
    /// None once the right went to someone else.
    pool: Option<Arc<Pool>>,
}

/// The right to have a connection, and the connection once there is one. Dropping it closes the connection, and then drops
/// the permit.
pub(crate) struct Lease {
    connection: Option<Box<http1::Connection>>,
    permit: Permit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        pool.freed.notify_one();
        loop {
            let mut state = pool.state.lock();
            let Some(waiter) = state.waiters.pop_front() else {
                state.open -= 1;
                return;
            };
            drop(state);
            match waiter.send(Lease::new(Arc::clone(&pool), None)) {
                Ok(()) => return,
                Err(mut refused) => refused.permit.pool = None,
            }
        }
    }
}

impl Lease {
    fn new(pool: Arc<Pool>, connection: Option<Box<http1::Connection>>) -> Self {
        Self { connection, permit: Permit { pool: Some(pool) } }
    }

    pub(crate) fn connection(&mut self) -> Option<&mut Box<http1::Connection>> {
        self.connection.as_mut()
    }

    pub(crate) fn is_used(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.used)
    }

    pub(crate) fn fill(&mut self, connection: Box<http1::Connection>) {
        self.connection = Some(connection);
    }

    /// Closes the connection, if any, and keeps the right to another one.
    pub(crate) fn into_permit(self) -> Permit {
        self.permit
    }

    /// Gives the connection back for the next request.
    pub(crate) fn give_back(mut self, now: Instant) {
        let (Some(pool), Some(mut connection)) = (self.permit.pool.take(), self.connection.take()) else { return };
        connection.idle_since = now;
        loop {
            let mut state = pool.state.lock();
            let Some(waiter) = state.waiters.pop_front() else {
                state.idle.push(connection);
                return;
            };
            drop(state);
            let Err(mut refused) = waiter.send(Self::new(Arc::clone(&pool), Some(connection))) else { return };
            refused.permit.pool = None;
            let Some(back) = refused.connection.take() else { return };
            connection = back;
        }
    }
}

/// What the pool answers to a request for an HTTP/1.1 connection.
pub(crate) enum Checkout {
    /// A connection to reuse, or room for a new one.
    Now(Lease),
    /// Neither; one of them comes through here, first come first served.
    Queued(oneshot::Receiver<Lease>),
}

/// An HTTP/2 connection, and the right to have it.
struct SharedConnection {
    connection: http2::Connection,
    /// Held for as long as the connection counts.
    _permit: Permit,
}

/// The right to one stream of an HTTP/2 connection.
pub(crate) struct SharedStream {
    shared: Arc<SharedConnection>,
    pool: Arc<Pool>,
    /// Whether the connection has carried a request before.
    pub(crate) reused: bool,
}

impl SharedStream {
    /// Sends a request and takes the response in, into `measured`.
    pub(crate) async fn exchange(
        self,
        request: http::Request<SendBody>,
        options: ReceiveOptions,
        deadline: Option<Deadline>,
        stop: &StopSignal,
        begun: Instant,
        measured: &mut Measured,
    ) -> Result<(), Failure> {
        self.shared.connection.exchange(request, options, deadline, stop, begun, measured).await
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        self.shared.connection.close_stream();
        self.pool.freed.notify_one();
    }
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            limit: endpoint.config.max_connections.unwrap_or(usize::MAX).max(1),
            endpoint,
            reused: AtomicU64::new(0),
            state: Mutex::default(),
            dialing: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
        }
    }

    /// An idle connection that is still alive; the dead and the old ones on the way are closed.
    pub(crate) fn take_idle(self: &Arc<Self>, now: Instant) -> Option<Lease> {
        loop {
            let connection = self.state.lock().idle.pop()?;
            let young = now.saturating_duration_since(connection.idle_since) <= self.endpoint.config.idle_timeout;
            let mut lease = Lease::new(Arc::clone(self), Some(connection));
            if young && lease.connection.as_mut().is_some_and(|connection| connection.is_alive()) {
                self.count_reuse();
                return Some(lease);
            }
        }
    }

    /// The right to open a connection, or a place in the queue.
    pub(crate) fn check_out(self: &Arc<Self>) -> Checkout {
        let mut state = self.state.lock();
        if state.open < self.limit {
            state.open += 1;
            return Checkout::Now(Lease::new(Arc::clone(self), None));
        }
        if let Some(connection) = state.idle.pop() {
            return Checkout::Now(Lease::new(Arc::clone(self), Some(connection)));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiters.push_back(sender);
        Checkout::Queued(receiver)
    }

    /// The right to open a connection; None if there are as many as there may be.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.state.lock();
        (state.open < self.limit).then(|| {
            state.open += 1;
            Lease::new(Arc::clone(self), None)
        })
    }

    pub(crate) fn count_reuse(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was opened, and remembers how to wake the request that uses it.
    pub(crate) fn count_opened(&self, link: &Arc<Link>) {
        let mut state = self.state.lock();
        state.opened += 1;
        state.links.push(Arc::downgrade(link));
    }

    /// Takes an HTTP/2 connection in for all requests, and its first stream for the one that opened it; None if it allows none.
    pub(crate) fn share(self: &Arc<Self>, connection: http2::Connection, permit: Permit) -> Option<SharedStream> {
        let shared = Arc::new(SharedConnection { connection, _permit: permit });
        let stream = self.stream_of(&shared);
        self.state.lock().shared.push(shared);
        stream
    }

    fn stream_of(self: &Arc<Self>, shared: &Arc<SharedConnection>) -> Option<SharedStream> {
        let number = shared.connection.open_stream()?;
        Some(SharedStream { shared: Arc::clone(shared), pool: Arc::clone(self), reused: number > 1 })
    }

    /// A stream of a shared connection; the closed connections on the way are forgotten.
    pub(crate) fn open_stream(self: &Arc<Self>) -> Option<SharedStream> {
        let mut closed = Vec::new();
        let mut state = self.state.lock();
        state.shared.retain(|shared| {
            let keep = !shared.connection.is_closed();
            if !keep {
                closed.push(Arc::clone(shared));
            }
            keep
        });
        let stream = state.shared.iter().find_map(|shared| self.stream_of(shared));
        // Dropping a closed connection drops its permit, which takes the lock.
        drop(state);
        drop(closed);
        stream
    }

    /// Closes what is idle for too long or was closed by the server.
    pub(crate) fn sweep(self: &Arc<Self>, now: Instant) {
        let idle_timeout = self.endpoint.config.idle_timeout;
        let mut state = self.state.lock();
        let idle = std::mem::take(&mut state.idle);
        let shared = std::mem::take(&mut state.shared);
        let mut gone = Vec::new();
        for mut connection in idle {
            if old(connection.idle_since, now, idle_timeout) || !connection.is_alive() {
                gone.push(Lease::new(Arc::clone(self), Some(connection)));
            } else {
                state.idle.push(connection);
            }
        }
        let (kept, finished) = shared.into_iter().partition(|shared| {
            !shared.connection.is_closed()
                && !shared.connection.idle_since().is_some_and(|since| old(since, now, idle_timeout))
        });
        state.shared = kept;
        state.links.retain(|link| link.strong_count() > 0);
        state.waiters.retain(|waiter| !waiter.is_closed());
        drop(state);
        drop(gone);
        drop::<Vec<_>>(finished);
    }

    /// Wakes everything that uses or awaits a connection.
    pub(crate) fn wake_all(&self) {
        let mut state = self.state.lock();
        let links: Vec<_> = state.links.iter().filter_map(Weak::upgrade).collect();
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        drop(waiters);
        links.iter().for_each(std::task::Wake::wake_by_ref);
    }

    /// Lets go of the shared connections, whose permits keep this pool alive.
    pub(crate) fn forget_shared(&self) {
        let shared = std::mem::take(&mut self.state.lock().shared);
        drop(shared);
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let state = self.state.lock();
        PoolStats {
            open: state.open,
            idle: state.idle.len()
                + state.shared.iter().filter(|shared| shared.connection.idle_since().is_some()).count(),
            opened_total: state.opened,
            reused_total: self.reused.load(Ordering::Relaxed),
            waiting: state.waiters.iter().filter(|waiter| !waiter.is_closed()).count(),
        }
    }
}

fn old(since: Instant, now: Instant, limit: Duration) -> bool {
    now.saturating_duration_since(since) > limit
}
