//! How much there is of what in an experiment.

use serde::Deserialize;

/// The size of an experiment, as a suite writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Shape {
    pub prompts: u32,
    /// Versions of each prompt.
    pub prompt_versions: u32,
    pub runs: u32,
    /// Metrics of each run.
    pub metrics: u32,
    /// Parameters of each run.
    pub parameters: u32,
    /// Artifacts of each run.
    pub artifacts: u32,
    /// Bytes of each artifact.
    pub artifact_bytes: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            prompts: 3,
            prompt_versions: 1,
            runs: 3,
            metrics: 3,
            parameters: 5,
            artifacts: 2,
            artifact_bytes: 10_000,
        }
    }
}

impl Shape {
    /// How many requests it takes to make an experiment of this size when all of them go well.
    pub fn requests(&self, log_batch: bool) -> u64 {
        let logged = if log_batch { u64::from(self.metrics + self.parameters > 0) } else { self.logged() };
        let run = 2 + logged + u64::from(self.artifacts);
        1 + u64::from(self.prompts) * (1 + u64::from(self.prompt_versions)) + u64::from(self.runs) * run
    }

    fn logged(&self) -> u64 {
        u64::from(self.metrics) + u64::from(self.parameters)
    }

    /// A text that differs where sizes differ.
    pub fn word(&self) -> String {
        let Self { prompts, prompt_versions, runs, metrics, parameters, artifacts, artifact_bytes } = self;
        format!("p{prompts}v{prompt_versions}r{runs}m{metrics}q{parameters}a{artifacts}b{artifact_bytes}")
    }
}

/// The name of a run's artifact.
pub fn artifact_name(number: u32) -> String {
    match number {
        0 => "prompt.json".into(),
        1 => "model.json".into(),
        other => format!("artifact-{}.json", other + 1),
    }
}

/// The content of an artifact of so many bytes: JSON if there is room for it.
pub fn artifact_content(bytes: u64) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"weights\":\"";
    const TAIL: &[u8] = b"\"}";
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let Some(filling) = bytes.checked_sub(HEAD.len() + TAIL.len()) else { return vec![b' '; bytes] };
    let mut content = Vec::with_capacity(bytes);
    content.extend_from_slice(HEAD);
    content.extend(b"0123456789abcdef".iter().cycle().take(filling));
    content.extend_from_slice(TAIL);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_as_they_are_sent() {
        let shape = Shape::default();
        assert_eq!((shape.requests(false), shape.requests(true)), (43, 22));
        let bare = Shape { prompts: 0, runs: 1, metrics: 0, parameters: 0, artifacts: 0, ..Shape::default() };
        assert_eq!((bare.requests(false), bare.requests(true)), (3, 3));
    }

    #[test]
    fn artifacts_have_the_size_asked_for() {
        for bytes in [0, 1, 13, 14, 15, 10_000] {
            assert_eq!(artifact_content(bytes).len() as u64, bytes);
        }
        assert!(serde_json::from_slice::<serde_json::Value>(&artifact_content(10_000)).is_ok());
        assert_eq!([0, 1, 2].map(artifact_name), ["prompt.json", "model.json", "artifact-3.json"]);
    }
}
