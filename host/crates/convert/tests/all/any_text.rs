//! No text and no environment makes the conversion panic, and whatever it converts loads as a suite.

use kperf_convert::{ConvertOptions, convert};
use kperf_suite::Source;
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("../valid/modes.json");

fn survives(text: &str, name: &str, variable: Option<&str>) {
    let lookup = |_: &str| variable.map(str::to_owned);
    let locate = |name: &str| Ok(format!("pipelines/{name}"));
    let options = ConvertOptions { lookup: &lookup, locate: &locate, paths: "this file's folder" };
    match convert(Source { name, text }, &options) {
        Ok(converted) => {
            let options = kperf_suite::LoadOptions { environment: None, sets: &[], lookup: &|_| None };
            let loaded = kperf_suite::load(Source { name: "suite.toml", text: &converted.toml }, &options);
            loaded.unwrap_or_else(|wrong| panic!("{text}\nbecame\n{}\n{wrong}", converted.toml));
        }
        Err(refused) => {
            assert!(refused.count() > 0, "refused without a reason:\n{text}");
            assert!(!refused.render(false).is_empty());
        }
    }
}

/// Values that a field may have, good and bad.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|yes| yes.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (0..100u32).prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("JSON has no such number", |it| it.is_finite()).prop_map(|it| it.to_string()),
        prop_oneof![Just("1e999"), Just("5.0"), Just("\"5\""), Just("\"500m\""), Just("\"4Gi\""), Just("\"${X}\"")]
            .prop_map(str::to_owned),
        prop_oneof![Just("PIPELINE_RUN"), Just("EXPERIMENT"), Just("RANDOM_GETS"), Just("SCHEDULED_RUNS")]
            .prop_map(|mode| format!("\"{mode}\"")),
        ".{0,12}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "mode",
        "startTime",
        "runTime",
        "numTimes",
        "pipelineFileName",
        "concurrency",
        "resourceLimits",
        "params",
        "cron",
        "cpu",
        "memory",
        "numTime",
        "",
    ]);
    prop::collection::vec((names, value), 0..8).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// A scenario whose required fields are good.
fn scenario() -> impl Strategy<Value = String> {
    let modes = ["PIPELINE_RUN", "EXPERIMENT", "RANDOM_GETS", "SCHEDULED_RUNS", "LARGE_DATASET"];
    let count = || prop::option::of(prop_oneof![1..20u32, any::<u32>()]);
    (prop::sample::select(modes.to_vec()), 0..2000u32, 1..2000u32, count(), count(), ".{1,12}", value()).prop_map(
        |(mode, start, run, times, concurrency, file, params)| {
            let mut scenario = serde_json::json!({
                "mode": mode, "startTime": start, "runTime": run, "pipelineFileName": file,
                "numTimes": times, "concurrency": concurrency,
            });
            if let Ok(params @ serde_json::Value::Object(_)) = serde_json::from_str(&params) {
                scenario["params"] = params;
            }
            scenario.to_string()
        },
    )
}

proptest! {
    #[test]
    fn any_text(text in ".{0,200}", name in ".{0,20}", variable in prop::option::of(".{0,20}")) {
        survives(&text, &name, variable.as_deref());
    }

    #[test]
    fn any_json(scenarios in prop::collection::vec(object(value()), 0..4)) {
        survives(&format!("[{}]", scenarios.join(",")), "any.json", None);
    }

    #[test]
    fn any_good_scenario(scenarios in prop::collection::vec(scenario(), 1..4), name in ".{1,120}") {
        survives(&format!("[{}]", scenarios.join(",")), &name, None);
    }

    #[test]
    fn a_good_file_with_bytes_changed(at in 0..EVERYTHING.len(), length in 0..4usize, by in "[\\[\\]{},:\"0-9a-z\\\\]{0,3}") {
        let end = (at + length).min(EVERYTHING.len());
        survives(&format!("{}{by}{}", &EVERYTHING[..at], &EVERYTHING[end..]), "changed.json", None);
    }
}

#[test]
fn cut_off_anywhere() {
    for end in 0..=EVERYTHING.len() {
        survives(&EVERYTHING[..end], "cut.json", None);
    }
}

#[test]
fn nested_deeply() {
    let head = r#"{"mode":"PIPELINE_RUN","startTime":0,"runTime":1,"pipelineFileName":"p","params":"#;
    for depth in [1, 30, 31, 32, 33, 34, 100, 400, 100_000] {
        survives(&format!("{head}{{\"a\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth)), "deep.json", None);
        survives(&format!("{head}{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth)), "deep.json", None);
    }
}
