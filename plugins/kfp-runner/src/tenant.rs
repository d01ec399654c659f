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
    /// A request made for this tenant, whose samples carry its name.
    pub fn request(&self, operation: &str, method: &str, url: String) -> Request {
        let mut request = Request::new(operation, method, url);
        if !self.namespace.is_empty() {
            request.tags.push(("tenant".into(), self.namespace.clone()));
        }
        match &self.identity {
            Some((header, value)) => request.header(header, value.as_str()),
            None => request,
        }
    }
}

/// How a suite names its tenants.
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

/// The tenants of a scenario, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenants(Vec<Tenant>);

impl Tenants {
    /// The tenants that the parameters name.
    ///
    /// # Errors
    /// A failure of the kind `params` if a pattern is wrong, or both keys are used.
    pub fn of(params: &TenantParams) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::new("params", message);
        let names = match (&params.namespace, params.namespaces.as_slice()) {
            (Some(_), [_, ..]) => return Err(wrong("give `namespace` or `namespaces`, not both".into())),
            (Some(one), []) => vec![one.clone()],
            (None, []) => vec![String::new()],
            (None, patterns) => {
                let mut names = Vec::new();
                for pattern in patterns {
                    names.extend(expand(pattern).map_err(wrong)?);
                }
                names
            }
        };
        let tenant = |namespace: String| {
            let user = params.user.as_ref().map(|user| user.replace("{namespace}", &namespace));
            Tenant { identity: user.map(|user| (params.user_header.clone(), user)), namespace }
        };
        Ok(Self(names.into_iter().map(tenant).collect()))
    }

    /// All of them.
    pub fn all(&self) -> &[Tenant] {
        &self.0
    }

    /// The number of the tenant for a virtual user.
    pub fn index(&self, user: u32) -> usize {
        user as usize % self.0.len().max(1)
    }

    /// The tenant with this number; numbers beyond the last one begin again.
    pub fn get(&self, index: usize) -> Tenant {
        self.0.get(index % self.0.len().max(1)).cloned().unwrap_or_default()
    }

    /// The tenant of a namespace, also of one that the scenario does not name any more.
    pub fn named(&self, namespace: &str) -> Tenant {
        let known = self.0.iter().find(|tenant| tenant.namespace == namespace).cloned();
        known.unwrap_or_else(|| Tenant { namespace: namespace.into(), ..self.get(0) })
    }

    /// Whether namespaces are used at all.
    pub fn are_named(&self) -> bool {
        self.0.iter().any(|tenant| !tenant.namespace.is_empty())
    }
}

/// The names that a pattern like `team-{1..50}` stands for; a name without braces stands for itself.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let wrong =
        || format!("`{pattern}` is no pattern for namespaces: write a name, or one with a range like `team-{{1..50}}`");
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
        Tenants::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_range_stands_for_each_of_its_numbers() {
        let tenants = tenants(r#"{"namespaces":["team-{9..11}-x","other"],"user":"{namespace}@example.com"}"#).unwrap();
        let names: Vec<&str> = tenants.all().iter().map(|tenant| tenant.namespace.as_str()).collect();
        assert_eq!(names, ["team-9-x", "team-10-x", "team-11-x", "other"]);
        assert_eq!(tenants.get(tenants.index(5)).namespace, "team-10-x");
        let request = tenants.get(0).request("o", "GET", "/".into());
        assert_eq!(request.headers, [("kubeflow-userid".to_owned(), "team-9-x@example.com".to_owned())]);
    }

    #[test]
    fn without_names_there_is_one_tenant_without_a_namespace() {
        let tenants = tenants("{}").unwrap();
        assert_eq!(tenants.all(), [Tenant::default()]);
        assert!(!tenants.are_named());
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for wrong in ["a{1..", "a{1}", "a{2..1}", "a{x..2}", "a{1..2}{3..4}", "a{0..99999999}"] {
            assert!(expand(wrong).is_err(), "{wrong}");
        }
        assert!(tenants(r#"{"namespace":"a","namespaces":["b"]}"#).is_err());
    }
}
