//! Who polls which runs when, so that many iterations wait for their runs with few requests.
//!
//! Every iteration sleeps until its own run is due to be polled. The first that wakes polls in one request up to
//! `BATCH` runs, those whose last poll is the longest ago; the others find the answer when they wake. There is no poller
//! beside the iterations, and no iteration wakes another one. Pure: times come in as arguments.
//!
//! Two bounds hold. *Lag*: a run is polled every tenth of what runs take, within bounds. *Cost*: an instance sends one
//! request at a time, and none earlier than `Pace::gap` after the one before; the gap grows with the number of instances
//! that the scenario can have, so that all of them together stay below `BUDGET`. Where both can't be kept, the cost is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The most runs that one request asks about. Their ids are part of its URL, which stays below the 8 KiB that many proxies
/// allow. By default as many users share an instance, so that one request is about all their runs.
pub const BATCH: usize = 128;

/// The most requests per second that all instances of a scenario send together to follow runs.
pub const BUDGET: f64 = 15.0;

/// How many users an instance has by the host's default.
const GROUP: u32 = 128;

/// The shortest time between two polls of a run.
const SHORTEST: Duration = Duration::from_millis(200);

/// How often to poll a run while it is not known how long runs take.
const UNKNOWN: Duration = Duration::from_secs(1);

/// How soon to look for the answer to a request that another iteration has sent: at the least, and at the most.
const RECHECK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// A request of which nothing was heard for so long has been lost with the iteration that sent it.
const LOST: Duration = Duration::from_secs(120);

/// How often to poll.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The longest time between two polls of a run, as far as the budget allows it.
    pub longest: Duration,
    /// The shortest time between two requests of an instance.
    pub gap: Duration,
}

impl Pace {
    /// The pace of each instance of a scenario with so many users at the most.
    pub fn new(longest: Duration, users: u32) -> Self {
        let instances = users.div_ceil(GROUP).max(1);
        Self { longest, gap: Duration::from_secs_f64(f64::from(instances) / BUDGET) }
    }

    /// The shortest time between two requests of a user that follows something on its own.
    pub fn gap_of_a_user(users: u32) -> Duration {
        Duration::from_secs_f64(f64::from(users.max(1)) / BUDGET)
    }
}

/// The runs that are waited for.
pub struct Follower<R> {
    pace: Pace,
    /// How long a run takes, as a moving average of what was seen.
    expected: Option<Duration>,
    /// How long an answer takes, likewise.
    answer: Duration,
    /// When the request was sent that is on its way.
    polling: Option<Duration>,
    /// The earliest time of the next poll.
    not_before: Duration,
    runs: BTreeMap<String, Entry<R>>,
}

struct Entry<R> {
    /// Runs of different scopes can't be query about together.
    scope: usize,
    submitted: Duration,
    polled: Duration,
    ended: Option<(Duration, R)>,
}

/// What an iteration that waits for a run should do next.
#[derive(Debug, PartialEq)]
pub enum Action<R> {
    /// Wait so long, then ask the follower again.
    Sleep(Duration),
    /// Poll these runs of a scope, then call `answered`.
    Poll {
        /// The scope of all of them.
        scope: usize,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The run has ended; this was seen at that time.
    Ended {
        /// When the answer with the end had come.
        seen: Duration,
        /// What the server says about the run.
        run: R,
    },
}

impl<R> Follower<R> {
    /// Follows nothing yet.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            expected: None,
            answer: Duration::ZERO,
            polling: None,
            not_before: Duration::ZERO,
            runs: BTreeMap::new(),
        }
    }

    /// Begins to wait for a run.
    pub fn follow(&mut self, scope: usize, id: &str, submitted: Duration, now: Duration) {
        self.runs.insert(id.to_owned(), Entry { scope, submitted, polled: now, ended: None });
    }

    /// Stops waiting for a run.
    pub fn forget(&mut self, id: &str) {
        self.runs.remove(id);
    }

    /// What the iteration that waits for a run should do. A run that has ended is forgotten with the answer.
    pub fn next_action(&mut self, id: &str, now: Duration) -> Action<R> {
        // Only the run's own iteration forgets it, so it is there; sleeping is harmless if it is not.
        let Some(entry) = self.runs.get_mut(id) else { return Action::Sleep(self.pace.longest) };
        if let Some((seen, run)) = entry.ended.take() {
            self.runs.remove(id);
            return Action::Ended { seen, run };
        }
        let due = entry.polled + self.interval();
        if let Some(since) = self.polling.filter(|since| now < *since + LOST) {
            let left = (since + self.answer).saturating_sub(now);
            return Action::Sleep(left.clamp(RECHECK.0, RECHECK.1));
        }
        let due = due.max(self.not_before);
        if due > now {
            return Action::Sleep(due - now);
        }
        self.choose(now)
    }

    /// Chooses the runs to poll: the one whose last poll is the longest ago, and of its scope those that are due
    /// within half an interval.
    fn choose(&mut self, now: Duration) -> Action<R> {
        let soon = now + self.interval() / 2;
        let interval = self.interval();
        let waiting = || self.runs.iter().filter(|(_, entry)| entry.ended.is_none());
        let oldest = waiting().min_by_key(|(_, entry)| entry.polled);
        let Some(scope) = oldest.map(|(_, entry)| entry.scope) else { return Action::Sleep(SHORTEST) };
        let mut due: Vec<(Duration, &String)> = waiting()
            .filter(|(_, entry)| entry.scope == scope && entry.polled + interval <= soon)
            .map(|(id, entry)| (entry.polled, id))
            .collect();
        due.sort_unstable();
        let ids = due.into_iter().take(BATCH).map(|(_, id)| id.clone()).collect();
        self.polling = Some(now);
        self.not_before = now + self.pace.gap;
        Action::Poll { scope, ids }
    }

    /// Takes in the answer for a batch: the runs of it that have ended. All others are polled again later, also when
    /// there was no answer at all.
    pub fn answered(&mut self, batch: &[String], ended: impl IntoIterator<Item = (String, R)>, now: Duration) {
        if let Some(sent) = self.polling.take() {
            self.answer = average(Some(self.answer), now.saturating_sub(sent));
        }
        let batch: BTreeSet<&String> = batch.iter().collect();
        for (id, run) in ended {
            let Some(entry) = self.runs.get_mut(&id) else { continue };
            entry.ended = Some((now, run));
            self.expected = Some(average(self.expected, now.saturating_sub(entry.submitted)));
        }
        for (_, entry) in self.runs.iter_mut().filter(|(id, _)| batch.contains(id)) {
            entry.polled = now;
        }
    }

    /// A tenth of what runs take, within bounds: the delay until an end is seen stays small beside the run.
    fn interval(&self) -> Duration {
        let wanted = self.expected.map_or(UNKNOWN, |expected| expected / 10);
        wanted.max(SHORTEST).min(self.pace.longest)
    }
}

fn average(old: Option<Duration>, new: Duration) -> Duration {
    old.map_or(new, |old| old.mul_f64(0.8) + new.mul_f64(0.2))
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
