//! Random numbers that a second run with the same seed repeats.

pub use crate::bindings::kperf::plugin::random::{bytes, next};

/// A number from 0 up to, not including, `bound`; 0 if `bound` is 0.
pub fn below(bound: u64) -> u64 {
    scale(next(), bound)
}

/// Maps 64 random bits to a range by multiplication: no division, and no bias worth mentioning for small ranges.
fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn covers_the_range_and_nothing_else() {
        assert_eq!(scale(0, 10), 0);
        assert_eq!(scale(u64::MAX, 10), 9);
        assert_eq!(scale(u64::MAX / 2, 10), 4);
        assert_eq!(scale(u64::MAX, 0), 0);
        assert_eq!(scale(u64::MAX, u64::MAX), u64::MAX - 1);
    }
}
