//! The connections to one origin: which are idle, how many there are, who waits for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::http1;
use crate::http2;
use crate::link::Link;
use crate::origin::Origin;

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

/// The connections to one origin.
pub(crate) struct Pool {
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
    shared: Vec<Arc<http2::Connection>>,
    links: Vec<Weak<Link>>,
    waiters: VecDeque<oneshot::Sender<Slot>>,
    open: usize,
    opened: u64,
}

/// The right to have a connection, and the connection once there is one. Dropping it closes the connection and hands the
/// right to the first who waits.
pub(crate) struct Slot {
    origin: Option<Origin>,
    connection: Option<Box<http1::Connection>>,
}

impl Slot {
    fn new(origin: Origin, connection: Option<Box<http1::Connection>>) -> Self {
        Self { origin: Some(origin), connection }
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

    /// Gives the connection back for the next request.
    pub(crate) fn keep(mut self, now: Instant) {
        let (Some(origin), Some(mut connection)) = (self.origin.take(), self.connection.take()) else { return };
        connection.idle_since = now;
        loop {
            let mut state = origin.0.pool.state.lock();
            let Some(waiter) = state.waiters.pop_front() else {
                state.idle.push(connection);
                return;
            };
            drop(state);
            let Err(mut refused) = waiter.send(Self::new(origin.clone(), Some(connection))) else { return };
            refused.origin = None;
            let Some(back) = refused.connection.take() else { return };
            connection = back;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(origin) = self.origin.take() else { return };
        self.connection = None;
        origin.0.pool.freed.notify_one();
        loop {
            let mut state = origin.0.pool.state.lock();
            let Some(waiter) = state.waiters.pop_front() else {
                state.open -= 1;
                return;
            };
            drop(state);
            match waiter.send(Self::new(origin.clone(), None)) {
                Ok(()) => return,
                Err(mut refused) => refused.origin = None,
            }
        }
    }
}

/// What the pool has to say to a request.
pub(crate) enum Claim {
    /// A connection to reuse, or room for a new one.
    Slot(Slot),
    /// Neither; one of them comes through here, first come first served.
    Wait(oneshot::Receiver<Slot>),
}

impl Pool {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit: limit.unwrap_or(usize::MAX).max(1),
            reused: AtomicU64::new(0),
            state: Mutex::default(),
            dialing: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
        }
    }

    /// An idle connection that is still alive; the dead and the old ones on the way are closed.
    pub(crate) fn reuse(origin: &Origin, now: Instant) -> Option<Slot> {
        let pool = &origin.0.pool;
        loop {
            let connection = pool.state.lock().idle.pop()?;
            let young = now.saturating_duration_since(connection.idle_since) <= origin.0.config.idle_timeout;
            let mut slot = Slot::new(origin.clone(), Some(connection));
            if young && slot.connection.as_mut().is_some_and(|connection| connection.is_alive()) {
                pool.count_reuse();
                return Some(slot);
            }
        }
    }

    /// The right to open a connection, or a place in the queue.
    pub(crate) fn claim(origin: &Origin) -> Claim {
        let pool = &origin.0.pool;
        let mut state = pool.state.lock();
        if state.open < pool.limit {
            state.open += 1;
            return Claim::Slot(Slot::new(origin.clone(), None));
        }
        if let Some(connection) = state.idle.pop() {
            return Claim::Slot(Slot::new(origin.clone(), Some(connection)));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiters.push_back(sender);
        Claim::Wait(receiver)
    }

    /// The right to open a connection; None if there are as many as there may be.
    pub(crate) fn room(origin: &Origin) -> Option<Slot> {
        let pool = &origin.0.pool;
        let mut state = pool.state.lock();
        (state.open < pool.limit).then(|| {
            state.open += 1;
            Slot::new(origin.clone(), None)
        })
    }

    pub(crate) fn count_reuse(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self, link: &Arc<Link>) {
        let mut state = self.state.lock();
        state.opened += 1;
        state.links.push(Arc::downgrade(link));
    }

    pub(crate) fn share(&self, connection: Arc<http2::Connection>) {
        self.state.lock().shared.push(connection);
    }

    /// A stream of a shared connection; the closed connections on the way are forgotten.
    pub(crate) fn stream(origin: &Origin) -> Option<http2::Stream> {
        let mut closed = Vec::new();
        let mut state = origin.0.pool.state.lock();
        state.shared.retain(|connection| {
            let keep = !connection.is_closed();
            if !keep {
                closed.push(Arc::clone(connection));
            }
            keep
        });
        let stream = state.shared.iter().find_map(|connection| http2::Stream::open(origin, connection));
        // Dropping a closed connection gives its slot back, which takes the lock.
        drop(state);
        drop(closed);
        stream
    }

    /// Closes what is idle for too long or was closed by the server.
    pub(crate) fn sweep(origin: &Origin, now: Instant) {
        let idle_timeout = origin.0.config.idle_timeout;
        let mut state = origin.0.pool.state.lock();
        let idle = std::mem::take(&mut state.idle);
        let shared = std::mem::take(&mut state.shared);
        let mut gone = Vec::new();
        for mut connection in idle {
            if old(connection.idle_since, now, idle_timeout) || !connection.is_alive() {
                gone.push(Slot::new(origin.clone(), Some(connection)));
            } else {
                state.idle.push(connection);
            }
        }
        let (kept, finished) = shared.into_iter().partition(|connection| {
            !connection.is_closed() && !connection.idle_since().is_some_and(|since| old(since, now, idle_timeout))
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

    /// Lets go of the shared connections.
    pub(crate) fn part(&self) {
        let shared = std::mem::take(&mut self.state.lock().shared);
        drop(shared);
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let state = self.state.lock();
        PoolStats {
            open: state.open,
            idle: state.idle.len() + state.shared.iter().filter(|shared| shared.idle_since().is_some()).count(),
            opened_total: state.opened,
            reused_total: self.reused.load(Ordering::Relaxed),
            waiting: state.waiters.iter().filter(|waiter| !waiter.is_closed()).count(),
        }
    }
}

fn old(since: Instant, now: Instant, limit: Duration) -> bool {
    now.saturating_duration_since(since) > limit
}
