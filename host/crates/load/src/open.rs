//! The open loop: starts an iteration at each due instant, on a free user if there is one.
//!
//! Users wait parked between iterations and the one that parked last is taken first: its memory is the warmest, and users
//! that a burst called for stay out of the way after it. A loop that wakes late starts all that has become due, so
//! lateness shows in the response times and never in the rate.
//!
//! A capacity search is the same loop, run once for each order on the same users.

use crate::context::{DriveContext, Ending};
use crate::pool::{UserGuard, UserHandle, UserPool, UserState};
use crate::progress::Progress;
use crate::shared::Order;
use crate::signal::Signal;
use crate::timer::Timer;
use crate::user::{Iteration, User, Users};
use kperf_schedule::Pacer;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Arrivals started or users made in one go, before the tasks get their turn.
const AT_ONCE: u32 = 64;

/// Where a parked user gets its next iteration.
#[derive(Default)]
struct Mailbox {
    next: Cell<Option<(u64, Instant)>>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Leaves an iteration; the user takes it at its next turn.
    fn put(&self, number: u64, due: Instant) {
        self.next.set(Some((number, due)));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for the next iteration.
    async fn take(&self) -> (u64, Instant) {
        poll_fn(|context| {
            if let Some(next) = self.next.take() {
                return Poll::Ready(next);
            }
            match &mut *self.waker.borrow_mut() {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }
}

/// A worker's virtual users, parked and busy.
struct ArrivalPool {
    pool: UserPool,
    /// By index, which is also the id within the worker.
    users: Vec<(Rc<UserState>, Rc<Mailbox>)>,
    /// The parked users' indices, the last to park on top.
    parked: Rc<RefCell<Vec<usize>>>,
}

impl ArrivalPool {
    /// Adds a user, not parked yet, and gives its index.
    fn add<U: Users>(&mut self, context: &DriveContext<'_, U>) -> usize {
        let index = self.users.len();
        let (state, mailbox) = (UserState::new(&context.pool, 0), Rc::new(Mailbox::default()));
        self.users.push((Rc::clone(&state), Rc::clone(&mailbox)));
        let user = context.users.user(context.slice.user(u32::try_from(index).unwrap_or(u32::MAX)));
        let (parked, progress) = (Rc::clone(&self.parked), Arc::clone(&context.pool.progress));
        progress.allocate(1);
        self.pool.grow(|_| UserHandle::spawn(state, |guard| serve(user, guard, mailbox, parked, index, progress)));
        index
    }

    /// Starts the arrival that is due at `due`, or counts it as dropped when all of `most` users are busy.
    fn start<U: Users>(&mut self, context: &DriveContext<'_, U>, due: Instant, most: usize) {
        let parked = self.parked.borrow_mut().pop();
        let index = match parked {
            Some(index) => index,
            None if self.users.len() < most => self.add(context),
            None => return context.pool.progress.iterations_dropped(1),
        };
        if let Some((state, mailbox)) = self.users.get(index) {
            mailbox.put(state.begin(), due);
        }
    }
}

/// Starts this worker's arrivals until the schedule, or the last of `orders`, ends or is stopped, and all iterations have
/// ended.
pub(crate) async fn open<U: Users>(
    context: &DriveContext<'_, U>,
    pre_allocated: u32,
    orders: Option<watch::Receiver<Order>>,
    mut timer: Timer,
) -> Ending {
    let mut pool = ArrivalPool { pool: UserPool::default(), users: Vec::new(), parked: Rc::default() };
    for made in 1..=context.slice.share_of_users(pre_allocated) {
        let index = pool.add(context);
        pool.parked.borrow_mut().push(index);
        if made % AT_ONCE == 0 {
            yield_now().await;
        }
    }
    let mut stop = pin!(context.signals.clone().reached(Signal::GracefulStop));
    let (ending, stopped_at) = match orders {
        None => match arrivals(context, &mut pool, &context.pacer, context.start, &mut timer, stop).await {
            None => (Ending::Completed, context.start + context.pacer.total_duration()),
            Some(_) => (Ending::Stopped, Instant::now()),
        },
        Some(mut orders) => loop {
            let order = *orders.borrow_and_update();
            let mut next = pin!(async {
                tokio::select! {
                    biased;
                    _ = &mut stop => Ending::Stopped,
                    _ = orders.changed() => Ending::Completed,
                }
            });
            let cut = match order {
                Order::End => break (Ending::Completed, Instant::now()),
                Order::Wait => None,
                Order::Trial { start, rate, duration } => {
                    let pacer = Pacer::constant(rate, duration);
                    arrivals(context, &mut pool, &pacer, context.start + start, &mut timer, next.as_mut()).await
                }
            };
            let cut = match cut {
                Some(cut) => cut,
                None => next.await,
            };
            if cut == Ending::Stopped {
                break (Ending::Stopped, Instant::now());
            }
        },
    };
    context.drain(pool.pool, stopped_at, ending).await
}

/// Starts the arrivals of `pacer`, counted from `start`, until its time is over, or until `cut`, whose output it then gives.
async fn arrivals<U: Users, T>(
    context: &DriveContext<'_, U>,
    pool: &mut ArrivalPool,
    pacer: &Pacer,
    start: Instant,
    timer: &mut Timer,
    mut cut: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let most = context.slice.share_of_users(context.schedule.executor.max_users()) as usize;
    let end = start + pacer.total_duration();
    let mut now = Instant::now();
    let mut next = 0;
    let mut burst = 0;
    loop {
        let due = pacer.due(context.slice.number(next)).map(|due| start + due);
        let at = due.unwrap_or(end);
        if at > now {
            now = Instant::now();
        }
        // Signals are seen while waiting, and between the parts of a burst.
        if at > now || burst == AT_ONCE {
            burst = 0;
            tokio::select! {
                biased;
                cut = &mut cut => return Some(cut),
                () = timer.until(at), if at > now => {}
                () = yield_now(), if at <= now => {}
            }
            continue;
        }
        let due = due?;
        pool.start(context, due, most);
        next += 1;
        burst += 1;
    }
}

async fn serve<U: User>(
    mut user: U,
    guard: UserGuard,
    mailbox: Rc<Mailbox>,
    parked: Rc<RefCell<Vec<usize>>>,
    index: usize,
    progress: Arc<Progress>,
) {
    while guard.stays() {
        let (number, due) = mailbox.take().await;
        progress.late_by(Instant::now().saturating_duration_since(due));
        user.iterate(Iteration { number, due: Some(due.into_std()) }).await;
        guard.end();
        parked.borrow_mut().push(index);
    }
}
