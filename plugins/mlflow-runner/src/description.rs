//! What the plugin says of itself: its modes with their parameters, its metrics, its tables.

use kperf_plugin_sdk::{Description, MetricKind, Unit};

use crate::{
    api,
    modes::{self, Mode, isolation},
};

/// Modes with their parameters, metrics and tables.
pub fn description() -> Description {
    let description =
        Description::new("mlflow-runner", env!("CARGO_PKG_VERSION"), "Makes load on a multi-tenant MLflow");
    Mode::describe(description)
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
