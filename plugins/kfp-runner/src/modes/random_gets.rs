//! RANDOM_GETS: an iteration is one read, chosen at random by weights: one thing, or a page of a list in one of four
//! shapes.

mod choice;
mod pool;

use std::cell::RefCell;

use kperf_plugin_sdk::{
    Failure, Iteration, Scenario, log,
    metrics::{self, Sample},
};
use serde::{Deserialize, Serialize};

use self::{
    choice::{Choices, Read, Shape},
    pool::Pool,
};
use crate::{
    api::{
        Trouble,
        resource::{self, Asked, Id, Resource},
    },
    params::{Common, PipelineParams},
    prefill::{self, Wanted},
    stage::{self, Place},
    tenant::{Tenant, Tenants},
};

pub const NAME: &str = "RANDOM_GETS";

/// How many ids of a kind an instance knows at the most, over all tenants.
const KNOWN: usize = 2000;

/// The largest page that a server sends.
const PAGE: &str = "200";

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    common: Common,
    #[serde(default)]
    operations: choice::Weights,
    #[serde(default)]
    shapes: choice::Weights,
    #[serde(default = "twenty")]
    page_size: u32,
    #[serde(default)]
    prefill: Wanted,
    pipeline: Option<String>,
    #[serde(default)]
    parameters: serde_json::Map<String, serde_json::Value>,
}

fn twenty() -> u32 {
    20
}

/// What there is to read, by tenant.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    pools: Vec<Pool>,
}

pub async fn setup(scenario: &Scenario) -> Result<State, Failure> {
    let params: Params = scenario.params()?;
    Choices::new(&params.operations, &params.shapes)?;
    let tenants = Tenants::of(&params.common.tenants)?;
    let marker = params.common.marker(scenario);
    let share = params.prefill.share(tenants.all().len());
    let mut pools = Vec::new();
    for tenant in tenants.all() {
        if !share.is_nothing() {
            let place = prefill_place(tenant, &marker, &params).await?;
            prefill::fill(tenant, &marker, &place, &share).await?;
        }
        pools.push(Pool::sample(tenant, KNOWN / tenants.all().len().max(1)).await?);
    }
    for resource in Resource::ALL {
        let known: usize = pools.iter().map(|pool| pool.ids(resource).len()).sum();
        log::info(&format!("{}: {known} ids to choose from", resource.operations().1));
    }
    Ok(State { pools })
}

/// Whose runs are prefilled: the pipeline that the suite names, or the smallest one.
async fn prefill_place(tenant: &Tenant, marker: &str, params: &Params) -> Result<Place, Failure> {
    let Some(pipeline) = &params.pipeline else { return Ok(prefill::place(tenant, marker).await?) };
    let pipeline = PipelineParams {
        pipeline: pipeline.clone(),
        parameters: params.parameters.clone(),
        resources: crate::spec::Resources::default(),
        cache: false,
    };
    let (file, _) = stage::prepare(&pipeline).await?;
    let (pipeline, version) = stage::upload(tenant, marker, file).await?;
    let experiment =
        if tenant.namespace.is_empty() { String::new() } else { stage::create_experiment(tenant, marker).await? };
    Ok(Place { pipeline, version, experiment })
}

pub struct RandomGets {
    tenants: Tenants,
    choices: Choices,
    page_size: String,
    pools: RefCell<Vec<Pool>>,
}

impl RandomGets {
    pub fn open(scenario: &Scenario, state: State) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        Ok(Self {
            tenants: Tenants::of(&params.common.tenants)?,
            choices: Choices::new(&params.operations, &params.shapes)?,
            page_size: params.page_size.to_string(),
            pools: RefCell::new(state.pools),
        })
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let index = self.tenants.index(iteration.user);
        let tenant = self.tenants.get(index);
        let read = self.choices.draw(kperf_plugin_sdk::random::below);
        match read {
            Read::One(resource) => self.get(index, &tenant, resource).await?,
            Read::List(resource, shape) => self.list(index, &tenant, resource, shape).await?,
        }
        Ok(())
    }

    async fn get(&self, index: usize, tenant: &Tenant, resource: Resource) -> Result<(), Trouble> {
        let id = self.pool(index, |pool| pool.draw(resource));
        let Some(id) = id else {
            // Nothing of that kind is there: its list is, and it may bring something.
            return self.list(index, tenant, resource, Shape::First).await;
        };
        let result = resource::get(resource::get_request(tenant, resource, &id).expect(200).expect(404)).await;
        match result {
            // Somebody has deleted it meanwhile: not the server's fault.
            Err(trouble) if trouble.is_not_found() => {
                self.pool(index, |pool| pool.forget(resource, &id));
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    async fn list(&self, index: usize, tenant: &Tenant, resource: Resource, shape: Shape) -> Result<(), Trouble> {
        let owner = if resource == Resource::Versions {
            match self.pool(index, |pool| pool.draw(Resource::Pipelines)) {
                Some(id) => id.id,
                None => return self.first_pipelines(index, tenant).await,
            }
        } else {
            String::new()
        };
        let (sort, filter) = match shape {
            Shape::First | Shape::Deep => (String::new(), String::new()),
            Shape::Sorted => (choice::sort(resource, kperf_plugin_sdk::random::below), String::new()),
            Shape::Filtered => (String::new(), choice::filter(resource, kperf_plugin_sdk::random::below)),
        };
        let (token, depth) = if shape == Shape::Deep {
            self.pool(index, |pool| pool.cursor(resource, &owner))
        } else {
            (String::new(), 0)
        };
        let asked = Asked { page_size: &self.page_size, token: &token, sort: &sort, filter: &filter };
        let mut request = resource::list_request(tenant, resource, &owner, &asked);
        request.tags.push(("shape".into(), shape.name().into()));
        let page = match resource::list(request, resource).await {
            Ok(page) => page,
            Err(trouble) => {
                // A token of rows that have changed must not come again for ever.
                self.pool(index, |pool| pool.rewind(resource));
                return Err(trouble);
            }
        };
        let operation = resource.operations().1;
        let mut samples = vec![Sample::new("kfp_list_rows", page.ids.len() as f64).tag("call", operation)];
        if shape == Shape::Deep {
            samples.push(Sample::new("kfp_list_depth", f64::from(depth + 1)).tag("call", operation));
        }
        metrics::emit(&samples);
        self.pool(index, |pool| {
            if shape == Shape::Deep {
                pool.advance(resource, &owner, page.next, depth + 1);
            }
            pool.learn(resource, page.ids, kperf_plugin_sdk::random::below);
        });
        Ok(())
    }

    async fn first_pipelines(&self, index: usize, tenant: &Tenant) -> Result<(), Trouble> {
        let asked = Asked { page_size: &self.page_size, ..Asked::default() };
        let mut request = resource::list_request(tenant, Resource::Pipelines, "", &asked);
        request.tags.push(("shape".into(), Shape::First.name().into()));
        let page = resource::list(request, Resource::Pipelines).await?;
        self.pool(index, |pool| pool.learn(Resource::Pipelines, page.ids, kperf_plugin_sdk::random::below));
        Ok(())
    }

    fn pool<T: Default>(&self, index: usize, with: impl FnOnce(&mut Pool) -> T) -> T {
        self.pools.borrow_mut().get_mut(index).map(with).unwrap_or_default()
    }
}

impl Pool {
    /// Looks at both ends of every list: at most `most` ids of a kind.
    async fn sample(tenant: &Tenant, most: usize) -> Result<Self, Failure> {
        let mut pool = Self::new(most.max(10));
        for resource in [Resource::Pipelines, Resource::Experiments, Resource::Runs, Resource::RecurringRuns] {
            for sort in ["created_at desc", "created_at asc"] {
                let mut token = String::new();
                let mut left = most.max(10) / 2;
                while left > 0 {
                    let sort = if token.is_empty() { sort } else { "" };
                    let asked = Asked { page_size: PAGE, token: &token, sort, ..Asked::default() };
                    let page = resource::list(resource::list_request(tenant, resource, "", &asked), resource);
                    let page = page.await?;
                    left = left.saturating_sub(page.ids.len());
                    pool.add(resource, page.ids);
                    token = page.next;
                    if token.is_empty() {
                        break;
                    }
                }
            }
        }
        let pipelines: Vec<Id> = pool.ids(Resource::Pipelines).iter().take(10).cloned().collect();
        for pipeline in pipelines {
            let asked = Asked { page_size: PAGE, ..Asked::default() };
            let request = resource::list_request(tenant, Resource::Versions, &pipeline.id, &asked);
            pool.add(Resource::Versions, resource::list(request, Resource::Versions).await?.ids);
        }
        Ok(pool)
    }
}
