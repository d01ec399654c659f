//! Tries a native collector alone, without a run: what it describes, and what it observes in three looks.
//!
//!     cargo run -p kperf-native --example collect -- system-collector
//!     cargo run -p kperf-native --example collect -- ./fans.so '{"speed": 0.5}'

#![allow(clippy::print_stdout, reason = "an example says what it sees")]

use std::path::Path;
use std::time::Duration;

use kperf_native::{CALL_LIMIT, Collection, LOAD_LIMIT, Observations, Plugin};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("give a built-in collector's name or a library's path")?;
    let given: serde_json::Value = serde_json::from_str(&arguments.next().unwrap_or_else(|| "{}".to_owned()))?;
    let plugin = match Plugin::builtin(&name) {
        Some(plugin) => plugin,
        None => Plugin::load(Path::new(&name), &Plugin::digest_of_file(Path::new(&name))?, LOAD_LIMIT)?,
    };
    let description = plugin.description();
    let mode = description.modes.first().ok_or("it has no mode")?;
    println!("{} {}, mode {}: {}", description.name, description.version, mode.name, description.summary);
    let mut parameters = serde_json::Map::new();
    if let Some(properties) = mode.schema.get("properties").and_then(|properties| properties.as_object()) {
        let defaults = properties.iter().filter_map(|(name, it)| Some((name.clone(), it.get("default")?.clone())));
        parameters.extend(defaults);
    }
    parameters.extend(given.as_object().cloned().unwrap_or_default());
    let collection = Collection {
        name: "try".to_owned(),
        mode: mode.name.clone(),
        parameters: serde_json::Value::Object(parameters).to_string(),
        run: "try".to_owned(),
        folder: ".".to_owned(),
    };
    let (mut session, observations) = plugin.start(collection, CALL_LIMIT)?;
    show(&observations);
    for look in 1..=3 {
        std::thread::sleep(Duration::from_secs(1));
        let (result, observations) = session.collect();
        println!("\nlook {look}: {result:?}");
        show(&observations);
    }
    Ok(())
}

fn show(observations: &Observations) {
    for (level, line) in &observations.lines {
        println!("  {level:?}: {line}");
    }
    for sample in &observations.samples {
        println!("  {} {:?} {}", sample.metric, sample.tags, sample.value);
    }
}
