//! Checks what can be known before any load: a line each. Nothing is created.

use std::collections::HashSet;

use kperf_plugin_sdk::{Failure, Finding, Scenario, notes};

use crate::{
    api::{ApiError, ErrorKind, experiments, workspaces},
    modes::Mode,
    params::Params,
    tenant::{Tenant, Tenants, Workspaces},
};

/// The most tenants that are tried.
const TRIED: usize = 10;

/// Checks everything, in the order in which it would fail.
pub async fn findings(scenario: &Scenario) -> Vec<Finding> {
    let read = scenario.params::<Params>().and_then(|params| {
        let tenants = params.tenants.tenants(&scenario.run)?;
        Ok((params, tenants))
    });
    let (params, tenants) = match read {
        Ok(read) => read,
        Err(failure) => return vec![Finding::fail("parameters", failure.message)],
    };
    let mut findings = Mode::check(scenario);
    let info = workspaces::server_info().await;
    let version = if info.is_ok() { workspaces::version().await } else { String::new() };
    if let Ok(info) = &info {
        for (key, value) in [("mlflow", &version), ("mlflow_store", &info.store_type)] {
            if !value.is_empty() {
                notes::fact(key, value);
            }
        }
    }
    let reachable = server(info, &version);
    let goes_on = reachable.outcome != kperf_plugin_sdk::Outcome::Fail;
    findings.push(reachable);
    if goes_on {
        findings.push(workspaces_there(&tenants, params.tenants.workspaces).await);
    }
    findings
}

fn server(info: Result<workspaces::ServerInfo, ApiError>, version: &str) -> Finding {
    const NAME: &str = "server reachable";
    let version = if version.is_empty() { "version unknown" } else { version };
    match info {
        Ok(info) if info.workspaces_enabled == Some(true) => {
            Finding::pass(NAME, format!("MLflow {version}, {}, with workspaces", info.store_type))
        }
        Ok(_) => Finding::fail(
            NAME,
            format!("MLflow {version} has no workspaces, so there are no tenants: start it with --enable-workspaces"),
        ),
        Err(ApiError { kind: ErrorKind::NotFound, message }) => Finding::warn(
            NAME,
            format!("it does not tell whether it has workspaces, or the base URL is wrong: {message}"),
        ),
        Err(error) => Finding::fail(NAME, Failure::from(error).message),
    }
}

const WORKSPACES: &str = "workspaces";

/// Whether the workspaces are there that should be.
async fn workspaces_there(tenants: &Tenants, wanted: Workspaces) -> Finding {
    let seen = match wanted {
        Workspaces::Assume => assumed(tenants).await,
        Workspaces::Create => workspaces::all().await.map(|names| there(tenants, &names)),
    };
    seen.unwrap_or_else(|error| {
        let help = match error.kind {
            ErrorKind::Denied => ": give the target a credential that may use them",
            ErrorKind::NotFound => ": create it, or set workspaces = \"create\"",
            _ => "",
        };
        Finding::fail(WORKSPACES, format!("{}{help}", error.message))
    })
}

/// Whether the server shows the workspaces of all tenants, and reads in some of them. Reading alone proves nothing: a search in a
/// workspace that the credential has no part in is answered with an empty list.
async fn assumed(tenants: &Tenants) -> Result<Finding, ApiError> {
    let names = workspaces::all().await?;
    if let Some(finding) = missing(tenants, &names) {
        return Ok(finding);
    }
    let tried: Vec<&Tenant> = tenants.some(TRIED).collect();
    for tenant in &tried {
        experiments::search(tenant, 1, "").await?;
    }
    let message = format!("{} tenants, all are listed; {} looked at, all can be read", tenants.count(), tried.len());
    Ok(Finding::pass(WORKSPACES, message))
}

/// Says which workspaces are not among the names of all that the credential is shown.
fn missing(tenants: &Tenants, names: &[String]) -> Option<Finding> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let missing: Vec<&str> = tenants.iter().map(Tenant::name).filter(|name| !names.contains(name)).collect();
    let (first, all) = (missing.first()?, tenants.count());
    let more = if missing.len() > 1 { ", ..." } else { "" };
    let message = format!(
        "the server does not list {} of {all} ({first}{more}): give the target a credential that may use them, create them, or \
         set workspaces = \"create\"",
        missing.len()
    );
    Some(Finding::fail(WORKSPACES, message))
}

/// Says which workspaces are there already, out of the names of all.
fn there(tenants: &Tenants, names: &[String]) -> Finding {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let there: Vec<&str> = tenants.iter().map(Tenant::name).filter(|name| names.contains(name)).collect();
    let all = tenants.count();
    match there.as_slice() {
        [] => Finding::pass(WORKSPACES, format!("{all} will be created, and removed in the end")),
        [first, ..] => {
            let number = there.len();
            let message = format!("{number} of {all} exist already ({first}, ...): they are used, and stay in the end");
            Finding::warn(WORKSPACES, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::Outcome;

    use super::*;
    use crate::tenant::TenantParams;

    fn judged(mode: &str, params: &str, users: u32) -> Option<Outcome> {
        let scenario = Scenario {
            name: "s".into(),
            mode: mode.into(),
            parameters: params.into(),
            target: String::new(),
            run: "r".into(),
            users,
        };
        Mode::check(&scenario).first().map(|finding| finding.outcome)
    }

    #[test]
    fn modes_look_at_their_own_parameters() {
        assert_eq!(judged("OPERATIONS", r#"{"operations":{"create_run":1}}"#, 1), None);
        assert_eq!(judged("OPERATIONS", r#"{"operations":{"run":1}}"#, 1), Some(Outcome::Fail));
        assert_eq!(judged("ISOLATION", r#"{"tenants":1}"#, 1), Some(Outcome::Fail));
        assert_eq!(judged("ISOLATION", r#"{"tenants":2}"#, 1), Some(Outcome::Pass));
        assert_eq!(
            judged("OPERATIONS", r#"{"artifacts":0,"operations":{"fetch_artifact":1}}"#, 1),
            Some(Outcome::Fail)
        );
        assert_eq!(judged("OPERATIONS", r#"{"artifacts":0,"operations":{"fetch_artifact":0,"get_run":1}}"#, 1), None);
        assert_eq!(judged("MIXED", r#"{"training_share":0.2}"#, 5), Some(Outcome::Pass));
        assert_eq!(judged("MIXED", r#"{"training_share":0.2}"#, 4), Some(Outcome::Warn));
        assert_eq!(judged("MIXED", r#"{"training_share":0.2,"split":"requests"}"#, 4), None);
    }

    #[test]
    fn workspaces_that_are_there_are_named() {
        let tenants = serde_json::from_str::<TenantParams>(r#"{"tenants":3}"#).unwrap().tenants("r").unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(there(&tenants, &names(&["default", "tenant-4"])).outcome, Outcome::Pass);
        let seen = there(&tenants, &names(&["default", "tenant-2"]));
        assert_eq!((seen.outcome, seen.message.starts_with("1 of 3 exist already (tenant-2")), (Outcome::Warn, true));
        let seen = missing(&tenants, &names(&["tenant-1", "tenant-3"])).unwrap();
        assert_eq!(seen.outcome, Outcome::Fail);
        assert!(seen.message.contains("1 of 3 (tenant-2): "), "{}", seen.message);
        assert_eq!(missing(&tenants, &names(&["tenant-1", "tenant-2", "tenant-3", "x"])).map(|it| it.message), None);
    }

    #[test]
    fn a_server_without_workspaces_is_no_target() {
        let info = |enabled| Ok(workspaces::ServerInfo { workspaces_enabled: enabled, ..Default::default() });
        assert_eq!(server(info(Some(true)), "3.17.2").outcome, Outcome::Pass);
        assert_eq!(server(info(Some(false)), "3.17.2").outcome, Outcome::Fail);
        let error = |kind| Err(ApiError { kind, message: String::new() });
        assert_eq!(server(error(ErrorKind::NotFound), "").outcome, Outcome::Warn);
        assert_eq!(server(error(ErrorKind::Connection), "").outcome, Outcome::Fail);
    }
}
