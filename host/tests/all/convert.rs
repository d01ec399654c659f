//! JSON scenario files, as their users run them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;

use crate::support::{Ended, Kperf};

const SMOKE: &str = r#"[
  {
    "mode": "PIPELINE_RUN",
    "startTime": 0,
    "runTime": 5,
    "numTimes": 2,
    "pipelineFileName": "add_numbers.yaml"
  }
]
"#;
const SMOKE_FILE: &str = "test_data/scenarios/smoke.json";

/// A folder as the Python framework has it, with one scenario file.
fn project(name: &str, scenarios: &str) -> Kperf {
    let kperf = Kperf::with("");
    let data = kperf.out().with_file_name("test_data");
    for folder in ["scenarios", "pipeline_files"] {
        std::fs::create_dir_all(data.join(folder)).unwrap();
    }
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pipelines/three-step.yaml");
    for file in ["add_numbers.yaml", "ml_training_pipeline.yaml", "data_processing.yaml"] {
        std::fs::copy(&pipeline, data.join("pipeline_files").join(file)).unwrap();
    }
    std::fs::write(data.join("scenarios").join(name), scenarios).unwrap();
    kperf
}

/// The program with this environment; what the tests' own environment says of servers does not count.
fn call(kperf: &Kperf, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = kperf.command(arguments);
    for name in ["API_HOST", "API_PORT", "NAMESPACE", "SCENARIO_FILE_NAME", "isKubeflowMode", "local", "cacheEnabled"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).output().unwrap().into()
}

/// A simulated server on a port of its own, faster than a real one.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start() -> Self {
        let simulate = ["simulate", "kfp", "--listen", "127.0.0.1:0", "--speed", "50", "--create-rate", "0"];
        let mut process = Kperf::with("").command(&simulate).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next());
        let port = address.and_then(|address| address.rsplit_once(':')).expect("a line with the address").1.to_owned();
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nobody to wait for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_scenario_file_runs_as_it_is() {
    let server = Server::start();
    let kperf = project("smoke.json", SMOKE);
    let environment = [("API_HOST", "127.0.0.1"), ("API_PORT", server.port.as_str())];
    call(&kperf, &["run", SMOKE_FILE, "--out", "out"], &environment).code(0);
    let summary = kperf.summary();
    assert_eq!(summary["scenarios"][0]["name"], "pipeline-run-1", "{summary:#}");
    assert_eq!(summary["scenarios"][0]["iterations"]["count"], 2, "{summary:#}");
    assert_eq!(summary["verdict"]["outcome"], "pass", "{summary:#}");
}

/// Two scenarios side by side; they start at once here, so that nobody waits for minutes.
const TWO: &str = r#"[
  {
    "mode": "EXPERIMENT",
    "startTime": 0,
    "runTime": 10,
    "numTimes": 5,
    "pipelineFileName": "ml_training_pipeline.yaml"
  },
  {
    "mode": "PIPELINE_RUN",
    "startTime": 0,
    "runTime": 8,
    "numTimes": 3,
    "pipelineFileName": "data_processing.yaml"
  }
]
"#;

#[test]
fn scenarios_run_side_by_side() {
    let server = Server::start();
    let kperf = project("two.json", TWO);
    let environment = [("API_HOST", "127.0.0.1"), ("API_PORT", server.port.as_str())];
    call(&kperf, &["run", "test_data/scenarios/two.json", "--out", "out"], &environment).code(0);
    let summary = kperf.summary();
    let runs = |index: usize| {
        let operations = summary["scenarios"][index]["operations"].as_array().unwrap();
        operations.iter().find(|it| it["operation"] == "create_run").unwrap()["count"].as_u64()
    };
    assert_eq!((runs(0), runs(1)), (Some(5), Some(3)), "{summary:#}");
}

#[test]
fn the_other_modes_can_be_planned() {
    let others = r#"[
      { "mode": "EXPERIMENT", "startTime": 0, "runTime": 1, "numTimes": 4, "concurrency": 2,
        "pipelineFileName": "add_numbers.yaml", "resourceLimits": { "cpu": "500m", "memory": "1Gi" } },
      { "mode": "RANDOM_GETS", "startTime": 0, "runTime": 1 },
      { "mode": "SCHEDULED_RUNS", "startTime": 0, "runTime": 1, "numTimes": 2, "pipelineFileName": "add_numbers.yaml" },
      { "mode": "LARGE_DATASET", "startTime": 0, "runTime": 1 }
    ]"#;
    let kperf = project("others.json", others);
    let environment = [("isKubeflowMode", "True"), ("cacheEnabled", "False")];
    call(&kperf, &["plan", "test_data/scenarios/others.json"], &environment).code(0);
}

#[test]
fn the_environment_may_name_the_file() {
    let kperf = project("load.json", SMOKE);
    let environment = [("SCENARIO_FILE_NAME", "load.json"), ("API_HOST", "kfp.test")];
    let ended = call(&kperf, &["plan"], &environment);
    ended.code(0);
    assert!(ended.stdout().contains("suite load") && ended.stdout().contains("kfp.test"), "{}", ended.stdout());
    let ended = call(&kperf, &["plan"], &[("SCENARIO_FILE_NAME", "none.json")]);
    ended.code(2);
    assert!(ended.stderr().contains("test_data/scenarios"), "{}", ended.stderr());
    call(&kperf, &["plan"], &[]).code(2);
}

#[test]
fn the_converted_suite_finds_its_pipelines_from_where_it_is() {
    let kperf = project("smoke.json", SMOKE);
    let from_json = call(&kperf, &["plan", SMOKE_FILE], &[]);
    from_json.code(0);
    let printed = call(&kperf, &["convert", SMOKE_FILE], &[]);
    printed.code(0);
    assert!(
        printed.stdout().contains("pipeline = \"test_data/pipeline_files/add_numbers.yaml\""),
        "{}",
        printed.stdout()
    );
    for out in ["suite.toml", "test_data/smoke.toml", "test_data/scenarios/smoke.toml"] {
        call(&kperf, &["convert", SMOKE_FILE, "--out", out], &[]).code(0);
        let from_toml = call(&kperf, &["plan", out], &[]);
        from_toml.code(0);
        assert_eq!(from_toml.stdout().lines().next(), from_json.stdout().lines().next());
    }
    call(&kperf, &["convert", SMOKE_FILE, "--out", SMOKE_FILE], &[]).code(2);
}

#[test]
fn a_typo_is_refused_at_its_place() {
    let kperf = project("smoke.json", &SMOKE.replace("numTimes", "numTime"));
    for command in ["run", "validate", "plan", "convert"] {
        let ended = call(&kperf, &[command, SMOKE_FILE], &[]);
        ended.code(2);
        let stderr = ended.stderr();
        for part in ["test_data/scenarios/smoke.json:6:5", "^^^^^^^^^", "did you mean `numTimes`?"] {
            assert!(stderr.contains(part), "no {part}: {stderr}");
        }
        assert_eq!(ended.stdout(), "");
    }
}

#[test]
fn a_missing_pipeline_is_shown_in_the_json() {
    let kperf = project("smoke.json", &SMOKE.replace("add_numbers", "add_numbres"));
    let ended = call(&kperf, &["validate", SMOKE_FILE], &[]);
    ended.code(2);
    let stderr = ended.stderr();
    assert!(stderr.contains("smoke.json:7:25") && stderr.contains("pipeline_files"), "{stderr}");
}

#[test]
fn false_is_false() {
    let kperf = project("smoke.json", SMOKE);
    let namespace = |mode: &str| {
        let ended = call(&kperf, &["convert", SMOKE_FILE], &[("isKubeflowMode", mode), ("NAMESPACE", "team-1")]);
        ended.code(0);
        ended.stdout().contains("namespace = \"team-1\"")
    };
    assert!(namespace("True") && !namespace("False") && !namespace(""));
    let ended = call(&kperf, &["convert", SMOKE_FILE], &[("isKubeflowMode", "Flase")]);
    ended.code(2);
    assert!(ended.stderr().contains("did you mean `false`?"), "{}", ended.stderr());
}

#[test]
fn values_of_the_converted_suite_can_be_overridden() {
    let kperf = project("smoke.json", SMOKE);
    let ended = call(&kperf, &["plan", SMOKE_FILE, "--set", "scenario.pipeline-run-1.load.vus=1"], &[]);
    ended.code(0);
    assert!(ended.stdout().contains("up to 1 "), "{}", ended.stdout());
    let ended = call(&kperf, &["plan", SMOKE_FILE, "--set", "scenario.pipeline-run-1.load.vuss=1"], &[]);
    ended.code(2);
    assert!(ended.stderr().contains("--set"), "{}", ended.stderr());
}
