//! Filling tenants with experiments before anything is measured. What is there already counts, so that a prefill that was broken
//! off goes on where it was, and one that is complete costs a request per tenant.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use kperf_plugin_sdk::{Failure, clock, log, random};

use crate::{
    api::{ApiError, experiments},
    shape::Shape,
    tally::Tally,
    tenant::Tenant,
    training::Job,
};

/// The tag of an experiment that is complete; its value is the size.
const TAG: &str = "kperf_prefill";

/// How often an experiment is tried.
const TRIES: u32 = 4;

/// The shortest time between two lines on how far it has come.
const BETWEEN: Duration = Duration::from_secs(5);

/// What every tenant should have.
pub struct Prefill<'a> {
    /// Experiments of each tenant.
    pub experiments: u32,
    pub shape: &'a Shape,
    pub log_batch: bool,
    /// How many experiments are written at once.
    pub at_once: usize,
    /// What names begin with.
    pub marker: &'a str,
    /// Whether it logs how far it has come.
    pub logs_progress: bool,
}

impl Prefill<'_> {
    /// Creates what is missing for these tenants, and says how far it has come.
    pub async fn fill(&self, tenants: &[&Tenant]) -> Result<(), Failure> {
        let missing = stream::iter(tenants).map(|tenant| self.missing(tenant));
        let missing: Vec<u32> = missing.buffered(self.at_once).try_collect().await?;
        let all: u32 = missing.iter().sum();
        let ready = missing.iter().filter(|missing| **missing == 0).count();
        if all == 0 {
            self.log(|| format!("{ready} tenants have their {} experiments already", self.experiments));
            return Ok(());
        }
        let lacking = tenants.len() - ready;
        self.log(|| format!("{all} experiments are missing for {lacking} tenants, {ready} are complete"));
        let units = interleaved(&missing).filter_map(|place| tenants.get(place));
        let mut written = stream::iter(units).map(|tenant| self.experiment(tenant)).buffer_unordered(self.at_once);
        let (begun, mut logged, mut done) = (clock::now(), clock::now(), 0_u32);
        while let Some(result) = written.next().await {
            if clock::stopping() && done < all {
                self.log(|| format!("stopped after {done} of {all} experiments: the next run goes on from there"));
                return Err(Failure::new("interrupted", "the run is being stopped"));
            }
            if let Err(error) = result {
                return Err(
                    Failure::from(error).at(format_args!("the prefill stops after {done} of {all} experiments"))
                );
            }
            done += 1;
            let now = clock::now();
            if done == all || now - logged >= BETWEEN {
                logged = now;
                self.log(|| progress(done, all, now - begun));
            }
        }
        Ok(())
    }

    fn log(&self, text: impl FnOnce() -> String) {
        if self.logs_progress {
            log::info(&format!("prefill: {}", text()));
        }
    }

    /// How many experiments of the right size a tenant lacks.
    async fn missing(&self, tenant: &Tenant) -> Result<u32, Failure> {
        if self.experiments == 0 {
            return Ok(0);
        }
        let filter = format!("tags.{TAG} = '{}'", self.shape.word());
        let found = experiments::search(tenant, self.experiments, &filter).await?;
        Ok(self.experiments.saturating_sub(found.len() as u32))
    }

    /// Writes an experiment, and tags it once it is complete. One that is not is left as it is, and another one made.
    async fn experiment(&self, tenant: &Tenant) -> Result<(), ApiError> {
        let job = Job { tenant, shape: self.shape, log_batch: self.log_batch };
        let mut tries = 1;
        loop {
            let mut tally = Tally::default();
            let name = format!("{}-prefill-{:016x}", self.marker, random::next());
            let id = job.experiment(&name, &mut tally).await;
            let error = match (id, tally.first().cloned()) {
                (_, Some(error)) => error,
                (None, None) => ApiError::bad_answer("create_experiment: no answer"),
                (Some(id), None) => match experiments::tag(tenant, &id, TAG, &self.shape.word()).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
            };
            if tries == TRIES || !error.is_passing() || !clock::sleep(Duration::from_secs(1 << tries)).await {
                return Err(error);
            }
            tries += 1;
        }
    }
}

/// The places of those that lack something, as often as they do, so that all of them grow evenly.
fn interleaved(missing: &[u32]) -> impl Iterator<Item = usize> {
    let rounds = missing.iter().copied().max().unwrap_or(0);
    (0..rounds).flat_map(move |round| {
        missing.iter().enumerate().filter(move |(_, missing)| **missing > round).map(|(place, _)| place)
    })
}

fn progress(done: u32, all: u32, took: Duration) -> String {
    if done == all {
        return format!("{all} experiments in {} s", took.as_secs());
    }
    let left = took.as_secs_f64() / f64::from(done.max(1)) * f64::from(all - done);
    format!("{done} of {all} experiments, about {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_grow_evenly() {
        assert_eq!(interleaved(&[2, 0, 3]).collect::<Vec<_>>(), [0, 2, 0, 2, 2]);
        assert_eq!(interleaved(&[]).count(), 0);
    }

    #[test]
    fn progress_tells_what_is_left() {
        let took = Duration::from_secs(30);
        assert_eq!(progress(10, 40, took), "10 of 40 experiments, about 90 s left");
        assert_eq!(progress(40, 40, took), "40 experiments in 30 s");
    }
}
