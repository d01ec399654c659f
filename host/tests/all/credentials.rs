//! Credentials that expire, against a server that lets nobody in without one.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::Kperf;
use kperf_sim::{Sim, SimConfig};

/// A token of the simulated server that is good for so many seconds.
fn token(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("ada@example.com;exp={}", now + seconds)
}

fn suite(url: &str) -> String {
    format!(
        r#"name = "tokens"
[credentials.token]
file = "token"
[targets.kfp]
url = "{url}"
credential = "token"
[[scenario]]
name = "reads"
plugin = "http-runner"
target = "kfp"
thresholds = ["http_req_failed rate == 0%", "http_reqs count > 20"]
[[scenario.params.requests]]
name = "list"
path = "/apis/v2beta1/experiments?namespace=team"
[scenario.load]
executor = "constant-arrival-rate"
rate = "10/s"
duration = "6s"
pre_allocated_vus = 5
"#
    )
}

fn server() -> Sim {
    let config = SimConfig { multi_user: true, authorize_rate: None, ..SimConfig::default() };
    Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

#[test]
fn a_token_that_is_replaced_in_its_file_is_used_at_once() {
    let sim = server();
    let kperf = Kperf::with(&suite(&sim.url())).file("token", token(4));
    let run = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let fresh = token(600);
    let kperf = kperf.file("token", &fresh);
    let ended = crate::support::Ended(run.wait_with_output().unwrap());
    ended.code(0);
    assert!(!ended.stdout().contains(&fresh) && !ended.stderr().contains(&fresh));
    assert_eq!(kperf.summary()["scenarios"][0]["operations"][0]["failures"], 0);
}

#[test]
fn a_token_that_nobody_replaces_expires() {
    let sim = server();
    let kperf = Kperf::with(&suite(&sim.url())).file("token", token(4));
    kperf.run().code(3);
    let statuses = kperf.summary()["scenarios"][0]["operations"][0]["statuses"].to_string();
    assert!(statuses.contains("401"), "{statuses}");
}
