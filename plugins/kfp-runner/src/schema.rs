//! The JSON Schemas of the modes' parameters, put together from the parts that modes share.

pub use kperf_plugin_sdk::schema::of;

/// Of every mode.
pub const COMMON: &str = include_str!("schema/common.json");
/// Of modes that run a pipeline.
pub const PIPELINE: &str = include_str!("schema/pipeline.json");
pub const PIPELINE_RUN: &str = include_str!("schema/pipeline_run.json");
pub const EXPERIMENT: &str = include_str!("schema/experiment.json");
pub const RANDOM_GETS: &str = include_str!("schema/random_gets.json");
pub const SCHEDULED_RUNS: &str = include_str!("schema/scheduled_runs.json");
pub const LARGE_DATASET: &str = include_str!("schema/large_dataset.json");

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::{RunnerMode as _, schema::defaults};
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{
        description::description,
        modes::{experiment, large_dataset, pipeline_run, random_gets, scheduled_runs},
    };

    /// The parameters of a mode with every default that its schema has, and what is required.
    fn written(mode: &str) -> Value {
        let description = description();
        let mode = description.modes.iter().find(|it| it.name == mode).unwrap();
        let schema: Value = serde_json::from_str(&mode.parameters).unwrap();
        let mut written = defaults(&mode.parameters);
        for key in schema["required"].as_array().unwrap() {
            written.insert(key.as_str().unwrap().into(), "p.yaml".into());
        }
        written.into()
    }

    #[test]
    fn every_part_is_read() {
        for part in [COMMON, PIPELINE, PIPELINE_RUN, EXPERIMENT, RANDOM_GETS, SCHEDULED_RUNS, LARGE_DATASET] {
            let read: Map<String, Value> = serde_json::from_str(part).unwrap();
            assert!(!read.is_empty());
            for (key, property) in read {
                assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{key}");
            }
        }
    }

    #[test]
    fn the_schemas_defaults_are_the_types() {
        fn same<T: serde::de::DeserializeOwned>(mode: &str, shown: impl Fn(&T) -> String) {
            let from_schema: T = serde_json::from_value(written(mode)).unwrap();
            let bare: T = serde_json::from_value(json!({"pipeline": "p.yaml"})).unwrap();
            assert_eq!(shown(&from_schema), shown(&bare), "{mode}");
        }
        same::<pipeline_run::Params>(pipeline_run::PipelineRun::NAME, |it| format!("{it:?}"));
        same::<experiment::Params>(experiment::Experiment::NAME, |it| format!("{it:?}"));
        same::<random_gets::Params>(random_gets::RandomGets::NAME, |it| {
            format!("{it:?}").replace("Some(\"p.yaml\")", "None")
        });
        same::<scheduled_runs::Params>(scheduled_runs::ScheduledRuns::NAME, |it| format!("{it:?}"));
        same::<large_dataset::Params>(large_dataset::LargeDataset::NAME, |it| format!("{it:?}"));
    }
}
