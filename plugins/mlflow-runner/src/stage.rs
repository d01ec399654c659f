//! What a scenario needs on the server before it starts: workspaces, and what should be in them.

use futures_util::{StreamExt, TryStreamExt, stream};
use kperf_plugin_sdk::{Failure, Scenario};
use serde::{Deserialize, Serialize};

use crate::{
    created,
    exhibit::{self, Exhibit},
    modes::Params,
    prefill::Prefill,
    tenant::{Tenant, Tenants, Workspaces},
};

/// What `setup` hands to the instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// For each tenant whether its workspace was made by this run.
    pub ours: Vec<bool>,
    /// For each tenant, if the mode needs any.
    #[serde(default)]
    pub exhibits: Vec<Exhibit>,
}

impl Stage {
    /// Sees to the workspaces, fills them, and puts up exhibits.
    pub async fn set(scenario: &Scenario, params: &Params, exhibits: bool) -> Result<Self, Failure> {
        let mut tenants = Tenants::of(&params.tenants, &scenario.run)?;
        let at_once = params.at_once();
        let ours = match params.tenants.workspaces {
            Workspaces::Assume => vec![false; tenants.all().len()],
            Workspaces::Create => {
                let made = stream::iter(tenants.all()).map(|tenant| created::workspace(tenant, &scenario.run));
                made.buffered(at_once).try_collect().await?
            }
        };
        tenants.belong(&ours);
        let marker = scenario.marker("kperf");
        if params.prefill > 0 {
            let all: Vec<&Tenant> = tenants.all().iter().collect();
            let prefill = Prefill {
                experiments: params.prefill,
                shape: &params.shape,
                log_batch: true,
                at_once,
                marker: &marker,
                tells: true,
            };
            prefill.fill(&all).await?;
        }
        let exhibits = if exhibits {
            let made = stream::iter(tenants.all()).map(|tenant| exhibit::make(tenant, &marker));
            made.buffered(at_once).try_collect().await?
        } else {
            Vec::new()
        };
        Ok(Self { ours, exhibits })
    }
}
