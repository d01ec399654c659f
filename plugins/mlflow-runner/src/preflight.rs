//! What can be known before any load: each a line with how it went. Nothing is created.

use std::collections::HashSet;

use kperf_plugin_sdk::{Failure, Finding, Scenario};

use crate::{
    api::{Kind, Trouble, experiments, workspaces},
    modes::{Params, isolation, mixed, operations},
    split::{By, training_users},
    tenant::{Tenant, Tenants, Workspaces},
};

/// At how many tenants is looked.
const TRIED: usize = 10;

/// Looks at everything, in the order in which it would fail.
pub async fn findings(scenario: &Scenario) -> Vec<Finding> {
    let read = scenario.params::<Params>().and_then(|params| {
        let tenants = Tenants::of(&params.tenants, &scenario.run)?;
        Ok((params, tenants))
    });
    let (params, tenants) = match read {
        Ok(read) => read,
        Err(failure) => return vec![Finding::fail("parameters", failure.message)],
    };
    let mut findings: Vec<Finding> = mode(scenario, &params).into_iter().collect();
    let info = workspaces::server_info().await;
    let version = if info.is_ok() { workspaces::version().await } else { String::new() };
    let reachable = server(info, &version);
    let goes_on = reachable.outcome != kperf_plugin_sdk::Outcome::Fail;
    findings.push(reachable);
    if goes_on {
        findings.push(look(&tenants, params.tenants.workspaces).await);
    }
    findings
}

fn server(info: Result<workspaces::ServerInfo, Trouble>, version: &str) -> Finding {
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
        Err(Trouble { kind: Kind::NotFound, message }) => Finding::warn(
            NAME,
            format!("it does not tell whether it has workspaces, or the base URL is wrong: {message}"),
        ),
        Err(trouble) => Finding::fail(NAME, Failure::from(trouble).message),
    }
}

const WORKSPACES: &str = "workspaces";

/// Looks whether the workspaces are there that should be.
async fn look(tenants: &Tenants, wanted: Workspaces) -> Finding {
    let seen = match wanted {
        Workspaces::Assume => read(tenants).await,
        Workspaces::Create => workspaces::all().await.map(|names| there(tenants, &names)),
    };
    seen.unwrap_or_else(|trouble| {
        let help = match trouble.kind {
            Kind::Denied => ": give the target a credential that may use them",
            Kind::NotFound => ": create it, or set workspaces = \"create\"",
            _ => "",
        };
        Finding::fail(WORKSPACES, format!("{}{help}", trouble.message))
    })
}

/// Reads in some of the workspaces.
async fn read(tenants: &Tenants) -> Result<Finding, Trouble> {
    let step = tenants.all().len().div_ceil(TRIED).max(1);
    let tried: Vec<&Tenant> = tenants.all().iter().step_by(step).collect();
    for tenant in &tried {
        experiments::search(tenant, 1, "").await?;
    }
    let message = format!("{} tenants; {} looked at, all can be read", tenants.all().len(), tried.len());
    Ok(Finding::pass(WORKSPACES, message))
}

/// Says which workspaces are there already, out of the names of all.
fn there(tenants: &Tenants, names: &[String]) -> Finding {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let there: Vec<&str> = tenants.all().iter().map(Tenant::name).filter(|name| names.contains(name)).collect();
    let all = tenants.all().len();
    match there.as_slice() {
        [] => Finding::pass(WORKSPACES, format!("{all} will be created, and removed in the end")),
        [first, ..] => {
            let number = there.len();
            let message = format!("{number} of {all} exist already ({first}, ...): they are used, and stay in the end");
            Finding::warn(WORKSPACES, message)
        }
    }
}

/// What only the mode knows about its parameters.
fn mode(scenario: &Scenario, params: &Params) -> Option<Finding> {
    match scenario.mode.as_str() {
        operations::NAME => {
            let wrong = operations::choices(&params.operations).err();
            wrong.map(|failure| Finding::fail("operations", failure.message))
        }
        isolation::NAME => (params.tenants.tenants < 2).then(|| {
            Finding::fail("tenants", "it takes two tenants to see what is another one's: set `tenants` to 2 or more")
        }),
        mixed::NAME if params.split == By::Users => Some(users(params.training_share, scenario.users)),
        _ => None,
    }
}

fn users(share: f64, users: u32) -> Finding {
    let training = training_users(share, users);
    let message = format!("{training} of {users} train, {} browse", users - training.min(users));
    if training == 0 && share > 0.0 {
        let help = "more users, or split = \"iterations\"";
        Finding::warn("users", format!("{message}: a share of {share} is less than one of them; it takes {help}"))
    } else {
        Finding::pass("users", message)
    }
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::Outcome;

    use super::*;

    fn judged(mode_name: &str, params: &str, users: u32) -> Option<Outcome> {
        let scenario = Scenario {
            name: "s".into(),
            mode: mode_name.into(),
            parameters: params.into(),
            target: String::new(),
            run: "r".into(),
            users,
        };
        mode(&scenario, &scenario.params().unwrap()).map(|finding| finding.outcome)
    }

    #[test]
    fn modes_look_at_their_own_parameters() {
        assert_eq!(judged("OPERATIONS", r#"{"operations":{"create_run":1}}"#, 1), None);
        assert_eq!(judged("OPERATIONS", r#"{"operations":{"run":1}}"#, 1), Some(Outcome::Fail));
        assert_eq!(judged("ISOLATION", r#"{"tenants":1}"#, 1), Some(Outcome::Fail));
        assert_eq!(judged("ISOLATION", r#"{"tenants":2}"#, 1), None);
        assert_eq!(judged("MIXED", r#"{"training_share":0.2}"#, 5), Some(Outcome::Pass));
        assert_eq!(judged("MIXED", r#"{"training_share":0.2}"#, 4), Some(Outcome::Warn));
        assert_eq!(judged("MIXED", r#"{"training_share":0.2,"split":"requests"}"#, 4), None);
    }

    #[test]
    fn workspaces_that_are_there_are_told() {
        let tenants = Tenants::of(&serde_json::from_str(r#"{"tenants":3}"#).unwrap(), "r").unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(there(&tenants, &names(&["default", "tenant-4"])).outcome, Outcome::Pass);
        let seen = there(&tenants, &names(&["default", "tenant-2"]));
        assert_eq!((seen.outcome, seen.message.starts_with("1 of 3 exist already (tenant-2")), (Outcome::Warn, true));
    }

    #[test]
    fn a_server_without_workspaces_is_no_target() {
        let info = |enabled| Ok(workspaces::ServerInfo { workspaces_enabled: enabled, ..Default::default() });
        assert_eq!(server(info(Some(true)), "3.17.2").outcome, Outcome::Pass);
        assert_eq!(server(info(Some(false)), "3.17.2").outcome, Outcome::Fail);
        let trouble = |kind| Err(Trouble { kind, message: String::new() });
        assert_eq!(server(trouble(Kind::NotFound), "").outcome, Outcome::Warn);
        assert_eq!(server(trouble(Kind::Connection), "").outcome, Outcome::Fail);
    }
}
