//! The real Python SDK as the judge of how faithful the server is.

use std::net::SocketAddr;
use std::process::Command;

use kperf_sim::{Sim, SimConfig};

#[test]
#[ignore = "needs the kfp Python package; .ci/run installs it"]
fn the_python_sdk_is_content() {
    let config = SimConfig { speed: 20.0, create_rate: 0.0, ..SimConfig::default() };
    let sim = Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let python = std::env::var("KPERF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kfp_client.py");
    let output = Command::new(python).args([script, &sim.url()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
