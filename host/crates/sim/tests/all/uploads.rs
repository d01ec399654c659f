//! Files of every kind, and caching of what they do.

use std::io::Write;

use serde_json::{Value, json};

use crate::client::{PIPELINE, call, get, quick, text, until, upload, upload_bytes};

fn zipped(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("README", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"first, but no pipeline").unwrap();
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
}

fn tarred(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn archives_hold_pipelines() {
    let sim = quick();
    let (status, _) = upload_bytes(&sim, "upload?name=a", "p.zip", &zipped("pipeline.yaml", PIPELINE.as_bytes())).await;
    assert_eq!(status, 200);
    let (status, _) = upload_bytes(&sim, "upload?name=b", "p.tar.gz", &tarred("any.yaml", PIPELINE.as_bytes())).await;
    assert_eq!(status, 200);
    let (status, error) = upload_bytes(&sim, "upload?name=c", "p.zip", b"PK, but nothing more").await;
    assert_eq!((status, text(&error, "error_message").as_str()), (400, "Failed to read a pipeline spec file"));
    let large = vec![b'#'; (32 << 20) + 1];
    let (status, error) = upload_bytes(&sim, "upload?name=d", "p.yaml", &large).await;
    assert_eq!(status, 400);
    assert!(text(&error, "error_details").contains("File size too large"), "{error}");
    let (_, page) = call(&sim, "GET", "/pipelines", Value::Null).await;
    assert_eq!(page["total_size"], 2);
    let url =
        json!({"pipeline": {"display_name": "e"}, "pipeline_version": {"package_url": {"pipeline_url": "https://x"}}});
    assert_eq!(call(&sim, "POST", "/pipelines/create", url).await.0, 400);
}

#[tokio::test]
async fn what_was_done_before_is_taken_from_the_cache() {
    let sim = quick();
    let cached = PIPELINE.replace(
        "componentRef: {name: comp-prepare}",
        "componentRef: {name: comp-prepare}, cachingOptions: {enableCache: true}",
    );
    let (_, pipeline) = upload(&sim, "upload?name=cached", "p.yaml", &cached).await;
    let reference = json!({"pipeline_id": pipeline["pipeline_id"]});
    let mut executors = Vec::new();
    for _ in 0..2 {
        let body = json!({"display_name": "r", "pipeline_version_reference": reference});
        let (_, run) = call(&sim, "POST", "/runs", body).await;
        let run = until(&sim, &text(&run, "run_id"), "SUCCEEDED").await;
        let tasks = run["run_details"]["task_details"].as_array().unwrap();
        let states = tasks.iter().filter(|t| t["display_name"] == "executor").map(|t| t["state"].clone());
        executors.push(states.collect::<Vec<_>>());
        let truth = sim.truth_of(&text(&run, "run_id")).unwrap();
        let pods = truth.nodes.iter().filter(|n| n.kind == "executor" && n.pod.is_some()).count();
        assert_eq!(pods, 3 - executors.len(), "a cached task has no pod of its own");
    }
    assert_eq!(executors, [vec![json!("SUCCEEDED"), json!("SUCCEEDED")], vec![json!("SKIPPED"), json!("SUCCEEDED")]]);
}

#[tokio::test]
async fn routes_that_lead_nowhere_say_so() {
    let sim = quick();
    assert_eq!(call(&sim, "POST", "/workflows", json!("{}")).await.0, 501);
    assert_eq!(call(&sim, "GET", "/scheduledworkflows", Value::Null).await.0, 501);
    assert_eq!(call(&sim, "GET", "/runs/none/nodes/n/artifacts/a:read", Value::Null).await.0, 404);
    let (_, pipeline) = upload(&sim, "upload?name=p", "p.yaml", PIPELINE).await;
    let reference = json!({"pipeline_id": pipeline["pipeline_id"]});
    let (_, run) =
        call(&sim, "POST", "/runs", json!({"display_name": "r", "pipeline_version_reference": reference})).await;
    let run = text(&run, "run_id");
    until(&sim, &run, "SUCCEEDED").await;
    assert_eq!(call(&sim, "GET", &format!("/runs/{run}/nodes/n/artifacts/a:read"), Value::Null).await.0, 404);
    let truth = sim.truth_of(&run).unwrap();
    let pod = truth.nodes.iter().find_map(|n| n.pod.clone()).unwrap();
    let log = async |node: &str| {
        let path = format!("/apis/v1alpha1/runs/{run}/nodes/{node}/log");
        crate::client::send(&sim, "GET", &path, "", String::new()).await
    };
    let (status, lines) = log(&pod).await;
    assert!(status == 200 && lines.contains(&pod), "{lines}");
    assert_eq!(log("none").await.0, 404);
    assert_eq!(get(&sim, "/healthz").await["pipeline_store"], "database");
}
