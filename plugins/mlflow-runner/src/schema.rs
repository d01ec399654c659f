//! The JSON Schemas of the modes' parameters, put together from the parts that modes share.

pub use kperf_plugin_sdk::schema::of;

/// Whom requests are made for.
pub const TENANTS: &str = include_str!("schema/tenants.json");
/// What is done before load starts.
pub const FILLED: &str = include_str!("schema/filled.json");
/// How much there is in an experiment.
pub const SHAPE: &str = include_str!("schema/shape.json");
pub const TRAINING: &str = include_str!("schema/training.json");
pub const BROWSING: &str = include_str!("schema/browsing.json");
pub const MIXED: &str = include_str!("schema/mixed.json");
pub const PREFILL: &str = include_str!("schema/prefill.json");
pub const ISOLATION: &str = include_str!("schema/isolation.json");
pub const OPERATIONS: &str = include_str!("schema/operations.json");

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::{RunnerMode as _, schema::defaults};
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        browsing::Pages,
        description::description,
        modes::{isolation::Isolation, mixed::Mixed, prefill::Prefill, training::Training},
        params::Params,
        shape::Shape,
        split::By,
        tenant::{Choice, TenantParams, Workspaces},
    };

    /// The parameters of a mode as the host hands them over if the suite sets none but those that are required.
    fn filled_in(mode: &str) -> Params {
        let description = description();
        let mode = description.modes.iter().find(|it| it.name == mode).unwrap();
        serde_json::from_value(defaults(&mode.parameters).into()).unwrap()
    }

    #[test]
    fn every_part_is_read() {
        for part in [TENANTS, FILLED, SHAPE, TRAINING, BROWSING, MIXED, PREFILL, ISOLATION, OPERATIONS] {
            let read: Map<String, Value> = serde_json::from_str(part).unwrap();
            assert!(!read.is_empty());
            for (key, property) in read {
                assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{key}");
            }
        }
    }

    #[test]
    fn defaults_are_the_original_suites() {
        let mixed = filled_in(Mixed::NAME);
        assert_eq!((mixed.shape, mixed.pages), (Shape::default(), Pages::default()));
        assert_eq!((mixed.split, mixed.training_share, mixed.experiments), (By::Users, 0.2, 1));
        assert!(!mixed.log_batch);
        let TenantParams { tenants, tenant_name, workspaces, tenant_choice, zipf_exponent, tag_tenants } =
            mixed.tenants;
        assert_eq!((tenants, tenant_name.as_str(), workspaces), (1, "tenant-{n}", Workspaces::Create));
        assert_eq!((tenant_choice, zipf_exponent, tag_tenants), (Choice::Uniform, 1.0, 500));
        assert_eq!((mixed.prefill, mixed.prefill_at_once), (0, 8));
        let prefill = filled_in(Prefill::NAME);
        assert_eq!((prefill.experiments, prefill.log_batch, prefill.shape), (10, true, Shape::default()));
        assert!(filled_in(Isolation::NAME).write_probes);
        assert_eq!(filled_in(Training::NAME).experiments, 1);
    }
}
