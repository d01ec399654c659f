//! The collectors that are part of kperf, on this machine.

use std::time::Duration;

use kperf_native::{Collection, Failure, Observations, Plugin};

const LIMIT: Duration = Duration::from_secs(30);

fn collection(mode: &str, parameters: &str) -> Collection {
    let text = |text: &str| text.to_owned();
    Collection { name: text("c"), mode: text(mode), parameters: text(parameters), run: text("r"), folder: text(".") }
}

/// The values of a metric whose tags include this one.
fn values(observations: &Observations, metric: &str, tag: Option<(&str, &str)>) -> Vec<f64> {
    let tag = tag.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let matching = observations.samples.iter().filter(|sample| sample.metric == metric);
    matching.filter(|sample| tag.as_ref().is_none_or(|tag| sample.tags.contains(tag))).map(|it| it.value).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_collector_tells_of_this_process_and_this_machine() {
    let plugin = Plugin::builtin("system-collector").unwrap();
    let pid = std::process::id();
    let parameters = format!(
        r#"{{"machine": true, "processes": [{{"component": "me", "pid": {pid}, "children": true}},
            {{"component": "nobody", "name": "no-such-process", "children": true}}]}}"#
    );
    let (mut session, _) = plugin.start(collection("system", &parameters), LIMIT).unwrap();
    let block = vec![1_u8; 64 << 20];
    let busy = std::time::Instant::now();
    while busy.elapsed() < Duration::from_millis(200) {
        std::hint::spin_loop();
    }
    let (result, observations) = session.collect();
    result.unwrap();
    let me = Some(("component", "me"));
    assert!(values(&observations, "component_cpu", me)[0] > 0.0, "{observations:?}");
    assert!(values(&observations, "component_memory", me)[0] > block.iter().map(|byte| f64::from(*byte)).sum());
    assert_eq!(values(&observations, "component_processes", Some(("component", "nobody"))), [0.0]);
    assert_eq!(values(&observations, "component_memory", Some(("component", "nobody"))), [0.0; 0], "a gap, no zero");
    let cpu = values(&observations, "system_cpu", None)[0];
    assert!(cpu > 0.0 && cpu <= 1.0, "{cpu}");
    assert!(values(&observations, "system_memory_available", None)[0] > 0.0);
    assert_eq!(values(&observations, "system_network_received", Some(("interface", "lo"))).len(), 1);
    for share in values(&observations, "system_pressure", None) {
        assert!((0.0..=1.0).contains(&share), "{share}");
    }
    let known: Vec<&str> = plugin.description().metrics.iter().map(|metric| &*metric.name).collect();
    assert!(observations.samples.iter().all(|sample| known.contains(&sample.metric.as_str())));
    let (result, _) = session.finish(0, 1);
    assert!(matches!(&result, Err(Failure::Failed(why)) if why.contains("`nobody`")), "{result:?}");
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let plugin = Plugin::builtin("system-collector").unwrap();
    let parameters = r#"{"machine": false, "processes": [{"component": "x", "command": "(", "children": true}]}"#;
    let error = plugin.start(collection("system", parameters), LIMIT).unwrap_err();
    assert!(error.to_string().contains("no regular expression"), "{error}");
}

#[test]
fn without_a_driver_the_gpu_collector_says_so() {
    let plugin = Plugin::builtin("nvml-collector").unwrap();
    match plugin.start(collection("gpus", "{}"), LIMIT) {
        Err(error) => {
            assert_eq!(error.kind(), "not-available");
            assert!(error.to_string().contains("NVIDIA driver"), "{error}");
        }
        // This machine has one.
        Ok((mut session, _)) => {
            let (result, observations) = session.collect();
            result.unwrap();
            assert!(!values(&observations, "gpu_memory_total", None).is_empty());
        }
    }
}
