//! Recurring runs: the API, and the runs that their controller makes.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use kperf_sim::{Prefill, Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{PIPELINE, call, detail, eventually, get, local, text, upload, uploaded};

/// A second of the schedule is a second of the clock, and nothing else takes time.
fn prompt() -> Sim {
    let config = SimConfig { speed: 1e4, create_rate: None, ..SimConfig::default() };
    Sim::start(config, local()).unwrap()
}

fn ago(seconds: u64) -> String {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(at).to_string()
}

fn recurring(pipeline: &str, more: Value) -> Value {
    let mut body = json!({"display_name": "Nightly Job!", "max_concurrency": "1", "mode": "ENABLE",
        "pipeline_version_reference": {"pipeline_id": pipeline}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn create(sim: &Sim, body: Value) -> Value {
    let (status, created) = call(sim, "POST", "/recurringruns", body).await;
    assert_eq!(status, 200, "{created}");
    created
}

/// Waits until the recurring run has made so many runs, and hands them out, oldest first.
async fn runs_of(sim: &Sim, recurring: &str, count: usize) -> Vec<Value> {
    let filter = json!({"predicates": [{"operation": "EQUALS", "key": "recurring_run_id", "string_value": recurring}]});
    let filter: String = url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
    eventually(&format!("run {count} of the recurring run"), async || {
        let page = get(sim, &format!("/runs?page_size=200&filter={filter}")).await;
        let runs = page["runs"].as_array().cloned().unwrap_or_default();
        (runs.len() >= count).then_some(runs)
    })
    .await
}

#[tokio::test]
async fn created_shown_switched_and_deleted() {
    let sim = prompt();
    let pipeline = uploaded(&sim).await;
    let body = recurring(
        &pipeline,
        json!({"no_catchup": true, "description": "d",
        "runtime_config": {"parameters": {"items": 3}},
        "trigger": {"periodic_schedule": {"interval_second": 3600, "start_time": ago(10)}}}),
    );
    let created = create(&sim, body).await;
    let id = text(&created, "recurring_run_id");
    assert_eq!(created["trigger"]["periodic_schedule"]["interval_second"], "3600");
    assert_eq!((&created["max_concurrency"], &created["no_catchup"]), (&json!("1"), &json!(true)));
    assert_eq!((&created["mode"], &created["status"]), (&json!("ENABLE"), &json!("ENABLED")));
    assert_eq!(created["pipeline_version_reference"], json!({"pipeline_id": pipeline}));
    assert_eq!(
        (text(&created, "namespace").as_str(), text(&created, "service_account").as_str()),
        ("kubeflow", "pipeline-runner")
    );
    let path = format!("/recurringruns/{id}");
    assert_eq!(get(&sim, &path).await, created);
    let page = get(&sim, "/recurringruns?sort_by=name").await;
    assert_eq!((&page["total_size"], &page["recurringRuns"][0]), (&json!(1), &created));
    let (status, error) = call(&sim, "GET", "/recurringruns?sort_by=status", Value::Null).await;
    assert_eq!((status, detail(&error)), (400, "Invalid sorting field: \"status\" on listable type Job"));

    assert_eq!(call(&sim, "POST", &format!("{path}:disable"), Value::Null).await, (200, json!({})));
    assert_eq!(get(&sim, &path).await["status"], "DISABLED");
    assert_eq!(call(&sim, "POST", &format!("{path}:enable"), Value::Null).await, (200, json!({})));
    assert_eq!(get(&sim, &path).await["mode"], "ENABLE");
    // Archiving the experiment stops it, taking the experiment back does not start it.
    let experiment = text(&created, "experiment_id");
    for verb in ["archive", "unarchive"] {
        call(&sim, "POST", &format!("/experiments/{experiment}:{verb}"), Value::Null).await;
        assert_eq!(get(&sim, &path).await["status"], "DISABLED", "{verb}");
    }
    assert_eq!(call(&sim, "DELETE", &format!("{path}?propagation_policy=SOON"), Value::Null).await.0, 400);
    assert_eq!(
        call(&sim, "DELETE", &format!("{path}?propagation_policy=BACKGROUND"), Value::Null).await,
        (200, json!({}))
    );
    let (status, error) = call(&sim, "GET", &path, Value::Null).await;
    assert_eq!((status, detail(&error).to_owned()), (404, format!("Job {id} not found")));
    assert_eq!(get(&sim, "/recurringruns").await, json!({}));
}

#[tokio::test]
async fn refused_recurring_runs() {
    let sim = prompt();
    let pipeline = uploaded(&sim).await;
    // What is changed about a good one, status, what is told or what the message holds.
    let cases = [
        (
            json!({"max_concurrency": 0}),
            400,
            "Max concurrency of a recurring run must be at least 1 and at most 10. Received 0",
        ),
        (json!({"max_concurrency": "11"}), 400, "Received 11"),
        (
            json!({"trigger": {"periodic_schedule": {"interval_second": "0"}}}),
            400,
            "Found invalid period schedule interval 0",
        ),
        (json!({"trigger": {"cron_schedule": {"cron": "1 * *"}}}), 400, "Schedule cron is not a supported format"),
        (json!({"trigger": {"cron_schedule": {"cron": "@hourly", "start_time": "soon"}}}), 400, "Timestamp"),
        (json!({"display_name": ""}), 500, "Recurring run name is empty"),
        (json!({"pipeline_version_reference": null}), 500, "empty pipeline spec manifest"),
        (json!({"experiment_id": "00000000-0000-4000-8000-000000000000"}), 404, "Experiment"),
        (json!({"runtime_config": {"parameters": {"items": "3"}}}), 400, "requires type double or integer"),
        (json!({"unknown": 1}), 400, "unknown field \"unknown\""),
    ];
    for (change, status, wanted) in cases {
        let (got, error) = call(&sim, "POST", "/recurringruns", recurring(&pipeline, change.clone())).await;
        assert_eq!(got, status, "{change}: {error}");
        assert!(text(&error, "message").contains(wanted), "{change}: {error}");
    }
    assert_eq!(call(&sim, "POST", "/recurringruns/none:enable", Value::Null).await.0, 404);
}

#[tokio::test]
async fn missed_instants_are_made_up_for_one_by_one_within_the_limit() {
    let sim = prompt();
    let pipeline = uploaded(&sim).await;
    let version = text(
        &get(&sim, &format!("/pipelines/{pipeline}/versions")).await["pipeline_versions"][0],
        "pipeline_version_id",
    );
    let (start, end) = (ago(50), ago(5));
    let fixed = json!({"pipeline_id": pipeline, "pipeline_version_id": version});
    let body = recurring(
        &pipeline,
        json!({"pipeline_version_reference": fixed,
        "trigger": {"cron_schedule": {"cron": "*/10 * * * * *", "start_time": start, "end_time": end}}}),
    );
    let id = text(&create(&sim, body).await, "recurring_run_id");
    let mut runs = runs_of(&sim, &id, 4).await;
    // Those of one second are listed in the order of their ids.
    runs.sort_by_key(|run| text(run, "scheduled_at"));
    for (i, run) in runs.iter().enumerate() {
        let name = text(run, "display_name");
        assert!(name.starts_with("nightly-job-") && name.contains(&format!("-{}-", i + 1)), "{name}");
        assert_eq!(run["recurring_run_id"], json!(id));
        assert!(text(run, "scheduled_at").ends_with("0Z"), "it stands for a multiple of ten seconds: {run}");
        assert!(text(run, "created_at") > text(run, "scheduled_at"), "{run}");
    }
    let truth = sim.truth();
    let nominal: Vec<u64> = truth.triggers.iter().map(|t| t.nominal / 1_000_000_000).collect();
    assert!(nominal.windows(2).all(|pair| pair[1] == pair[0] + 10), "{nominal:?}");
    assert!(truth.triggers.iter().all(|t| t.actual.is_some_and(|at| at > t.nominal) && t.run_id.is_some()));
    // One at a time: none was made before the one before it had ended.
    let mut made: Vec<_> = truth.runs.iter().filter(|r| r.recurring_run_id.is_some()).collect();
    made.sort_by_key(|r| r.created);
    assert!(made.windows(2).all(|pair| pair[0].finished.is_some_and(|end| end <= pair[1].created)), "{made:?}");
}

#[tokio::test]
async fn without_catching_up_only_the_last_missed_instant_counts() {
    let sim = prompt();
    let pipeline = uploaded(&sim).await;
    let body = recurring(
        &pipeline,
        json!({"no_catchup": true,
        "trigger": {"cron_schedule": {"cron": "0 * * * * *", "start_time": ago(300)}}}),
    );
    let id = text(&create(&sim, body).await, "recurring_run_id");
    let runs = runs_of(&sim, &id, 1).await;
    assert_eq!(runs.len(), 1);
    let triggers = sim.truth().triggers;
    let (made, skipped): (Vec<_>, Vec<_>) = triggers.iter().partition(|t| t.actual.is_some());
    assert_eq!(made.len(), 1);
    assert!((3..=5).contains(&skipped.len()), "{triggers:?}");
    assert!(skipped.iter().all(|t| t.nominal < made[0].nominal && t.run_id.is_none()));
}

#[tokio::test]
async fn a_new_version_is_followed_and_a_disabled_one_rests() {
    // The prefilled version is an hour old, so that one of today is the latest beyond doubt.
    let prefill = Prefill { pipelines: 1, ..Prefill::default() };
    let sim =
        Sim::start(SimConfig { prefill, speed: 1e4, create_rate: None, ..SimConfig::default() }, local()).unwrap();
    let pipeline = text(&get(&sim, "/pipelines").await["pipelines"][0], "pipeline_id");
    let version_of = |run: &Value| text(&run["pipeline_version_reference"], "pipeline_version_id");
    let versions = get(&sim, &format!("/pipelines/{pipeline}/versions")).await;
    let old = text(&versions["pipeline_versions"][0], "pipeline_version_id");
    let every = || json!({"trigger": {"periodic_schedule": {"interval_second": "1"}}});
    let id = text(&create(&sim, recurring(&pipeline, every())).await, "recurring_run_id");
    assert_eq!(version_of(&runs_of(&sim, &id, 1).await[0]), old);

    assert_eq!(call(&sim, "POST", &format!("/recurringruns/{id}:disable"), Value::Null).await.0, 200);
    let ids = |runs: &[Value]| runs.iter().map(|run| text(run, "run_id")).collect::<BTreeSet<String>>();
    let before = ids(&runs_of(&sim, &id, 1).await);
    let (_, new) = upload(&sim, &format!("upload_version?name=v2&pipelineid={pipeline}"), "p.yaml", PIPELINE).await;
    let new = text(&new, "pipeline_version_id");
    // Another one with the same trigger shows that the time for more runs has passed.
    let other = text(&create(&sim, recurring(&pipeline, every())).await, "recurring_run_id");
    for run in runs_of(&sim, &other, 2).await {
        assert_eq!(version_of(&run), new, "made after the upload: {run}");
    }
    assert_eq!(ids(&runs_of(&sim, &id, 1).await), before, "disabled");

    assert_eq!(call(&sim, "POST", &format!("/recurringruns/{id}:enable"), Value::Null).await.0, 200);
    for run in runs_of(&sim, &id, before.len() + 1).await {
        let wanted = if before.contains(&text(&run, "run_id")) { &old } else { &new };
        assert_eq!(version_of(&run), *wanted, "{run}");
    }
}

#[tokio::test]
async fn a_trigger_waits_for_the_next_resync() {
    // No workflow is ever picked up, so that nothing but the resync, each second, makes the controller look.
    let config = SimConfig {
        pickup: Duration::from_secs(3_600),
        resync: Duration::from_secs(1),
        resync_after_run: Duration::from_millis(1),
        create_rate: None,
        ..SimConfig::default()
    };
    let sim = Sim::start(config, local()).unwrap();
    let pipeline = uploaded(&sim).await;
    let every = json!({"max_concurrency": 10, "trigger": {"periodic_schedule": {"interval_second": "1", "start_time": ago(1)}}});
    let id = text(&create(&sim, recurring(&pipeline, every)).await, "recurring_run_id");
    runs_of(&sim, &id, 4).await;
    let triggers = sim.truth().triggers;
    let made: Vec<u64> = triggers.iter().map(|t| t.actual.unwrap()).collect();
    assert!(triggers.iter().all(|t| t.actual.unwrap() >= t.nominal), "{triggers:?}");
    // The first looks come when it is made; the later ones lie whole seconds apart, or a millisecond after another.
    let last = made[made.len() - 1];
    assert!((last - made[made.len() - 2]) % 1_000_000_000 < 10_000_000, "{made:?}");
}

#[tokio::test]
async fn deleting_takes_the_workflows_along_unless_they_are_orphaned() {
    let slow = PIPELINE.replace("['5']", "['30000000']");
    for (policy, state) in [("BACKGROUND", "RUNNING"), ("ORPHAN", "RUNNING")] {
        let sim = prompt();
        let (_, pipeline) = upload(&sim, "upload?name=slow", "p.yaml", &slow).await;
        let body = recurring(&text(&pipeline, "pipeline_id"), json!({}));
        let id = text(&create(&sim, body).await, "recurring_run_id");
        let run = text(&runs_of(&sim, &id, 1).await[0], "run_id");
        crate::client::until(&sim, &run, state).await;
        let pods = async || {
            crate::client::beside(&sim, &format!("/api/v1/namespaces/kubeflow/pods?labelSelector=pipeline/runid={run}"))
                .await
        };
        assert_ne!(pods().await["items"], json!([]));
        call(&sim, "DELETE", &format!("/recurringruns/{id}?propagation_policy={policy}"), Value::Null).await;
        assert_eq!(pods().await["items"] == json!([]), policy == "BACKGROUND", "{policy}");
        assert_eq!(get(&sim, &format!("/runs/{run}")).await["state"], state, "as last seen");
    }
}
