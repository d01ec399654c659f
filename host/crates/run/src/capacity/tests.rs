//! A search against targets that are arithmetic: no clock, no thread, no traffic.

use kperf_metrics::{Severity, Shard, Threshold, Unit};
use kperf_schedule::{Executor, SearchPlan};

use super::*;

/// A target of so many servers that each take so long; the queue before them is first come, first served.
struct Bench {
    servers: Vec<Duration>,
    service: Duration,
    users: u32,
    /// When each iteration was due and when it ended.
    iterations: Vec<(Duration, Duration)>,
    /// When arrivals found no user free.
    dropped: Vec<Duration>,
}

impl Bench {
    /// Takes the arrivals of a step.
    fn load(&mut self, start: Duration, rate: Rate, length: Duration) {
        let gap = Duration::from_secs_f64(1.0 / rate.as_per_second());
        let mut due = start;
        while due < start + length {
            if self.in_flight(due) >= self.users {
                self.dropped.push(due);
            } else if let Some(server) = self.servers.iter_mut().min() {
                *server = due.max(*server) + self.service;
                self.iterations.push((due, *server));
            }
            due += gap;
        }
    }

    fn in_flight(&self, at: Duration) -> u32 {
        self.iterations.iter().rev().take(5000).filter(|(due, end)| *due <= at && *end > at).count() as u32
    }

    fn counts(&self, at: Duration) -> Counts {
        Counts {
            active: self.in_flight(at),
            started: self.iterations.iter().filter(|(due, _)| *due <= at).count() as u64,
            finished: self.iterations.iter().filter(|(_, end)| *end <= at).count() as u64,
            dropped: self.dropped.iter().filter(|due| **due <= at).count() as u64,
            ..Counts::default()
        }
    }
}

fn schedule(plan: SearchPlan, max_duration: u64) -> Schedule {
    let (trial, settle) = (SECOND * 8, SECOND * 2);
    let (recover, max_duration) = (SECOND * 20, Duration::from_secs(max_duration));
    let search = CapacitySearch { plan, trial, settle, recover, max_duration, pre_allocated_vus: 5, max_vus: 400 };
    let executor = Executor::CapacitySearch(search);
    Schedule { executor, start: Duration::from_millis(1500), graceful_stop: SECOND }
}

const PLAN: SearchPlan =
    SearchPlan { start: Rate::per_second(5.0), max: Rate::per_second(500.0), growth: 2.0, precision: 0.05, confirm: 2 };

/// Plays a search to its end, looking ten times a second and handing samples over every second.
fn play(schedule: &Schedule, criterion: &str, bench: Bench) -> Vec<CapacityChange> {
    play_looking(1, schedule, criterion, bench)
}

/// As [`play`], with so many tenths of a second from one look to the next.
fn play_looking(every: u32, schedule: &Schedule, criterion: &str, mut bench: Bench) -> Vec<CapacityChange> {
    let threshold = Threshold::parse(criterion).unwrap().within("scenario", "s");
    let criteria = [PlannedThreshold {
        text: criterion.to_owned(),
        threshold,
        abort: None,
        severity: Severity::Error,
        unit: Unit::Seconds,
    }];
    let (epoch, registry) = (Instant::now(), Registry::default());
    let shared = Arc::new(Shared::new(epoch));
    let epoch_unix_ns = 1_700_000_000_000_000_000;
    let origin = LoadOrigin { epoch, epoch_unix_ns, shared: Arc::clone(&shared), registry: registry.clone() };
    let mut controller = CapacityController::of("s", schedule, &criteria, origin).unwrap();
    let series = |metric: Builtin| registry.series(metric.into(), Tags::new([("scenario", "s")])).unwrap();
    let (duration, response) = (series(Builtin::IterationDuration), series(Builtin::IterationResponseTime));
    let mut shard = Shard::new(registry.clone(), epoch_unix_ns);
    let (mut changes, mut steps) = (Vec::new(), 0);
    for tenth in 0..100_000_u32 {
        let elapsed = Duration::from_millis(100) * tenth;
        if tenth > 0 && tenth.is_multiple_of(10) {
            for (due, end) in bench.iterations.iter().filter(|(_, end)| *end > elapsed - SECOND && *end <= elapsed) {
                shard.record_duration(duration, *end - *due);
                shard.record_duration(response, *end - *due);
            }
            controller.samples(&shard.take(epoch_unix_ns + u64::try_from(elapsed.as_nanos()).unwrap()));
        }
        if !tenth.is_multiple_of(every) {
            continue;
        }
        changes.extend(controller.advance_to(epoch + elapsed, bench.counts(elapsed)));
        match &controller.state {
            State::Trial(step) if controller.trials > steps => {
                steps = controller.trials;
                assert!(step.begin >= elapsed + AHEAD && step.begin.subsec_nanos() == 0, "at {:?}", step.begin);
                bench.load(step.begin, Rate::per_second(step.rate), step.end - step.begin);
            }
            State::Over => return changes,
            _ => {}
        }
    }
    panic!("no end after {} steps", controller.trials);
}

fn bench(servers: usize, service: Duration) -> Bench {
    Bench { servers: vec![Duration::ZERO; servers], service, users: 400, iterations: Vec::new(), dropped: Vec::new() }
}

fn last(changes: &[CapacityChange]) -> &CapacityProgress {
    &changes.last().unwrap().standing
}

#[test]
fn the_capacity_of_a_queue_is_found_by_what_piles_up() {
    // 16 servers of 0.4 s carry 40/s; the criterion never breaks.
    let changes = play(&schedule(PLAN, 3600), "iteration_duration p(95) < 1h", bench(16, Duration::from_millis(400)));
    let standing = last(&changes);
    assert_eq!(standing.state, CapacityState::Found, "{changes:#?}");
    let held = standing.highest_held.unwrap();
    assert!((36.0..=42.0).contains(&held.rate) && held.held >= 2, "{held:?}");
    let steps: Vec<_> = changes.iter().filter_map(|change| change.step.as_ref()).collect();
    assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), (1..=steps.len() as u32).collect::<Vec<_>>());
    let broke = steps.iter().find(|step| step.outcome == CapacityOutcome::Broke).unwrap();
    assert!(broke.reasons[0].starts_with("work piles up"), "{broke:?}");
    assert!(broke.finished < 41.0 && broke.in_flight_end > broke.in_flight_start, "{broke:?}");
    assert!((steps[0].settle, steps[0].judged) == (2.0, 6.0) && (steps[0].started - 5.0).abs() < 0.3, "{:?}", steps[0]);
}

#[test]
fn a_host_that_looks_seldom_and_late_says_the_same() {
    let servers = || bench(16, Duration::from_millis(400));
    let changes = play_looking(13, &schedule(PLAN, 3600), "iteration_duration p(95) < 1h", servers());
    let held = last(&changes).highest_held.unwrap();
    assert!((36.0..=42.0).contains(&held.rate), "{changes:#?}");
    let steps: Vec<_> = changes.iter().filter_map(|change| change.step.as_ref()).collect();
    assert!(steps.iter().all(|step| step.outcome != CapacityOutcome::Unsure), "{changes:#?}");
    assert!(steps.iter().all(|step| (step.started / step.rate - 1.0).abs() < 0.1), "{changes:#?}");
}

#[test]
fn a_threshold_that_breaks_before_work_piles_up_is_the_limit() {
    // Two servers of 0.1 s, arrivals evenly spaced: waiting begins at 20/s only, but then every iteration is over 0.1 s.
    let changes = play(&schedule(PLAN, 3600), "iteration_duration max <= 101ms", bench(2, Duration::from_millis(100)));
    let standing = last(&changes);
    let held = standing.highest_held.unwrap().rate;
    assert!((18.0..=20.0).contains(&held), "{standing:?}");
    let broke =
        changes.iter().filter_map(|change| change.step.as_ref()).find(|step| step.outcome == CapacityOutcome::Broke);
    assert!(broke.unwrap().reasons[0].starts_with("`iteration_duration max <= 101ms`: "), "{broke:?}");
}

#[test]
fn long_iterations_lengthen_the_part_that_is_not_judged() {
    // 100 servers of 5 s carry 20/s. Within the two seconds of settling nothing has ended yet.
    let changes = play(&schedule(PLAN, 3600), "iteration_duration p(95) < 1h", bench(100, SECOND * 5));
    let steps: Vec<_> = changes.iter().filter_map(|change| change.step.as_ref()).collect();
    assert_eq!((steps[0].outcome, steps[0].settle), (CapacityOutcome::Unsure, 2.0), "{:?}", steps[0]);
    assert!(steps[1].settle >= 7.0 && steps[1].outcome == CapacityOutcome::Held, "{:?}", steps[1]);
    let held = last(&changes).highest_held.unwrap().rate;
    assert!((18.0..=24.0).contains(&held), "{held}: {changes:#?}");
}

#[test]
fn too_few_users_are_no_breach() {
    let mut schedule = schedule(PLAN, 3600);
    let Executor::CapacitySearch(search) = &mut schedule.executor else { panic!("a search") };
    search.max_vus = 8;
    let changes = play(&schedule, "iteration_duration p(95) < 1h", Bench { users: 8, ..bench(100, SECOND) });
    let standing = last(&changes);
    assert_eq!((standing.state, standing.lowest_broken), (CapacityState::Unsupported, None), "{changes:#?}");
    assert!((7.0..=8.2).contains(&standing.highest_held.unwrap().rate), "{standing:?}");
    let step = changes.iter().filter_map(|change| change.step.as_ref()).find(|it| it.dropped > 0).unwrap();
    assert!(step.reasons[0].contains("raise `max_vus`; 10/s takes about 12"), "{step:?}");
}

#[test]
fn time_can_run_out() {
    let changes = play(&schedule(PLAN, 25), "iteration_duration p(95) < 1h", bench(100, SECOND / 10));
    let end = changes.last().unwrap();
    assert_eq!((end.standing.state, end.step.as_ref()), (CapacityState::OutOfTime, None));
    assert_eq!(end.standing.highest_held.unwrap().rate, 20.0, "three steps of eight seconds: {changes:#?}");
}
