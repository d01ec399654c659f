//! What can be known before any load: each a line with how it went. Nothing is created.

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

/// Looks whether some of the workspaces are there and can be read.
async fn look(tenants: &Tenants, wanted: Workspaces) -> Finding {
    const NAME: &str = "workspaces";
    let step = tenants.all().len().div_ceil(TRIED).max(1);
    let tried: Vec<&Tenant> = tenants.all().iter().step_by(step).collect();
    let mut there = Vec::new();
    for tenant in &tried {
        match experiments::search(tenant, 1, "").await {
            Ok(_) => there.push(tenant.name()),
            Err(Trouble { kind: Kind::NotFound, message }) if wanted == Workspaces::Assume => {
                let help = "create it, or set workspaces = \"create\"";
                return Finding::fail(NAME, format!("`{}` is not there: {help} ({message})", tenant.name()));
            }
            Err(Trouble { kind: Kind::NotFound, .. }) => {}
            Err(trouble) => {
                let help =
                    if trouble.kind == Kind::Denied { ": give the target a credential that may use it" } else { "" };
                return Finding::fail(NAME, format!("`{}` can't be read{help}: {}", tenant.name(), trouble.message));
            }
        }
    }
    let (looked, all) = (tried.len(), tenants.all().len());
    match (wanted, there.as_slice()) {
        (Workspaces::Assume, _) => Finding::pass(NAME, format!("{all} tenants; {looked} looked at, all can be read")),
        (Workspaces::Create, []) => Finding::pass(NAME, format!("{all} will be created, and removed in the end")),
        (Workspaces::Create, there) => {
            let names = there.join(", ");
            Finding::warn(
                NAME,
                format!("{names} of {looked} looked at exist already: they are used, and not removed in the end"),
            )
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
    fn a_server_without_workspaces_is_no_target() {
        let info = |enabled| Ok(workspaces::ServerInfo { workspaces_enabled: enabled, ..Default::default() });
        assert_eq!(server(info(Some(true)), "3.17.2").outcome, Outcome::Pass);
        assert_eq!(server(info(Some(false)), "3.17.2").outcome, Outcome::Fail);
        let trouble = |kind| Err(Trouble { kind, message: String::new() });
        assert_eq!(server(trouble(Kind::NotFound), "").outcome, Outcome::Warn);
        assert_eq!(server(trouble(Kind::Connection), "").outcome, Outcome::Fail);
    }
}
