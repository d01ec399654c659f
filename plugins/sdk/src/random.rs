//! Random numbers that a second run with the same seed repeats.

pub use crate::bindings::kperf::plugin::random::{bytes, next};

/// A number from 0 up to, not including, `bound`; 0 if `bound` is 0.
pub fn below(bound: u64) -> u64 {
    scale(next(), bound)
}

/// A number from 0 up to, not including, 1.
pub fn share() -> f64 {
    share_of(next())
}

/// Maps 64 random bits to a number from 0 up to, not including, 1: a 53-bit fraction.
pub fn share_of(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Maps 64 random bits to a range by multiplication: no division, and no bias worth mentioning for small ranges.
pub fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// Things to choose from, each as likely as its weight says.
#[derive(Clone, Debug)]
pub struct Weighted<T> {
    items: Vec<T>,
    /// The sum of all weights up to and including each item's.
    sums: Vec<u64>,
}

impl<T> Weighted<T> {
    /// Things with their weights; one of weight 0 is never chosen.
    pub fn new(items: impl IntoIterator<Item = (u32, T)>) -> Self {
        let mut total = 0;
        let sum = |(weight, item): (u32, T)| {
            total += u64::from(weight);
            (total, item)
        };
        let (sums, items) = items.into_iter().map(sum).unzip();
        Self { items, sums }
    }

    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// All things, in the order in which they were given.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// One of the things, none if nothing has a weight; `below` gives a random number below its argument.
    pub fn choose(&self, below: impl FnOnce(u64) -> u64) -> Option<&T> {
        let ticket = below(self.total());
        self.items.get(self.sums.partition_point(|&sum| sum <= ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::{Weighted, scale, share_of};

    #[test]
    fn things_are_chosen_by_their_weights() {
        let letters = Weighted::new([(1, 'a'), (0, 'b'), (3, 'c')]);
        assert_eq!([0, 1, 2, 3].map(|ticket| *letters.choose(|_| ticket).unwrap()), ['a', 'c', 'c', 'c']);
        assert_eq!((letters.total(), letters.items()), (4, &['a', 'b', 'c'][..]));
        assert_eq!(Weighted::new([(0, 'a')]).choose(|bound| bound), None);
    }

    #[test]
    fn covers_the_range_and_nothing_else() {
        assert_eq!(scale(0, 10), 0);
        assert_eq!(scale(u64::MAX, 10), 9);
        assert_eq!(scale(u64::MAX / 2, 10), 4);
        assert_eq!(scale(u64::MAX, 0), 0);
        assert_eq!(scale(u64::MAX, u64::MAX), u64::MAX - 1);
    }

    #[test]
    fn a_share_is_below_one() {
        assert_eq!((share_of(0), share_of(1 << 63)), (0.0, 0.5));
        assert!(share_of(u64::MAX) < 1.0);
    }
}
