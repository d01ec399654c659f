//! The parameters of a scenario, collector or reporter as a type of the plugin's own.

use serde::de::DeserializeOwned;

use crate::{Collection, Failure, Reporting, Scenario};

/// Reads parameters; the failure has the kind `params`. The host has already checked them against the mode's schema, so a
/// failure here means that the schema promises what the type does not keep.
pub fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| Failure::new("params", format!("parameters don't fit: {error}")))
}

impl Scenario {
    /// Reads the scenario's parameters into a type of the plugin's own.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }

    /// A beginning for the names of everything that this scenario creates, after a prefix of at most 32 characters: no other
    /// scenario and no other run has the same. Letters, digits and `-`.
    pub fn marker(&self, prefix: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.name.chars().map(plain).take(40).collect();
        // Names that differ only in what was replaced or cut off stay apart (FNV-1a, 32 bits).
        let sum =
            self.name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("{prefix}-{}-{name}-{sum:08x}", self.run)
    }
}

impl Collection {
    /// Reads the collector's parameters into a type of the plugin's own.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }
}

impl Reporting {
    /// Reads the reporter's parameters into a type of the plugin's own.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        let scenario = Scenario {
            name: name.into(),
            mode: String::new(),
            parameters: "{}".into(),
            target: String::new(),
            run: "r1".into(),
            users: 1,
        };
        scenario.marker("kperf")
    }

    #[test]
    fn markers_are_plain_and_differ() {
        let markers = [named("runs [n=1]"), named("runs [n-1]"), named("runs"), named(&"x".repeat(200))];
        for (index, marker) in markers.iter().enumerate() {
            assert!(marker.len() <= 100 && marker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{marker}");
            assert!(!markers[..index].contains(marker), "{marker}");
        }
    }
}
