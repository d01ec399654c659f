//! Holds the direction of the crates: `metrics` and `schedule` <- `suite`, `plugin`, `native` <- `plan` <- `run`; `metrics` <-
//! `results` <- `run`; all <- the host, which alone prints.

use std::collections::BTreeSet;
use std::path::Path;

/// What each crate knows of the others.
const EDGES: [(&str, &[&str]); 17] = [
    ("metrics", &[]),
    ("schedule", &[]),
    ("http", &[]),
    ("system", &[]),
    ("guests", &[]),
    ("sim", &[]),
    ("doubles", &[]),
    ("results", &["metrics"]),
    ("load", &["schedule"]),
    ("suite", &["metrics", "schedule"]),
    ("convert", &["suite"]),
    ("plugin", &["http", "metrics"]),
    ("native", &["metrics", "system"]),
    ("export", &["http", "metrics"]),
    ("plan", &["guests", "metrics", "native", "plugin", "schedule", "suite"]),
    (
        "run",
        &["export", "http", "load", "metrics", "native", "plan", "plugin", "results", "schedule", "suite", "system"],
    ),
    (
        "",
        &[
            "convert", "doubles", "guests", "metrics", "native", "plan", "plugin", "results", "run", "schedule", "sim",
            "suite",
        ],
    ),
];

#[test]
fn crates_know_only_those_below_them() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let on_disk: BTreeSet<String> = std::fs::read_dir(host.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> =
        EDGES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !name.is_empty()).collect();
    assert_eq!(on_disk, listed, "a crate without a place in EDGES, or the other way round");

    for (name, allowed) in EDGES {
        let folder = if name.is_empty() { host.to_owned() } else { host.join("crates").join(name) };
        let manifest: toml::Table =
            std::fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().expect("a manifest is TOML");
        let empty = toml::Table::new();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&empty);
        let known: BTreeSet<&str> = dependencies.keys().filter_map(|key| key.strip_prefix("kperf-")).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert_eq!(known, allowed, "kperf-{name} knows others than are listed");
    }
}

#[test]
fn only_the_host_knows_the_terminal() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut folders = vec![crates];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("terminal::"), "{} knows the terminal", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read} files");
}
