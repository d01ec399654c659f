//! What goes wrong on purpose, and what takes time on purpose.

use std::time::{Duration, Instant};

use kperf_sim::{ConfigError, Operation, Prefill, Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{call, get, local, started, uploaded};

fn sim(config: SimConfig) -> Sim {
    Sim::start(SimConfig { create_rate: None, speed: 1e3, ..config }, local()).unwrap()
}

#[tokio::test]
async fn refusals_come_before_the_work() {
    let sim = sim(SimConfig { error_rate: 1.0, ..SimConfig::default() });
    let (status, error) = call(&sim, "POST", "/experiments", json!({"display_name": "e"})).await;
    assert_eq!((status, &error["code"]), (503, &json!(14)));
    // Health is no operation of the API.
    assert_eq!(get(&sim, "/healthz").await["multi_user"], false);
    drop(sim);
    let sim = Sim::start(SimConfig { error_rate: 1.0, error_status: 429, ..SimConfig::default() }, local()).unwrap();
    assert_eq!(call(&sim, "GET", "/runs", Value::Null).await.0, 429);
}

#[tokio::test]
async fn requests_are_refused_at_their_share() {
    let sim = sim(SimConfig { error_rate: 0.3, ..SimConfig::default() });
    let mut refused = 0_u32;
    for _ in 0..1_000 {
        refused += u32::from(call(&sim, "GET", "/experiments", Value::Null).await.0 == 503);
    }
    // Within three standard deviations, so that a share of 0.25 or 0.35 fails.
    assert!(refused.abs_diff(300) < 44, "{refused} of 1,000");
}

#[tokio::test]
async fn resets_show_as_broken_connections_and_half_of_them_after_the_work() {
    use std::io::{Read, Write};
    let sim = sim(SimConfig { reset_rate: 1.0, ..SimConfig::default() });
    let addr = sim.addr();
    let broken = tokio::task::spawn_blocking(move || {
        let attempt = |i: usize| {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            let body = format!("{{\"display_name\":\"e{i}\"}}");
            let head =
                format!("POST /apis/v2beta1/experiments HTTP/1.1\r\nhost: s\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
            let mut answer = Vec::new();
            let end = stream.read_to_end(&mut answer);
            assert!(answer.is_empty());
            end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        };
        (0..40).filter(|i| attempt(*i)).count()
    });
    assert_eq!(broken.await.unwrap(), 40);
    let (_, metrics) = crate::client::send(&sim, "GET", "/metrics", "", String::new()).await;
    let line = metrics.lines().find(|l| l.starts_with("experiment_server_run_count ")).unwrap();
    let made: u32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((8..32).contains(&made), "{made} of 40 were made all the same");
}

#[tokio::test]
async fn single_operations_and_long_lists_take_longer() {
    let latencies = [(Operation::GetPipeline, Duration::from_millis(150))].into();
    let prefill = Prefill { experiments: 100, ..Prefill::default() };
    let list_latency = Duration::from_millis(1_500);
    let sim = sim(SimConfig { latencies, prefill, list_latency, ..SimConfig::default() });
    let pipeline = uploaded(&sim).await;
    let took = async |path: &str| {
        let began = Instant::now();
        get(&sim, path).await;
        began.elapsed()
    };
    assert!(took(&format!("/pipelines/{pipeline}")).await >= Duration::from_millis(150));
    // 101 rows, 1.5 s for a thousand.
    assert!(took("/experiments").await >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_task_that_fails_fails_its_run() {
    let sim = sim(SimConfig { failure_rate: 1.0, ..SimConfig::default() });
    let pipeline = uploaded(&sim).await;
    let run = started(&sim, &pipeline, "r").await;
    crate::client::until(&sim, &crate::client::text(&run, "run_id"), "FAILED").await;
}

#[test]
fn wrong_settings_are_refused() {
    let usual = SimConfig::default;
    assert_eq!(usual().check(), Ok(()));
    for (config, error) in [
        (SimConfig { error_rate: 1.5, ..usual() }, "error_rate is 1.5: a share is from 0 to 1"),
        (SimConfig { error_status: 200, ..usual() }, "error_status is 200: a refusal is from 400 to 599"),
        (SimConfig { speed: 0.0, ..usual() }, "speed is 0: it must be above 0"),
        (SimConfig { create_rate: Some(0.0), ..usual() }, "create_rate is 0: it must be above 0"),
        (SimConfig { authorize_rate: Some(f64::NAN), ..usual() }, "authorize_rate is NaN: it must be above 0"),
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), error);
        let refused = Sim::start(config, local()).unwrap_err();
        assert!(refused.get_ref().is_some_and(|source| source.is::<ConfigError>()), "{refused:?}");
    }
    let denial = "ann".parse::<kperf_sim::Denial>().unwrap_err().to_string();
    assert!(denial.contains("user@example.com=team-1"), "{denial}");
}
