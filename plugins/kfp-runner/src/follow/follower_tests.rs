use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn following(ids: &[&str]) -> Follower<u8> {
    let mut follower = Follower::new(Pace::new(seconds(5.0), 1));
    for id in ids {
        follower.follow(0, id, Duration::ZERO, Duration::ZERO);
    }
    follower
}

fn polled(follower: &mut Follower<u8>, id: &str, now: Duration) -> Vec<String> {
    match follower.next_action(id, now) {
        Action::Poll { ids, .. } => ids,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_iteration_polls_for_all() {
    let mut follower = following(&["a", "b", "c"]);
    assert_eq!(follower.next_action("b", Duration::ZERO), Action::Sleep(UNKNOWN));
    let batch = polled(&mut follower, "b", UNKNOWN);
    assert_eq!(batch, ["a", "b", "c"]);
    assert_eq!(follower.next_action("a", UNKNOWN), Action::Sleep(RECHECK.0));
    follower.answered(&batch, [("c".to_owned(), 7)], seconds(1.5));
    assert_eq!(follower.next_action("c", seconds(1.6)), Action::Ended { seen: seconds(1.5), run: 7 });
    assert!(matches!(follower.next_action("a", seconds(1.5)), Action::Sleep(_)));
}

#[test]
fn runs_that_are_not_nearly_due_are_left_alone() {
    let mut follower = following(&["a"]);
    follower.follow(0, "late", seconds(0.9), seconds(0.9));
    assert_eq!(polled(&mut follower, "a", UNKNOWN), ["a"]);
}

#[test]
fn a_request_that_failed_is_tried_again() {
    let mut follower = following(&["a"]);
    let batch = polled(&mut follower, "a", UNKNOWN);
    follower.answered(&batch, [], UNKNOWN);
    assert_eq!(follower.next_action("a", UNKNOWN), Action::Sleep(UNKNOWN));
    assert_eq!(polled(&mut follower, "a", UNKNOWN * 2), batch);
}

#[test]
fn a_request_that_was_lost_blocks_nobody_for_ever() {
    let mut follower = following(&["a", "b"]);
    polled(&mut follower, "a", UNKNOWN);
    assert!(matches!(follower.next_action("b", UNKNOWN + LOST / 2), Action::Sleep(_)));
    assert_eq!(polled(&mut follower, "b", UNKNOWN + LOST), ["a", "b"]);
}

#[test]
fn many_runs_take_turns() {
    let ids: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    let mut follower = following(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut now = UNKNOWN;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let batch = polled(&mut follower, "000", now);
        assert!(batch.len() <= BATCH);
        follower.answered(&batch, [], now);
        seen.extend(batch);
        // The one that is due next polls; the gap passes first.
        now += seconds(0.1);
        if let Some(next) = ids.iter().find(|id| !seen.contains(*id)) {
            assert!(matches!(follower.next_action(next, now), Action::Poll { .. }));
            follower.polling = None;
            follower.not_before = now;
            follower.runs.get_mut("000").unwrap().polled = Duration::ZERO;
        }
    }
    assert_eq!(seen.len(), 300);
}

#[test]
fn runs_of_several_scopes_are_polled_apart() {
    let mut follower = following(&["a"]);
    follower.follow(1, "b", Duration::ZERO, Duration::ZERO);
    let first = polled(&mut follower, "a", UNKNOWN);
    assert_eq!(first, ["a"]);
    follower.answered(&first, [], UNKNOWN);
    // Only after the gap, whichever iteration wakes first.
    assert!(matches!(follower.next_action("b", UNKNOWN), Action::Sleep(_)));
    assert_eq!(follower.next_action("b", UNKNOWN * 2), Action::Poll { scope: 1, ids: vec!["b".into()] });
}

#[test]
fn the_interval_follows_the_runs() {
    let mut follower = following(&["a"]);
    let batch = polled(&mut follower, "a", seconds(30.0));
    follower.answered(&batch, [("a".to_owned(), 0)], seconds(30.0));
    assert_eq!(follower.interval(), seconds(3.0));
    follower.expected = Some(seconds(600.0));
    assert_eq!(follower.interval(), seconds(5.0));
    follower.expected = Some(seconds(0.5));
    assert_eq!(follower.interval(), SHORTEST);
}

#[test]
fn a_forgotten_run_is_not_polled() {
    let mut follower = following(&["a", "b"]);
    follower.forget("a");
    assert_eq!(polled(&mut follower, "b", UNKNOWN), ["b"]);
}

/// What following costs, and how late ends are seen.
struct Outcome {
    requests_per_second: f64,
    longest_lag: Duration,
}

/// Plays a minute and a half of `users` users on instances of 128, each of which starts a run of some `lasting`, waits for its
/// end and starts the next. An answer takes 50 ms.
fn play(users: u32, scopes: usize, lasting: Duration, longest: Duration) -> Outcome {
    const PLAYED: Duration = Duration::from_secs(90);
    const ANSWER: Duration = Duration::from_millis(50);
    // A run of each user, of lengths that differ by a third; all that the server knows is when it ends.
    let length = |user: u32, round: u32| lasting.mul_f64(0.8 + 0.4 * f64::from((user * 7 + round * 13) % 100) / 100.0);
    let pace = Pace::new(longest, users);
    let mut instances: Vec<Follower<()>> = (0..users.div_ceil(GROUP)).map(|_| Follower::new(pace)).collect();
    let mut ends: Vec<(u32, Duration)> = Vec::new();
    let mut wakes: BinaryHeap<Reverse<(Duration, u32)>> = BinaryHeap::new();
    let mut answers: BTreeMap<(Duration, usize), Vec<String>> = BTreeMap::new();
    for user in 0..users {
        let begin = seconds(f64::from(user) * 0.01);
        instances[(user / GROUP) as usize].follow(user as usize % scopes, &user.to_string(), begin, begin);
        ends.push((0, begin + length(user, 0)));
        wakes.push(Reverse((begin, user)));
    }
    let (mut requests, mut longest_lag) = (0_u32, Duration::ZERO);
    while let Some(Reverse((now, user))) = wakes.pop() {
        if now > PLAYED {
            break;
        }
        while let Some((&(at, instance), _)) = answers.first_key_value().filter(|((at, _), _)| *at <= now) {
            let batch = answers.remove(&(at, instance)).unwrap();
            let over = |id: &&String| ends[id.parse::<usize>().unwrap()].1 + ANSWER <= at;
            let ended: Vec<(String, ())> = batch.iter().filter(over).map(|id| (id.clone(), ())).collect();
            instances[instance].answered(&batch, ended, at);
        }
        let instance = (user / GROUP) as usize;
        let next = match instances[instance].next_action(&user.to_string(), now) {
            Action::Sleep(duration) => now + duration.max(Duration::from_millis(1)),
            Action::Poll { ids, .. } => {
                requests += 1;
                answers.insert((now + ANSWER, instance), ids);
                now + ANSWER
            }
            Action::Ended { seen, .. } => {
                let (round, end) = ends[user as usize];
                longest_lag = longest_lag.max(seen - end);
                ends[user as usize] = (round + 1, now + length(user, round + 1));
                instances[instance].follow(user as usize % scopes, &user.to_string(), now, now);
                now
            }
        };
        wakes.push(Reverse((next, user)));
    }
    Outcome { requests_per_second: f64::from(requests) / PLAYED.as_secs_f64(), longest_lag }
}

#[test]
fn five_thousand_runs_cost_at_most_twenty_requests_a_second() {
    for lasting in [2.0, 20.0, 60.0] {
        let outcome = play(5000, 1, seconds(lasting), seconds(5.0));
        assert!(outcome.requests_per_second <= 20.0, "{lasting} s: {} requests/s", outcome.requests_per_second);
        // A full round of the budget, or the longest interval, and half an interval for runs that just missed a batch.
        assert!(outcome.longest_lag <= seconds(8.0), "{lasting} s: seen {:?} late", outcome.longest_lag);
    }
}

#[test]
fn many_tenants_cost_no_more_than_one() {
    let outcome = play(5000, 50, seconds(60.0), seconds(5.0));
    assert!(outcome.requests_per_second <= 20.0, "{} requests/s", outcome.requests_per_second);
}

#[test]
fn few_runs_are_seen_soon() {
    let outcome = play(20, 1, seconds(20.0), seconds(5.0));
    assert!(outcome.requests_per_second <= BUDGET);
    assert!(outcome.longest_lag <= seconds(4.0), "seen {:?} late", outcome.longest_lag);
}
