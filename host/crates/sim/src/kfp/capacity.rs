//! How many runs the cluster of a configuration can carry.

use serde_json::{Map, Value};

use crate::cluster::template::NodeKind;
use crate::config::SimConfig;
use crate::kfp::spec::{Spec, SpecError};

impl SimConfig {
    /// How many runs of a pipeline per second the cluster can carry for long: its slots, divided by the time for which
    /// the pods of one run hold a slot together (scheduling, image, start and work of each pod).
    ///
    /// Exact for a cluster that always has pods waiting, whose images have been pulled, and whose tasks neither fail nor
    /// come from the cache; jitter, slow tasks and cold pulls count with their means. Arrivals beyond it make the queue
    /// grow without end.
    ///
    /// # Errors
    /// The server would refuse the pipeline (YAML or JSON) or its parameters.
    pub fn capacity(&self, pipeline: &[u8], parameters: &Map<String, Value>) -> Result<f64, SpecError> {
        let spec = Spec::from_file(pipeline)?;
        spec.check_parameters(parameters)?;
        let template = spec.template(parameters)?;
        let image = self.image_pull_warm.as_secs_f64() * (1.0 - self.cold_pulls)
            + self.image_pull.as_secs_f64() * self.cold_pulls;
        let overhead = self.schedule.as_secs_f64() + image + self.pod_start.as_secs_f64();
        let slow = 1.0 + self.slow_rate * (self.slow_factor - 1.0);
        let held = template.nodes.iter().map(|node| match node.kind {
            NodeKind::Dag => 0.0,
            NodeKind::Driver => overhead + self.driver.as_secs_f64(),
            NodeKind::Executor { seconds, .. } => overhead + seconds * slow,
        });
        Ok(self.slots.max(1) as f64 * self.speed / held.sum::<f64>())
    }
}
