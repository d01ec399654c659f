//! Collectors outside the sandbox, and what is always known of the machine that makes the load.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::suite;
use crate::support::{Ended, Kperf, Target, json};

fn of<'a>(metrics: &'a serde_json::Value, name: &str) -> Vec<&'a serde_json::Value> {
    metrics.as_array().unwrap().iter().filter(|metric| metric["name"] == name).collect()
}

fn incident<'a>(summary: &'a serde_json::Value, kind: &str) -> &'a serde_json::Value {
    let incidents = summary["incidents"].as_array().unwrap();
    incidents.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {incidents:#?}"))
}

#[test]
fn what_the_generator_uses_is_recorded_and_shown() {
    let target = Target::start();
    let kperf = Kperf::with(&suite(&target.url(), 2, ""));
    let ended = kperf.run();
    ended.code(0);
    let used = kperf.summary()["generator"].clone();
    if cfg!(target_os = "linux") {
        assert!(used["cpu_mean"].as_f64().unwrap() > 0.0, "{used:#}");
        assert!(
            used["memory_max"].as_f64().unwrap() > 1e6 && used["open_files_max"].as_f64().unwrap() > 3.0,
            "{used:#}"
        );
        let machine = used["machine_cpu_max"].as_f64().unwrap();
        assert!(machine > 0.0 && machine <= 1.0, "{used:#}");
        assert!(ended.stdout().contains("generator  "), "{}", ended.stdout());
        assert!(kperf.summary()["scenarios"][0]["generator"]["waited_share"].is_number());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn processes_are_observed_and_judged_like_anything_else() {
    let target = Target::start();
    let collector = format!(
        r#"
[[collector]]
name = "host"
plugin = "system-collector"
native = true
interval = "500ms"
params.processes = [{{ component = "tests", pid = {} }}, {{ component = "nobody", name = "no-such-process" }}]
"#,
        std::process::id()
    );
    let threshold = "thresholds = [\"component_memory{component=tests} value > 1MB\", \"component_cpu{component=tests} max < 64\"]\n";
    let text = suite(&target.url(), 2, &collector)
        .replace("name = \"outside\"\n", &format!("name = \"outside\"\n{threshold}"));
    let kperf = Kperf::with(&text);
    let refused = kperf.run();
    refused.code(2);
    for part in ["--allow-native", "outside the sandbox", "suite.toml:", "^"] {
        assert!(refused.stderr().contains(part), "no {part}: {}", refused.stderr());
    }
    kperf.call(&["run", "suite.toml", "--out", "out", "--allow-native"]).code(0);
    let summary = kperf.summary();
    let memory = of(&summary["metrics"], "component_memory");
    assert_eq!(memory.len(), 1, "{memory:#?}");
    assert_eq!(memory[0]["tags"]["component"], "tests");
    // This process and the kperf that it has started.
    assert!(memory[0]["value"].as_f64().unwrap() > 1e6, "{memory:#?}");
    assert!(of(&summary["metrics"], "component_cpu")[0]["count"].as_u64().unwrap() >= 3);
    assert!(!of(&summary["metrics"], "system_cpu").is_empty());
    assert!(incident(&summary, "failed")["message"].as_str().unwrap().contains("`nobody`"));
    let plan = kperf.call(&["plan", "suite.toml", "--allow-native"]);
    assert!(plan.stdout().contains("outside the sandbox"), "{}", plan.stdout());
}

/// A C source as a shared library, in a folder of its own.
fn compiled(source: &Path, options: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-std=c11", "-D_DEFAULT_SOURCE"])
        .args(options)
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/native/include"))
        .arg("-o")
        .arg(&path)
        .arg(source)
        .status()
        .unwrap();
    assert!(compiled.success());
    (folder, path)
}

/// The collector of kperf-native's tests.
fn library(fault: &str) -> (tempfile::TempDir, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/native/tests/all/collector.c");
    compiled(&source, &[&format!("-DFAULT={fault}")])
}

fn with_library(url: &str, path: &Path, more: &str) -> String {
    let path = path.display();
    let collector =
        format!("[[collector]]\nname = \"fans\"\nplugin = \"{path}\"\nnative = true\ninterval = \"500ms\"\n{more}\n");
    suite(url, 1, &collector)
}

/// The digest that a message tells.
fn digest(text: &str) -> String {
    let (_, rest) = text.split_once("sha256 = \"").unwrap_or_else(|| panic!("no digest: {text}"));
    rest.chars().take(64).collect()
}

#[test]
#[cfg(unix)]
fn a_library_runs_once_it_is_pinned_and_allowed() {
    let target = Target::start();
    let (_folder, path) = library("GOOD");
    let unpinned = Kperf::with(&with_library(&target.url(), &path, ""));
    let refused = unpinned.call(&["validate", "suite.toml", "--allow-native"]);
    refused.code(2);
    let pinned = format!("sha256 = \"{}\"\nparams.speed = 0.25", digest(&refused.stderr()));
    let kperf = Kperf::with(&with_library(&target.url(), &path, &pinned));
    kperf.call(&["run", "suite.toml", "--out", "out", "--allow-native"]).code(0);
    let summary = kperf.summary();
    let speed = of(&summary["metrics"], "fan_speed");
    let left = speed.iter().find(|it| it["tags"]["fan"] == "left").unwrap_or_else(|| panic!("{speed:#?}"));
    assert_eq!((left["min"].as_f64(), left["tags"]["side"].as_str()), (Some(0.25), Some("für")));
    assert!(incident(&summary, "undeclared-metric")["message"].as_str().unwrap().contains("fan_noise"));
    let plugins = json(&kperf.out().join("run.json"))["plugins"].clone();
    let fans = plugins.as_array().unwrap().iter().find(|plugin| plugin["name"] == "fans").unwrap().clone();
    assert_eq!(fans["digest"], format!("sha256:{}", digest(&refused.stderr())));

    let wrong = Kperf::with(&with_library(&target.url(), &path, &format!("sha256 = \"{}\"", "1".repeat(64))));
    let refused = wrong.call(&["run", "suite.toml", "--allow-native"]);
    refused.code(2);
    assert!(refused.stderr().contains("has the digest"), "{}", refused.stderr());
}

#[test]
#[cfg(unix)]
fn the_documentations_collector_works() {
    let target = Target::start();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/native-collectors.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let (_, rest) = text.split_once("```c\n").unwrap();
    let (source, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("answer.c"), source).unwrap();
    let (_folder, path) = compiled(&folder.path().join("answer.c"), &["-Wall", "-Werror"]);
    let pin = Kperf::with(&with_library(&target.url(), &path, "")).call(&["validate", "suite.toml", "--allow-native"]);
    let kperf = Kperf::with(&with_library(&target.url(), &path, &format!("sha256 = \"{}\"", digest(&pin.stderr()))));
    kperf.call(&["run", "suite.toml", "--out", "out", "--allow-native"]).code(0);
    assert_eq!(of(&kperf.summary()["metrics"], "answer")[0]["value"], 42.0);
}

#[test]
#[cfg(unix)]
fn what_is_not_available_is_named_and_fails_only_where_it_is_required() {
    let target = Target::start();
    let (_folder, path) = library("NOT_AVAILABLE");
    let pin = Kperf::with(&with_library(&target.url(), &path, "")).call(&["validate", "suite.toml", "--allow-native"]);
    let pin = format!("sha256 = \"{}\"", digest(&pin.stderr()));
    let kperf = Kperf::with(&with_library(&target.url(), &path, &pin));
    let ended = kperf.call(&["run", "suite.toml", "--out", "out", "--allow-native"]);
    ended.code(0);
    let summary = kperf.summary();
    let missing = incident(&summary, "not-available");
    assert_eq!(missing["source"], "fans");
    assert!(missing["message"].as_str().unwrap().contains("there is no fan"), "{missing:#}");
    let kperf = Kperf::with(&with_library(&target.url(), &path, &format!("{pin}\nrequired = true")));
    let ended = kperf.call(&["run", "suite.toml", "--out", "out", "--allow-native"]);
    ended.code(6);
    assert!(ended.stderr().contains("there is no fan"), "{}", ended.stderr());
    assert_eq!(target.requests(), (1 + 20) + 1, "a preflight and load of the first run, a preflight of the second");
}

#[test]
#[cfg(unix)]
fn a_library_of_another_version_ends_before_anything_is_sent() {
    let target = Target::start();
    let (_folder, path) = library("BAD_VERSION");
    let pin = Kperf::with(&with_library(&target.url(), &path, "")).call(&["validate", "suite.toml", "--allow-native"]);
    let pin = format!("sha256 = \"{}\"", digest(&pin.stderr()));
    let ended = Kperf::with(&with_library(&target.url(), &path, &pin)).call(&["run", "suite.toml", "--allow-native"]);
    ended.code(6);
    assert!(ended.stderr().contains("version 2"), "{}", ended.stderr());
    assert_eq!(target.requests(), 0);
}

/// A suite with the GPU collector.
fn with_gpus(url: &str, params: &str) -> String {
    suite(url, 1, &format!("[[collector]]\nname = \"gpus\"\nplugin = \"nvml-collector\"\nnative = true\n{params}"))
}

#[test]
#[cfg(target_os = "linux")]
fn gpus_are_observed_through_the_drivers_library() {
    let target = Target::start();
    let (folder, library) = compiled(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/native/nvml.c"), &[]);
    std::fs::rename(library, folder.path().join("libnvidia-ml.so.1")).unwrap();
    let run = |params: &str| {
        let kperf = Kperf::with(&with_gpus(&target.url(), params));
        let mut command = kperf.command(&["run", "suite.toml", "--out", "out", "--allow-native"]);
        let ended = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
        (kperf, Ended::from(ended))
    };
    let (kperf, ended) = run("");
    ended.code(0);
    let metrics = kperf.summary()["metrics"].clone();
    let value = |name: &str, gpu: &str| {
        let of_gpu = of(&metrics, name).into_iter().find(|metric| metric["tags"]["gpu"] == gpu);
        of_gpu.map(|metric| (metric["value"].as_f64().unwrap(), metric["tags"]["model"].as_str().unwrap().to_owned()))
    };
    let (first, second) = ("Double A".to_owned(), "Double B".to_owned());
    assert_eq!(value("gpu_utilization", "0"), Some((0.75, first.clone())));
    assert_eq!(value("gpu_memory_utilization", "0"), Some((0.2, first.clone())));
    assert_eq!(value("gpu_utilization", "1"), None, "what is not told is left out");
    assert_eq!(value("gpu_memory_used", "1"), Some((f64::from(1_u32 << 31), second.clone())));
    assert_eq!(value("gpu_memory_total", "1"), Some((80.0 * f64::from(1_u32 << 30), second.clone())));
    assert_eq!(value("gpu_power", "0"), Some((300.25, first)));
    assert_eq!(value("gpu_temperature", "1"), Some((41.0, second)));
    let (_, ended) = run("params.gpus = [0, 2]");
    ended.code(6);
    assert!(ended.stderr().contains("there is no GPU 2: the driver knows 2"), "{}", ended.stderr());
}
