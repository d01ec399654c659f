//! Which part of a schedule one worker drives.

/// Worker `index` of `count`. Whatever is numbered (users, arrivals) belongs to the worker `number % count`. For several
/// machines, `count` is machines times workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    index: u32,
    count: u32,
}

/// Why a slice cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// The index names none of the slices.
    #[error("slice {index} of {count} does not exist: count from 0 to one less than the number of slices")]
    OutOfRange {
        /// The index asked for.
        index: u32,
        /// The number of slices.
        count: u32,
    },
}

impl Slice {
    /// The only slice: all of the schedule.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Slice `index` (from 0) of `count`.
    ///
    /// # Errors
    /// [`SliceError::OutOfRange`] when `index` is not below `count`.
    pub const fn new(index: u32, count: u32) -> Result<Self, SliceError> {
        if index < count { Ok(Self { index, count }) } else { Err(SliceError::OutOfRange { index, count }) }
    }

    /// How many of the numbers below `total` are this slice's. Over all slices the shares add up to `total`.
    #[must_use]
    pub fn share(self, total: u64) -> u64 {
        let (index, count) = (u64::from(self.index), u64::from(self.count));
        total / count + u64::from(index < total % count)
    }

    /// As [`Self::share`], of a number of users.
    #[must_use]
    pub fn share_of_users(self, total: u32) -> u32 {
        total / self.count + u32::from(self.index < total % self.count)
    }

    /// The number in the whole of this slice's `local`-th item.
    #[must_use]
    pub fn number(self, local: u64) -> u64 {
        local.saturating_mul(u64::from(self.count)).saturating_add(u64::from(self.index))
    }

    /// As [`Self::number`], of a user.
    #[must_use]
    pub fn user(self, local: u32) -> u32 {
        local.saturating_mul(self.count).saturating_add(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_numbers_cover_everything_once() {
        for count in 1..=13 {
            for total in [0_u32, 1, 2, 5, 7, 12, 13, 14, 97, 101] {
                let slices: Vec<_> = (0..count).map(|index| Slice::new(index, count).unwrap()).collect();
                assert_eq!(slices.iter().map(|slice| slice.share(total.into())).sum::<u64>(), u64::from(total));
                assert_eq!(slices.iter().map(|slice| slice.share_of_users(total)).sum::<u32>(), total);
                let mut numbers: Vec<_> = slices
                    .iter()
                    .flat_map(|slice| (0..slice.share_of_users(total)).map(|local| slice.user(local)))
                    .collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..total).collect::<Vec<_>>(), "{count} slices of {total}");
            }
        }
    }

    #[test]
    fn a_slice_is_one_of_its_count() {
        assert!(Slice::new(2, 3).is_ok());
        assert_eq!(Slice::new(3, 3), Err(SliceError::OutOfRange { index: 3, count: 3 }));
        assert!(Slice::new(0, 0).is_err());
    }
}
