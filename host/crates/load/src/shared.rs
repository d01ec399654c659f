//! What the workers of one schedule share, and the orders that they get during a capacity search.

use kperf_schedule::Rate;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;

/// What the workers of a capacity search are to do next. A later order ends the one before, carried out or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Start nothing.
    Wait,
    /// Start arrivals at a constant rate.
    Trial {
        /// When, from the schedule's start on. Ahead by enough that every worker sees it in time.
        start: Duration,
        /// Arrivals at this rate.
        rate: Rate,
        /// For how long.
        duration: Duration,
    },
    /// Let running iterations end within the graceful stop, and be done.
    End,
}

/// What all workers of one schedule share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) epoch: std::time::Instant,
    taken: AtomicU64,
    orders: watch::Sender<Order>,
}

impl Shared {
    /// For a run whose schedules' starts count from `epoch`. It may lie ahead: the workers then get ready and wait.
    #[must_use]
    pub fn new(epoch: std::time::Instant) -> Self {
        Self { epoch, taken: AtomicU64::new(0), orders: watch::Sender::new(Order::Wait) }
    }

    /// Gives the workers of a capacity search an order; other executors take none.
    pub fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// A receiver of orders.
    pub(crate) fn orders(&self) -> watch::Receiver<Order> {
        self.orders.subscribe()
    }

    /// Takes one of `total` shared iterations; whether there was one left.
    pub(crate) fn take(&self, total: u64) -> bool {
        self.taken.fetch_add(1, Relaxed) < total
    }

    /// How many were asked for; may exceed the total.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Ends the taking; how many were left, for the first caller only.
    pub(crate) fn close(&self, total: u64) -> u64 {
        total.saturating_sub(self.taken.fetch_max(total, Relaxed))
    }
}
