//! `mlflow-runner` against a real MLflow: every operation, isolation, overload, and nothing left behind.

mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::mlflow::{Mlflow, Options};
use crate::support::{Ended, Group, Kperf, enter, json};
use proxy::Leaking;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A suite with one scenario against a server.
fn suite(url: &str, mode: &str, params: &str, load: &str, thresholds: &str) -> String {
    format!(
        "name = \"mlflow\"\nseed = 3\n[targets.mlflow]\nurl = \"{url}\"\nidle_timeout = \"4s\"\ntimeout = \"60s\"\n\
         [[scenario]]\nname = \"it\"\nplugin = \"mlflow-runner\"\nmode = \"{mode}\"\ntarget = \"mlflow\"\n\
         thresholds = [{thresholds}]\nparams = {{ {params} }}\nload = {{ {load} }}\n"
    )
}

fn scenario(kperf: &Kperf) -> Value {
    kperf.summary()["scenarios"][0].clone()
}

/// How many requests each operation has sent, and how many of all failed.
fn operations(kperf: &Kperf) -> (BTreeMap<String, u64>, u64) {
    let scenario = scenario(kperf);
    let operations = scenario["operations"].as_array().unwrap();
    let counts =
        operations.iter().map(|it| (it["operation"].as_str().unwrap().to_owned(), it["count"].as_u64().unwrap()));
    (counts.collect(), operations.iter().map(|it| it["failures"].as_u64().unwrap()).sum())
}

/// How many errors of a kind there were.
fn errors(kperf: &Kperf, kind: &str) -> f64 {
    let scenario = scenario(kperf);
    let metrics = scenario["metrics"].as_array().unwrap().iter();
    let of_kind = metrics.filter(|it| it["name"] == "mlflow_errors" && it["tags"]["error"] == kind);
    of_kind.map(|it| it["value"].as_f64().unwrap()).sum()
}

/// Asserts that nothing of these tenants is left, neither in the database nor as a file.
#[track_caller]
fn nothing_left(server: &Mlflow, prefix: &str) {
    let left: Vec<String> = server.workspaces().into_iter().filter(|name| name.starts_with(prefix)).collect();
    assert!(left.is_empty(), "{left:?}");
    let files = folders(&server.artifacts().join("workspaces"));
    assert!(files.iter().all(|name| !name.starts_with(prefix)), "{files:?}");
}

fn folders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn the_quickstart_shows_all_operations_in_their_ratio() {
    enter(Group::Mlflow);
    let server = Mlflow::shared();
    let suite: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios/mlflow/quickstart.toml");
    let kperf = Kperf::with("");
    let url = format!("targets.mlflow.url={}", server.url());
    let shorter = ["--set", "scenario.mix.load.duration=8s", "--set", "scenario.mix.params.tenant_name=quick-{n}"];
    let arguments = ["run", suite.to_str().unwrap(), "--out", "out", "--set", &url];
    kperf.call(&[&arguments[..], &shorter[..]].concat()).code(0);
    let (counts, failures) = operations(&kperf);
    assert_eq!(failures, 0);
    let iterations = counts["create_experiment"];
    assert!(iterations > 0);
    let wanted = [
        ("create_prompt", 3),
        ("create_prompt_version", 3),
        ("create_run", 3),
        ("log_metric", 9),
        ("log_parameter", 15),
        ("log_artifact", 6),
        ("update_run_status", 3),
    ];
    for (operation, times) in wanted {
        assert_eq!(counts[operation], times * iterations, "{operation}: {counts:?}");
    }
    let looks = counts["search_experiments"];
    assert!(looks > 0 && counts["list_workspaces"] == looks && counts["search_prompts"] == looks, "{counts:?}");
    // Two experiments are there from the start, and five are opened at the most.
    let opened = counts["get_experiment"];
    assert!((2 * looks..=5 * looks).contains(&opened) && counts["search_runs"] == opened, "{counts:?}");
    assert!(counts["get_run"] > 0 && counts["list_artifacts"] == counts["get_run"], "{counts:?}");
    assert!(counts["fetch_artifact"] > 0 && counts["fetch_artifact"] <= counts["get_run"], "{counts:?}");
    assert_eq!(counts.len(), 16, "{counts:?}");
    let run = json(&kperf.out().join("run.json"));
    assert_eq!(run["facts"]["mix"], serde_json::json!({ "mlflow": "3.17.2", "mlflow_store": "SqlStore" }), "{run:#}");
    nothing_left(&server, "quick-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn every_operation_can_be_had_alone() {
    enter(Group::Mlflow);
    const ALL: [&str; 17] = [
        "create_experiment",
        "create_prompt",
        "create_prompt_version",
        "create_run",
        "log_metric",
        "log_parameter",
        "log_batch",
        "log_artifact",
        "update_run_status",
        "list_workspaces",
        "search_prompts",
        "search_experiments",
        "get_experiment",
        "search_runs",
        "get_run",
        "list_artifacts",
        "fetch_artifact",
    ];
    let server = Mlflow::shared();
    let weights = ALL.map(|name| format!("{name} = 1")).join(", ");
    let params = format!(
        "tenants = 3, tenant_name = \"single-{{n}}\", tenant_choice = \"zipf\", operations = {{ {weights} }}, \
         artifact_bytes = 1100000"
    );
    let load = "executor = \"shared-iterations\", vus = 3, iterations = 200, max_duration = \"2m\"";
    let kperf = Kperf::with(&suite(&server.url(), "OPERATIONS", &params, load, "\"http_req_failed rate == 0%\""));
    kperf.run().code(0);
    let (counts, _) = operations(&kperf);
    for name in ALL {
        assert!(counts.contains_key(name), "{name}: {counts:?}");
    }
    nothing_left(&server, "single-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn tenants_of_a_real_server_do_not_see_each_other() {
    enter(Group::Mlflow);
    let server = Mlflow::shared();
    let load = "executor = \"per-vu-iterations\", vus = 2, iterations = 2";
    let thresholds = "\"mlflow_isolation_leak rate == 0%\", \"http_req_failed rate == 0%\", \"iterations count == 4\"";
    let params = "tenants = 3, tenant_name = \"apart-{n}\"";
    let kperf = Kperf::with(&suite(&server.url(), "ISOLATION", params, load, thresholds));
    kperf.run().code(0);
    let scenario = scenario(&kperf);
    let probes = scenario["metrics"].as_array().unwrap().iter().filter(|it| it["name"] == "mlflow_isolation_leak");
    let counts: Vec<u64> = probes.map(|it| it["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [4; 15], "{scenario:#}");
    assert_eq!(scenario["iterations"]["failed"], 0);
    nothing_left(&server, "apart-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn a_leak_fails_the_run_and_is_told_with_its_request() {
    enter(Group::Mlflow);
    let server = Mlflow::shared();
    let proxy = Leaking::start(&server.url(), "leak-1", "leak-2");
    let load = "executor = \"shared-iterations\", vus = 1, iterations = 4";
    let params = "tenants = 2, tenant_name = \"leak-{n}\", tenant_choice = \"round-robin\", write_probes = false";
    let kperf = Kperf::with(&suite(&proxy.url(), "ISOLATION", params, load, "\"mlflow_isolation_leak rate == 0%\""));
    kperf.run().code(3);
    let summary = kperf.summary();
    let incidents = summary["incidents"].as_array().unwrap();
    let leak = incidents.iter().find(|it| it["kind"] == "leak").unwrap_or_else(|| panic!("{summary:#}"));
    let message = leak["message"].as_str().unwrap();
    assert!(message.starts_with("leak-2 is shown experiment ") && message.contains(" of leak-1 "), "{message}");
    let told = |id: &String| id.len() == 32 && message.contains(id.as_str());
    assert!(proxy.leaked().iter().any(told), "{message}: {:?}", proxy.leaked());
    // Each in a row of its own: two lists in each of the two iterations of leak-2.
    let records = std::fs::read_to_string(kperf.out().join("records.jsonl")).unwrap();
    let leaked = proxy.leaked();
    assert_eq!(leaked.iter().filter(|id| records.contains(id.as_str())).count(), 4, "{leaked:?}: {records}");
    nothing_left(&server, "leak-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn what_was_there_before_stays() {
    enter(Group::Mlflow);
    let server = Mlflow::shared();
    server.ask(None, "POST", "/api/3.0/mlflow/workspaces", r#"{"name":"kept-1"}"#);
    server.ask(Some("kept-1"), "POST", "/api/2.0/mlflow/experiments/create", r#"{"name":"theirs"}"#);
    let load = "executor = \"shared-iterations\", vus = 2, iterations = 3";
    for workspaces in ["assume", "create"] {
        let params = format!("tenant_name = \"kept-{{n}}\", workspaces = \"{workspaces}\", log_batch = true");
        let kperf = Kperf::with(&suite(&server.url(), "TRAINING", &params, load, "\"http_req_failed rate == 0%\""));
        kperf.run().code(0);
        assert_eq!(operations(&kperf).0["log_batch"], 9);
        assert_eq!(server.experiments("kept-1"), ["theirs"]);
        let prompts = server.ask(Some("kept-1"), "GET", "/api/2.0/mlflow/registered-models/search", "");
        assert_eq!(prompts["registered_models"], Value::Null);
        let files = folders(&server.artifacts().join("workspaces/kept-1"));
        assert!(files.is_empty(), "{files:?}");
    }
    let nobody = "tenant_name = \"nobody-{n}\", workspaces = \"assume\"";
    let refused = Kperf::with(&suite(&server.url(), "TRAINING", nobody, load, "")).run();
    let told = refused.code(6).stderr();
    assert!(told.contains("does not list 1 of 1 (nobody-1)") && told.contains("or set workspaces"), "{told}");
    server.ask(Some("kept-1"), "DELETE", "/api/3.0/mlflow/workspaces/kept-1?mode=CASCADE", "");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn a_prefill_goes_on_where_it_was() {
    enter(Group::Mlflow);
    let server = Mlflow::shared();
    let names = "tenants = 3, tenant_name = \"filled-{n}\", prompts = 1, runs = 1";
    let load = "executor = \"per-vu-iterations\", vus = 2, iterations = 1";
    let first = Kperf::with(&suite(&server.url(), "PREFILL", &format!("{names}, experiments = 2"), load, ""));
    first.call(&["run", "suite.toml", "--out", "out", "--keep"]).code(0);
    let count = |tenant: &str| server.experiments(tenant).len();
    assert_eq!(["filled-1", "filled-2", "filled-3"].map(count), [2, 2, 2]);
    let load = "executor = \"shared-iterations\", vus = 1, iterations = 1";
    let again = |wanted: u32| -> Ended {
        let params = format!("{names}, prefill = {wanted}");
        let kperf = Kperf::with(&suite(&server.url(), "BROWSING", &params, load, "\"http_req_failed rate == 0%\""));
        kperf.run()
    };
    let complete = again(2);
    assert!(complete.code(0).stderr().contains("3 tenants have their 2 experiments already"), "{}", complete.stderr());
    let more = again(3);
    assert!(more.code(0).stderr().contains("3 experiments are missing for 3 tenants"), "{}", more.stderr());
    // The workspaces are the first run's: of the others only what they have made is gone.
    assert_eq!(["filled-1", "filled-2", "filled-3"].map(count), [2, 2, 2]);
    // Who ends last removes them.
    let params = format!("{names}, prefill = 2");
    let second = Kperf::with(&suite(&server.url(), "BROWSING", &params, load, "\"http_req_failed rate == 0%\""));
    second.call(&["run", "suite.toml", "--out", "out", "--keep"]).code(0);
    first.call(&["cleanup", "out"]).code(0);
    assert_eq!(["filled-1", "filled-2", "filled-3"].map(count), [2, 2, 2]);
    second.call(&["cleanup", "out"]).code(0);
    nothing_left(&server, "filled-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn a_server_that_is_restarted_is_named_and_cleaned_up() {
    enter(Group::Mlflow);
    let mut server = Mlflow::start(Options::default());
    let params = "tenants = 2, training_share = 0.5, split = \"requests\", prefill = 1";
    let load = "executor = \"constant-vus\", vus = 3, duration = \"10m\", think_time = \"200ms\"";
    let kperf = Kperf::with(&suite(&server.url(), "MIXED", params, load, ""));
    let run = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let loaded = |server: &Mlflow, from: usize| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.log()[from..].contains("/api/2.0/mlflow/runs/search") {
            assert!(Instant::now() < deadline, "no load has come: {}", server.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    loaded(&server, 0);
    server.stop();
    std::thread::sleep(Duration::from_secs(1));
    let before = server.log().len();
    server.run();
    // It goes on.
    loaded(&server, before);
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    Ended(run.wait_with_output().unwrap()).code(130);
    assert!(errors(&kperf, "connection") > 0.0, "{:#}", kperf.summary());
    let failures = scenario(&kperf)["iterations"]["failures"].clone();
    assert!(failures.to_string().contains("connection"), "{failures}");
    nothing_left(&server, "tenant-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn an_exhausted_pool_is_overload_and_capacity_ends_below_it() {
    enter(Group::Mlflow);
    let server = Mlflow::start(Options { pool: Some(3), ..Options::default() });
    let params = "tenants = 2, operations = { create_run = 1 }";
    // Three connections are too few for 32 requests at once, which block each other for half a minute.
    // A quick server may be lucky for some seconds.
    let load = "executor = \"constant-vus\", vus = 32, duration = \"15s\", graceful_stop = \"1m\"";
    let kperf = Kperf::with(&suite(&server.url(), "OPERATIONS", params, load, ""));
    kperf.run().code(0);
    assert!(errors(&kperf, "overload") > 0.0, "{:#}", kperf.summary());
    assert_eq!(errors(&kperf, "client-error"), 0.0);
    let failures = scenario(&kperf)["iterations"]["failures"].clone();
    assert_eq!(failures[0]["kind"], "overload", "{failures}");

    let load = "executor = \"capacity-search\", start_rate = \"3/s\", max_rate = \"200/s\", step = \"4s\", settle = \"1s\", \
                precision = \"100%\", confirm = 1, recover = \"45s\", pre_allocated_vus = 32, graceful_stop = \"1m\"";
    let thresholds = "\"http_req_failed rate < 1%\", \"http_req_duration p(95) < 5s\", \"capacity value >= 3\"";
    let kperf = Kperf::with(&suite(&server.url(), "OPERATIONS", params, load, thresholds));
    kperf.run().code(0);
    let capacity = scenario(&kperf)["capacity"].clone();
    let rate = |end: &str| capacity[end]["rate"].as_f64().unwrap_or_else(|| panic!("{capacity:#}"));
    assert!(rate("highest_held") < rate("lowest_broken"), "{capacity:#}");
    nothing_left(&server, "tenant-");
}

#[test]
#[ignore = "needs MLflow from the Python package index; runs in .ci/run"]
fn behind_a_path_prefix_with_a_password() {
    enter(Group::Mlflow);
    const PASSWORD: &str = "a password for tests";
    let server = Mlflow::start(Options { prefix: "/mlflow", password: Some(PASSWORD), ..Options::default() });
    // Few requests: the server hashes the password for each. What is browsed is written in the setup.
    let params = "prefill = 1, prompts = 1, runs = 1, metrics = 1, parameters = 1, artifacts = 1";
    let load = "executor = \"shared-iterations\", vus = 1, iterations = 1";
    let text =
        suite(&server.url(), "BROWSING", params, load, "\"http_req_failed rate == 0%\", \"checks rate == 100%\"");
    let refused = Kperf::with(&text).run();
    assert!(refused.code(6).stderr().contains("give the target a credential"), "{}", refused.stderr());
    let credential = "\ncredential = \"admin\"\nidle_timeout";
    let text = format!(
        "{}[credentials.admin]\nfile = \"secret\"\nscheme = \"Basic\"\n",
        text.replacen("\nidle_timeout", credential, 1)
    );
    let kperf = Kperf::with(&text).file("secret", format!("admin:{PASSWORD}"));
    let ended = kperf.run();
    ended.code(0);
    assert!(!ended.stdout().contains(PASSWORD) && !ended.stderr().contains(PASSWORD));
    nothing_left(&server, "tenant-");
}
