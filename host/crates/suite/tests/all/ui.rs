//! Suites in files: those with mistakes beside what is said about them, good ones beside what comes of them.
//! `KPERF_BLESS=1` rewrites what is expected.

use std::{env, fs, path::Path};

use kperf_suite::{Diagnostics, LoadOptions, Source, Suite, load};

/// Loads a suite. Lines `# env: NAME` and `# set: PATH=VALUE` in it say how.
fn load_file(path: &Path) -> Result<Suite, Diagnostics> {
    let text = fs::read_to_string(path).unwrap();
    let comments = |prefix: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(prefix).map(str::to_owned)).collect()
    };
    let (environments, sets) = (comments("# env: "), comments("# set: "));
    let lookup = |name: &str| (name == "FROM_ENVIRONMENT").then(|| "12".to_owned());
    let options = LoadOptions { environment: environments.first().map(String::as_str), sets: &sets, lookup: &lookup };
    load(Source { name: path.file_name().unwrap().to_str().unwrap(), text: &text }, &options)
}

/// Compares what each suite in `folder` gives with the file beside it.
fn compare(folder: &str, extension: &str, show: impl Fn(Result<Suite, Diagnostics>) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut seen = 0;
    let mut different = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        seen += 1;
        let shown = show(load_file(&path));
        let expected = path.with_extension(extension);
        if env::var_os("KPERF_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            different.push(format!("{}:\n{shown}", path.display()));
        }
    }
    assert!(seen > 0, "no suites");
    assert!(different.is_empty(), "not as expected (KPERF_BLESS=1 accepts):\n{}", different.join("\n"));
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    compare("ui", "err", |result| result.expect_err("a suite with mistakes").render(false));
}

#[test]
fn a_good_suite_means_what_it_should() {
    compare("valid", "suite", |result| {
        let suite = result.unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut out = String::new();
        out += &format!("{:?} seed {} env {:?}\n", suite.name, suite.seed, suite.environment);
        for target in suite.targets.values() {
            out += &format!("{target:?}\n");
        }
        for credential in suite.credentials.values() {
            out += &format!("{credential:?}\n");
        }
        out += &format!("{:?}\n", suite.simulated);
        if let Some(cells) = &suite.cells {
            out += &format!("{cells:?}\n");
        }
        for scenario in &suite.scenarios {
            let plugin = &scenario.plugin;
            out += &format!("\nscenario {:?}\n  {:?}\n", plugin.name.value, scenario.load);
            out += &format!(
                "  {:?} mode {:?} target {:?} hosts {:?} credentials {:?}\n  {:?}\n",
                plugin.plugin.value,
                plugin.mode.as_ref().map(|mode| &mode.value),
                plugin.target.as_ref().map(|target| &target.value),
                plugin.allow_hosts,
                plugin.credentials,
                plugin.limits,
            );
            out += &format!("  params {}\n", serde_json::Value::Object(plugin.params.json().clone()));
            out += &format!(
                "  start {:?} tags {:?} isolation {:?} group {} workers {:?} timeout {:?}\n",
                scenario.start,
                scenario.tags,
                scenario.isolation,
                scenario.group,
                scenario.workers,
                scenario.iteration_timeout
            );
            for threshold in &scenario.thresholds {
                out += &format!("  {:?} abort {:?}\n", threshold.text, threshold.abort);
            }
        }
        for native in &suite.natives {
            let digest = native.sha256.as_ref().map(|digest| &digest.value);
            out += &format!("\nnative {:?} {digest:?} required {}\n", native.plugin.plugin.value, native.required);
        }
        if suite.export != kperf_suite::Export::default() {
            let push = |push: &kperf_suite::Push| format!("{}{}", push.target.value, push.path);
            out += &format!(
                "\nexport {:?} {:?} {:?} {:?}\n",
                suite.export.labels,
                suite.export.prometheus.as_ref().map(|listen| listen.address.value),
                suite.export.remote_write.as_ref().map(push),
                suite.export.otlp.as_ref().map(push),
            );
        }
        for threshold in &suite.thresholds {
            out += &format!("\n{:?} abort {:?} {}", threshold.text, threshold.abort, threshold.severity);
        }
        for collector in &suite.collectors {
            out += &format!("\ncollector {:?} every {:?}", collector.plugin.name.value, collector.interval);
        }
        for reporter in &suite.reporters {
            out += &format!(
                "\nreporter {:?} required {} on {:?} hold {:?} deadline {:?} append {:?}",
                reporter.plugin.name.value,
                reporter.required,
                reporter.on,
                reporter.hold,
                reporter.deadline,
                reporter.append_to
            );
        }
        out + "\n"
    });
}

#[test]
fn a_named_target_is_the_simulated_server_until_an_override_says_otherwise() {
    let text = "name = \"t\"\n[targets.kfp]\nurl = \"simulated\"\n[[scenario]]\nname = \"s\"\nplugin = \"http-runner\"\n\
                target = \"kfp\"\nload = { executor = \"constant-vus\", duration = \"10s\" }\n";
    let simulated = |sets: &[String]| {
        let options = LoadOptions { environment: None, sets, lookup: &|_| None };
        let suite = load(Source { name: "t.toml", text }, &options);
        suite.unwrap_or_else(|wrong| panic!("{wrong}")).uses_simulated()
    };
    assert!(simulated(&[]));
    assert!(!simulated(&["targets.kfp.url=https://kfp.example.com".to_owned()]));
}
