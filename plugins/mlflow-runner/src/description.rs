//! What the plugin says of itself: its modes with their parameters, its metrics, its tables.

use kperf_plugin_sdk::{Description, MetricKind, Unit};

use crate::{
    api,
    modes::{self, isolation, mixed, operations, prefill},
    schema,
};

/// The description.
pub fn description() -> Description {
    use schema::{BROWSING, FILLED, ISOLATION, MIXED, OPERATIONS, PREFILL, SHAPE, TENANTS, TRAINING};
    Description::new("mlflow-runner", env!("CARGO_PKG_VERSION"), "Makes load on a multi-tenant MLflow")
        .mode(
            modes::TRAINING,
            "Writes experiments with prompts, runs, metrics, parameters and artifacts",
            &schema::of(&[TENANTS, FILLED, SHAPE, TRAINING], &[]),
        )
        .mode(
            modes::BROWSING,
            "Reads lists, then experiments, runs and artifacts out of them",
            &schema::of(&[TENANTS, FILLED, SHAPE, BROWSING], &[]),
        )
        .mode(
            mixed::NAME,
            "Some train while others browse",
            &schema::of(&[TENANTS, FILLED, SHAPE, TRAINING, BROWSING, MIXED], &[]),
        )
        .mode(
            prefill::NAME,
            "Fills tenants with experiments; what is there already counts",
            &schema::of(&[TENANTS, SHAPE, PREFILL], &[]),
        )
        .mode(
            isolation::NAME,
            "Tries in every way to see, as one tenant, what another one has",
            &schema::of(&[TENANTS, FILLED, SHAPE, ISOLATION], &[]),
        )
        .mode(
            operations::NAME,
            "Single operations, chosen by weights",
            &schema::of(&[TENANTS, FILLED, SHAPE, BROWSING, OPERATIONS], &["operations"]),
        )
        .metric(
            api::ERRORS,
            MetricKind::Counter,
            Unit::None,
            "Requests that failed; tags `error` (overload, not-found, ...), `call`, the operation",
        )
        .metric(
            api::TENANT_DURATION,
            MetricKind::Distribution,
            Unit::Seconds,
            "Service times of a tenant's requests that went well; tag `tenant`",
        )
        .metric(api::TENANT_FAILED, MetricKind::Rate, Unit::None, "Whether a tenant's requests failed; tag `tenant`")
        .metric(
            modes::DURATION,
            MetricKind::Distribution,
            Unit::Seconds,
            "How long iterations take; tag `workload` (training, browsing)",
        )
        .metric(
            isolation::LEAK,
            MetricKind::Rate,
            Unit::None,
            "Whether a probe saw what is another tenant's; tag `probe`",
        )
        .table(isolation::table())
}
