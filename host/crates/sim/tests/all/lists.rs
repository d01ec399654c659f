//! Lists over many rows that were there before.

use std::collections::BTreeSet;

use kperf_sim::{Prefill, Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{call, get, local, text};

fn used() -> Sim {
    let prefill = Prefill { runs: 3_000, pipelines: 5, experiments: 4 };
    Sim::start(SimConfig { prefill, create_rate: None, speed: 1e3, ..SimConfig::default() }, local()).unwrap()
}

fn filtered(predicates: &Value) -> String {
    let filter = json!({ "predicates": predicates }).to_string();
    url::form_urlencoded::byte_serialize(filter.as_bytes()).collect()
}

#[tokio::test]
async fn prefilled_rows_are_like_any_other() {
    let sim = used();
    assert_eq!(get(&sim, "/pipelines").await["total_size"], 5);
    assert_eq!(get(&sim, "/experiments").await["total_size"], 5);
    let page = get(&sim, "/runs?page_size=2&sort_by=created_at%20desc").await;
    assert_eq!(page["total_size"], 3_000);
    let run = &page["runs"][0];
    assert_eq!(get(&sim, &format!("/runs/{}", text(run, "run_id"))).await, *run);
    let tasks = run["run_details"]["task_details"].as_array().unwrap();
    assert_eq!(tasks.len(), 12);
    let (created, finished) = (text(run, "created_at"), text(run, "finished_at"));
    assert!(
        created < finished && tasks.iter().all(|t| text(t, "start_time") >= created && text(t, "end_time") <= finished)
    );
    let truth = sim.truth_of(&text(run, "run_id")).unwrap();
    assert_eq!(
        truth.finished.unwrap() / 1_000_000_000,
        humantime::parse_rfc3339(&finished).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    );
    assert!(sim.truth().runs.is_empty(), "nothing has happened since the start");
    let experiment = text(run, "experiment_id");
    let of_one = get(&sim, &format!("/runs?experiment_id={experiment}")).await["total_size"].as_u64().unwrap();
    assert!((500..1_000).contains(&of_one), "{of_one}");

    let failed = filtered(&json!([{"operation": "EQUALS", "key": "state", "string_value": "FAILED"}]));
    let page = get(&sim, &format!("/runs?filter={failed}")).await;
    assert!((100..300).contains(&page["total_size"].as_u64().unwrap()), "{}", page["total_size"]);
    let path = format!("/runs/{}", text(&page["runs"][0], "run_id"));
    assert_eq!(call(&sim, "POST", &format!("{path}:retry"), Value::Null).await.0, 200);
    assert_eq!(get(&sim, &path).await["state"], "RUNNING");
    assert_eq!(call(&sim, "DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(get(&sim, "/runs").await["total_size"], 2_999);
}

#[tokio::test]
async fn filters_by_time_and_pages_of_filtered_lists_agree_with_the_whole() {
    let sim = used();
    let middle = text(&get(&sim, "/runs?page_size=200&sort_by=created_at").await["runs"][150], "created_at");
    let before = filtered(&json!([{"operation": "LESS_THAN_EQUALS", "key": "created_at", "timestamp_value": middle}]));
    for sort in ["created_at", "created_at%20desc", "name", "run_id%20desc", "state"] {
        let (mut seen, mut token) = (BTreeSet::new(), String::new());
        loop {
            let page =
                get(&sim, &format!("/runs?page_size=40&sort_by={sort}&filter={before}&page_token={token}")).await;
            assert_eq!(page["total_size"], 151, "{sort}");
            for run in page["runs"].as_array().unwrap() {
                assert!(text(run, "created_at") <= middle);
                assert!(seen.insert(text(run, "run_id")), "{sort}: twice");
            }
            match page["next_page_token"].as_str() {
                Some(next) => token = url::form_urlencoded::byte_serialize(next.as_bytes()).collect(),
                None => break,
            }
        }
        assert_eq!(seen.len(), 151, "{sort}");
    }
}
