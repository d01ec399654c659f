//! Which iterations train and which browse in a mixed load.

use std::cell::Cell;

use serde::Deserialize;

/// What the share of training is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Of the users: the first ones train, all others browse.
    #[default]
    Users,
    /// Of the iterations: each one is drawn.
    Iterations,
    /// Of the requests: iterations are chosen so that the share of requests sent holds.
    Requests,
}

/// What an iteration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    Training,
    Browsing,
}

impl Workload {
    /// The value of the tag `workload`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Browsing => "browsing",
        }
    }
}

/// How many of so many users train: the share, rounded down.
pub fn training_users(share: f64, users: u32) -> u32 {
    // A share like 0.29 is a little less than what was written.
    (share * f64::from(users) + 1e-9).floor() as u32
}

/// Decides for each iteration of an instance.
#[derive(Debug)]
pub struct Split {
    by: By,
    share: f64,
    training_users: u32,
    /// Requests sent and, of iterations under way, expected.
    training: Cell<f64>,
    browsing: Cell<f64>,
    /// What an iteration is expected to send.
    expected: Cell<(f64, f64)>,
}

/// An iteration under way.
#[derive(Debug)]
pub struct Begun {
    pub workload: Workload,
    expected: f64,
}

impl Split {
    /// For so many users; `expected` is how many requests a training and a browsing iteration send.
    pub fn new(by: By, share: f64, users: u32, expected: (u64, u64)) -> Self {
        Self {
            by,
            share,
            training_users: training_users(share, users),
            training: Cell::new(0.0),
            browsing: Cell::new(0.0),
            expected: Cell::new((expected.0 as f64, expected.1 as f64)),
        }
    }

    /// What a user's next iteration does; `roll` draws a number from 0 to below 1.
    pub fn begin(&self, user: u32, roll: impl FnOnce() -> f64) -> Begun {
        let trains = match self.by {
            By::Users => user < self.training_users,
            By::Iterations => roll() < self.share,
            By::Requests => {
                let (training, all) = (self.training.get(), self.training.get() + self.browsing.get());
                self.share >= 1.0 || (self.share > 0.0 && training <= self.share * all)
            }
        };
        let (workload, expected) = if trains {
            (Workload::Training, self.expected.get().0)
        } else {
            (Workload::Browsing, self.expected.get().1)
        };
        self.add(workload, expected);
        Begun { workload, expected }
    }

    /// Takes in how many requests an iteration has sent.
    pub fn end(&self, begun: &Begun, requests: u64) {
        let requests = requests as f64;
        self.add(begun.workload, requests - begun.expected);
        // How much there is to read changes while others write.
        let (training, browsing) = self.expected.get();
        self.expected.set(match begun.workload {
            Workload::Training => (requests, browsing),
            Workload::Browsing => (training, requests),
        });
    }

    fn add(&self, workload: Workload, requests: f64) {
        let sum = match workload {
            Workload::Training => &self.training,
            Workload::Browsing => &self.browsing,
        };
        sum.set(sum.get() + requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_rounded_down() {
        assert_eq!([1, 4, 5, 9, 10, 20].map(|users| training_users(0.2, users)), [0, 0, 1, 1, 2, 4]);
        assert_eq!(training_users(0.29, 100), 29);
        let split = Split::new(By::Users, 0.2, 10, (43, 58));
        let trains = |user| split.begin(user, || unreachable!()).workload == Workload::Training;
        assert_eq!((0..10).filter(|user| trains(*user)).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn iterations_are_drawn() {
        let split = Split::new(By::Iterations, 0.2, 10, (43, 58));
        assert_eq!(split.begin(9, || 0.19).workload, Workload::Training);
        assert_eq!(split.begin(0, || 0.2).workload, Workload::Browsing);
    }

    #[test]
    fn requests_keep_their_share_though_iterations_differ_in_size() {
        let split = Split::new(By::Requests, 0.2, 10, (43, 58));
        let (mut training, mut browsing) = (0_u64, 0_u64);
        let mut under_way = std::collections::VecDeque::new();
        for number in 0..2000_u64 {
            under_way.push_back(split.begin(0, || unreachable!()));
            if under_way.len() == 8 {
                let begun = under_way.pop_front().unwrap();
                let requests = if begun.workload == Workload::Training { 43 } else { 3 + number % 56 };
                match begun.workload {
                    Workload::Training => training += requests,
                    Workload::Browsing => browsing += requests,
                }
                split.end(&begun, requests);
            }
        }
        let share = training as f64 / (training + browsing) as f64;
        assert!((0.19..0.21).contains(&share), "{share}");
    }

    #[test]
    fn all_or_nothing_is_just_that() {
        for (share, wanted) in [(0.0, Workload::Browsing), (1.0, Workload::Training)] {
            let split = Split::new(By::Requests, share, 1, (43, 58));
            for _ in 0..5 {
                let begun = split.begin(0, || unreachable!());
                assert_eq!(begun.workload, wanted);
                split.end(&begun, 10);
            }
        }
    }
}
