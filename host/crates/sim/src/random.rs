//! Repeatable random values: a value depends on the seed and on its purpose, never on the order of asking.

/// A stream of random values for one purpose, forked from the seed by parts and names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RandomStream(u64);

impl RandomStream {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// A narrower stream; the same parts always lead to the same stream.
    pub(crate) fn fork(self, part: u64) -> Self {
        Self(mix(self.0 ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// A narrower stream named by a text.
    pub(crate) fn fork_named(self, name: &str) -> Self {
        name.bytes().fold(self, |stream, byte| stream.fork(u64::from(byte)))
    }

    /// The stream's number.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(self) -> f64 {
        // 53 bits are what a double's mantissa can hold.
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(self) -> uuid::Uuid {
        let bits = (u128::from(self.0) << 64) | u128::from(self.fork(1).0);
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_repeat_and_spread() {
        assert_eq!(RandomStream::new(1).fork(2).bits(), RandomStream::new(1).fork(2).bits());
        assert_ne!(RandomStream::new(1).fork(2).bits(), RandomStream::new(2).fork(2).bits());
        let mean = (0..1000).map(|i| RandomStream::new(7).fork(i).unit()).sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert_eq!(RandomStream::new(3).uuid().get_version_num(), 4);
    }
}
