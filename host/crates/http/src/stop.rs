//! What ends a request early: the client is stopped, or the request's time is up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Tells all requests of a client to end.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    stopped: AtomicBool,
    notify: Notify,
}

impl StopSignal {
    /// Ends the requests that wait for [`StopSignal::stopped`]; the others have to be woken to look.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) async fn stopped(&self) {
        let notified = self.notify.notified();
        if !self.is_stopped() {
            notified.await;
        }
    }
}

/// When a request must be over, and the timeout that says so.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Duration,
}

impl Deadline {
    /// Ends at the deadline, or never.
    pub(crate) async fn expiry(deadline: Option<Self>) {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.at.into()).await,
            None => std::future::pending().await,
        }
    }
}
