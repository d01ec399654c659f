//! Checks what can be known before any load: a line each. Nothing is created.

use std::time::Duration;

use kperf_plugin_sdk::{Failure, Finding, RunnerMode as _, Scenario, artifacts, clock};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    api::{self, ApiError, Health, resource::Resource},
    clock_offset::ClockOffset,
    modes::{Mode, random_gets::RandomGets, scheduled_runs::ScheduledRuns},
    params::{Common, PipelineParams},
    prefill,
    spec::{Content, Resources},
    tenant::{Tenant, Tenants},
};

/// How many answers the clock's offset is estimated from, and how far apart they are: three quarters of a second, so that
/// each one falls into another part of the server's second.
const EXCHANGES: u32 = 4;
const BETWEEN: Duration = Duration::from_millis(190);

/// A difference of the clocks that deserves a look, in seconds.
const ODD: f64 = 2.0;

/// At how many tenants permissions are tried.
const TRIED: usize = 10;

/// The parameters of every mode that the preflight checks.
#[derive(Deserialize)]
struct Params {
    #[serde(flatten)]
    common: Common,
    pipeline: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    resources: Resources,
    #[serde(default)]
    cache: bool,
}

/// Checks everything, in the order in which it would fail.
pub async fn findings(scenario: &Scenario) -> Vec<Finding> {
    let params: Params = match scenario.params() {
        Ok(params) => params,
        Err(failure) => return vec![Finding::fail("parameters", failure.message)],
    };
    let tenants = match params.common.tenants.tenants() {
        Ok(tenants) => tenants,
        Err(failure) => return vec![Finding::fail("tenants", failure.message)],
    };
    let mut findings = server(&tenants, needed(scenario)).await;
    findings.extend(Mode::check(scenario));
    if let Some(path) = &params.pipeline {
        findings.extend(pipeline(path, &params).await);
    }
    findings
}

async fn server(tenants: &Tenants, needed: &[Resource]) -> Vec<Finding> {
    let mut offset = ClockOffset::default();
    let mut health = None;
    for round in 0..EXCHANGES {
        if round > 0 && !clock::sleep(BETWEEN).await {
            break;
        }
        match api::health().await {
            Ok((answer, exchange)) => {
                if let Some(exchange) = exchange {
                    offset.observe(&exchange);
                }
                health = Some(answer);
            }
            Err(error) if health.is_none() => {
                return vec![Finding::fail("server reachable", Failure::from(error).message)];
            }
            Err(_) => {}
        }
    }
    let Some(health) = health else { return vec![Finding::fail("server reachable", "no answer")] };
    let mut findings = vec![Finding::pass("server reachable", version(&health)), users(&health, tenants)];
    findings.extend(permissions(tenants, needed).await);
    findings.push(clocks(&offset));
    findings
}

fn version(health: &Health) -> String {
    let known = |text: &str| !text.is_empty() && text != "unknown";
    match (known(&health.tag_name), known(&health.commit_sha)) {
        (true, _) => format!("Kubeflow Pipelines {}", health.tag_name),
        (false, true) => format!("Kubeflow Pipelines, commit {}", health.commit_sha),
        (false, false) => "Kubeflow Pipelines, version unknown".into(),
    }
}

fn users(health: &Health, tenants: &Tenants) -> Finding {
    let number = tenants.count();
    match (health.multi_user, tenants.iter().any(Tenant::is_named)) {
        (true, false) => {
            let help =
                "set `namespace` or `namespaces`, and if no gateway says who asks, `user` or the target's credential";
            Finding::fail("users", format!("the server is multi-user: {help}"))
        }
        (true, true) => Finding::pass("users", format!("multi-user, {number} namespaces")),
        (false, true) => {
            Finding::warn("users", "the server is single-user: it ignores `namespace`, all tenants are one")
        }
        (false, false) => Finding::pass("users", "single-user"),
    }
}

/// The kinds of things that a mode reads and creates.
fn needed(scenario: &Scenario) -> &'static [Resource] {
    use Resource::{Experiments, Pipelines, RecurringRuns, Runs};
    match scenario.mode.as_str() {
        ScheduledRuns::NAME | RandomGets::NAME => &[Pipelines, Experiments, Runs, RecurringRuns],
        _ => &[Pipelines, Experiments, Runs],
    }
}

/// Tries whether each tenant may see what it will create. Whether it may create it, only creating would prove.
async fn permissions(tenants: &Tenants, needed: &[Resource]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tried: Vec<&Tenant> = tenants.some(TRIED).collect();
    for tenant in &tried {
        for &resource in needed {
            if let Err(error) = prefill::count(tenant, resource, "").await {
                findings.push(refused(tenant, resource, error));
                break;
            }
        }
    }
    if findings.is_empty() {
        let whose = match tried.as_slice() {
            [only] if !only.is_named() => String::new(),
            tried => format!(" in {} of {} namespaces", tried.len(), tenants.count()),
        };
        let message = format!("lists can be read{whose}; that things may be created, only the first creation proves");
        findings.push(Finding::pass("permissions", message));
    }
    findings
}

fn refused(tenant: &Tenant, resource: Resource, error: ApiError) -> Finding {
    let help = match &error {
        ApiError::Refused { status: 401, .. } => ": give the target a credential, or set `user`",
        ApiError::Refused { status: 403, .. } => ": let this user into the namespace, or choose another one",
        _ => "",
    };
    let whose = if tenant.is_named() { format!(" of {}", tenant.namespace) } else { String::new() };
    let message = format!("{}{whose}: {}{help}", resource.operations().1, Failure::from(error).message);
    Finding::fail("permissions", message)
}

fn clocks(offset: &ClockOffset) -> Finding {
    match (offset.seconds(), offset.uncertainty()) {
        (Some(seconds), Some(uncertainty)) => {
            let (side, amount) = if seconds < 0.0 { ("behind", -seconds) } else { ("ahead of", seconds) };
            let message = format!("the server's clock is {amount:.2} s {side} ours, give or take {uncertainty:.2} s");
            if amount - uncertainty > ODD { Finding::warn("clocks", message) } else { Finding::pass("clocks", message) }
        }
        _ => Finding::warn("clocks", "the server does not say what time it is; the first run will tell"),
    }
}

async fn pipeline(path: &str, params: &Params) -> Vec<Finding> {
    match artifacts::read(path).await {
        Ok(content) => judge(path, &content, params),
        Err(failure) => vec![Finding::fail("pipeline", failure.message)],
    }
}

fn judge(path: &str, content: &[u8], params: &Params) -> Vec<Finding> {
    let spec = match Content::read(content) {
        Err(failure) => return vec![Finding::fail("pipeline", failure.at(path).message)],
        Ok(Content::Archive) => {
            let message = "an archive is uploaded as it is: it can't be checked, limited or kept from caching, and its \
                           critical path is not known";
            let patched = params.resources != Resources::default();
            let finding = if patched { Finding::fail } else { Finding::warn };
            return vec![finding("pipeline", format!("{path}: {message}"))];
        }
        Ok(Content::Spec(spec)) => spec,
    };
    let problems = spec.problems();
    if !problems.is_empty() {
        return problems.into_iter().map(|it| Finding::fail("pipeline", format!("{path}: {it}"))).collect();
    }
    let mut findings = vec![Finding::pass("pipeline", format!("{path}, {}", spec.name()))];
    let wanted = PipelineParams {
        pipeline: path.into(),
        parameters: params.parameters.clone(),
        resources: params.resources.clone(),
        cache: params.cache,
    };
    let problems = spec.parameter_problems(&wanted.parameters);
    if problems.is_empty() {
        findings.push(Finding::pass("parameters", "they fit the pipeline's inputs"));
    }
    findings.extend(problems.into_iter().map(|problem| Finding::fail("parameters", problem)));
    if let Err(failure) = crate::prepared::patched(spec, &wanted) {
        findings.push(Finding::fail("resources", failure.message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::Outcome;

    use super::*;
    use crate::{spec::tests::SMALL, tenant::TenantParams};

    fn judged(content: &str, params: &str) -> Vec<String> {
        let findings = judge("p.yaml", content.as_bytes(), &serde_json::from_str(params).unwrap());
        let mark = |outcome| match outcome {
            Outcome::Pass => "+",
            Outcome::Warn => "?",
            Outcome::Fail => "-",
        };
        findings.into_iter().map(|it| format!("{}{}: {}", mark(it.outcome), it.name, it.message)).collect()
    }

    #[test]
    fn a_pipeline_and_its_parameters_are_judged() {
        let good = judged(SMALL, r#"{"parameters":{"label":"a"}}"#);
        assert_eq!(good, ["+pipeline: p.yaml, small", "+parameters: they fit the pipeline's inputs"]);
        let bad = judged(SMALL, r#"{"parameters":{"items":"x"},"resources":{"cpu":"lots"}}"#);
        assert!(bad[1].starts_with("-parameters: `items` must be"), "{bad:?}");
        assert!(bad[2].starts_with("-parameters: `label` is missing"), "{bad:?}");
        assert!(bad[3].starts_with("-resources: "), "{bad:?}");
        assert!(judged(&SMALL.replace("comp-nested}", "gone}"), "{}")[0].starts_with("-pipeline: p.yaml: the task"));
        assert!(judged("PK\u{3}\u{4}", "{}")[0].starts_with("?pipeline: "));
        assert!(judged("PK\u{3}\u{4}", r#"{"resources":{"cpu":"1"}}"#)[0].starts_with("-pipeline: "));
    }

    #[test]
    fn a_multi_user_server_needs_namespaces() {
        let health = Health { multi_user: true, ..Health::default() };
        let tenants = |json: &str| serde_json::from_str::<TenantParams>(json).unwrap().tenants().unwrap();
        assert_eq!(users(&health, &tenants("{}")).outcome, Outcome::Fail);
        assert_eq!(users(&health, &tenants(r#"{"namespace":"a"}"#)).outcome, Outcome::Pass);
        assert_eq!(users(&Health::default(), &tenants(r#"{"namespace":"a"}"#)).outcome, Outcome::Warn);
    }

    #[test]
    fn clocks_that_differ_deserve_a_look() {
        let mut offset = ClockOffset::default();
        assert_eq!(clocks(&offset).outcome, Outcome::Warn);
        let at = Duration::from_secs(1000);
        offset.observe(&crate::clock_offset::Exchange { second: 1000.0, sent: at, received: at });
        assert_eq!(clocks(&offset).outcome, Outcome::Pass);
        offset.observe(&crate::clock_offset::Exchange { second: 990.0, sent: at, received: at });
        assert_eq!(clocks(&offset).outcome, Outcome::Warn);
        assert!(clocks(&offset).message.contains("9.50 s behind ours"), "{}", clocks(&offset).message);
    }
}
