//! The open loop: starts an iteration at each due instant, on a free user if there is one.
//!
//! Users wait parked between iterations and the one that parked last is taken first: its memory is the warmest, and users
//! that a burst called for stay out of the way after it. A loop that wakes late starts all that has become due, so
//! lateness shows in the response times and never in the rate.
//!
//! A capacity search is the same loop, run once for each order on the same users.

use crate::Progress;
use crate::crew::{Member, Occupant, Roster, Seat};
use crate::drive::{Ending, Order, Run};
use crate::signal::Phase;
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

/// Where a parked user finds its next iteration.
#[derive(Default)]
struct Desk {
    next: Cell<Option<(u64, Instant)>>,
    waker: RefCell<Option<Waker>>,
}

impl Desk {
    /// Puts an iteration on the desk; its user takes it at its next turn.
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

/// A worker's users, parked and busy.
struct Pool {
    roster: Roster,
    places: Vec<(Rc<Seat>, Rc<Desk>)>,
    /// The parked users' places, the last to park on top.
    free: Rc<RefCell<Vec<usize>>>,
}

impl Pool {
    /// Makes one user more and gives its place; it is not on the free list yet.
    fn hire<U: Users>(&mut self, run: &Run<'_, U>) -> usize {
        let place = self.places.len();
        let (seat, desk) = (Seat::new(&run.crew, 0), Rc::new(Desk::default()));
        self.places.push((Rc::clone(&seat), Rc::clone(&desk)));
        let user = run.users.user(run.slice.user(u32::try_from(place).unwrap_or(u32::MAX)));
        let (free, progress) = (Rc::clone(&self.free), Arc::clone(&run.crew.progress));
        progress.allocate(1);
        self.roster.grow(|_| Member::hire(seat, |seat| serve(user, seat, desk, free, place, progress)));
        place
    }

    /// Starts the arrival that is due at `due`, or counts it as dropped when all of `most` users are busy.
    fn start<U: Users>(&mut self, run: &Run<'_, U>, due: Instant, most: usize) {
        let parked = self.free.borrow_mut().pop();
        let place = match parked {
            Some(place) => place,
            None if self.places.len() < most => self.hire(run),
            None => return run.crew.progress.iterations_dropped(1),
        };
        if let Some((seat, desk)) = self.places.get(place) {
            desk.put(seat.begin(), due);
        }
    }
}

/// Starts this worker's arrivals until the schedule, or the last of `orders`, ends or is stopped, and all iterations have
/// ended.
pub(crate) async fn open<U: Users>(
    run: &Run<'_, U>,
    pre_allocated: u32,
    orders: Option<watch::Receiver<Order>>,
    mut timer: Timer,
) -> Ending {
    let mut pool = Pool { roster: Roster::default(), places: Vec::new(), free: Rc::default() };
    for made in 1..=run.slice.share_of_users(pre_allocated) {
        let place = pool.hire(run);
        pool.free.borrow_mut().push(place);
        if made % AT_ONCE == 0 {
            yield_now().await;
        }
    }
    let mut stop = pin!(run.signals.clone().reached(Phase::StopStarting));
    let (ending, stopped_at) = match orders {
        None => match arrivals(run, &mut pool, &run.pacer, run.start, &mut timer, stop).await {
            None => (Ending::Completed, run.start + run.pacer.total_duration()),
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
                    arrivals(run, &mut pool, &pacer, run.start + start, &mut timer, next.as_mut()).await
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
    run.disband(pool.roster, stopped_at, ending).await
}

/// Starts the arrivals of `pacer`, counted from `start`, until its time is over, or until `cut`, whose output it then gives.
async fn arrivals<U: Users, T>(
    run: &Run<'_, U>,
    pool: &mut Pool,
    pacer: &Pacer,
    start: Instant,
    timer: &mut Timer,
    mut cut: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let most = run.slice.share_of_users(run.schedule.executor.max_users()) as usize;
    let end = start + pacer.total_duration();
    let mut now = Instant::now();
    let mut next = 0;
    let mut burst = 0;
    loop {
        let due = pacer.due(run.slice.number(next)).map(|due| start + due);
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
        pool.start(run, due, most);
        next += 1;
        burst += 1;
    }
}

async fn serve<U: User>(
    mut user: U,
    seat: Occupant,
    desk: Rc<Desk>,
    free: Rc<RefCell<Vec<usize>>>,
    place: usize,
    progress: Arc<Progress>,
) {
    while seat.stays() {
        let (number, due) = desk.take().await;
        progress.late_by(Instant::now().saturating_duration_since(due));
        user.iterate(Iteration { number, due: Some(due.into_std()) }).await;
        seat.end();
        free.borrow_mut().push(place);
    }
}
