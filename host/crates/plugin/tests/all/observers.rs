//! Collectors and reporters.

use std::sync::Arc;

use kperf_plugin::{Collector, Event, PluginContext, Redactor, Reporter, Runner, Secret, Window};

use crate::server::Server;
use crate::support::{Worker, on_worker, plugin, scenario};

#[test]
fn a_collector_observes_on_each_call() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let context = Arc::new(scenario("probe", &server.url(), r#"{"path": "/health"}"#));
        let mut collector = Collector::new(&plugin("http-collector").await, worker.context.clone(), context).unwrap();
        collector.start().await.unwrap();
        collector.collect().await.unwrap();
        collector.collect().await.unwrap();
        collector.finish(Window::default()).await.unwrap();
        let samples = worker.samples();
        assert_eq!(samples["probe_up{scenario=s}"], 1.0);
        assert_eq!(samples["probe_duration{scenario=s}"], 2.0);
        assert_eq!(server.paths(), ["/health", "/health"]);
    });
}

#[test]
fn a_reporter_leaves_files_without_secrets_in_its_folder() {
    on_worker(async {
        let secret = Secret::new("s3cr3t-t0ken");
        let worker = Worker::with_redactor(Redactor::new([&secret]));
        let folder = tempfile::tempdir().unwrap();
        let context =
            PluginContext { artifacts: Some(folder.path().into()), ..scenario("file", "", r#"{"file": "out.md"}"#) };
        let plugin = plugin("markdown-reporter").await;
        let mut reporter = Reporter::new(&plugin, worker.context.clone(), Arc::new(context)).unwrap();
        reporter.start().await.unwrap();
        reporter.on_event(Event::RunStarted).await.unwrap();
        reporter.on_event(Event::ScenarioFinished("s3cr3t-t0ken".into())).await.unwrap();
        reporter.report("{}".into()).await.unwrap();
        let text = std::fs::read_to_string(folder.path().join("out.md")).unwrap();
        assert!(text.contains("scenario ************ finished"), "{text}");
    });
}

#[test]
fn a_reporter_without_a_folder_can_not_write() {
    on_worker(async {
        let worker = Worker::new();
        let plugin = plugin("markdown-reporter").await;
        let context = Arc::new(scenario("file", "", r#"{"file": "out.md"}"#));
        let mut reporter = Reporter::new(&plugin, worker.context.clone(), context).unwrap();
        reporter.start().await.unwrap();
        let error = reporter.report("{}".into()).await.unwrap_err();
        assert!(error.to_string().starts_with("artifact: "), "{error}");
    });
}

#[test]
fn a_plugin_of_another_world_is_refused() {
    on_worker(async {
        let worker = Worker::new();
        let plugin = plugin("http-collector").await;
        let error = Runner::new(&plugin, worker.context.clone(), Arc::default()).err().unwrap();
        assert!(error.to_string().contains("is a collector, not a runner"), "{error}");
    });
}
