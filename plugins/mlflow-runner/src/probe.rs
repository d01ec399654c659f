//! Ways to see what another tenant has, and what an answer says about them.

use kperf_plugin_sdk::http::{Request, Response, StatusRange, encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api::{self, ApiError, ErrorKind, artifacts, error, experiments::Experiment, prompts, prompts::Prompt},
    fixture::{self, Fixture},
    tenant::Tenant,
};

const BASE: &str = "/api/2.0/mlflow";
const REQUEST_ID: &str = "x-request-id";

/// Something that a tenant tries with another one's fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    // Lists that must not have it.
    SearchExperiments,
    FindExperiment,
    SearchPrompts,
    SearchRuns,
    // Reads that must be refused.
    GetExperiment,
    GetRun,
    GetPrompt,
    ListArtifacts,
    FetchArtifact,
    FetchArtifactOfWorkspace,
    WithoutWorkspace,
    // Writes that must be refused.
    CreateRun,
    LogMetric,
    LogArtifact,
    DeleteExperiment,
}

impl Probe {
    pub const ALL: [Self; 15] = [
        Self::SearchExperiments,
        Self::FindExperiment,
        Self::SearchPrompts,
        Self::SearchRuns,
        Self::GetExperiment,
        Self::GetRun,
        Self::GetPrompt,
        Self::ListArtifacts,
        Self::FetchArtifact,
        Self::FetchArtifactOfWorkspace,
        Self::WithoutWorkspace,
        Self::CreateRun,
        Self::LogMetric,
        Self::LogArtifact,
        Self::DeleteExperiment,
    ];

    /// What its requests are measured under.
    pub fn operation(self) -> &'static str {
        match self {
            Self::SearchExperiments => "probe_search_experiments",
            Self::FindExperiment => "probe_find_experiment",
            Self::SearchPrompts => "probe_search_prompts",
            Self::SearchRuns => "probe_search_runs",
            Self::GetExperiment => "probe_get_experiment",
            Self::GetRun => "probe_get_run",
            Self::GetPrompt => "probe_get_prompt",
            Self::ListArtifacts => "probe_list_artifacts",
            Self::FetchArtifact => "probe_fetch_artifact",
            Self::FetchArtifactOfWorkspace => "probe_fetch_artifact_of_workspace",
            Self::WithoutWorkspace => "probe_without_workspace",
            Self::CreateRun => "probe_create_run",
            Self::LogMetric => "probe_log_metric",
            Self::LogArtifact => "probe_log_artifact",
            Self::DeleteExperiment => "probe_delete_experiment",
        }
    }

    /// Whether it would change something if it were let.
    pub fn writes(self) -> bool {
        matches!(self, Self::CreateRun | Self::LogMetric | Self::LogArtifact | Self::DeleteExperiment)
    }

    /// Whether it needs the server's route of artifacts, and a file there.
    pub fn needs_artifact(self) -> bool {
        matches!(self, Self::FetchArtifact | Self::FetchArtifactOfWorkspace | Self::LogArtifact)
    }

    /// Whether its request is a tenant's.
    pub fn has_viewer(self) -> bool {
        self != Self::WithoutWorkspace
    }
}

/// One tenant's attempt to see what another one has.
pub struct Attempt<'a> {
    pub viewer: &'a Tenant,
    pub owner: &'a Tenant,
    /// The owner's fixture, which the viewer must not see.
    pub fixture: &'a Fixture,
    pub marker: &'a str,
    /// Whose fixture an experiment is, if it is one.
    pub owner_of: &'a dyn Fn(&str) -> Option<String>,
}

/// What came of an attempt.
#[derive(Debug, PartialEq)]
pub enum ProbeOutcome {
    /// The viewer was shown nothing of the owner's.
    Isolated,
    /// The viewer was shown something of the owner's.
    Leak {
        /// The `x-request-id` of the answer that showed it.
        request_id: String,
        /// What was shown, for people: `is shown experiment 5 of tenant-1`.
        detail: String,
    },
    /// The answer says neither.
    Undecided(ApiError),
}

/// Makes one attempt.
pub async fn probe(probe: Probe, attempt: &Attempt<'_>) -> ProbeOutcome {
    let mut request = match request(probe, attempt) {
        Ok(request) => request,
        Err(error) => return ProbeOutcome::Undecided(error),
    };
    // To be refused is what is expected; 408 and 429 say nothing.
    request.expected = [(200, 407), (409, 428), (430, 499)].map(|(first, last)| StatusRange { first, last }).to_vec();
    request.response_headers = vec![REQUEST_ID.into()];
    let request = if probe.has_viewer() { attempt.viewer.sends(request) } else { request };
    let answer = request.send().await.map_err(|error| error::unanswered(probe.operation(), error));
    match answer {
        Ok(response) => judge(probe, attempt, response),
        Err(error) => {
            count(probe, attempt, &error);
            ProbeOutcome::Undecided(error)
        }
    }
}

fn count(probe: Probe, attempt: &Attempt<'_>, error: &ApiError) {
    api::count(attempt.viewer, probe.operation(), &Err(error.clone()));
}

/// Judges an answer.
fn judge(probe: Probe, attempt: &Attempt<'_>, response: Response) -> ProbeOutcome {
    let request_id = response.headers.iter().find(|(name, _)| name == REQUEST_ID).map(|(_, id)| id.clone());
    let seen = match error::judge(probe.operation(), response) {
        Ok(response) => seen(probe, attempt, &response),
        Err(error) => match error.kind {
            ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::ClientError | ErrorKind::Conflict => Ok(None),
            _ => Err(error),
        },
    };
    match seen {
        Ok(None) => ProbeOutcome::Isolated,
        Ok(Some(detail)) => ProbeOutcome::Leak { request_id: request_id.unwrap_or_default(), detail },
        Err(error) => {
            count(probe, attempt, &error);
            ProbeOutcome::Undecided(error)
        }
    }
}

fn request(probe: Probe, attempt: &Attempt<'_>) -> Result<Request, ApiError> {
    let Attempt { viewer: _, owner, fixture, marker, .. } = attempt;
    let operation = probe.operation();
    let get =
        |path: &str, key: &str, value: &str| Request::get(operation, format!("{BASE}{path}?{key}={}", encode(value)));
    let post = |path: &str, body: Value| Request::post(operation, format!("{BASE}{path}")).json(&body);
    let Fixture { experiment, run, artifact_uri, .. } = fixture;
    Ok(match probe {
        Probe::SearchExperiments => post("/experiments/search", json!({ "max_results": 200 }))?,
        Probe::FindExperiment => {
            let filter = format!("name = '{}'", fixture::experiment_name(marker));
            post("/experiments/search", json!({ "max_results": 1000, "filter": filter }))?
        }
        Probe::SearchPrompts => {
            let filter =
                format!("tags.`{}` = 'true' AND name LIKE '{}%'", prompts::IS_PROMPT, fixture::prompt_prefix(marker));
            get("/registered-models/search", "filter", &filter)
        }
        Probe::SearchRuns => post("/runs/search", json!({ "experiment_ids": [experiment], "max_results": 10 }))?,
        Probe::GetExperiment | Probe::WithoutWorkspace => get("/experiments/get", "experiment_id", experiment),
        Probe::GetRun => get("/runs/get", "run_id", run),
        Probe::GetPrompt => get("/registered-models/get", "name", &fixture::prompt_name(marker, owner)),
        Probe::ListArtifacts => get("/artifacts/list", "run_id", run),
        // The path without its tenant is looked for among the viewer's own files.
        Probe::FetchArtifact => {
            Request::get(operation, artifacts::url(&own_path(artifact_uri, owner), fixture::ARTIFACT)?)
        }
        Probe::FetchArtifactOfWorkspace => Request::get(operation, artifacts::url(artifact_uri, fixture::ARTIFACT)?),
        Probe::CreateRun => post("/runs/create", json!({ "experiment_id": experiment, "start_time": 0 }))?,
        Probe::LogMetric => {
            post("/runs/log-metric", json!({ "run_id": run, "key": "probe", "value": 1, "timestamp": 0 }))?
        }
        Probe::LogArtifact => Request::new(operation, "PUT", artifacts::url(artifact_uri, "probe.json")?)
            .header("content-type", "application/octet-stream")
            .body("{}"),
        Probe::DeleteExperiment => post("/experiments/delete", json!({ "experiment_id": experiment }))?,
    })
}

/// A URI without the part that names its workspace.
fn own_path(uri: &str, owner: &Tenant) -> String {
    uri.replacen(&format!("/workspaces/{}/", owner.name()), "/", 1)
}

/// What a good answer shows that is another tenant's.
fn seen(probe: Probe, attempt: &Attempt<'_>, response: &Response) -> Result<Option<String>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Lists {
        experiments: Vec<Experiment>,
        registered_models: Vec<Prompt>,
        runs: Vec<Value>,
    }
    fn read<T: DeserializeOwned>(response: &Response) -> Result<T, ApiError> {
        Ok(response.json()?)
    }
    let (owner, fixture) = (attempt.owner.name(), attempt.fixture);
    Ok(match probe {
        Probe::SearchExperiments | Probe::FindExperiment => {
            let lists: Lists = read(response)?;
            lists.experiments.iter().find_map(|experiment| foreign(experiment, attempt))
        }
        Probe::SearchPrompts => {
            let lists: Lists = read(response)?;
            let (prefix, own) = (fixture::prompt_prefix(attempt.marker), attempt.viewer.name());
            let whose = |prompt: &Prompt| prompt.name.strip_prefix(&prefix).map(str::to_owned);
            let found = lists.registered_models.iter().filter_map(whose).find(|name| name != own);
            found.map(|whose| format!("is shown a prompt of {whose}"))
        }
        Probe::SearchRuns => {
            let lists: Lists = read(response)?;
            let runs = lists.runs.len();
            (runs > 0).then(|| format!("is shown {runs} runs of experiment {} of {owner}", fixture.experiment))
        }
        Probe::GetExperiment | Probe::WithoutWorkspace => {
            Some(format!("can read experiment {} of {owner}", fixture.experiment))
        }
        Probe::GetRun => Some(format!("can read run {} of {owner}", fixture.run)),
        Probe::GetPrompt => Some(format!("can read a prompt of {owner}")),
        Probe::ListArtifacts => Some(format!("can list the artifacts of run {} of {owner}", fixture.run)),
        Probe::FetchArtifact | Probe::FetchArtifactOfWorkspace => {
            Some(format!("can fetch an artifact of run {} of {owner}", fixture.run))
        }
        Probe::CreateRun => Some(format!("can create a run in experiment {} of {owner}", fixture.experiment)),
        Probe::LogMetric => Some(format!("can log to run {} of {owner}", fixture.run)),
        Probe::LogArtifact => Some(format!("can store an artifact in run {} of {owner}", fixture.run)),
        Probe::DeleteExperiment => Some(format!("can delete experiment {} of {owner}", fixture.experiment)),
    })
}

/// Whose an experiment in the viewer's list is, if it is not the viewer's own.
fn foreign(experiment: &Experiment, attempt: &Attempt<'_>) -> Option<String> {
    let own = attempt.viewer.name();
    let named = Some(experiment.workspace.clone()).filter(|workspace| !workspace.is_empty() && workspace != own);
    let known = || (attempt.owner_of)(&experiment.experiment_id).filter(|owner| owner != own);
    let whose = named.or_else(known)?;
    Some(format!("is shown experiment {} of {whose}", experiment.experiment_id))
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    fn judged(wanted: Probe, status: u16, body: &str) -> ProbeOutcome {
        let (viewer, owner) = (Tenant::new("tenant-2").unwrap(), Tenant::new("tenant-1").unwrap());
        let fixture = Fixture {
            experiment: "5".into(),
            run: "abc".into(),
            artifact_uri: "mlflow-artifacts:/workspaces/tenant-1/5/abc/artifacts".into(),
            has_artifact: true,
        };
        let owner_of = |id: &str| (id == "5").then(|| "tenant-1".to_owned());
        let attempt = Attempt { viewer: &viewer, owner: &owner, fixture: &fixture, marker: "m", owner_of: &owner_of };
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        let headers = vec![(REQUEST_ID.to_owned(), "id-7".to_owned())];
        judge(wanted, &attempt, Response { status, headers, body: body.into(), timing })
    }

    fn leak(detail: &str) -> ProbeOutcome {
        ProbeOutcome::Leak { request_id: "id-7".into(), detail: detail.into() }
    }

    #[test]
    fn a_list_with_only_the_viewers_own_is_kept() {
        let own = r#"{"experiments":[{"experiment_id":"6","workspace":"tenant-2"},{"experiment_id":"7"}]}"#;
        assert_eq!(judged(Probe::SearchExperiments, 200, own), ProbeOutcome::Isolated);
        assert_eq!(judged(Probe::SearchExperiments, 200, "{}"), ProbeOutcome::Isolated);
        assert_eq!(judged(Probe::SearchRuns, 200, "{}"), ProbeOutcome::Isolated);
        let prompts = r#"{"registered_models":[{"name":"m-fixture-of-tenant-2"},{"name":"other"}]}"#;
        assert_eq!(judged(Probe::SearchPrompts, 200, prompts), ProbeOutcome::Isolated);
    }

    #[test]
    fn what_is_anothers_in_a_list_is_a_leak() {
        let shown = leak("is shown experiment 5 of tenant-1");
        let by_name = r#"{"experiments":[{"experiment_id":"5","workspace":"tenant-1"}]}"#;
        assert_eq!(judged(Probe::SearchExperiments, 200, by_name), shown);
        // Also if the server says that it is the viewer's own.
        let by_id = r#"{"experiments":[{"experiment_id":"6"},{"experiment_id":"5","workspace":"tenant-2"}]}"#;
        assert_eq!(judged(Probe::FindExperiment, 200, by_id), shown);
        let prompts = r#"{"registered_models":[{"name":"m-fixture-of-tenant-3"}]}"#;
        assert_eq!(judged(Probe::SearchPrompts, 200, prompts), leak("is shown a prompt of tenant-3"));
        let runs = r#"{"runs":[{"info":{}}]}"#;
        assert_eq!(judged(Probe::SearchRuns, 200, runs), leak("is shown 1 runs of experiment 5 of tenant-1"));
    }

    #[test]
    fn to_be_let_is_a_leak_and_to_be_refused_is_none() {
        for status in [400, 401, 403, 404] {
            assert_eq!(judged(Probe::GetRun, status, "{}"), ProbeOutcome::Isolated, "{status}");
        }
        assert_eq!(judged(Probe::GetRun, 200, "{}"), leak("can read run abc of tenant-1"));
        assert_eq!(judged(Probe::LogArtifact, 200, ""), leak("can store an artifact in run abc of tenant-1"));
    }

    #[test]
    fn files_are_looked_for_in_both_places() {
        let owner = Tenant::new("tenant-1").unwrap();
        let uri = "mlflow-artifacts:/workspaces/tenant-1/5/abc/artifacts";
        assert_eq!(own_path(uri, &owner), "mlflow-artifacts:/5/abc/artifacts");
    }
}
