//! Who asks the server when about which runs, so that many iterations wait for their runs with few requests.
//!
//! Every iteration sleeps until its own run is due to be looked at. The first that wakes takes its own run and all others
//! that are nearly due, and asks about them in one request; the others find the answer when they wake. There is no poller
//! beside the iterations, and nobody has to be woken by somebody else. Pure: times come in as arguments.

use std::{collections::BTreeMap, time::Duration};

/// The most runs that one request asks about: their ids are part of its URL.
pub const BATCH: usize = 100;

/// How soon to look again at a run that another iteration is asking about.
const RECHECK: Duration = Duration::from_millis(50);

/// The shortest time between two looks at a run.
const SHORTEST: Duration = Duration::from_millis(200);

/// How often to look at a run while it is not known how long runs take.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The runs that are waited for.
pub struct Follower<R> {
    longest: Duration,
    /// How long a run takes, as a moving average of what was seen.
    expected: Option<Duration>,
    runs: BTreeMap<String, Entry<R>>,
}

struct Entry<R> {
    submitted: Duration,
    due: Duration,
    status: Status<R>,
}

enum Status<R> {
    Waiting,
    Asked,
    Ended { seen: Duration, run: R },
}

/// What an iteration that waits for a run should do next.
#[derive(Debug, PartialEq)]
pub enum Step<R> {
    /// Wait so long, then ask again what to do.
    Sleep(Duration),
    /// Ask the server about these runs, then call `answered`.
    Ask(Vec<String>),
    /// The run has ended; this was seen at that time.
    Ended {
        /// When the answer with the end had come.
        seen: Duration,
        /// What the server says about the run.
        run: R,
    },
}

impl<R> Follower<R> {
    /// `longest` is the longest time between two looks at a run.
    pub fn new(longest: Duration) -> Self {
        Self { longest, expected: None, runs: BTreeMap::new() }
    }

    /// Begins to wait for a run.
    pub fn follow(&mut self, id: &str, submitted: Duration, now: Duration) {
        let entry = Entry { submitted, due: now + self.interval(), status: Status::Waiting };
        self.runs.insert(id.to_owned(), entry);
    }

    /// Stops waiting for a run.
    pub fn forget(&mut self, id: &str) {
        self.runs.remove(id);
    }

    /// What the iteration that waits for a run should do. A run that has ended is forgotten with the answer.
    pub fn step(&mut self, id: &str, now: Duration) -> Step<R> {
        match self.runs.get(id) {
            // Only the run's own iteration forgets it, so this does not happen; sleeping is harmless if it does.
            None => Step::Sleep(self.longest),
            Some(Entry { status: Status::Ended { .. }, .. }) => match self.runs.remove(id) {
                Some(Entry { status: Status::Ended { seen, run }, .. }) => Step::Ended { seen, run },
                _ => Step::Sleep(RECHECK),
            },
            Some(Entry { status: Status::Asked, .. }) => Step::Sleep(RECHECK),
            Some(Entry { due, .. }) if *due > now => Step::Sleep(*due - now),
            Some(_) => Step::Ask(self.take(id, now)),
        }
    }

    /// Chooses the runs to ask about: this one, and those that are due within half an interval.
    fn take(&mut self, id: &str, now: Duration) -> Vec<String> {
        let soon = now + self.interval() / 2;
        let mut batch = Vec::new();
        if let Some(own) = self.runs.get_mut(id) {
            own.status = Status::Asked;
            batch.push(id.to_owned());
        }
        for (other, entry) in &mut self.runs {
            if batch.len() == BATCH {
                break;
            }
            if matches!(entry.status, Status::Waiting) && entry.due <= soon {
                entry.status = Status::Asked;
                batch.push(other.clone());
            }
        }
        batch
    }

    /// Takes in the answer for a batch: the runs of it that have ended. All others are looked at again later, also when
    /// there was no answer at all.
    pub fn answered(&mut self, batch: &[String], ended: impl IntoIterator<Item = (String, R)>, now: Duration) {
        for (id, run) in ended {
            let Some(entry) = self.runs.get_mut(&id) else { continue };
            entry.status = Status::Ended { seen: now, run };
            let took = now.saturating_sub(entry.submitted);
            self.expected = Some(self.expected.map_or(took, |expected| expected.mul_f64(0.8) + took.mul_f64(0.2)));
        }
        let due = now + self.interval();
        for id in batch {
            if let Some(entry) = self.runs.get_mut(id)
                && matches!(entry.status, Status::Asked)
            {
                entry.status = Status::Waiting;
                entry.due = due;
            }
        }
    }

    /// A tenth of what runs take, within bounds: the delay until an end is seen stays small beside the run.
    fn interval(&self) -> Duration {
        let wanted = self.expected.map_or(UNKNOWN, |expected| expected / 10);
        wanted.max(SHORTEST).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn following(ids: &[&str]) -> Follower<u8> {
        let mut follower = Follower::new(seconds(5.0));
        for id in ids {
            follower.follow(id, Duration::ZERO, Duration::ZERO);
        }
        follower
    }

    #[test]
    fn one_iteration_asks_for_all() {
        let mut follower = following(&["a", "b", "c"]);
        assert_eq!(follower.step("b", Duration::ZERO), Step::Sleep(UNKNOWN));
        let batch = vec!["b".to_owned(), "a".to_owned(), "c".to_owned()];
        assert_eq!(follower.step("b", UNKNOWN), Step::Ask(batch.clone()));
        assert_eq!(follower.step("a", UNKNOWN), Step::Sleep(RECHECK));
        follower.answered(&batch, [("c".to_owned(), 7)], seconds(1.5));
        assert_eq!(follower.step("c", seconds(1.6)), Step::Ended { seen: seconds(1.5), run: 7 });
        assert!(matches!(follower.step("a", seconds(1.5)), Step::Sleep(_)));
    }

    #[test]
    fn runs_that_are_not_nearly_due_are_left_alone() {
        let mut follower = following(&["a"]);
        follower.follow("late", seconds(0.9), seconds(0.9));
        assert_eq!(follower.step("a", UNKNOWN), Step::Ask(vec!["a".to_owned()]));
    }

    #[test]
    fn a_request_that_failed_is_tried_again() {
        let mut follower = following(&["a"]);
        let Step::Ask(batch) = follower.step("a", UNKNOWN) else { panic!("not due") };
        follower.answered(&batch, [], UNKNOWN);
        assert_eq!(follower.step("a", UNKNOWN), Step::Sleep(UNKNOWN));
        assert_eq!(follower.step("a", UNKNOWN * 2), Step::Ask(batch));
    }

    #[test]
    fn many_runs_are_asked_about_in_several_requests() {
        let ids: Vec<String> = (0..250).map(|n| format!("{n:03}")).collect();
        let mut follower = following(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let mut asked = 0;
        for id in &ids {
            if let Step::Ask(batch) = follower.step(id, UNKNOWN) {
                asked += 1;
                assert!(batch.len() <= BATCH);
            }
        }
        assert_eq!(asked, 3);
    }

    #[test]
    fn the_interval_follows_the_runs() {
        let mut follower = following(&["a"]);
        let Step::Ask(batch) = follower.step("a", seconds(30.0)) else { panic!("not due") };
        follower.answered(&batch, [("a".to_owned(), 0)], seconds(30.0));
        assert_eq!(follower.interval(), seconds(3.0));
        follower.expected = Some(seconds(600.0));
        assert_eq!(follower.interval(), seconds(5.0));
        follower.expected = Some(seconds(0.5));
        assert_eq!(follower.interval(), SHORTEST);
    }

    #[test]
    fn a_forgotten_run_is_not_asked_about() {
        let mut follower = following(&["a", "b"]);
        follower.forget("a");
        assert_eq!(follower.step("b", UNKNOWN), Step::Ask(vec!["b".to_owned()]));
    }
}
