//! Guests that misbehave: the fault has its name, and nobody else notices.

use std::time::{Duration, Instant};

use kperf_plugin::{Fault, Isolation, IterationOutcome, Limits, PluginContext};

use crate::server::Server;
use crate::support::{Worker, on_worker, plugin, scenario};

fn fault(fault: Fault) -> IterationOutcome {
    IterationOutcome::Fault(fault)
}

/// A scenario of the misbehaving plugin; `every` says in which iterations it does.
fn faulty(mode: &str, target: &str, path: &str, every: u64) -> PluginContext {
    scenario(mode, target, &format!(r#"{{"path": "{path}", "every": {every}}}"#))
}

#[test]
fn breakdowns_are_named() {
    on_worker(async {
        let plugin = plugin("faulty-runner").await;
        for (mode, expected, text) in [
            ("trap", Fault::Trap, "unreachable"),
            ("spin", Fault::CpuLimit, "500ms"),
            ("allocate", Fault::MemoryLimit, "67108864 bytes"),
            ("recurse", Fault::StackOverflow, "recurses"),
        ] {
            let worker = Worker::new();
            let pool = worker.pool(&plugin, faulty(mode, "", "", 1));
            assert_eq!(pool.iterate(0, 0, None).await, fault(expected), "{mode}");
            assert_eq!(pool.iterate(0, 1, None).await, fault(expected), "{mode}: the instance is made anew");
            drop(pool);
            let incidents = worker.incidents();
            let (count, message) = &incidents[expected.name()];
            assert_eq!(*count, 2, "{mode}");
            assert!(message.contains(text), "{mode}: {message}");
        }
    });
}

#[test]
fn a_plugin_that_only_fails_is_given_up() {
    on_worker(async {
        let worker = Worker::new();
        let pool = worker.pool(&plugin("faulty-runner").await, faulty("trap", "", "", 1));
        for number in 0..10 {
            assert!(!pool.has_failed());
            assert_eq!(pool.iterate(0, number, None).await, fault(Fault::Trap));
        }
        assert!(pool.has_failed());
        assert_eq!(pool.iterate(0, 10, None).await, fault(Fault::PluginFailed));
    });
}

#[test]
fn an_iteration_that_works_resets_the_count() {
    on_worker(async {
        let worker = Worker::new();
        let pool = worker.pool(&plugin("faulty-runner").await, faulty("trap", "", "", 2));
        for number in 0..40 {
            let expected = if number % 2 == 0 { IterationOutcome::Ok } else { fault(Fault::Trap) };
            assert_eq!(pool.iterate(0, number, None).await, expected);
        }
        assert!(!pool.has_failed());
    });
}

#[test]
fn a_trap_takes_its_group_along_and_no_other() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("faulty-runner").await;
        let context = PluginContext { group: 2, ..faulty("trap", &server.url(), "/slow", 2) };
        let pool = worker.pool(&plugin, context);
        let trapping = async {
            // The others' requests have to be on their way.
            tokio::time::sleep(Duration::from_millis(100)).await;
            pool.iterate(1, 1, None).await
        };
        let outcomes = tokio::join!(pool.iterate(0, 0, None), trapping, pool.iterate(2, 0, None));
        let expected = (fault(Fault::LostWithGroup), fault(Fault::Trap), IterationOutcome::Ok);
        // Users get their places in the order in which they come: 0 and 2 share a group, 1 has the next.
        assert_ne!(outcomes, expected);
        assert_eq!(outcomes, (IterationOutcome::Ok, fault(Fault::Trap), IterationOutcome::Ok));
        let trapping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            pool.iterate(2, 1, None).await
        };
        let outcomes = tokio::join!(pool.iterate(0, 0, None), trapping, pool.iterate(1, 0, None));
        assert_eq!(outcomes, (fault(Fault::LostWithGroup), fault(Fault::Trap), IterationOutcome::Ok));
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        assert_eq!(worker.incidents()["lost-with-group"].0, 1);
    });
}

#[test]
fn a_spinning_guest_does_not_stop_its_thread() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("faulty-runner").await;
        let mut context = faulty("spin", "", "", 1);
        context.limits.cpu = Duration::from_secs(2);
        let spinning = worker.pool(&plugin, context);
        let healthy = worker.pool(&plugin, faulty("healthy", &server.url(), "/", 1));
        let start = Instant::now();
        let meanwhile = async {
            let mut iterations = 0;
            while start.elapsed() < Duration::from_secs(1) {
                assert_eq!(healthy.iterate(0, iterations, None).await, IterationOutcome::Ok);
                iterations += 1;
            }
            iterations
        };
        let (outcome, iterations) = tokio::join!(spinning.iterate(0, 0, None), meanwhile);
        assert_eq!(outcome, fault(Fault::CpuLimit));
        // Each of the two steps of a request may have to wait for a tick of 10 ms or so.
        assert!(iterations >= 5, "{iterations} iterations beside a spinning guest");
    });
}

#[test]
fn an_iteration_that_hangs_is_given_up_and_its_group_goes_on() {
    on_worker(async {
        let worker = Worker::new();
        let mut context = faulty("hang", "", "", 2);
        context.limits.iteration = Some(Duration::from_millis(200));
        let pool = worker.pool(&plugin("faulty-runner").await, context);
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        assert_eq!(pool.iterate(0, 1, None).await, fault(Fault::IterationTimeout));
        // An abandoned call that ends is forgotten; the instance serves the next one.
        assert_eq!(pool.iterate(0, 2, None).await, IterationOutcome::Ok);
        assert_eq!(pool.instances(), 1);
        assert_eq!(worker.incidents()["iteration-timeout"].0, 1);
    });
}

#[test]
fn a_user_that_gives_up_alone_gives_its_instance_up() {
    on_worker(async {
        let worker = Worker::new();
        let context = PluginContext { isolation: Some(Isolation::User), ..faulty("hang", "", "", 2) };
        let pool = worker.pool(&plugin("faulty-runner").await, context);
        let iteration = tokio::time::timeout(Duration::from_millis(200), pool.iterate(0, 1, None));
        assert!(iteration.await.is_err());
        tokio::task::yield_now().await;
        assert_eq!(pool.instances(), 0);
        assert_eq!(pool.iterate(0, 2, None).await, IterationOutcome::Ok);
        assert_eq!(pool.instances(), 1);
    });
}

#[test]
fn an_interrupted_pool_ends_everything() {
    on_worker(async {
        let worker = Worker::new();
        let pool = worker.pool(&plugin("faulty-runner").await, faulty("hang", "", "", 1));
        let interrupt = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            pool.interrupt();
        };
        let (outcome, ()) = tokio::join!(pool.iterate(0, 0, None), interrupt);
        assert_eq!(outcome, IterationOutcome::Interrupted);
        assert_eq!(pool.iterate(0, 1, None).await, IterationOutcome::Interrupted);
        assert_eq!(pool.instances(), 0);
    });
}

#[test]
fn a_stopped_run_wakes_sleepers() {
    on_worker(async {
        let worker = Worker::new();
        let pool = worker.pool(&plugin("faulty-runner").await, faulty("hang", "", "", 1));
        let stop = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            worker.stop.send(true).unwrap();
        };
        let (outcome, ()) = tokio::join!(pool.iterate(0, 0, None), stop);
        assert_eq!(outcome, IterationOutcome::Ok);
    });
}

#[test]
fn floods_are_cut_and_reported() {
    on_worker(async {
        let plugin = plugin("faulty-runner").await;
        for (mode, kind) in [("sample-flood", "sample-flood"), ("log-flood", "log-flood")] {
            let worker = Worker::new();
            let mut context = faulty(mode, "", "", 1);
            context.limits = Limits { samples: 1000, log_lines: 10, ..context.limits };
            let pool = worker.pool(&plugin, context);
            assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok, "{mode}");
            let samples = worker.samples();
            drop(pool);
            let (count, message) = &worker.incidents()[kind];
            assert!(*count >= 1000, "{mode}: {count}");
            assert!(message.contains("per second"), "{message}");
            if mode == "sample-flood" {
                // A slow machine may need more than one second for them.
                assert!((1000.0..100_000.0).contains(&samples["faulty_flood{scenario=s}"]), "{samples:?}");
            }
        }
    });
}

#[test]
fn each_isolation_runs_iterations() {
    on_worker(async {
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("faulty-runner").await;
        for (isolation, instances) in [(Isolation::Shared, 1), (Isolation::User, 3), (Isolation::Iteration, 0)] {
            let context = PluginContext { isolation: Some(isolation), ..faulty("healthy", &server.url(), "/", 1) };
            let pool = worker.pool(&plugin, context);
            for number in 0..3 {
                let outcomes = tokio::join!(
                    pool.iterate(0, number, None),
                    pool.iterate(1, number, None),
                    pool.iterate(2, number, None)
                );
                let ok = IterationOutcome::Ok;
                assert_eq!(outcomes, (ok.clone(), ok.clone(), ok), "{isolation:?}");
            }
            tokio::task::yield_now().await;
            assert_eq!(pool.instances(), instances, "{isolation:?}");
        }
        assert_eq!(worker.samples()["checks{check=healthy,scenario=s}"], 1.0);
    });
}
