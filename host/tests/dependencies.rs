//! Holds the direction of the crates: `metrics`, `http`, `system` <- `suite`, `load`, `plugin`, `sim`, `doubles`, `native`,
//! `export` <- the host. `convert` writes what `suite` reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;

/// What each crate may know of the others; whoever is not listed may know nobody.
const EDGES: [(&str, &[&str]); 14] = [
    ("metrics", &[]),
    ("http", &[]),
    ("doubles", &[]),
    ("guests", &[]),
    ("load", &["schedule"]),
    ("schedule", &[]),
    ("sim", &[]),
    ("system", &[]),
    ("suite", &["metrics", "schedule"]),
    ("convert", &["suite"]),
    ("plugin", &["http", "metrics"]),
    ("native", &["metrics", "system"]),
    ("export", &["http", "metrics"]),
    (
        "",
        &[
            "convert", "doubles", "export", "guests", "http", "load", "metrics", "native", "plugin", "schedule", "sim",
            "suite", "system",
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
        assert!(known.is_subset(&allowed), "kperf-{name} knows {known:?}, and may know {allowed:?}");
    }
}
