//! Both loops under tokio's paused clock: time jumps from timer to timer, so counts and instants are exact (to the
//! millisecond that tokio's timers round to).

use super::*;
use crate::{Iteration, Order, Signal, User, signal_channel};
use kperf_schedule::{Rate, SearchPlan, Stage};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::sleep;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the users did.
#[derive(Default)]
struct Log {
    epoch: Cell<Option<Instant>>,
    /// Per user id: when each iteration started, counted from the epoch, and its number.
    iterations: RefCell<BTreeMap<u32, Vec<(Duration, u64)>>>,
    dues: RefCell<Vec<Duration>>,
    at_work: Cell<u32>,
    most_at_work: Cell<u32>,
}

impl Log {
    fn total(&self) -> usize {
        self.iterations.borrow().values().map(Vec::len).sum()
    }

    fn numbers(&self, id: u32) -> Vec<u64> {
        self.iterations.borrow()[&id].iter().map(|(_, number)| *number).collect()
    }
}

/// Users whose iterations all take the same time.
struct Sleepers {
    log: Rc<Log>,
    busy: Duration,
}

struct Sleeper {
    id: u32,
    log: Rc<Log>,
    busy: Duration,
}

struct AtWork<'a>(&'a Log);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.set(self.0.at_work.get() - 1);
    }
}

impl Users for Sleepers {
    type User = Sleeper;

    fn user(&self, id: u32) -> Sleeper {
        Sleeper { id, log: Rc::clone(&self.log), busy: self.busy }
    }
}

impl User for Sleeper {
    async fn iterate(&mut self, iteration: Iteration) {
        let log = &*self.log;
        let epoch = log.epoch.get().unwrap();
        log.iterations.borrow_mut().entry(self.id).or_default().push((Instant::now() - epoch, iteration.number));
        if let Some(due) = iteration.due {
            log.dues.borrow_mut().push(due - epoch.into_std());
        }
        log.at_work.set(log.at_work.get() + 1);
        log.most_at_work.set(log.most_at_work.get().max(log.at_work.get()));
        let _at_work = AtWork(log);
        if !self.busy.is_zero() {
            sleep(self.busy).await;
        }
    }
}

/// One worker's outcome.
struct Outcome {
    finished: Finished,
    counts: crate::Counts,
    log: Rc<Log>,
}

/// What happens to the run while it goes on: a phase at a time.
type Events = &'static [(Duration, Signal)];

fn run_slices(schedule: &Schedule, count: u32, busy: Duration, events: Events) -> Vec<Outcome> {
    run_ordered(schedule, count, busy, events, &[])
}

/// As [`run_slices`], with orders before the events.
fn run_ordered(
    schedule: &Schedule,
    count: u32,
    busy: Duration,
    events: Events,
    orders: &[(Duration, Order)],
) -> Vec<Outcome> {
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let epoch = Instant::now();
        let shared = Arc::new(Shared::new(epoch.into_std()));
        let (sender, signals) = signal_channel();
        let workers: Vec<_> = (0..count)
            .map(|index| {
                let (schedule, shared, signals) = (schedule.clone(), Arc::clone(&shared), signals.clone());
                spawn_local(async move {
                    let log = Rc::new(Log { epoch: Cell::new(Some(epoch)), ..Log::default() });
                    let progress = Arc::new(Progress::default());
                    let (slice, users) = (Slice::new(index, count).unwrap(), Sleepers { log: Rc::clone(&log), busy });
                    let writer = Arc::clone(&progress);
                    let finished = drive_with(Timer::Coarse, &schedule, slice, shared, users, signals, writer).await;
                    assert_eq!(log.at_work.get(), 0, "nothing runs after the end");
                    Outcome { finished, counts: progress.counts(), log }
                })
            })
            .collect();
        for (at, order) in orders {
            tokio::time::sleep_until(epoch + *at).await;
            shared.order(*order);
        }
        for (at, phase) in events {
            tokio::time::sleep_until(epoch + *at).await;
            sender.send(*phase).unwrap();
        }
        let mut outcomes = Vec::new();
        for worker in workers {
            outcomes.push(worker.await.unwrap());
        }
        outcomes
    })
}

fn run_whole(executor: Executor, graceful_stop: Duration, busy: Duration, events: Events) -> Outcome {
    let schedule = Schedule { executor, start: Duration::ZERO, graceful_stop };
    let outcome = run_slices(&schedule, 1, busy, events).pop().unwrap();
    let counts = outcome.counts;
    assert_eq!(counts.started, outcome.log.total() as u64);
    assert_eq!(counts.started, counts.finished + counts.interrupted);
    assert_eq!(counts.active, 0);
    outcome
}

fn arrivals(rate: u64, duration: Duration, pre_allocated_vus: u32, max_vus: u32) -> Executor {
    Executor::ConstantArrivalRate { rate: Rate::per_second(rate as f64), duration, pre_allocated_vus, max_vus }
}

fn constant(vus: u32, duration: Duration, think_time: Duration) -> Executor {
    Executor::ConstantVus { vus, duration, think_time }
}

#[test]
fn a_thousand_arrivals_a_second_for_ten_seconds_are_ten_thousand() {
    let outcome = run_whole(arrivals(1000, seconds(10), 50, 50), seconds(30), millis(20), &[]);
    assert_eq!(outcome.counts.finished, 10_000);
    assert_eq!(outcome.counts.dropped, 0);
    assert_eq!(outcome.finished.ending, Ending::Completed);
    let dues = outcome.log.dues.borrow();
    for (k, due) in (0_u64..).zip(dues.iter()) {
        assert_eq!(*due, millis(k), "the due instant is the ideal one");
    }
}

#[test]
fn arrivals_that_come_between_two_timer_ticks_all_start() {
    let outcome = run_whole(arrivals(100_000, seconds(1), 4, 400), seconds(1), Duration::ZERO, &[]);
    assert_eq!(outcome.counts.finished + outcome.counts.dropped, 100_000);
    assert_eq!(outcome.counts.dropped, 0);
    assert!(outcome.counts.late_max <= millis(2), "{:?}", outcome.counts.late_max);
}

#[test]
fn parked_users_are_reused_last_in_first_out() {
    let outcome = run_whole(arrivals(10, seconds(10), 5, 5), seconds(1), millis(50), &[]);
    assert_eq!(outcome.counts.allocated, 5);
    assert_eq!(outcome.log.iterations.borrow().len(), 1, "one user does for arrivals that never overlap");
    assert_eq!(outcome.log.numbers(4), (0..100).collect::<Vec<_>>());
}

#[test]
fn arrivals_without_a_free_user_are_dropped_and_counted() {
    // Every iteration outlasts the run: 3 users take the first 3 of 100 arrivals, made on demand beyond the first.
    let outcome = run_whole(arrivals(10, seconds(10), 1, 3), seconds(100), seconds(60), &[]);
    assert_eq!((outcome.counts.started, outcome.counts.dropped, outcome.counts.allocated), (3, 97, 3));
    assert_eq!(outcome.counts.finished, 3);
    assert!(outcome.finished.elapsed >= millis(60_200));
}

#[test]
fn ramping_arrivals_start_when_the_pacer_says() {
    let stages = vec![Stage { duration: seconds(10), target: Rate::per_second(100.0) }];
    let executor = Executor::RampingArrivalRate { start_rate: Rate::ZERO, stages, pre_allocated_vus: 1, max_vus: 1 };
    let pacer = Pacer::new(&executor);
    let outcome = run_whole(executor, seconds(1), Duration::ZERO, &[]);
    assert_eq!(outcome.counts.finished, 500);
    let dues = outcome.log.dues.borrow();
    assert!((0..500).all(|k| dues[k as usize] == pacer.due(k).unwrap()));
}

#[test]
fn constant_users_all_start_at_once_and_think() {
    let outcome = run_whole(constant(200, seconds(10), millis(900)), seconds(1), millis(100), &[]);
    assert_eq!(outcome.counts.finished, 200 * 10);
    assert_eq!(outcome.log.most_at_work.get(), 200);
    assert_eq!((outcome.counts.interrupted, outcome.counts.allocated), (0, 200));
    assert!(outcome.finished.elapsed <= millis(10_010), "no one thinks beyond the end");
}

#[test]
fn ramping_users_follow_their_stages() {
    let stage = |seconds_long, target| Stage { duration: seconds(seconds_long), target };
    let executor = Executor::RampingVus {
        start_vus: 0,
        stages: vec![stage(10, 10), stage(10, 10), stage(10, 0)],
        graceful_ramp_down: seconds(1),
        think_time: millis(90),
    };
    let outcome = run_whole(executor, seconds(1), millis(10), &[]);
    let iterations = outcome.log.iterations.borrow();
    assert_eq!(iterations.len(), 10);
    for (id, iterations) in iterations.iter() {
        let (first, last) = (iterations[0].0, iterations.last().unwrap().0);
        // User `id` joins at `id + 1` s; as users leave from the top, it goes at `30 - id` s.
        let (joins, leaves) = (seconds(u64::from(*id) + 1), seconds(30 - u64::from(*id)));
        assert!(first.abs_diff(joins) <= millis(2), "user {id} joined at {first:?}");
        assert!(last < leaves + millis(2) && last > leaves - millis(150), "user {id} last started at {last:?}");
    }
    assert_eq!(outcome.counts.interrupted, 0);
}

#[test]
fn a_ramp_down_drops_what_outlasts_its_grace_and_recalls_who_is_still_there() {
    let stage = |long, target| Stage { duration: long, target };
    // Two users for 1 s, one until 3 s, two again until 9 s.
    let executor = |graceful_ramp_down| Executor::RampingVus {
        start_vus: 2,
        stages: vec![
            stage(seconds(1), 2),
            stage(Duration::ZERO, 1),
            stage(seconds(2), 1),
            stage(Duration::ZERO, 2),
            stage(seconds(6), 2),
        ],
        graceful_ramp_down,
        think_time: Duration::ZERO,
    };
    let dropped = run_whole(executor(seconds(1)), seconds(9), seconds(5), &[]);
    assert_eq!(dropped.counts.interrupted, 1);
    let starts: Vec<_> =
        dropped.log.iterations.borrow()[&1].iter().map(|(at, number)| (at.as_secs(), *number)).collect();
    assert_eq!(starts, [(0, 0), (3, 1), (8, 2)], "made anew at 3 s, and numbered on");
    let recalled = run_whole(executor(seconds(4)), seconds(9), seconds(5), &[]);
    assert_eq!(recalled.counts.interrupted, 0);
    assert_eq!(recalled.log.numbers(1), [0, 1], "never left, so its second iteration started at 5 s");
}

#[test]
fn each_user_does_its_iterations() {
    let executor =
        Executor::PerVuIterations { vus: 7, iterations: 5, max_duration: seconds(600), think_time: seconds(1) };
    let outcome = run_whole(executor, seconds(30), millis(100), &[]);
    assert_eq!((outcome.counts.finished, outcome.counts.dropped), (35, 0));
    assert!((0..7).all(|id| outcome.log.numbers(id) == [0, 1, 2, 3, 4]));
    assert!(outcome.finished.elapsed < millis(4_600), "5 iterations and 4 pauses: {:?}", outcome.finished.elapsed);
}

#[test]
fn iterations_left_over_at_the_maximum_are_dropped() {
    let executor =
        Executor::PerVuIterations { vus: 2, iterations: 10, max_duration: millis(2_500), think_time: Duration::ZERO };
    let outcome = run_whole(executor, seconds(30), seconds(1), &[]);
    assert_eq!((outcome.counts.finished, outcome.counts.dropped), (6, 14));
}

#[test]
fn shared_iterations_are_exact_across_slices() {
    let executor = |max_duration| Executor::SharedIterations {
        vus: 7,
        iterations: 1_001,
        max_duration,
        think_time: Duration::ZERO,
    };
    let schedule = |executor| Schedule { executor, start: seconds(3), graceful_stop: seconds(1) };
    let outcomes = run_slices(&schedule(executor(seconds(600))), 3, millis(10), &[]);
    assert_eq!(outcomes.iter().map(|outcome| outcome.counts.finished).sum::<u64>(), 1_001);
    assert_eq!(outcomes.iter().map(|outcome| outcome.counts.dropped).sum::<u64>(), 0);
    assert!(outcomes.iter().all(|outcome| outcome.finished.ending == Ending::Completed && outcome.counts.finished > 0));
    let cut = run_slices(&schedule(executor(seconds(1))), 3, millis(10), &[]);
    let (finished, dropped) = cut.iter().fold((0, 0), |(finished, dropped), outcome| {
        (finished + outcome.counts.finished, dropped + outcome.counts.dropped)
    });
    assert!(finished < 1_001 && finished + dropped == 1_001, "{finished} finished, {dropped} dropped");
}

#[test]
fn slices_add_up_to_the_whole() {
    for count in [1, 2, 3, 5, 7] {
        for (rate, vus) in [(997, 61), (13, 5), (3, 3)] {
            let schedule = |executor| Schedule { executor, start: millis(500), graceful_stop: seconds(5) };
            let open = run_slices(&schedule(arrivals(rate, seconds(3), vus, vus)), count, Duration::ZERO, &[]);
            let mut dues: Vec<_> = open.iter().flat_map(|outcome| outcome.log.dues.borrow().clone()).collect();
            dues.sort_unstable();
            let pacer = Pacer::constant(Rate::per_second(rate as f64), seconds(3));
            let ideal: Vec<_> = (0..rate * 3).map(|k| millis(500) + pacer.due(k).unwrap()).collect();
            let workers_without_users = count > vus;
            assert!(workers_without_users || dues == ideal, "{count} slices of {rate}/s: {} arrivals", dues.len());
            let all: u64 = open.iter().map(|outcome| outcome.counts.started + outcome.counts.dropped).sum();
            assert_eq!(all, rate * 3);
            assert_eq!(open.iter().map(|outcome| outcome.counts.allocated).sum::<u32>(), vus);

            let closed = run_slices(&schedule(constant(vus, seconds(2), millis(500))), count, millis(500), &[]);
            let mut ids: Vec<_> = closed
                .iter()
                .flat_map(|outcome| outcome.log.iterations.borrow().keys().copied().collect::<Vec<_>>())
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..vus).collect::<Vec<_>>());
        }
    }
}

#[test]
fn the_graceful_stop_waits_and_then_drops() {
    let ended = run_whole(constant(3, seconds(10), Duration::ZERO), seconds(5), seconds(4), &[]);
    assert_eq!((ended.counts.finished, ended.counts.interrupted), (9, 0));
    assert!(ended.finished.elapsed.abs_diff(seconds(12)) < millis(20));
    let dropped = run_whole(constant(3, seconds(10), Duration::ZERO), seconds(1), seconds(4), &[]);
    assert_eq!((dropped.counts.finished, dropped.counts.interrupted), (6, 3));
    assert!(dropped.finished.elapsed.abs_diff(seconds(11)) < millis(20));
    let open = run_whole(arrivals(1, seconds(10), 10, 10), seconds(1), seconds(4), &[]);
    // Those of 7, 8 and 9 s are over at 11 s only if they started by 7 s.
    assert_eq!((open.counts.started, open.counts.finished, open.counts.interrupted), (10, 8, 2));
    assert_eq!(open.finished.ending, Ending::Completed);
}

#[test]
fn stop_starting_ends_think_time_and_lets_iterations_finish() {
    const STOP: Events = &[(seconds(5), Signal::GracefulStop)];
    let thinking = run_whole(constant(4, seconds(100), seconds(50)), seconds(30), seconds(1), STOP);
    assert_eq!((thinking.finished.ending, thinking.counts.finished), (Ending::Stopped, 4));
    assert!(thinking.finished.elapsed.abs_diff(seconds(5)) < millis(20));
    let working = run_whole(constant(4, seconds(100), seconds(50)), seconds(30), seconds(8), STOP);
    assert_eq!((working.counts.finished, working.counts.interrupted), (4, 0));
    assert!(working.finished.elapsed.abs_diff(seconds(8)) < millis(20));
    let open = run_whole(arrivals(10, seconds(100), 20, 20), seconds(30), seconds(1), STOP);
    assert_eq!((open.finished.ending, open.counts.interrupted), (Ending::Stopped, 0));
    assert!(open.counts.finished.abs_diff(50) <= 1);
    let limited =
        Executor::PerVuIterations { vus: 1, iterations: 100, max_duration: seconds(600), think_time: seconds(2) };
    let limited = run_whole(limited, seconds(30), seconds(1), STOP);
    assert_eq!(
        (limited.counts.finished, limited.counts.dropped),
        (2, 0),
        "what a signal cut off is not a lack of time"
    );
}

#[test]
fn abort_drops_everything_now() {
    const ABANDON: Events = &[(seconds(5), Signal::Abort)];
    const SECOND: Events = &[(seconds(4), Signal::GracefulStop), (seconds(5), Signal::Abort)];
    for events in [ABANDON, SECOND] {
        for executor in [constant(4, seconds(100), seconds(1)), arrivals(1, seconds(4), 10, 10)] {
            let outcome = run_whole(executor, seconds(30), seconds(50), events);
            assert_eq!((outcome.finished.ending, outcome.counts.interrupted), (Ending::Aborted, 4));
            assert!(outcome.finished.elapsed.abs_diff(seconds(5)) < millis(20));
        }
    }
}

#[test]
fn a_signal_before_the_start_starts_nothing() {
    const STOP: Events = &[(seconds(5), Signal::GracefulStop)];
    for executor in [constant(4, seconds(100), seconds(1)), arrivals(1, seconds(4), 10, 10)] {
        let schedule = Schedule { executor, start: seconds(60), graceful_stop: seconds(30) };
        let outcome = run_slices(&schedule, 1, seconds(1), STOP).pop().unwrap();
        assert_eq!((outcome.finished.ending, outcome.counts.started), (Ending::Stopped, 0));
        assert_eq!(outcome.finished.elapsed, Duration::ZERO);
    }
}

/// Users of which every third panics.
struct Fragile;

impl Users for Fragile {
    type User = bool;

    fn user(&self, id: u32) -> bool {
        id.is_multiple_of(3)
    }
}

impl User for bool {
    async fn iterate(&mut self, _: Iteration) {
        assert!(!*self, "a user's own fault");
    }
}

#[test]
fn a_user_that_panics_is_counted_and_takes_no_one_with_it() {
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
    let progress = Arc::new(Progress::default());
    let finished = runtime.block_on(async {
        let executor =
            Executor::PerVuIterations { vus: 9, iterations: 4, max_duration: seconds(60), think_time: millis(1) };
        let schedule = Schedule { executor, start: Duration::ZERO, graceful_stop: seconds(1) };
        let shared = Arc::new(Shared::new(Instant::now().into_std()));
        drive(&schedule, Slice::WHOLE, shared, Fragile, signal_channel().1, Arc::clone(&progress)).await
    });
    let counts = progress.counts();
    assert_eq!((finished.ending, counts.finished, counts.interrupted, counts.active), (Ending::Completed, 24, 3, 0));
}

/// Users that answer at once and note whether they were called before their due instant.
struct Early(Rc<Cell<u32>>);

impl Users for Early {
    type User = Rc<Cell<u32>>;

    fn user(&self, _: u32) -> Rc<Cell<u32>> {
        Rc::clone(&self.0)
    }
}

impl User for Rc<Cell<u32>> {
    async fn iterate(&mut self, iteration: Iteration) {
        if iteration.due.is_none_or(|due| std::time::Instant::now() < due) {
            self.set(self.get() + 1);
        }
    }
}

#[test]
fn the_real_timer_starts_every_arrival_and_none_early() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let (progress, early) = (Arc::new(Progress::default()), Rc::new(Cell::new(0)));
    let finished = runtime.block_on(async {
        let schedule =
            Schedule { executor: arrivals(2_000, millis(250), 8, 600), start: millis(20), graceful_stop: seconds(60) };
        let shared = Arc::new(Shared::new(std::time::Instant::now()));
        drive(&schedule, Slice::WHOLE, shared, Early(Rc::clone(&early)), signal_channel().1, Arc::clone(&progress))
            .await
    });
    assert_eq!((finished.ending, progress.counts().finished, progress.counts().dropped), (Ending::Completed, 500, 0));
    assert_eq!(early.get(), 0);
}

fn search(pre_allocated_vus: u32, max_vus: u32) -> Schedule {
    let plan = SearchPlan {
        start: Rate::per_second(1.0),
        max: Rate::per_second(100.0),
        growth: 2.0,
        precision: 0.05,
        confirm: 2,
    };
    let (trial, settle, recover, max_duration) = (seconds(10), seconds(1), seconds(10), seconds(3600));
    let search = CapacitySearch { plan, trial, settle, recover, max_duration, pre_allocated_vus, max_vus };
    Schedule { executor: Executor::CapacitySearch(search), start: seconds(3), graceful_stop: seconds(30) }
}

fn trial(start: Duration, rate: u64, duration: Duration) -> Order {
    Order::Trial { start, rate: Rate::per_second(rate as f64), duration }
}

#[test]
fn orders_are_carried_out_one_after_the_other_by_all_workers_at_once() {
    let orders = [
        (seconds(1), trial(seconds(1), 10, seconds(5))),
        (seconds(10), trial(seconds(10), 20, seconds(5))),
        // Cut off after two of its five seconds.
        (seconds(20), trial(seconds(20), 10, seconds(5))),
        (millis(24_950), Order::Wait),
        (seconds(30), Order::End),
    ];
    let outcomes = run_ordered(&search(10, 40), 3, millis(400), &[], &orders);
    let mut dues: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.log.dues.borrow().clone()).collect();
    dues.sort_unstable();
    let expected = (0..50).map(|k| seconds(4) + millis(100) * k);
    let expected = expected.chain((0..100).map(|k| seconds(13) + millis(50) * k));
    let expected: Vec<_> = expected.chain((0..20).map(|k| seconds(23) + millis(100) * k)).collect();
    assert_eq!(dues, expected);
    for outcome in &outcomes {
        assert_eq!((outcome.finished.ending, outcome.finished.elapsed), (Ending::Completed, seconds(27)));
        assert_eq!((outcome.counts.dropped, outcome.counts.interrupted), (0, 0));
        assert!(outcome.counts.allocated < 10, "users of one trial serve the next: {:?}", outcome.counts);
    }
}

#[test]
fn a_search_stops_within_a_step_and_while_it_waits() {
    const STOP: Events = &[(seconds(5), Signal::GracefulStop)];
    let waiting = run_ordered(&search(2, 2), 1, seconds(1), STOP, &[]).pop().unwrap();
    assert_eq!((waiting.finished.ending, waiting.counts.started), (Ending::Stopped, 0));
    let orders = [(seconds(1), trial(millis(500), 1, seconds(9)))];
    let within = run_ordered(&search(2, 2), 1, seconds(1), STOP, &orders).pop().unwrap();
    assert_eq!((within.finished.ending, within.counts.started, within.counts.finished), (Ending::Stopped, 2, 2));
}
