//! RANDOM_GETS: an iteration is one read, chosen at random by weights: one thing, or a page of a list in one of four
//! shapes.

mod choice;
mod pool;

use std::cell::RefCell;

use kperf_plugin_sdk::{
    Failure, Iteration, RunnerMode, Scenario, log,
    metrics::{self, Sample},
    random,
};
use serde::{Deserialize, Serialize};

use self::{
    choice::{Choices, Read, Shape},
    pool::Pool,
};
use crate::{
    api::{
        ApiError,
        resource::{self, Id, ListQuery, Resource},
    },
    params::{Common, PipelineParams},
    prefill::{self, PrefillSizes},
    prepared::{self, TenantPipeline},
    schema,
    tenant::{Tenant, Tenants},
};

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
    prefill: PrefillSizes,
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

/// Whose runs are prefilled: the pipeline that the suite names, or the smallest one.
async fn prefill_pipeline(tenant: &Tenant, marker: &str, params: &Params) -> Result<TenantPipeline, Failure> {
    let Some(pipeline) = &params.pipeline else { return Ok(prefill::prepare(tenant, marker).await?) };
    let pipeline = PipelineParams {
        pipeline: pipeline.clone(),
        parameters: params.parameters.clone(),
        resources: crate::spec::Resources::default(),
        cache: false,
    };
    let (file, _) = prepared::read_pipeline(&pipeline).await?;
    let (pipeline, version) = prepared::upload(tenant, marker, file).await?;
    let experiment = prepared::own_experiment(tenant, marker).await?;
    Ok(TenantPipeline { pipeline, version, experiment })
}

pub struct RandomGets {
    tenants: Tenants,
    choices: Choices,
    page_size: String,
    pools: RefCell<Vec<Pool>>,
}

impl RunnerMode for RandomGets {
    const NAME: &str = "RANDOM_GETS";
    const DESCRIPTION: &str = "Reads single things and pages of lists, chosen at random by weights";
    type State = State;

    fn parameters() -> String {
        schema::of(&[schema::COMMON, schema::RANDOM_GETS], &[])
    }

    async fn setup(scenario: &Scenario) -> Result<State, Failure> {
        let params: Params = scenario.params()?;
        Choices::new(&params.operations, &params.shapes)?;
        let tenants = params.common.tenants.tenants()?;
        let marker = params.common.marker(scenario);
        let share = params.prefill.share(tenants.count());
        let mut pools = Vec::new();
        for tenant in tenants.iter() {
            if !share.is_nothing() {
                let of = prefill_pipeline(tenant, &marker, &params).await?;
                prefill::fill(tenant, &marker, &of, &share).await?;
            }
            pools.push(Pool::sample(tenant, KNOWN / tenants.count()).await?);
        }
        for resource in Resource::ALL {
            let known: usize = pools.iter().map(|pool| pool.ids(resource).len()).sum();
            log::info(&format!("{}: {known} ids to choose from", resource.operations().1));
        }
        Ok(State { pools })
    }

    fn open(scenario: &Scenario, state: State) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        Ok(Self {
            tenants: params.common.tenants.tenants()?,
            choices: Choices::new(&params.operations, &params.shapes)?,
            page_size: params.page_size.to_string(),
            pools: RefCell::new(state.pools),
        })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let place = self.tenants.place_of_user(iteration.user);
        let tenant = self.tenants.get(place);
        match self.choices.choose(random::below) {
            Read::One(resource) => self.get(place, tenant, resource).await?,
            Read::List(resource, shape) => self.list(place, tenant, resource, shape).await?,
        }
        Ok(())
    }
}

impl RandomGets {
    async fn get(&self, index: usize, tenant: &Tenant, resource: Resource) -> Result<(), ApiError> {
        let id = self.pool(index, |pool| pool.pick(resource));
        let Some(id) = id else {
            // Nothing of that kind is there: its list is, and it may bring something.
            return self.list(index, tenant, resource, Shape::First).await;
        };
        let result = resource::get(resource::get_request(tenant, resource, &id).expect(200).expect(404)).await;
        match result {
            // Somebody has deleted it meanwhile: not the server's fault.
            Err(error) if error.is_not_found() => {
                self.pool(index, |pool| pool.forget(resource, &id));
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    async fn list(&self, index: usize, tenant: &Tenant, resource: Resource, shape: Shape) -> Result<(), ApiError> {
        let owner = if resource == Resource::Versions {
            match self.pool(index, |pool| pool.pick(Resource::Pipelines)) {
                Some(id) => id.id,
                None => return self.first_pipelines(index, tenant).await,
            }
        } else {
            String::new()
        };
        let (sort, filter) = match shape {
            Shape::First | Shape::Deep => (String::new(), String::new()),
            Shape::Sorted => (choice::sort(resource, random::below), String::new()),
            Shape::Filtered => (String::new(), choice::filter(resource, random::below)),
        };
        let (token, depth) = if shape == Shape::Deep {
            self.pool(index, |pool| pool.cursor(resource, &owner))
        } else {
            (String::new(), 0)
        };
        let query = ListQuery { page_size: &self.page_size, token: &token, sort: &sort, filter: &filter };
        let mut request = resource::list_request(tenant, resource, &owner, &query);
        request.tags.push(("shape".into(), shape.name().into()));
        let page = match resource::list(request, resource).await {
            Ok(page) => page,
            Err(error) => {
                // A token of rows that have changed must not come again for ever.
                self.pool(index, |pool| pool.rewind(resource));
                return Err(error);
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
            pool.learn(resource, page.ids, random::below);
        });
        Ok(())
    }

    async fn first_pipelines(&self, index: usize, tenant: &Tenant) -> Result<(), ApiError> {
        let query = ListQuery { page_size: &self.page_size, ..ListQuery::default() };
        let mut request = resource::list_request(tenant, Resource::Pipelines, "", &query);
        request.tags.push(("shape".into(), Shape::First.name().into()));
        let page = resource::list(request, Resource::Pipelines).await?;
        self.pool(index, |pool| pool.learn(Resource::Pipelines, page.ids, random::below));
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
                    let query = ListQuery { page_size: PAGE, token: &token, sort, ..ListQuery::default() };
                    let page = resource::list(resource::list_request(tenant, resource, "", &query), resource);
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
            let query = ListQuery { page_size: PAGE, ..ListQuery::default() };
            let request = resource::list_request(tenant, Resource::Versions, &pipeline.id, &query);
            pool.add(Resource::Versions, resource::list(request, Resource::Versions).await?.ids);
        }
        Ok(pool)
    }
}
