//! What a scenario needs on the server before it starts: workspaces, and what should be in them.

use kperf_plugin_sdk::{Failure, Scenario};
use serde::{Deserialize, Serialize};

use crate::{
    created,
    fixture::{self, Fixture},
    params::Params,
    prefill::Prefill,
    tenant::{Tenant, Workspaces},
};

/// What `setup` hands to the instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// For each tenant whether this run has created its workspace.
    pub created: Vec<bool>,
    /// For each tenant, if the mode needs any.
    #[serde(default)]
    pub fixtures: Vec<Fixture>,
}

impl Prepared {
    /// Creates the workspaces that are missing, and fills them.
    pub async fn new(scenario: &Scenario) -> Result<Self, Failure> {
        Self::prepare(scenario, false).await
    }

    /// As `new`, and makes each tenant's fixture.
    pub async fn with_fixtures(scenario: &Scenario) -> Result<Self, Failure> {
        Self::prepare(scenario, true).await
    }

    async fn prepare(scenario: &Scenario, has_fixtures: bool) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let mut tenants = params.tenants.tenants(&scenario.run)?;
        let at_once = params.at_once();
        let created = match params.tenants.workspaces {
            Workspaces::Assume => vec![false; tenants.count()],
            Workspaces::Create => tenants.each(at_once, |tenant| created::workspace(tenant, &scenario.run)).await?,
        };
        tenants.iter_mut().zip(&created).for_each(|(tenant, created)| tenant.set_created(*created));
        let marker = scenario.marker("kperf");
        if params.prefill > 0 {
            let prefill = Prefill {
                experiments: params.prefill,
                shape: &params.shape,
                log_batch: true,
                at_once,
                marker: &marker,
                logs_progress: true,
            };
            prefill.fill(&tenants.iter().collect::<Vec<&Tenant>>()).await?;
        }
        let fixtures = if has_fixtures {
            let has_artifact = params.shape.artifacts > 0;
            tenants.each(at_once, |tenant| fixture::make(tenant, &marker, has_artifact)).await?
        } else {
            Vec::new()
        };
        Ok(Self { created, fixtures })
    }
}
