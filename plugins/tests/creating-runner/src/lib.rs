//! For tests: a runner that creates things on a small server, keeps a ledger of them, and appends a record for each. Its
//! parameters let it go wrong at every step.
//!
//! The server answers `POST /things/NAME` with `{"id": ...}`, and takes `DELETE /ids/ID` and `DELETE /names/NAME`.

use std::time::Duration;

use kperf_plugin_sdk::{
    ColumnType, Description, Entry, Failure, Iteration, Runner, Scenario, Table, Unit, clock, export_runner,
    http::Request,
    instant::Instant,
    ledger::{self, Pending},
    log,
    records::{self, Value},
};
use serde::Deserialize;

/// What it creates, and how it goes wrong.
pub struct CreatingRunner {
    hostile: bool,
    params: Params,
    run: String,
}

const PARAMETERS: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "things": { "description": "Created per iteration.", "type": "integer", "default": 1 },
    "rows": { "description": "Records per thing.", "type": "integer", "default": 1 },
    "remove": { "description": "Each iteration removes what it created.", "type": "boolean", "default": false },
    "trap_every": { "description": "Traps in each so-many-th iteration of a user, once the request was answered.", "type": "integer", "default": 0 },
    "fail_setup": { "description": "Setup creates a thing and fails.", "type": "boolean", "default": false },
    "slow_setup": { "description": "Setup takes a second and a half, and logs now and then or not at all.", "enum": ["no", "telling", "silent"], "default": "no" },
    "cleanup": { "description": "How cleanup goes.", "enum": ["well", "fails", "traps", "hangs"], "default": "well" }
  }
}"#;

#[derive(Deserialize)]
struct Params {
    things: u64,
    rows: u64,
    remove: bool,
    trap_every: u64,
    fail_setup: bool,
    #[serde(default)]
    slow_setup: String,
    cleanup: String,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

/// Creates a thing; gives its number in the ledger and its id.
async fn create(name: &str, traps: bool) -> Result<(u64, String), Failure> {
    let pending = Pending::new("thing", name);
    let answer = match Request::post("create", format!("/things/{name}")).send().await?.success() {
        Ok(answer) => answer,
        Err(refused) => return Err(pending.refused(refused)),
    };
    if traps {
        std::process::abort();
    }
    let id = answer.json::<Created>()?.id;
    Ok((pending.created(&id), id))
}

async fn remove(number: u64, path: String) -> Result<(), Failure> {
    let answer = Request::delete("remove", path).expect(204).expect(404).send().await?;
    if answer.status != 404 {
        answer.success()?;
    }
    ledger::removed(number);
    Ok(())
}

impl CreatingRunner {
    fn record(&self, iteration: Iteration, name: &str, begun: Duration) {
        let ended = clock::wall();
        for row in 0..self.params.rows {
            records::append(
                "things",
                &[
                    Value::Text(format!("{}-{}", iteration.user, iteration.number)),
                    name.into(),
                    Value::Integer(i64::try_from(row).unwrap_or(i64::MAX)),
                    ended.saturating_sub(begun).as_secs_f64().into(),
                    (iteration.number % 2 == 1).into(),
                    Instant::from_unix(begun).into(),
                    Instant::from_unix(ended).into(),
                ],
            );
        }
    }

    /// Says whatever no well-behaved plugin would say.
    fn provoke(&self) {
        for number in [0, 1, 2, 3, u64::MAX] {
            ledger::removed(number);
        }
        // Never settled, so it stays in the ledger.
        drop(Pending::new("", &"x".repeat(100_000)));
        records::append("nowhere", &[]);
        records::append("things", &[Value::Missing]);
        records::append("things", &vec![Value::Integer(1); 7]);
    }
}

impl Runner for CreatingRunner {
    fn describe() -> Description {
        let things = Table::new("things", "What was created")
            .column("iteration", ColumnType::Text, Unit::None, "User and number of the iteration")
            .column("thing", ColumnType::Text, Unit::None, "Its name")
            .column("row", ColumnType::Integer, Unit::None, "Which of the thing's rows it is")
            .column("took", ColumnType::Number, Unit::Seconds, "How long creating it took")
            .column("odd", ColumnType::Boolean, Unit::None, "Whether the iteration's number is odd")
            .column("begun", ColumnType::Instant, Unit::None, "Before it was created")
            .column("ended", ColumnType::Instant, Unit::None, "Once it was there")
            .span("iteration", "thing", "begun", "ended");
        Description::new("creating-runner", env!("CARGO_PKG_VERSION"), "Creates things")
            .mode("create", "Creates things", PARAMETERS)
            .mode("hostile", "Says what it should not", PARAMETERS)
            .table(things)
    }

    async fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
        let params: Params = scenario.params()?;
        for part in 0..5 {
            match params.slow_setup.as_str() {
                "telling" => log::info(&format!("part {part}")),
                "silent" => {}
                _ => break,
            }
            clock::sleep(Duration::from_millis(300)).await;
        }
        if params.fail_setup {
            create(&format!("{}-setup", scenario.run), false).await?;
            return Err(Failure::new("setup", "as the parameters want it"));
        }
        Ok(Vec::new())
    }

    async fn open(scenario: Scenario, _: Vec<u8>) -> Result<Self, Failure> {
        let params = scenario.params()?;
        Ok(Self { hostile: scenario.mode == "hostile", params, run: scenario.run })
    }

    async fn iterate(&self, iteration: Iteration) -> Result<(), Failure> {
        if self.hostile {
            self.provoke();
            return Ok(());
        }
        let every = self.params.trap_every;
        let traps = every > 0 && (iteration.number + 1).is_multiple_of(every);
        for thing in 0..self.params.things {
            let name = format!("{}-{}-{}-{thing}", self.run, iteration.user, iteration.number);
            let begun = clock::wall();
            let (number, id) = create(&name, traps).await?;
            self.record(iteration, &name, begun);
            if self.params.remove {
                remove(number, format!("/ids/{id}")).await?;
            }
        }
        Ok(())
    }

    async fn cleanup(scenario: Scenario, entries: Vec<Entry>) -> Result<(), Failure> {
        let how = scenario.params::<Params>()?.cleanup;
        if how == "fails" {
            return Err(Failure::new("stuck", "as the parameters want it"));
        }
        for entry in entries {
            match &entry.id {
                Some(id) => remove(entry.number, format!("/ids/{id}")).await?,
                None => remove(entry.number, format!("/names/{}", entry.name)).await?,
            }
            match how.as_str() {
                "traps" => std::process::abort(),
                "hangs" => {
                    clock::sleep(Duration::from_secs(36_000)).await;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

export_runner!(CreatingRunner);
