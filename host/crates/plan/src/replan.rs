//! An earlier run planned once more, as far as what is done long after it needs: removing what it has left, sending what has not
//! arrived. Whatever else the suite names may not be here any more.

use std::collections::BTreeSet;

use kperf_suite::{Diagnostics, Suite};

use crate::input::SuiteInput;
use crate::plan::{Plan, PlanError};

/// Why what removes the things of an earlier run can't be planned.
#[derive(Debug, thiserror::Error)]
pub enum ReplanError {
    /// Its suite can't be read, for example because a variable is not set.
    #[error("{}", .0.render(false).trim_end())]
    Suite(Diagnostics),
    /// Its suite reads differently today.
    #[error(
        "the suite in {name} has no scenario `{}` any more; set the same variables as in the run", .scenarios.join("`, `")
    )]
    Gone {
        /// What the suite's text is called.
        name: String,
        /// The scenarios that are asked for and not there.
        scenarios: Vec<String>,
    },
    /// Its suite needs something that is not here.
    #[error(transparent)]
    Plan(PlanError),
}

impl SuiteInput {
    /// The plan of what removes things that these scenarios have created: no thresholds, collectors and reporters.
    ///
    /// # Errors
    /// What is wrong, or not there any more.
    pub async fn replan_scenarios(&self, names: &[String]) -> Result<Plan, ReplanError> {
        let mut suite = self.suite(&[]).map_err(ReplanError::Suite)?;
        keep_scenarios(&mut suite, names);
        let is_there = |name: &&String| suite.scenarios.iter().any(|it| it.plugin.name.value == **name);
        let gone: Vec<String> = names.iter().filter(|name| !is_there(name)).cloned().collect();
        if !gone.is_empty() {
            return Err(ReplanError::Gone { name: self.name.clone(), scenarios: gone });
        }
        self.plan_of(suite).await.map_err(ReplanError::Plan)
    }

    /// The plan of what delivers the messages of these reporters; one that the suite does not have any more is not in it.
    ///
    /// # Errors
    /// What is wrong, or not there any more.
    pub async fn replan_reporters(&self, names: &BTreeSet<&str>) -> Result<Plan, PlanError> {
        let mut suite = self.suite(&[])?;
        keep_reporters(&mut suite, names);
        self.plan_of(suite).await
    }
}

fn keep_scenarios(suite: &mut Suite, names: &[String]) {
    suite.scenarios.retain(|scenario| names.contains(&scenario.plugin.name.value));
    suite.scenarios.iter_mut().for_each(|scenario| scenario.thresholds.clear());
    suite.thresholds.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.reporters.clear();
}

fn keep_reporters(suite: &mut Suite, names: &BTreeSet<&str>) {
    suite.reporters.retain(|reporter| names.contains(reporter.plugin.name.value.as_str()));
    suite.scenarios.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.thresholds.clear();
    let targets: BTreeSet<String> =
        suite.reporters.iter().filter_map(|it| it.plugin.target_name()).map(str::to_owned).collect();
    suite.targets.retain(|name, _| targets.contains(name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::input;

    /// The second scenario, the second reporter and the metric are not here any more.
    const SUITE: &str = r#"
name = "s"
thresholds = ["no_such_metric count > 1"]
[targets.t]
url = "http://t"
[[scenario]]
name = "a"
plugin = "http-runner"
mode = "requests"
target = "t"
thresholds = ["no_such_metric count > 1"]
load = { executor = "per-vu-iterations" }
params = { requests = [{ name = "get", path = "/" }] }
[[scenario]]
name = "b"
plugin = "no/such/runner.wasm"
target = "t"
load = { executor = "per-vu-iterations" }
[[reporter]]
name = "here"
plugin = "csv-reporter"
[[reporter]]
name = "elsewhere"
plugin = "no/such/reporter.wasm"
"#;

    #[tokio::test]
    async fn what_an_earlier_run_needs_is_planned_without_the_rest() {
        let input = input(SUITE);
        let whole = input.plan(&[]).await.err().unwrap();
        assert_eq!((whole.diagnostics.len(), whole.plugins_only), (4, false), "{whole}");

        let plan = input.replan_scenarios(&["a".to_owned()]).await.unwrap();
        let names: Vec<_> = plan.plugins().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a"]);
        assert!(matches!(input.replan_scenarios(&["b".to_owned()]).await, Err(ReplanError::Plan(_))));

        let plan = input.replan_reporters(&["here", "no more"].into()).await.unwrap();
        let names: Vec<_> = plan.plugins().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["here"]);
        assert!(plan.suite.targets.is_empty(), "nobody sends to them");
    }

    #[tokio::test]
    async fn a_scenario_that_the_suite_does_not_have_any_more_is_named() {
        let gone =
            input(SUITE).replan_scenarios(&["a".to_owned(), "x".to_owned(), "y".to_owned()]).await.err().unwrap();
        let wanted = "the suite in suite.toml has no scenario `x`, `y` any more; set the same variables as in the run";
        assert_eq!(gone.to_string(), wanted);
        let mut unread = input(SUITE);
        unread.environment = Some("prod".to_owned());
        assert!(matches!(unread.replan_scenarios(&["a".to_owned()]).await, Err(ReplanError::Suite(_))));
    }
}
