//! Multi-user mode: who may do what, and where things live.

use std::time::{Duration, Instant};

use kperf_sim::{Sim, SimConfig};
use serde_json::{Value, json};

use crate::client::{PIPELINE, call, call_as, detail, local, send, send_as, text};

const ANN: &str = "ann@example.com";

fn shared(config: SimConfig) -> Sim {
    let denied = vec!["eve@example.com=*".parse().unwrap(), "*=closed".parse().unwrap()];
    let config = SimConfig { multi_user: true, denied, speed: 1e3, create_rate: None, ..config };
    Sim::start(config, local()).unwrap()
}

fn free() -> Sim {
    shared(SimConfig { authorize_rate: None, ..SimConfig::default() })
}

async fn upload_as(sim: &Sim, user: &str, query: &str) -> (u16, Value) {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"p.yaml\"\r\n\r\n{PIPELINE}\r\n--B--\r\n"
    );
    let path = format!("/apis/v2beta1/pipelines/upload?{query}");
    let headers = [("kubeflow-userid", user)];
    let (status, text) = send_as(sim, &headers, "POST", &path, "multipart/form-data; boundary=B", body.into()).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn rows_live_in_namespaces() {
    let sim = free();
    let (_, health) = call(&sim, "GET", "/healthz", Value::Null).await;
    assert_eq!(health["multi_user"], true);
    let (status, pipeline) = upload_as(&sim, ANN, "name=p&namespace=team-1").await;
    assert_eq!((status, &pipeline["namespace"]), (200, &json!("team-1")), "{pipeline}");
    // The same name in another namespace, and for all.
    assert_eq!(upload_as(&sim, ANN, "name=p&namespace=team-2").await.0, 200);
    assert_eq!(upload_as(&sim, ANN, "name=p&namespace=team-1").await.0, 409);
    assert_eq!(upload_as(&sim, ANN, "name=p").await.0, 200);
    for namespace in ["team-1", "team-2", ""] {
        let (_, page) = call_as(&sim, ANN, "GET", &format!("/pipelines?namespace={namespace}"), Value::Null).await;
        assert_eq!(page["total_size"], 1, "{namespace}: {page}");
    }
    let (status, found) = call_as(&sim, ANN, "GET", "/pipelines/names/p?namespace=team-1", Value::Null).await;
    assert_eq!((status, &found["pipeline_id"]), (200, &pipeline["pipeline_id"]));

    let create = async |namespace: &str| {
        let body = json!({"display_name": "e", "namespace": namespace});
        let (status, experiment) = call_as(&sim, ANN, "POST", "/experiments", body).await;
        assert_eq!((status, &experiment["namespace"]), (200, &json!(namespace)), "{experiment}");
        text(&experiment, "experiment_id")
    };
    let (first, second) = (create("team-1").await, create("team-2").await);
    let reference = json!({"pipeline_id": pipeline["pipeline_id"]});
    for experiment in [&first, &first, &second] {
        let body = json!({"display_name": "r", "experiment_id": experiment, "pipeline_version_reference": reference});
        let (status, run) = call_as(&sim, ANN, "POST", "/runs", body).await;
        assert_eq!((status, &run["service_account"]), (200, &json!("default-editor")), "{run}");
    }
    let (_, runs) = call_as(&sim, ANN, "GET", "/runs?namespace=team-1", Value::Null).await;
    assert_eq!(runs["total_size"], 2);
    let body = json!({"display_name": "rr", "experiment_id": second, "max_concurrency": 1,
        "pipeline_version_reference": reference, "trigger": {"periodic_schedule": {"interval_second": 60}}});
    let (_, recurring) = call_as(&sim, ANN, "POST", "/recurringruns", body).await;
    assert_eq!(recurring["namespace"], "team-2");
    let (_, page) = call_as(&sim, ANN, "GET", "/recurringruns?namespace=team-1", Value::Null).await;
    assert_eq!(page, json!({}));
}

#[tokio::test]
async fn the_unknown_the_denied_and_the_vague_are_refused() {
    let sim = free();
    let (_, pipeline) = upload_as(&sim, ANN, "name=shared").await;
    let reference = json!({"pipeline_id": pipeline["pipeline_id"]});
    let experiment = json!({"display_name": "e", "namespace": "team-1"});
    let (status, error) = call(&sim, "POST", "/experiments", experiment.clone()).await;
    assert_eq!((status, &error["code"]), (401, &json!(16)));
    assert!(detail(&error).contains("there is no user identity header"), "{error}");
    for (user, namespace) in [("eve@example.com", "team-1"), (ANN, "closed")] {
        let body = json!({"display_name": "e", "namespace": namespace});
        let (status, error) = call_as(&sim, user, "POST", "/experiments", body).await;
        assert_eq!((status, &error["code"]), (403, &json!(7)), "{error}");
        let wanted = format!("Namespace:{namespace},Verb:create,Group:pipelines.kubeflow.org");
        assert!(
            detail(&error).starts_with(&format!("User '{user}' is not authorized")) && detail(&error).contains(&wanted)
        );
    }
    let (_, experiment) = call_as(&sim, ANN, "POST", "/experiments", experiment).await;
    let path = format!("/experiments/{}", text(&experiment, "experiment_id"));
    assert_eq!(call_as(&sim, "eve@example.com", "GET", &path, Value::Null).await.0, 403);
    assert_eq!(call_as(&sim, "eve@example.com", "DELETE", &path, Value::Null).await.0, 403);
    assert_eq!(call_as(&sim, ANN, "GET", "/experiments/none", Value::Null).await.0, 404);

    let run = json!({"display_name": "r", "pipeline_version_reference": reference});
    let (status, error) = call_as(&sim, ANN, "POST", "/runs", run).await;
    assert_eq!((status, detail(&error)), (400, "Experiment id can not be empty in multi-user mode"));
    let (status, error) = call_as(&sim, ANN, "GET", "/runs", Value::Null).await;
    assert_eq!((status, detail(&error)), (400, "A run cannot have an empty namespace in multi-user mode"));
    let (status, error) = upload_as(&sim, "eve@example.com", "name=q&namespace=team-1").await;
    assert_eq!((status, text(&error, "error_message").as_str()), (400, "Failed to create a pipeline"));
    // What is shared needs no permission.
    let path = format!("/pipelines/{}", text(&pipeline, "pipeline_id"));
    assert_eq!(call(&sim, "GET", &path, Value::Null).await.0, 200);
    // A single-user server does not care who asks.
    let single = Sim::start(SimConfig::default(), local()).unwrap();
    assert_eq!(call(&single, "GET", "/runs", Value::Null).await.0, 200);
}

#[tokio::test]
async fn tokens_expire() {
    let sim = free();
    let list = async |token: &str| {
        let headers = [("authorization", token)];
        send_as(&sim, &headers, "GET", "/apis/v2beta1/runs?namespace=team-1", "", Vec::new().into()).await.0
    };
    assert_eq!(list("Bearer ann@example.com").await, 200);
    assert_eq!(list("Bearer ann@example.com;exp=4000000000").await, 200);
    assert_eq!(list("Bearer ann@example.com;exp=1000").await, 401);
    assert_eq!(list("Bearer eve@example.com").await, 403);
}

#[tokio::test]
async fn authorisations_beyond_the_burst_wait() {
    let sim = shared(SimConfig { authorize_rate: Some(5.0), authorize_burst: 1, ..SimConfig::default() });
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(call_as(&sim, ANN, "GET", "/runs?namespace=n", Value::Null).await.0, 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(390), "{:?}", began.elapsed());
    let (status, _) = send(&sim, "GET", "/metrics", "", String::new()).await;
    assert_eq!(status, 200);
}
