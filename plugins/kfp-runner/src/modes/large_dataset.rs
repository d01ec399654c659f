//! LARGE_DATASET: an iteration is one size of what grows: the pipeline's tasks, its nesting, its parameters, its bytes, or
//! the rows that the server keeps. What comes out is latency against size, operation by operation.

mod size;

use std::collections::BTreeMap;

use kperf_plugin_sdk::{
    ColumnType, Failure, Finding, Iteration, RunnerMode, Scenario, Table, Unit,
    metrics::{self, Sample},
    records::{self, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use self::size::{Size, Summary};
use crate::{
    api::{
        self, ApiError, pipelines,
        pipelines::File,
        resource::{self, Id, ListQuery, Resource},
    },
    created::{self, Kind},
    params::Common,
    prefill,
    prepared::{self, TenantPipeline},
    runs::{RunRequest, Runs},
    schema,
    spec::{
        Graph,
        generate::{self, Growth},
    },
    tenant::Tenant,
};

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Grow {
    Tasks,
    Nesting,
    Parameters,
    Bytes,
    Rows,
}

impl Grow {
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Nesting => "nesting",
            Self::Parameters => "parameters",
            Self::Bytes => "bytes",
            Self::Rows => "rows",
        }
    }

    /// None for rows, which are no pipeline's.
    fn growth(self) -> Option<Growth> {
        match self {
            Self::Tasks => Some(Growth::Tasks),
            Self::Nesting => Some(Growth::Nesting),
            Self::Parameters => Some(Growth::Parameters),
            Self::Bytes => Some(Growth::Bytes),
            Self::Rows => None,
        }
    }

    fn default_sizes(self) -> Vec<Size> {
        let numbers: &[u64] = match self {
            Self::Tasks | Self::Parameters => &[1, 10, 100],
            Self::Nesting => &[1, 2, 4, 8],
            Self::Bytes => &[10_000, 100_000, 1_000_000, 10_000_000, 33_554_432],
            Self::Rows => &[100, 1000, 10_000],
        };
        numbers.iter().copied().map(Size::from).collect()
    }

    /// A larger pipeline would not become a workflow that fits into the cluster's memory of it (etcd).
    fn runs_by_default(self) -> u32 {
        u32::from(!matches!(self, Self::Bytes | Self::Rows))
    }
}

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    common: Common,
    #[serde(default = "tasks")]
    grow: Grow,
    sizes: Option<Vec<Size>>,
    #[serde(default = "ten")]
    repeats: u32,
    runs: Option<u32>,
    #[serde(default = "fifty")]
    page_size: u32,
}

fn tasks() -> Grow {
    Grow::Tasks
}

fn ten() -> u32 {
    10
}

fn fifty() -> u32 {
    50
}

impl Params {
    fn sizes(&self) -> Vec<Size> {
        self.sizes.clone().unwrap_or_else(|| self.grow.default_sizes())
    }

    /// Whether the parameters make sense together. Returns what will be done.
    ///
    /// # Errors
    /// A failure of the kind `params` if they don't.
    fn check(&self) -> Result<String, Failure> {
        let sizes = self.sizes();
        let largest = crate::spec::LARGEST as u64;
        if let Some(size) = sizes.iter().find(|size| self.grow == Grow::Bytes && size.value > largest) {
            let message = format!("a file of {} is refused by every server: {largest} bytes are the most", size.text);
            return Err(Failure::params(message));
        }
        let names: Vec<&str> = sizes.iter().map(|size| size.text.as_str()).collect();
        Ok(format!("{}: {}", self.grow.name(), names.join(", ")))
    }
}

/// The table with a row for each size and operation.
pub fn table() -> Table {
    use ColumnType::{Integer, Number, Text};
    let (none, seconds) = (Unit::None, Unit::Seconds);
    Table::new("sizes", "One row for each size and operation: latency against size")
        .column("grow", Text, none, "What grows")
        .column("size", Text, none, "The size, as it stands in the suite")
        .column("value", Integer, none, "The size as a number")
        .column("operation", Text, none, "The operation")
        .column("count", Integer, none, "How many requests were measured")
        .column("failed", Integer, none, "How many of them failed")
        .column("bytes", Integer, Unit::Bytes, "The last request's or answer's body, whichever carries the data")
        .column("min", Number, seconds, "The shortest")
        .column("mean", Number, seconds, "The mean")
        .column("p50", Number, seconds, "The median")
        .column("p95", Number, seconds, "The 95th percentile")
        .column("max", Number, seconds, "The longest")
}

/// By tenant; only where rows grow.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    pipelines: Vec<TenantPipeline>,
}

pub struct LargeDataset {
    params: Params,
    sizes: Vec<Size>,
    marker: String,
    pipelines: Vec<TenantPipeline>,
    runs: Runs,
    users: u32,
}

/// The measurements of one size.
struct Measurements<'a> {
    grow: Grow,
    size: &'a Size,
    operations: BTreeMap<&'static str, Summary>,
}

impl RunnerMode for LargeDataset {
    const NAME: &str = "LARGE_DATASET";
    const DESCRIPTION: &str = "Measures operations while pipelines or stored rows grow";
    type State = State;

    fn parameters() -> String {
        schema::of(&[schema::COMMON, schema::LARGE_DATASET], &[])
    }

    fn check(scenario: &Scenario) -> Vec<Finding> {
        vec![match scenario.params::<Params>().and_then(|params| params.check()) {
            Ok(sizes) => Finding::pass("sizes", sizes),
            Err(failure) => Finding::fail("sizes", failure.message),
        }]
    }

    async fn setup(scenario: &Scenario) -> Result<State, Failure> {
        let params: Params = scenario.params()?;
        params.check()?;
        let marker = params.common.marker(scenario);
        let mut pipelines = Vec::new();
        for tenant in params.common.tenants.tenants()?.iter() {
            pipelines.push(match params.grow {
                Grow::Rows => prefill::prepare(tenant, &marker).await?,
                _ => TenantPipeline {
                    experiment: prepared::own_experiment(tenant, &marker).await?,
                    ..TenantPipeline::default()
                },
            });
        }
        Ok(State { pipelines })
    }

    fn open(scenario: &Scenario, state: State) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        Ok(Self {
            sizes: params.sizes(),
            marker: params.common.marker(scenario),
            runs: Runs::open(scenario, &params.common)?,
            users: scenario.users.max(1),
            pipelines: state.pipelines,
            params,
        })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let number = iteration.number * u64::from(self.users) + u64::from(iteration.user);
        let place = usize::try_from(number % self.sizes.len().max(1) as u64).unwrap_or(0);
        let Some(size) = self.sizes.get(place) else { return Ok(()) };
        let place = self.runs.tenants.place_of_user(iteration.user);
        let tenant = self.runs.tenants.get(place);
        let of = self.pipelines.get(place).cloned().unwrap_or_default();
        let mut measured = Measurements { grow: self.params.grow, size, operations: BTreeMap::new() };
        let name = format!("{}.{}.{}", self.marker, iteration.user, iteration.number);
        let done = match self.params.grow.growth() {
            Some(growth) => self.pipeline(&mut measured, growth, place, of, &name, iteration).await,
            None => self.rows(&mut measured, tenant, &of, &name).await,
        };
        // What was measured before something failed is worth keeping.
        measured.report();
        done
    }
}

impl LargeDataset {
    /// A pipeline of this size: uploaded, read, listed, and run.
    async fn pipeline(
        &self,
        measured: &mut Measurements<'_>,
        growth: Growth,
        place: usize,
        of: TenantPipeline,
        name: &str,
        iteration: &Iteration,
    ) -> Result<(), Failure> {
        let tenant = self.runs.tenants.get(place);
        let size = usize::try_from(measured.size.value).unwrap_or(usize::MAX);
        let content = generate::pipeline(growth, size).to_bytes();
        let bytes = content.len();
        let upload = pipelines::upload(tenant, name, File::Content(content));
        let uploaded = created::create(Kind::Pipeline, tenant, name, upload, |(id, _)| id).await;
        measured.note("upload_pipeline", uploaded.as_ref().ok().map(|(_, seconds)| *seconds), bytes);
        let (pipeline, _) = uploaded?;
        let version = pipelines::latest_version(tenant, &pipeline).await?;
        let of = TenantPipeline { pipeline, version, ..of };
        let id = Id { id: of.version.clone(), pipeline: of.pipeline.clone() };
        for _ in 0..self.params.repeats {
            self.get(measured, tenant, Resource::Versions, &id).await?;
            self.versions(measured, tenant, &of.pipeline).await?;
        }
        for number in 0..self.params.runs.unwrap_or_else(|| self.params.grow.runs_by_default()) {
            let parameters = Map::new();
            let wanted =
                RunRequest { tenant: place, name: &format!("{name}.{number}"), of: &of, parameters: &parameters };
            let accepted = self.runs.submit(&wanted).await;
            let took = accepted.as_ref().ok().map(|it| (it.accepted - it.submitted).as_secs_f64());
            measured.note("create_run", took, 0);
            let run = self.runs.follow(place, accepted?, iteration, &Graph::default(), false).await?;
            let id = Id { id: run.run_id, pipeline: String::new() };
            for _ in 0..self.params.repeats {
                self.get(measured, tenant, Resource::Runs, &id).await?;
                let filter = api::filter(&[api::equals("run_id", &id.id)]);
                let query = ListQuery { filter: &filter, ..ListQuery::default() };
                self.list(measured, tenant, Resource::Runs, "", "list_runs", &query).await?;
            }
        }
        Ok(())
    }

    /// So many runs on the server, of which lists are read in several ways.
    async fn rows(
        &self,
        measured: &mut Measurements<'_>,
        tenant: &Tenant,
        of: &TenantPipeline,
        name: &str,
    ) -> Result<(), Failure> {
        let there = api::runs::count(tenant).await?;
        prefill::runs(tenant, name, of, measured.size.value.saturating_sub(there)).await?;
        let page_size = self.params.page_size.to_string();
        let filter = api::filter(&[json!({"operation": "IS_SUBSTRING", "key": "name", "string_value": "r7"})]);
        let shapes = [
            ("list_runs", ListQuery { page_size: &page_size, ..ListQuery::default() }),
            ("list_runs_latest", ListQuery { page_size: &page_size, sort: "created_at desc", ..ListQuery::default() }),
            ("list_runs_by_name", ListQuery { page_size: &page_size, sort: "name asc", ..ListQuery::default() }),
            ("list_runs_filtered", ListQuery { page_size: &page_size, filter: &filter, ..ListQuery::default() }),
        ];
        for _ in 0..self.params.repeats {
            let mut id = None;
            for (operation, query) in &shapes {
                let first = self.list(measured, tenant, Resource::Runs, "", operation, query).await?;
                id = id.or(first);
            }
            if let Some(id) = id {
                self.get(measured, tenant, Resource::Runs, &id).await?;
            }
        }
        Ok(())
    }

    async fn get(
        &self,
        measured: &mut Measurements<'_>,
        tenant: &Tenant,
        resource: Resource,
        id: &Id,
    ) -> Result<(), Failure> {
        let mut request = resource::get_request(tenant, resource, id);
        request.tags.push(("size".into(), measured.size.text.clone()));
        let seconds = resource::get(request).await;
        measured.note(resource.operations().0, seconds.as_ref().ok().copied(), 0);
        tolerate(seconds)
    }

    /// Reads the list of a pipeline's versions, which holds the whole pipeline; it is thrown away.
    async fn versions(&self, measured: &mut Measurements<'_>, tenant: &Tenant, pipeline: &str) -> Result<(), Failure> {
        let mut request = resource::list_request(tenant, Resource::Versions, pipeline, &ListQuery::default());
        request.tags.push(("size".into(), measured.size.text.clone()));
        let seconds = resource::get(request).await;
        measured.note("list_versions", seconds.as_ref().ok().copied(), 0);
        tolerate(seconds)
    }

    /// Reads a page of a list. Returns the id of its first row.
    async fn list(
        &self,
        measured: &mut Measurements<'_>,
        tenant: &Tenant,
        resource: Resource,
        pipeline: &str,
        operation: &'static str,
        query: &ListQuery<'_>,
    ) -> Result<Option<Id>, Failure> {
        let mut request = resource::list_request(tenant, resource, pipeline, query);
        request.operation = operation.into();
        request.tags.push(("size".into(), measured.size.text.clone()));
        let page = resource::list(request, resource).await;
        measured.note(
            operation,
            page.as_ref().ok().map(|page| page.seconds),
            page.as_ref().map_or(0, |page| page.bytes),
        );
        match page {
            Ok(page) => Ok(page.ids.into_iter().next()),
            Err(error) => tolerate(Err::<(), ApiError>(error)).map(|()| None),
        }
    }
}

/// A read that failed is counted, and the next one tried; only the end of the suite ends everything.
fn tolerate<T>(result: Result<T, ApiError>) -> Result<(), Failure> {
    match result {
        Err(error) if error.is_interrupted() => Err(error.into()),
        _ => Ok(()),
    }
}

impl Measurements<'_> {
    /// Notes a request: how long it took, if it did not fail, and how large it was.
    fn note(&mut self, operation: &'static str, seconds: Option<f64>, bytes: usize) {
        self.operations.entry(operation).or_default().note(seconds, bytes);
        if let Some(seconds) = seconds {
            let sample = Sample::new("kfp_size_duration", seconds);
            metrics::emit(&[sample.tag("size", &self.size.text).tag("call", operation)]);
        }
    }

    fn report(&self) {
        for (operation, summary) in &self.operations {
            let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
            let row = vec![
                self.grow.name().into(),
                self.size.text.as_str().into(),
                number(self.size.value),
                (*operation).into(),
                number(summary.count() as u64),
                number(summary.failed),
                if summary.bytes == 0 { Value::Missing } else { number(summary.bytes as u64) },
                summary.quantile(0.0).into(),
                summary.mean().into(),
                summary.quantile(0.5).into(),
                summary.quantile(0.95).into(),
                summary.quantile(1.0).into(),
            ];
            records::append("sizes", &row);
        }
    }
}
