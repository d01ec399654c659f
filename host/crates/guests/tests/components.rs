//! Every plugin is a valid component that exports one world's interface, in the version that the host knows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the functions that tests share are tests, too")]

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

const WORLDS: [&str; 3] =
    ["kperf:plugin/runner-api@0.1.0", "kperf:plugin/collector-api@0.1.0", "kperf:plugin/reporter-api@0.1.0"];

/// The names that the outermost component imports and exports.
fn interfaces(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

fn check(name: &str) {
    let component = kperf_guests::get(name).unwrap();
    let features = WasmFeatures::default() | WasmFeatures::CM_ASYNC;
    Validator::new_with_features(features).validate_all(component).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (imports, exports) = interfaces(component);
    let [export] = exports.as_slice() else { panic!("{name} exports {exports:?}") };
    assert!(WORLDS.contains(&export.as_str()), "{name} exports {export}");
    for import in imports {
        let known = import.starts_with("kperf:plugin/") && import.ends_with("@0.1.0");
        assert!(known || import.starts_with("wasi:"), "{name} imports {import}");
    }
}

#[test]
fn shipped_plugins_export_one_world() {
    let names: Vec<&str> = kperf_guests::names().collect();
    let expected = [
        "charts-reporter",
        "csv-reporter",
        "faulty-runner",
        "http-collector",
        "http-runner",
        "junit-reporter",
        "kfp-runner",
        "kubernetes-collector",
        "markdown-reporter",
        "pagerduty-reporter",
        "prometheus-collector",
        "slack-reporter",
        "webhook-reporter",
    ];
    assert_eq!(names, expected);
    names.into_iter().for_each(check);
}

#[test]
fn plugins_for_tests_are_components_too() {
    ["blocking-runner", "fetch-runner", "faulty-reporter"].into_iter().for_each(check);
}

#[test]
fn names_are_sorted_and_an_unknown_one_is_none() {
    assert!(kperf_guests::names().is_sorted());
    assert!(kperf_guests::get("no-such-plugin").is_none());
}
