//! What is known of a run before anything happens: the first line of its journal.

use std::collections::BTreeMap;

use kperf_metrics::Severity;
use kperf_plan::{Plan, PlannedScenario, Secrets, TargetAddress, describe};
use kperf_results::{
    CellInfo, Machine, PluginInfo, RunHeader, RunInfo, ScenarioInfo, SeverityInfo, Status, commit_of, digest_of,
    instant,
};
use kperf_suite::Scenario;

use crate::clock::unix_ns;
use crate::tables;

/// The identity of a run that begins now.
pub(crate) fn header(plan: &Plan, secrets: &Secrets, cell: Option<CellInfo>) -> RunHeader {
    let start_unix_ns = unix_ns();
    let mut plugins: Vec<PluginInfo> = Vec::new();
    for planned in plan.plugins() {
        let description = planned.component.description();
        let info = PluginInfo {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: format!("sha256:{}", planned.component.digest()),
            source: planned.source.clone(),
        };
        if !plugins.contains(&info) {
            plugins.push(info);
        }
    }
    for native in &plan.natives {
        let description = native.plugin.description();
        let info = PluginInfo {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: native.plugin.digest().map_or_else(String::new, |digest| format!("sha256:{digest}")),
            source: native.source.clone(),
        };
        if !plugins.contains(&info) {
            plugins.push(info);
        }
    }
    let start = instant(start_unix_ns);
    RunHeader {
        schema: RunHeader::SCHEMA,
        run: RunInfo {
            id: run_id(&start, start_unix_ns),
            suite: plan.suite.name.clone(),
            suite_digest: digest_of(plan.suite.sources.text().as_bytes()),
            environment: plan.suite.environment.clone(),
            overrides: secrets.redactor.redact(plan.suite.sources.sets()).lines().map(str::to_owned).collect(),
            suite_folder: plan.folder.canonicalize().unwrap_or_else(|_| plan.folder.clone()).display().to_string(),
            cell,
            plugins,
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: commit_of(&plan.folder),
            machine: Machine::detect(),
            start_unix_ns,
            start,
            end: None,
            status: Status::Running,
            facts: BTreeMap::new(),
        },
        scenarios: plan
            .scenarios
            .iter()
            .zip(&plan.suite.scenarios)
            .map(|(it, of)| scenario_info(plan, it, of))
            .collect(),
        thresholds: plan.thresholds.iter().map(|threshold| threshold.text.clone()).collect(),
        tables: tables::all(plan),
        severities: severities(plan),
    }
}

/// Of thresholds whose severity is not the usual one.
fn severities(plan: &Plan) -> Vec<SeverityInfo> {
    let of_scenarios = plan.scenarios.iter().map(|it| (it.plugin.name.as_str(), &it.thresholds));
    let all = of_scenarios.chain([("", &plan.thresholds)]);
    all.flat_map(|(scenario, thresholds)| {
        let unusual = thresholds.iter().filter(|it| it.severity != Severity::default());
        unusual.map(move |it| SeverityInfo {
            scenario: scenario.to_owned(),
            threshold: it.text.clone(),
            severity: it.severity.word().to_owned(),
        })
    })
    .collect()
}

/// `20261122-101500-3f9a`: sortable, and short enough for the names of what plugins create.
fn run_id(start: &str, unix_ns: u64) -> String {
    let digits: String = start.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = (digits.get(..8).unwrap_or("0"), digits.get(8..14).unwrap_or("0"));
    let spread = unix_ns ^ (u64::from(std::process::id()) << 32);
    format!("{day}-{time}-{:04x}", spread.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48)
}

/// Where a scenario's requests go; none if it has no target.
pub(crate) fn target_of<'a>(plan: &'a Plan, scenario: &Scenario) -> Option<TargetAddress<'a>> {
    plan.address(&scenario.plugin.target.as_ref()?.value)
}

fn scenario_info(plan: &Plan, scenario: &PlannedScenario, of: &Scenario) -> ScenarioInfo {
    ScenarioInfo {
        name: scenario.plugin.name.clone(),
        plugin: scenario.plugin.component.description().name.clone(),
        mode: scenario.plugin.mode.clone(),
        executor: describe(&scenario.schedule.executor),
        open_model: scenario.schedule.executor.is_open(),
        workers: scenario.workers as usize,
        target: target_of(plan, of).map(|it| it.to_string()),
        spread: of.spread.clone(),
        thresholds: scenario.thresholds.iter().map(|threshold| threshold.text.clone()).collect(),
        criteria: scenario
            .schedule
            .executor
            .search()
            .map(|_| scenario.criteria.iter().map(|criterion| criterion.text.clone()).collect()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What is known of a run without scenarios that began at `start_unix_ns`.
    pub(crate) fn header(start_unix_ns: u64) -> RunHeader {
        RunHeader {
            schema: RunHeader::SCHEMA,
            run: RunInfo {
                id: run_id(&instant(start_unix_ns), start_unix_ns),
                suite: "s".into(),
                suite_digest: digest_of(b""),
                environment: None,
                overrides: Vec::new(),
                suite_folder: String::new(),
                cell: None,
                plugins: Vec::new(),
                host_version: "0.1.0".into(),
                git_commit: None,
                machine: Machine::detect(),
                start_unix_ns,
                start: instant(start_unix_ns),
                end: None,
                status: Status::Running,
                facts: BTreeMap::new(),
            },
            scenarios: Vec::new(),
            thresholds: Vec::new(),
            tables: Vec::new(),
            severities: Vec::new(),
        }
    }

    #[test]
    fn a_runs_identifier_begins_with_its_time() {
        let id = header(1_700_000_000_000_000_000).run.id;
        assert!(id.starts_with("20231114-221320-") && id.len() == 20, "{id}");
    }
}
