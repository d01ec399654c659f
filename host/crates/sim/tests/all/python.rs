//! The real Python SDK, and Kubernetes' own client, as the judges of how faithful the server is.

use std::net::SocketAddr;
use std::process::Command;

use kperf_sim::{Sim, SimConfig};

fn content(config: SimConfig, script: &str, mode: &str) {
    let config = SimConfig { speed: 20.0, create_rate: None, authorize_rate: None, ..config };
    let sim = Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let python = std::env::var("KPERF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = format!("{}/tests/all/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python).args([&script, &sim.url(), mode]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs the kfp Python package; .ci/run installs it"]
fn the_python_sdk_is_content() {
    content(SimConfig::default(), "kfp_client.py", "single");
}

#[test]
#[ignore = "needs the kfp Python package; .ci/run installs it"]
fn the_python_sdk_is_content_among_many_users() {
    let denied = vec!["eve@example.com=*".parse().unwrap()];
    content(SimConfig { multi_user: true, denied, ..SimConfig::default() }, "kfp_client.py", "multi");
}

#[test]
#[ignore = "needs the kubernetes Python package, which kfp brings; .ci/run installs it"]
fn kubernetes_own_client_is_content() {
    content(SimConfig::default(), "kubernetes_client.py", "");
}
