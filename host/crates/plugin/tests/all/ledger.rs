//! What guests say to the ledger and to tables of records.

use std::sync::Arc;

use kperf_metrics::Cell;
use kperf_plugin::{
    CallError, Fault, IterationOutcome, Ledger, LedgerEntry, PluginContext, Redactor, ScenarioLedger, Secret,
};

use crate::server::Server;
use crate::support::{Worker, on_worker, plugin, scenario};

fn params(text: &str) -> String {
    let defaults =
        r#""things": 1, "rows": 1, "remove": false, "trap_every": 0, "fail_setup": false, "cleanup": "well""#;
    // The last of two equal keys counts.
    let defaults: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&format!("{{{defaults}}}")).unwrap();
    let own: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!("{{{text}}}")).unwrap();
    serde_json::Value::Object(defaults.into_iter().chain(own).collect()).to_string()
}

fn creating(mode: &str, target: &str, text: &str, book: &Arc<ScenarioLedger>) -> PluginContext {
    PluginContext { ledger: Some(Arc::clone(book)), tables: Some(4), ..scenario(mode, target, &params(text)) }
}

#[test]
fn a_guest_creates_and_cleans_up() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let book = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap().scenario("s");
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("creating-runner").await;
        let runner = worker.runner(&plugin, creating("create", &server.url(), "", &book));
        let pool = runner.pool(Arc::from([])).unwrap();
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        let entries = book.entries().unwrap();
        let expected =
            LedgerEntry { number: 1, kind: "thing".into(), name: "r1-0-0-0".into(), id: Some("id-1".into()) };
        assert_eq!(entries, [expected]);
        runner.cleanup(entries).await.unwrap();
        assert_eq!((book.open(), book.removed_so_far()), (0, 1));
        assert_eq!(server.paths(), ["/things/r1-0-0-0", "/ids/id-1"]);
    });
}

#[test]
fn hostile_words_and_rows_are_named_and_dropped() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap();
        let (book, other) = (ledger.scenario("s"), ledger.scenario("other"));
        other.creating("thing", "not yours").unwrap();
        let worker = Worker::new();
        let pool = worker.pool(&plugin("creating-runner").await, creating("hostile", "", "", &book));
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        assert_eq!(other.open(), 1);
        let entries = book.entries().unwrap();
        assert_eq!(entries.iter().map(|entry| (entry.kind.len(), entry.name.len())).collect::<Vec<_>>(), [(0, 512)]);
        pool.tick();
        let (count, message) = &worker.incidents()["invalid-record"];
        assert_eq!(*count, 3);
        assert!(message.contains("`nowhere`"), "{message}");
        assert!(worker.context.records.take().is_empty());
    });
}

#[test]
fn rows_carry_the_number_of_their_table_and_no_secret() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let book = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap().scenario("s");
        let server = Server::start().await;
        let worker = Worker::with_redactor(Redactor::new([&Secret::new("r1-0-0-0")]));
        let pool = worker.pool(&plugin("creating-runner").await, creating("create", &server.url(), "", &book));
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        assert_eq!(book.entries().unwrap()[0].name, "r1-0-0-0");
        let rows = worker.context.records.take();
        assert_eq!((rows.len(), rows[0].table), (1, 4));
        let [iteration, thing, row, Cell::Number(took), odd, Cell::Integer(begun), Cell::Integer(ended)] =
            &*rows[0].cells
        else {
            panic!("{rows:?}")
        };
        let text = |text: &str| Cell::Text(text.into());
        assert_eq!((iteration, thing), (&text("0-0"), &text("********")));
        assert_eq!((row, odd), (&Cell::Integer(0), &Cell::Boolean(false)));
        assert!(*took > 0.0 && begun < ended);
    });
}

#[test]
fn a_word_that_can_not_be_written_ends_the_call_before_its_request() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let book = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap().scenario("s");
        let server = Server::start().await;
        let worker = Worker::new();
        let mut context = creating("create", &server.url(), "", &book);
        context.limits.samples = 0;
        let pool = worker.pool(&plugin("creating-runner").await, context);
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Fault(Fault::LedgerFlood));
        assert!(server.heads().is_empty());
        assert_eq!(book.open(), 0);
    });
}

#[test]
fn a_plugin_without_a_ledger_is_told_and_goes_on() {
    on_worker(async {
        let worker = Worker::new();
        let context = scenario("hostile", "", &params(""));
        let pool = worker.pool(&plugin("creating-runner").await, context);
        assert_eq!(pool.iterate(0, 0, None).await, IterationOutcome::Ok);
        assert!(worker.incidents().contains_key("wrong-world"));
    });
}

#[test]
fn a_cleanup_that_removes_nothing_for_too_long_is_ended() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let book = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap().scenario("s");
        for name in ["a", "b"] {
            book.creating("thing", name).unwrap();
        }
        let server = Server::start().await;
        let worker = Worker::new();
        let mut context = creating("create", &server.url(), r#""cleanup": "hangs""#, &book);
        context.limits.call = std::time::Duration::from_secs(1);
        let runner = worker.runner(&plugin("creating-runner").await, context);
        let error = runner.cleanup(book.entries().unwrap()).await.unwrap_err();
        assert!(matches!(error, CallError::Fault { fault: Fault::CallTimeout, .. }), "{error}");
    });
}

#[test]
fn a_setup_may_take_long_if_it_says_something() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let book = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap().scenario("s");
        let server = Server::start().await;
        let worker = Worker::new();
        let plugin = plugin("creating-runner").await;
        let setup = async |how: &str| {
            let params = format!(r#""cleanup": "well", "slow_setup": "{how}""#);
            let mut context = creating("create", &server.url(), &params, &book);
            context.limits.call = std::time::Duration::from_secs(1);
            worker.runner(&plugin, context).setup().await
        };
        assert_eq!(setup("telling").await.unwrap(), Vec::<u8>::new());
        let error = setup("silent").await.unwrap_err();
        assert!(matches!(error, CallError::Fault { fault: Fault::CallTimeout, .. }), "{error}");
    });
}
