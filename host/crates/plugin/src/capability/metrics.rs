//! Samples and checks of the plugin's own.

use crate::bindings::metrics::{Host, Sample};
use crate::component::guest::Guest;

/// The longest name of a check in bytes; a longer one is cut.
const LONGEST_CHECK: usize = 256;

impl Host for Guest {
    fn emit(&mut self, samples: Vec<Sample>) {
        if !self.services.capable {
            return;
        }
        let granted = self.services.admit_samples(samples.len());
        for sample in samples.iter().take(granted) {
            self.services
                .record(|series, shard| series.sample(shard, &sample.metric, &sample.tags, sample.value, sample.at));
        }
    }

    fn check(&mut self, name: String, passed: bool) {
        if self.services.capable && self.services.admit_samples(1) == 1 {
            let name = name.split_at_checked(name.floor_char_boundary(LONGEST_CHECK)).map_or("", |(name, _)| name);
            self.services.record(|series, shard| series.check(shard, name, passed));
        }
    }
}
