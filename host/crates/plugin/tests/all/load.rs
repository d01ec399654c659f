//! Loading: every reason against it has its name.

use kperf_plugin::{Fault, InspectError, LoadError, Plugin, World};

use crate::support::{bytes, engine, on_worker, plugin};

async fn refused(bytes: &[u8]) -> LoadError {
    Plugin::load(engine(), bytes).await.expect_err("it loads")
}

/// The bytes with a text replaced by another one of the same length.
fn with(name: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes(name).to_vec();
    let places: Vec<_> = bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn what_is_no_component_is_refused() {
    on_worker(async {
        for (bytes, what) in [
            (&b"\0asm\x01\0\0\0"[..], "a core module"),
            (b"(component)", "WebAssembly text"),
            (b"#!/bin/sh", "no WebAssembly"),
            (b"", "no WebAssembly"),
        ] {
            let error = refused(bytes).await;
            assert_eq!(error.fault(), Fault::NotAComponent);
            assert!(error.to_string().contains(what), "{error}");
        }
        let whole = bytes("http-runner");
        let error = refused(&whole[..whole.len() / 2]).await;
        assert!(matches!(error, LoadError::Inspection(InspectError::Damaged(_))), "{error}");
    });
}

#[test]
fn another_version_of_the_contract_is_refused() {
    on_worker(async {
        let error = refused(&with("http-runner", "kperf:plugin/http@0.1.0", "kperf:plugin/http@0.2.0")).await;
        assert_eq!(error.fault(), Fault::BadVersion);
        assert!(error.to_string().contains("speaks kperf:plugin 0.2.0, this host speaks 0.1"), "{error}");
    });
}

#[test]
fn an_unknown_import_is_named() {
    on_worker(async {
        let error = refused(&with("http-runner", "kperf:plugin/metrics@0.1.0", "kperf:plugin/magnets@0.1.0")).await;
        assert!(matches!(error, LoadError::Unfit(_)));
        assert!(error.to_string().contains("kperf:plugin/magnets@0.1.0"), "{error}");
    });
}

#[test]
fn plugins_say_what_they_are() {
    on_worker(async {
        for (name, world, concurrent) in [
            ("http-runner", World::Runner, true),
            ("faulty-runner", World::Runner, true),
            ("blocking-runner", World::Runner, false),
            // Built for concurrency, but `wasi:http` makes the whole instance wait.
            ("fetch-runner", World::Runner, false),
            ("http-collector", World::Collector, true),
            ("markdown-reporter", World::Reporter, true),
        ] {
            let plugin = plugin(name).await;
            assert_eq!((plugin.world(), plugin.is_concurrent()), (world, concurrent), "{name}");
            assert_eq!(plugin.description().name, name);
            assert_eq!(plugin.digest().len(), 64);
            assert!(plugin.description().modes.iter().all(|mode| mode.schema.is_object()));
        }
    });
}
