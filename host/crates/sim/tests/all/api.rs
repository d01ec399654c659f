//! Pipelines, experiments and runs as a client sees them.

use std::time::Duration;

use kperf_sim::{Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{PIPELINE, call, detail, frozen, get, local, quick, send, started, text, until, upload, uploaded};

#[tokio::test]
async fn from_upload_to_a_finished_run() {
    let sim = quick();
    assert_eq!(get(&sim, "/healthz").await["multi_user"], false);
    let pipeline = uploaded(&sim).await;
    let shown = get(&sim, &format!("/pipelines/{pipeline}")).await;
    assert_eq!((text(&shown, "name"), text(&shown, "description")), ("p1".to_owned(), "d e".to_owned()));
    let versions = get(&sim, &format!("/pipelines/{pipeline}/versions?page_size=1&sort_by=created_at%20desc")).await;
    assert_eq!(versions["total_size"], 1);
    let version = text(&versions["pipeline_versions"][0], "pipeline_version_id");
    assert_eq!(versions["pipeline_versions"][0]["pipeline_spec"]["pipelineInfo"]["name"], "two-steps");

    let (_, experiment) = call(&sim, "POST", "/experiments", json!({"display_name": "e"})).await;
    let experiment = text(&experiment, "experiment_id");
    let body = json!({"display_name": "job", "experiment_id": experiment, "runtime_config": {"parameters": {"items": 3}},
        "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version}});
    let (status, run) = call(&sim, "POST", "/runs", body).await;
    assert_eq!(status, 200, "{run}");
    assert_eq!((&run["state"], &run["finished_at"]), (&json!("PENDING"), &json!("1970-01-01T00:00:00Z")));
    assert_eq!(run["runtime_config"], json!({"parameters": {"items": 3}}));
    assert_eq!(run["service_account"], "pipeline-runner");
    assert!(run.get("description").is_none() && run.get("run_details").is_none());

    let done = until(&sim, &text(&run, "run_id"), "SUCCEEDED").await;
    assert_ne!(done["finished_at"], "1970-01-01T00:00:00Z");
    let tasks = done["run_details"]["task_details"].as_array().unwrap();
    let names: Vec<&str> = tasks.iter().filter_map(|t| t["display_name"].as_str()).collect();
    assert!(names[0].starts_with("two-steps-"), "{names:?}");
    assert_eq!(
        names[1..],
        ["root-driver", "root", "prepare-driver", "prepare", "executor", "work-driver", "work", "executor"]
    );
    assert!(tasks.iter().all(|t| t["state"] == "SUCCEEDED"));
    let history: Vec<&Value> = done["state_history"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert_eq!(history.first(), Some(&&json!("PENDING")));
    assert_eq!(history.last(), Some(&&json!("SUCCEEDED")));
    assert_ne!(get(&sim, &format!("/experiments/{experiment}")).await["last_run_created_at"], "1970-01-01T00:00:00Z");
}

#[tokio::test]
async fn terminate_retry_archive_and_delete() {
    let sim = quick();
    let pipeline = uploaded(&sim).await;
    let slow = PIPELINE.replace("['5']", "['5000000']").replace("two-steps", "slow");
    let (_, version) = upload(&sim, &format!("upload_version?name=v2&pipelineid={pipeline}"), "p.yaml", &slow).await;
    let id = text(&version, "pipeline_version_id");
    let body = json!({"display_name": "r",
        "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": id}});
    let (_, run) = call(&sim, "POST", "/runs", body).await;
    let id = text(&run, "run_id");
    let path = format!("/runs/{id}");
    until(&sim, &id, "RUNNING").await;
    let (status, error) = call(&sim, "POST", &format!("{path}:retry"), Value::Null).await;
    assert_eq!((status, &error["code"]), (409, &json!(10)));
    assert_eq!(call(&sim, "POST", &format!("{path}:terminate"), Value::Null).await, (200, json!({})));
    until(&sim, &id, "FAILED").await;
    let (status, error) = call(&sim, "POST", &format!("{path}:terminate"), Value::Null).await;
    assert_eq!(status, 400);
    assert!(detail(&error).ends_with("Row not found"), "{error}");
    assert_eq!(call(&sim, "POST", &format!("{path}:retry"), Value::Null).await, (200, json!({})));
    let again = get(&sim, &path).await;
    assert_eq!((&again["state"], &again["finished_at"]), (&json!("RUNNING"), &json!("1970-01-01T00:00:00Z")));

    assert_eq!(call(&sim, "POST", &format!("{path}:archive"), Value::Null).await.0, 200);
    assert_eq!(get(&sim, &path).await["storage_state"], "ARCHIVED");
    assert_eq!(call(&sim, "DELETE", &path, Value::Null).await, (200, json!({})));
    assert_eq!(call(&sim, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(get(&sim, "/runs").await, json!({}));
}

#[tokio::test]
async fn runs_are_listed_in_pages_by_experiment_and_filter() {
    let sim = frozen();
    let pipeline = uploaded(&sim).await;
    for i in 0..25 {
        started(&sim, &pipeline, &format!("run-{i:02}")).await;
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = get(&sim, &format!("/runs?page_size=10&sort_by=name%20desc&page_token={token}")).await;
        assert_eq!(page["total_size"], 25);
        seen.extend(page["runs"].as_array().unwrap().iter().map(|r| text(r, "display_name")));
        match page["next_page_token"].as_str() {
            Some(next) => token = url::form_urlencoded::byte_serialize(next.as_bytes()).collect(),
            None => break,
        }
    }
    assert_eq!(seen, (0..25).rev().map(|i| format!("run-{i:02}")).collect::<Vec<_>>());

    let filter = r#"{"predicates":[{"operation":"EQUALS","key":"name","stringValue":"run-07"},
        {"operation":"IN","key":"state","string_values":{"values":["PENDING","RUNNING"]}}]}"#;
    let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    let page = get(&sim, &format!("/runs?filter={filter}")).await;
    assert_eq!(page["total_size"], 1);
    assert_eq!(page["runs"][0]["display_name"], "run-07");
    let experiment = text(&page["runs"][0], "experiment_id");
    assert_eq!(get(&sim, &format!("/runs?experiment_id={experiment}")).await["total_size"], 25);
    let other = "00000000-0000-4000-8000-000000000000";
    assert_eq!(get(&sim, &format!("/runs?experiment_id={other}")).await, json!({}));
}

#[tokio::test]
async fn archiving_an_experiment_takes_its_runs_along() {
    let sim = frozen();
    let pipeline = uploaded(&sim).await;
    let run = started(&sim, &pipeline, "r").await;
    let (path, experiment) = (format!("/runs/{}", text(&run, "run_id")), text(&run, "experiment_id"));
    assert_eq!(get(&sim, &format!("/experiments/{experiment}")).await["display_name"], "Default");
    assert_eq!(call(&sim, "POST", &format!("/experiments/{experiment}:archive"), Value::Null).await.0, 200);
    assert_eq!(get(&sim, &path).await["storage_state"], "ARCHIVED");
    let (status, error) = call(&sim, "POST", &format!("{path}:unarchive"), Value::Null).await;
    assert_eq!((status, &error["code"]), (400, &json!(9)));
    assert_eq!(call(&sim, "POST", &format!("/experiments/{experiment}:unarchive"), Value::Null).await.0, 200);
    assert_eq!(get(&sim, &path).await["storage_state"], "ARCHIVED");
    assert_eq!(call(&sim, "POST", &format!("{path}:unarchive"), Value::Null).await.0, 200);
}

#[tokio::test]
async fn refused_runs_and_experiments() {
    let sim = frozen();
    let pipeline = uploaded(&sim).await;
    let gone = "00000000-0000-4000-8000-000000000000";
    let reference = json!({"pipeline_id": pipeline});
    // Body, status, code, what the user is told, what the message holds.
    let cases = [
        (
            json!({"pipeline_version_reference": reference}),
            500,
            13,
            "Internal Server Error",
            "Run name cannot be empty",
        ),
        (json!({"display_name": "r"}), 500, 13, "Internal Server Error", "empty pipeline spec"),
        (
            json!({"display_name": "r", "pipeline_version_reference": {"pipeline_id": gone, "pipeline_version_id": gone}}),
            500,
            13,
            "Internal Server Error",
            "PipelineVersion 00000000-0000-4000-8000-000000000000 not found",
        ),
        (
            json!({"display_name": "r", "experiment_id": gone, "pipeline_version_reference": reference}),
            404,
            5,
            "Experiment 00000000-0000-4000-8000-000000000000 not found",
            "ResourceNotFoundError",
        ),
        (
            json!({"display_name": "r", "pipeline_version_reference": reference, "runtime_config": {"parameters": {"items": "3"}}}),
            400,
            3,
            "input parameter items requires type double or integer, but the parameter value is not of number value type",
            "Invalid input error",
        ),
        (json!({"foo": 1}), 400, 3, "", "proto: (line 1:2): unknown field \"foo\""),
        (
            json!({"display_name": "r", "pipeline_spec": {"root": {}}}),
            500,
            13,
            "Internal Server Error",
            "unknown template",
        ),
    ];
    for (body, status, code, told, message) in cases {
        let (got, error) = call(&sim, "POST", "/runs", body.clone()).await;
        assert_eq!((got, &error["code"], detail(&error)), (status, &json!(code), told), "{body}: {error}");
        assert!(text(&error, "message").contains(message), "{error}");
    }

    let create = async |name: Value| call(&sim, "POST", "/experiments", json!({"display_name": name})).await;
    assert_eq!(create(json!("Default")).await.0, 409);
    assert_eq!(create(Value::Null).await.0, 500);
    let default = text(&get(&sim, "/experiments").await["experiments"][0], "experiment_id");
    let (status, error) = call(&sim, "DELETE", &format!("/experiments/{default}"), Value::Null).await;
    assert_eq!((status, &error["code"]), (409, &json!(10)));

    let (status, error) = call(&sim, "GET", "/nowhere", Value::Null).await;
    assert_eq!((status, error), (404, json!({"code": 5, "message": "Not Found"})));
    let (status, error) = call(&sim, "PUT", "/runs", Value::Null).await;
    assert_eq!((status, error), (501, json!({"code": 12, "message": "Method Not Allowed"})));
    let (status, _) = call(&sim, "GET", "/runs?page_size=-1", Value::Null).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn refused_uploads_and_pipelines() {
    let sim = frozen();
    let pipeline = uploaded(&sim).await;
    let (status, error) = upload(&sim, "upload?name=p1", "p.yaml", PIPELINE).await;
    assert_eq!(
        (status, text(&error, "error_message").as_str()),
        (409, "Failed to create a pipeline and a pipeline version")
    );
    let (status, error) = upload(&sim, "upload?name=p2", "p.yaml", "a: 1").await;
    assert_eq!((status, text(&error, "error_message").as_str()), (400, "unknown template format"));
    let (status, error) = upload(&sim, "upload?name=p2", "p.txt", PIPELINE).await;
    assert_eq!((status, text(&error, "error_message").as_str()), (400, "Failed to read a pipeline spec file"));
    let (status, error) = upload(&sim, "upload_version?name=v&pipelineid=none", "p.yaml", PIPELINE).await;
    assert_eq!((status, text(&error, "error_message").as_str()), (400, "Failed to create a pipeline version"));

    assert_eq!(get(&sim, "/pipelines/names/p1").await["pipeline_id"], json!(pipeline));
    assert_eq!(call(&sim, "GET", "/pipelines/names/p2", Value::Null).await.0, 404);
    let path = format!("/pipelines/{pipeline}");
    let (_, renamed) = call(&sim, "PATCH", &path, json!({"display_name": "shown", "tags": {"team": "a"}})).await;
    assert_eq!((&renamed["display_name"], &renamed["name"]), (&json!("shown"), &json!("p1")));
    assert_eq!(call(&sim, "DELETE", &path, Value::Null).await.0, 400);
    assert_eq!(call(&sim, "DELETE", &format!("{path}?cascade=true"), Value::Null).await, (200, json!({})));
    assert_eq!(call(&sim, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(get(&sim, "/pipelines").await, json!({}));
}

#[tokio::test]
async fn creations_beyond_the_burst_wait_and_others_do_not() {
    let config = SimConfig { create_rate: Some(4.0), create_burst: 1, ..SimConfig::default() };
    let sim = Sim::start(config, local()).unwrap();
    let pipeline = uploaded(&sim).await;
    let began = std::time::Instant::now();
    started(&sim, &pipeline, "first").await;
    // The second token is a quarter of a second away, the third a half.
    let (second, third) = tokio::join!(started(&sim, &pipeline, "second"), started(&sim, &pipeline, "third"));
    assert!(began.elapsed() >= Duration::from_millis(490), "{:?}", began.elapsed());
    assert!(second["created_at"].is_string() && third["created_at"].is_string());
    let (_, text) = send(&sim, "GET", "/metrics", "", String::new()).await;
    assert!(text.lines().any(|l| l == "run_server_create_requests 3"), "{text}");
    assert!(text.lines().any(|l| l == "run_server_run_count 3"), "{text}");
}

#[test]
fn dropping_stops_the_server() {
    let sim = quick();
    let addr = sim.addr();
    assert_eq!(sim.url(), format!("http://{addr}"));
    drop(sim);
    assert!(std::net::TcpStream::connect_timeout(&addr, Duration::from_secs(5)).is_err());
}
