//! MIXED: some train while others browse.

use kperf_plugin_sdk::{Failure, Iteration, random};

use super::Bench;
use crate::split::Split;

pub const NAME: &str = "MIXED";

pub struct Mixed {
    bench: Bench,
    split: Split,
}

impl Mixed {
    pub fn open(bench: Bench) -> Self {
        let params = &bench.params;
        let training = params.shape.requests(params.log_batch) * u64::from(params.experiments.max(1));
        let expected = (training, params.pages.requests());
        let split = Split::new(params.split, params.training_share, bench.users, expected);
        Self { bench, split }
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let roll = || (random::next() >> 11) as f64 / (1_u64 << 53) as f64;
        let begun = self.split.begin(iteration.user, roll);
        let tally = self.bench.work(iteration, begun.workload).await?;
        self.split.end(&begun, tally.requests());
        tally.end()
    }
}
