//! Samples and checks of the plugin's own. HTTP requests need none of this: the host measures them.

pub use crate::bindings::kperf::plugin::metrics::{Sample, check, emit};

impl Sample {
    /// A value of a declared metric, in the metric's unit.
    pub fn new(metric: &str, value: f64) -> Self {
        Self { metric: metric.into(), value, tags: Vec::new(), at: None }
    }

    /// A tag beyond the scenario's own. Values come from a small set: never an id.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// The instant of the value, in nanoseconds since the Unix epoch, if it isn't now.
    #[must_use]
    pub fn at(mut self, nanoseconds: u64) -> Self {
        self.at = Some(nanoseconds);
        self
    }

    /// Records it. Several samples are cheaper in one [`emit`].
    pub fn emit(self) {
        emit(std::slice::from_ref(&self));
    }
}
