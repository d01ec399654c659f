//! The parameters of a scenario, collector or reporter as a type of the plugin's own.

use serde::de::DeserializeOwned;

use crate::{Collection, Failure, Reporting, Scenario};

/// Reads parameters; the failure has the kind `params`. The host has already checked them against the mode's schema, so a
/// failure here means that the schema promises what the type does not keep.
pub fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| Failure::new("params", format!("parameters don't fit: {error}")))
}

impl Scenario {
    /// The scenario's parameters.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }
}

impl Collection {
    /// The collector's parameters.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }
}

impl Reporting {
    /// The reporter's parameters.
    ///
    /// # Errors
    /// A failure of the kind `params` when they don't fit the type.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_json(&self.parameters)
    }
}
