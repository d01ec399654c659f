//! What guests can do with what the host lends to them, and what they can't.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_plugin::{Credential, Grants, Isolation, IterationOutcome, PluginContext, Redactor, Secret};

use crate::server::Server;
use crate::support::{Worker, on_worker, plugin, scenario};

fn failed(kind: &str) -> IterationOutcome {
    IterationOutcome::Failed { kind: kind.into() }
}

fn one_request(target: &str, request: &str) -> PluginContext {
    scenario("requests", target, &format!(r#"{{"requests": [{request}]}}"#))
}

#[test]
fn a_request_is_measured_and_can_be_found_in_the_servers_log() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let request = r#"{"name": "read", "path": "/a?b=c", "expect": {"status": 200, "json": {"/state": "ok"}}}"#;
        let pool = worker.pool(&plugin("http-runner").await, one_request(&format!("{}/base", server.url()), request));
        for number in 0..3 {
            assert_eq!(pool.iterate(0, number, None).await, IterationOutcome::Ok);
        }
        pool.tick();
        let samples = worker.samples();
        let tags = "{operation=read,scenario=s}";
        assert_eq!(samples["http_reqs{method=GET,operation=read,scenario=s,status=200}"], 3.0);
        assert_eq!(samples[&format!("http_req_failed{tags}")], 0.0);
        for phase in ["duration", "blocked", "sending", "waiting", "receiving"] {
            assert_eq!(samples[&format!("http_req_{phase}{tags}")], 3.0, "{phase}");
        }
        assert_eq!(samples[&format!("http_req_connecting{tags}")], 1.0, "one connection was opened");
        assert!(!samples.contains_key(&format!("http_req_response_time{tags}")), "closed model");
        assert!(samples["data_sent{scenario=s}"] > 100.0 && samples["data_received{scenario=s}"] > 100.0);
        assert!(samples["guest_cpu{scenario=s}"] > 0.0);
        assert!(samples.iter().any(|(name, share)| name.starts_with("checks{") && *share == 1.0), "{samples:?}");

        let heads = server.heads();
        let value = |name: &str| {
            let line = heads[0].lines().find(|line| line.starts_with(name)).expect(name);
            line.split_once(": ").unwrap().1.to_owned()
        };
        assert!(heads[0].starts_with("GET /base/a?b=c HTTP/1.1\r\n"), "{}", heads[0]);
        let parent = value("traceparent");
        let parts: Vec<_> = parent.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{parent}");
        assert_eq!(parts[1], value("x-request-id"));
        assert_ne!(heads[0], heads[1], "every request has its own id");
    });
}

#[test]
fn in_the_open_model_lateness_counts() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let pool =
            worker.pool(&plugin("http-runner").await, one_request(&server.url(), r#"{"name": "read", "path": "/"}"#));
        let due = Instant::now() - Duration::from_secs(5);
        assert_eq!(pool.iterate(0, 0, Some(due)).await, IterationOutcome::Ok);
        let interval = worker.context.shard.lock().take(1);
        let longest = |name: &str| {
            let registry = &worker.context.registry;
            let (_, delta) =
                interval.iter().find(|(id, _)| &*registry.info(*id).unwrap().metric.name == name).expect(name);
            let kperf_metrics::Delta::Distribution(histogram) = delta else { panic!("{name} is no distribution") };
            histogram.figures().max
        };
        assert!(longest("http_req_response_time") >= 5.0);
        assert!(longest("http_req_duration") < 5.0);
    });
}

#[test]
fn a_host_that_is_not_granted_is_denied_and_nothing_is_sent() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("http-runner").await;
        let request = format!(r#"{{"name": "read", "path": "{}/x"}}"#, server.url());
        let pool = worker.pool(&plugin, one_request("", &request));
        assert_eq!(pool.iterate(0, 0, None).await, failed("denied"));
        let message = worker.incidents().remove("host-denied").unwrap().1;
        assert!(message.contains("allow_hosts") && message.contains(&server.address.to_string()), "{message}");
        assert!(server.heads().is_empty());
        assert!(worker.samples().keys().all(|name| !name.starts_with("http_")));

        let mut context = one_request("", &request);
        context.grants.hosts.push(server.address.to_string().parse().unwrap());
        assert_eq!(worker.pool(&plugin, context).iterate(0, 0, None).await, IterationOutcome::Ok);
    });
}

#[test]
fn failures_are_counted_as_such() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("http-runner").await;
        let pool = worker.pool(
            &plugin,
            one_request(&server.url(), r#"{"name": "read", "path": "/missing", "expect": {"status": 200}}"#),
        );
        assert!(matches!(pool.iterate(0, 0, None).await, IterationOutcome::Failed { .. }));
        assert_eq!(worker.samples()["http_req_failed{operation=read,scenario=s}"], 1.0);
        // Nobody listens there any more.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let pool = worker.pool(&plugin, one_request(&format!("http://{gone}"), r#"{"name": "read", "path": "/"}"#));
        assert!(matches!(pool.iterate(0, 0, None).await, IterationOutcome::Failed { .. }));
        let samples = worker.samples();
        assert_eq!(samples["http_reqs{method=GET,operation=read,scenario=s,status=0}"], 1.0);
        assert!(!samples.contains_key("http_req_duration{operation=read,scenario=s}"), "nothing was sent");
    });
}

#[test]
fn credentials_are_added_by_the_host_and_redacted() {
    on_worker(async {
        let server = Server::start().await;
        let secret = Secret::new("s3cr3t-t0ken");
        let worker = Worker::with_redactor(Redactor::new([&secret]));
        let mut context =
            one_request(&server.url(), r#"{"name": "read", "path": "/", "headers": {"authorization": "mine"}}"#);
        let credential = Credential::new("authorization", "Bearer", &secret).unwrap();
        context.grants.target_credential = Some(Arc::new(credential));
        let shown = format!("{context:?} {:?}", worker.context.redactor);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        let pool = worker.pool(&plugin("http-runner").await, context);
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        let head = &server.heads()[0];
        assert!(head.contains("authorization: Bearer s3cr3t-t0ken\r\n"), "{head}");
        assert!(!head.contains("mine"), "{head}");
    });
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    on_worker(async {
        let plugin = plugin("http-runner").await;
        let choices = async |seed, users: [u32; 2]| {
            let server = Server::start().await;
            let mut worker = Worker::new();
            worker.context.seed = seed;
            let requests: Vec<_> = (0..10).map(|at| format!(r#"{{"name": "r{at}", "path": "/{at}"}}"#)).collect();
            let pool = worker.pool(&plugin, one_request(&server.url(), &requests.join(",")));
            for number in 0..10 {
                for user in users {
                    assert_eq!(pool.iterate(user, number, None).await, IterationOutcome::Ok);
                }
            }
            server.paths()
        };
        let first = choices(1, [0, 1]).await;
        assert_eq!(first, choices(1, [0, 1]).await);
        assert_ne!(first, choices(2, [0, 1]).await);
        assert_ne!(first, choices(1, [0, 2]).await);
        assert!(first.iter().any(|path| *path != first[0]), "the choice is no choice");
    });
}

#[test]
fn a_guest_in_blocking_style_gets_an_instance_per_user() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("blocking-runner").await;
        let runner = worker.runner(&plugin, scenario("get", &server.url(), "{}"));
        assert!(runner.preflight().await.unwrap().is_empty());
        let state = runner.setup().await.unwrap();
        let pool = runner.pool(state.clone().into()).unwrap();
        assert_eq!(pool.isolation(), Isolation::User);
        for number in 0..3 {
            let outcomes = tokio::join!(pool.iterate(4, number, None), pool.iterate(9, number, None));
            assert_eq!(outcomes, (IterationOutcome::Ok, IterationOutcome::Ok));
        }
        assert_eq!(pool.instances(), 2);
        runner.teardown(&state).await.unwrap();
        assert_eq!(worker.samples()["http_reqs{method=GET,operation=get,scenario=s,status=200}"], 6.0);

        let shared = PluginContext { isolation: Some(Isolation::Shared), ..scenario("get", &server.url(), "{}") };
        let error = worker.runner(&plugin, shared).pool(Arc::from([])).err().unwrap();
        assert!(error.to_string().contains("isolation = \"user\""), "{error}");
    });
}

#[test]
fn blocking_users_wait_at_the_same_time() {
    on_worker(async {
        let worker = Worker::new();
        let runner = worker.runner(&plugin("blocking-runner").await, scenario("sleep", "", "{}"));
        let pool = runner.pool(runner.setup().await.unwrap().into()).unwrap();
        let mut waiting: Vec<_> = (0..20).map(|user| Box::pin(pool.iterate(user, 0, None))).collect();
        // All have begun before the first has ended, or some poll would be ready at once.
        for iteration in &mut waiting {
            assert!(futures_util::poll!(iteration.as_mut()).is_pending());
        }
        for iteration in waiting {
            assert_eq!(iteration.await, IterationOutcome::Ok);
        }
        assert_eq!(pool.instances(), 20);
    });
}

#[test]
fn a_guest_that_speaks_wasi_http_goes_through_grants_and_measurement() {
    on_worker(async {
        let server = Server::start().await;
        let plugin = plugin("fetch-runner").await;
        let worker = Worker::new();
        let pool = worker.pool(&plugin, scenario("fetch", &server.url(), "{}"));
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        let head = &server.heads()[0];
        assert!(head.contains("\r\ntraceparent: ") && head.contains("\r\nx-request-id: "), "{head}");
        assert_eq!(worker.samples()["http_reqs{method=GET,operation=http,scenario=s,status=200}"], 1.0);

        let context = PluginContext { grants: Grants::default(), ..scenario("fetch", &server.url(), "{}") };
        assert_eq!(worker.pool(&plugin, context).iterate(0, 0, None).await, failed("denied"));
        assert!(worker.incidents().contains_key("host-denied"));
        assert_eq!(server.heads().len(), 1);
    });
}

#[test]
fn nothing_can_be_sent_once_the_run_is_stopped() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let pool =
            worker.pool(&plugin("http-runner").await, one_request(&server.url(), r#"{"name": "read", "path": "/"}"#));
        worker.stop.send(true).unwrap();
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Interrupted);
        assert!(server.heads().is_empty());
    });
}
