//! The executors, named and meant as in k6. Only data: what they ask for at a moment is computed by [`crate::Pacer`].

use crate::rate::Rate;
use crate::search::SearchPlan;
use std::time::Duration;

/// One piece of a ramp: from where the piece before ended, in a straight line to `target`. A stage without length jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage<T> {
    /// How long the way to the target takes.
    pub duration: Duration,
    /// Where the stage ends: users or a [`Rate`].
    pub target: T,
}

/// How iterations are started. In the closed model (the first four) a user starts its next iteration when its last has
/// ended and `think_time` has passed; in the open model (the others) arrivals come whether or not earlier ones ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// A fixed number of users, iterating for a time.
    ConstantVus {
        /// How many users.
        vus: u32,
        /// For how long iterations are started.
        duration: Duration,
        /// A user's pause between iterations.
        think_time: Duration,
    },
    /// A number of users that follows stages. A user joins when the line reaches the next whole number, and leaves likewise.
    RampingVus {
        /// How many users there are at the start.
        start_vus: u32,
        /// The line's pieces.
        stages: Vec<Stage<u32>>,
        /// How long a user that has to leave may take to end its iteration.
        graceful_ramp_down: Duration,
        /// A user's pause between iterations.
        think_time: Duration,
    },
    /// Every user does the same number of iterations.
    PerVuIterations {
        /// How many users.
        vus: u32,
        /// How many iterations each does.
        iterations: u64,
        /// After this time no further iteration starts; those left over count as dropped.
        max_duration: Duration,
        /// A user's pause between iterations.
        think_time: Duration,
    },
    /// Users take iterations from one heap until it is empty; a fast user does more of them.
    SharedIterations {
        /// How many users.
        vus: u32,
        /// How many iterations all users of this process do together; at least `vus`. With several machines, give each its
        /// share ([`crate::Slice::share`]): the heap does not reach across machines.
        iterations: u64,
        /// After this time no further iteration starts; those left over count as dropped.
        max_duration: Duration,
        /// A user's pause between iterations.
        think_time: Duration,
    },
    /// Arrivals at a fixed rate; the first at once.
    ConstantArrivalRate {
        /// Starts of iterations; above zero.
        rate: Rate,
        /// For how long.
        duration: Duration,
        /// Users made before the start.
        pre_allocated_vus: u32,
        /// Users there may be when all are busy; never fewer than `pre_allocated_vus`. An arrival beyond them is dropped.
        max_vus: u32,
    },
    /// Arrivals at a rate that follows stages; the first when the line has added up to one whole arrival.
    RampingArrivalRate {
        /// The rate at the start.
        start_rate: Rate,
        /// The line's pieces.
        stages: Vec<Stage<Rate>>,
        /// Users made before the start.
        pre_allocated_vus: u32,
        /// Users there may be when all are busy; never fewer than `pre_allocated_vus`. An arrival beyond them is dropped.
        max_vus: u32,
    },
    /// Arrivals at constant rates, one trial after the other; a [`crate::Search`] decides on each rate.
    CapacitySearch(CapacitySearch),
}

/// A search for the highest rate that a target carries, in trials of one constant rate each.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacitySearch {
    /// Which rates are tried.
    pub plan: SearchPlan,
    /// How long a trial takes, `settle` included; whole seconds.
    pub trial: Duration,
    /// The first part of a trial, which is not judged; whole seconds, less than `trial`.
    pub settle: Duration,
    /// The longest pause after a trial that broke, while running iterations end.
    pub recover: Duration,
    /// No trial starts after this.
    pub max_duration: Duration,
    /// Users made before the start.
    pub pre_allocated_vus: u32,
    /// Users there may be when all are busy; never fewer than `pre_allocated_vus`. An arrival beyond them is dropped.
    pub max_vus: u32,
}

impl Executor {
    /// The name in a suite, which is k6's but for the capacity search.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::SharedIterations { .. } => "shared-iterations",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
            Self::CapacitySearch(_) => "capacity-search",
        }
    }

    /// The most users this executor can have: also the most workers that are of use to it.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        match self {
            Self::ConstantVus { vus, .. } | Self::PerVuIterations { vus, .. } | Self::SharedIterations { vus, .. } => {
                *vus
            }
            Self::RampingVus { start_vus, stages, .. } => {
                stages.iter().map(|stage| stage.target).fold(*start_vus, u32::max)
            }
            Self::ConstantArrivalRate { pre_allocated_vus, max_vus, .. }
            | Self::RampingArrivalRate { pre_allocated_vus, max_vus, .. }
            | Self::CapacitySearch(CapacitySearch { pre_allocated_vus, max_vus, .. }) => {
                *max_vus.max(pre_allocated_vus)
            }
        }
    }

    /// Whether arrivals come at their own pace (the open model) rather than when a user is free.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::ConstantArrivalRate { .. } | Self::RampingArrivalRate { .. } | Self::CapacitySearch { .. })
    }

    /// The capacity search, if it is one.
    #[must_use]
    pub fn search(&self) -> Option<&CapacitySearch> {
        if let Self::CapacitySearch(search) = self { Some(search) } else { None }
    }
}

/// An executor in its place in the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// How iterations are started.
    pub executor: Executor,
    /// How long after the run's epoch it starts.
    pub start: Duration,
    /// How long running iterations may take to end after the last was started. Those that take longer are dropped.
    pub graceful_stop: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_users_are_those_of_the_highest_stage() {
        let up = Stage { duration: Duration::from_secs(1), target: 9 };
        let down = Stage { duration: Duration::from_secs(1), target: 0 };
        let ramp = Executor::RampingVus {
            start_vus: 3,
            stages: vec![up, down],
            graceful_ramp_down: Duration::ZERO,
            think_time: Duration::ZERO,
        };
        assert_eq!((ramp.max_users(), ramp.is_open()), (9, false));
        let arrivals = Executor::ConstantArrivalRate {
            rate: Rate::per_second(1.0),
            duration: Duration::from_secs(1),
            pre_allocated_vus: 5,
            max_vus: 2,
        };
        assert_eq!((arrivals.max_users(), arrivals.is_open()), (5, true));
    }
}
