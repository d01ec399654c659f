//! Streams of random numbers that a second run with the same seed repeats.

use std::convert::Infallible;
use std::hash::Hasher as _;

use rand::TryRng;
use rustc_hash::FxHasher;

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): eight bytes of state and
/// no set-up, so that every iteration can have its own stream. Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    /// A stream from a number; equal numbers give equal streams.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number for a name and the suite's seed, from which an iteration's stream is made.
    pub(crate) fn root(seed: u64, name: &str) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u64(seed);
        hasher.write(name.as_bytes());
        Self(hasher.finish()).next()
    }

    /// A user's stream in one iteration. It depends on nothing else, so that neither a lost instance nor the order in
    /// which iterations end changes what a user does.
    pub(crate) fn of_iteration(root: u64, user: u32, number: u64) -> Self {
        let user = Self(root ^ u64::from(user).wrapping_mul(0xA076_1D64_78BD_642F)).next();
        Self(user ^ number.wrapping_mul(0xE703_7ED1_A0B4_28DB))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            piece.iter_mut().zip(next).for_each(|(to, from)| *to = from);
        }
    }
}

/// For WASI's own random interfaces.
impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut stream = Stream::new(1_234_567);
        assert_eq!(stream.next(), 6_457_827_717_110_365_317);
        assert_eq!(stream.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_stream_belongs_to_seed_name_user_and_iteration() {
        let first = |seed, name, user, number| Stream::of_iteration(Stream::root(seed, name), user, number).next();
        let here = first(1, "a", 2, 3);
        assert_eq!(here, first(1, "a", 2, 3));
        for other in [first(2, "a", 2, 3), first(1, "b", 2, 3), first(1, "a", 3, 3), first(1, "a", 2, 4)] {
            assert_ne!(here, other);
        }
    }

    #[test]
    fn bytes_need_no_multiple_of_eight() {
        assert_eq!(Stream::new(1).bytes(11).len(), 11);
        assert_eq!(Stream::new(1).bytes(11)[..8], Stream::new(1).next().to_le_bytes());
    }
}
