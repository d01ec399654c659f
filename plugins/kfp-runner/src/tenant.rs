//! Whom requests are made for: a namespace of a multi-user server and the user in front of it.

use kperf_plugin_sdk::{Failure, http::Request};
use serde::Deserialize;

/// The most namespaces that one pattern may stand for.
const MOST: usize = 10_000;

/// One tenant; on a single-user server the only one, without any name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// The Kubernetes namespace; empty on a single-user server.
    pub namespace: String,
    /// The header that says who asks, and its value.
    pub identity: Option<(String, String)>,
}

impl Tenant {
    /// Whether it is a namespace of a multi-user server.
    pub fn is_named(&self) -> bool {
        !self.namespace.is_empty()
    }

    /// A request made for this tenant, whose samples carry its name.
    pub fn request(&self, operation: &str, method: &str, url: String) -> Request {
        let mut request = Request::new(operation, method, url);
        if self.is_named() {
            request.tags.push(("tenant".into(), self.namespace.clone()));
        }
        match &self.identity {
            Some((header, value)) => request.header(header, value.as_str()),
            None => request,
        }
    }
}

/// The tenants as a suite writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TenantParams {
    /// One namespace.
    pub namespace: Option<String>,
    /// Several; `{1..50}` in a name stands for each of these numbers.
    pub namespaces: Vec<String>,
    /// Who asks; `{namespace}` stands for the tenant's.
    pub user: Option<String>,
    /// In which header.
    pub user_header: String,
}

impl Default for TenantParams {
    fn default() -> Self {
        Self { namespace: None, namespaces: Vec::new(), user: None, user_header: "kubeflow-userid".into() }
    }
}

/// The tenants of a scenario.
pub type Tenants = kperf_plugin_sdk::tenants::Tenants<Tenant>;

impl TenantParams {
    /// The tenants that the parameters name.
    ///
    /// # Errors
    /// A failure of the kind `params` if a pattern is wrong, or both keys are used.
    pub fn tenants(&self) -> Result<Tenants, Failure> {
        let names = match (&self.namespace, self.namespaces.as_slice()) {
            (Some(_), [_, ..]) => return Err(Failure::params("give `namespace` or `namespaces`, not both")),
            (Some(one), []) => vec![one.clone()],
            (None, patterns) => patterns.iter().map(|pattern| expand(pattern)).collect::<Result<Vec<_>, _>>()?.concat(),
        };
        let tenant = |namespace: String| {
            let user = self.user.as_ref().map(|user| user.replace("{namespace}", &namespace));
            Tenant { identity: user.map(|user| (self.user_header.clone(), user)), namespace }
        };
        let without_name = || Tenants::from(tenant(String::new()));
        Ok(Tenants::new(names.into_iter().map(tenant)).unwrap_or_else(without_name))
    }
}

/// The tenant of a namespace, also of one that the scenario does not name any more.
pub fn of_namespace(tenants: &Tenants, namespace: &str) -> Tenant {
    let known = tenants.iter().find(|tenant| tenant.namespace == namespace).cloned();
    known.unwrap_or_else(|| Tenant { namespace: namespace.into(), ..tenants.get(0).clone() })
}

/// The names that a pattern like `team-{1..50}` stands for; a name without braces stands for itself.
fn expand(pattern: &str) -> Result<Vec<String>, Failure> {
    let wrong = || {
        let help = "write a name, or one with a range like `team-{1..50}`";
        Failure::params(format!("`{pattern}` is no pattern for namespaces: {help}"))
    };
    let Some((before, rest)) = pattern.split_once('{') else { return Ok(vec![pattern.to_owned()]) };
    let (range, after) = rest.split_once('}').ok_or_else(wrong)?;
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let (first, last): (usize, usize) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if after.contains('{') || first > last || last - first >= MOST {
        return Err(wrong());
    }
    Ok((first..=last).map(|number| format!("{before}{number}{after}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(json: &str) -> Result<Tenants, Failure> {
        serde_json::from_str::<TenantParams>(json).unwrap().tenants()
    }

    #[test]
    fn a_range_stands_for_each_of_its_numbers() {
        let tenants = tenants(r#"{"namespaces":["team-{9..11}-x","other"],"user":"{namespace}@example.com"}"#).unwrap();
        let names: Vec<&str> = tenants.iter().map(|tenant| tenant.namespace.as_str()).collect();
        assert_eq!(names, ["team-9-x", "team-10-x", "team-11-x", "other"]);
        assert_eq!(tenants.get(tenants.place_of_user(5)).namespace, "team-10-x");
        let request = tenants.get(0).request("o", "GET", "/".into());
        assert_eq!(request.headers, [("kubeflow-userid".to_owned(), "team-9-x@example.com".to_owned())]);
    }

    #[test]
    fn without_names_there_is_one_tenant_without_a_namespace() {
        let tenants = tenants("{}").unwrap();
        assert_eq!(tenants, Tenants::from(Tenant::default()));
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for wrong in ["a{1..", "a{1}", "a{2..1}", "a{x..2}", "a{1..2}{3..4}", "a{0..99999999}"] {
            assert!(expand(wrong).is_err(), "{wrong}");
        }
        assert!(tenants(r#"{"namespace":"a","namespaces":["b"]}"#).is_err());
    }
}
