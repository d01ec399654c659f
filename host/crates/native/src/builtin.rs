//! The native collectors that are part of kperf.

use std::sync::Arc;

use crate::{Description, Kind, nvml, system};

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ["nvml-collector", "system-collector"].into_iter()
}

/// The one of this name.
pub(crate) fn get(name: &str) -> Option<(Description, Arc<dyn Kind>)> {
    let (json, kind): (_, Arc<dyn Kind>) = match name {
        "nvml-collector" => (nvml::DESCRIPTION, Arc::new(nvml::Nvml)),
        "system-collector" => (system::DESCRIPTION, Arc::new(system::System)),
        _ => return None,
    };
    Some((Description::read(json).ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_describes_itself() {
        for name in names() {
            let (description, _) = get(name).unwrap();
            assert_eq!(description.name, name);
            assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
            assert_eq!(description.modes.len(), 1);
        }
        assert!(get("no-collector").is_none());
    }
}
