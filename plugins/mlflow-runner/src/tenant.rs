//! Whom requests are made for: a workspace of the server, named in a header of every request.
//!
//! A tenant can't be made without a name that servers take, so that no request for one can go out without its header.

use kperf_plugin_sdk::{Failure, http::Request, random};
use serde::Deserialize;

/// The header that names the workspace.
const HEADER: &str = "x-mlflow-workspace";

/// What samples of tenants are tagged with that have no tag of their own.
const OTHERS: &str = "others";

/// One tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    name: String,
    tag: String,
    is_created: bool,
}

impl Tenant {
    /// The tenant whose workspace has this name.
    ///
    /// # Errors
    /// A failure of the kind `params` if no workspace can have that name, or the name means all tenants' workspace.
    pub fn new(name: &str) -> Result<Self, Failure> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let plain = (2..=63).contains(&name.len()) && name.bytes().all(inner);
        let reserved = matches!(name, "default" | "workspaces" | "api" | "ajax-api" | "static-files");
        if !plain || name.starts_with('-') || name.ends_with('-') || reserved {
            return Err(Failure::params(format!(
                "`{name}` can't be a tenant's workspace: 2 to 63 of a-z, 0-9 and `-`, not first or last; `default` and names \
                 of the server's paths are reserved"
            )));
        }
        Ok(Self { name: name.to_owned(), tag: name.to_owned(), is_created: false })
    }

    /// As `new`, for work whose samples nobody tells apart by tenant.
    ///
    /// # Errors
    /// As `new`.
    pub fn untagged(name: &str) -> Result<Self, Failure> {
        Ok(Self { tag: OTHERS.to_owned(), ..Self::new(name)? })
    }

    /// The workspace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of the tag `tenant`: its name, or `others`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether this run has created its workspace, which goes with everything in it.
    pub fn is_created(&self) -> bool {
        self.is_created
    }

    /// Notes whether this run has created its workspace.
    pub fn set_created(&mut self, is_created: bool) {
        self.is_created = is_created;
    }

    /// A request made for this tenant.
    pub fn sends(&self, request: Request) -> Request {
        request.header(HEADER, self.name.as_str())
    }
}

/// How iterations choose their tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Each as likely as any other.
    #[default]
    Uniform,
    /// The n-th in proportion to 1 / n to the power of `zipf_exponent`.
    Zipf,
    /// One after the other.
    RoundRobin,
}

/// The tenants as a suite writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TenantParams {
    /// The number of tenants.
    pub tenants: u32,
    /// Their names; `{n}` stands for the number, from 1, and `{run}` for the run's id.
    pub tenant_name: String,
    /// Whether workspaces are created that are not there.
    pub workspaces: Workspaces,
    pub tenant_choice: Choice,
    pub zipf_exponent: f64,
    /// How many tenants have a tag of their own.
    pub tag_tenants: u32,
}

/// Where workspaces come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workspaces {
    /// Those that are not there are created, and removed in the end.
    #[default]
    Create,
    /// All are there.
    Assume,
}

impl Default for TenantParams {
    fn default() -> Self {
        Self {
            tenants: 1,
            tenant_name: "tenant-{n}".into(),
            workspaces: Workspaces::Create,
            tenant_choice: Choice::Uniform,
            zipf_exponent: 1.0,
            tag_tenants: 500,
        }
    }
}

/// The tenants of a scenario.
pub type Tenants = kperf_plugin_sdk::tenants::Tenants<Tenant>;

impl TenantParams {
    /// The tenants that the parameters name, at least one.
    ///
    /// # Errors
    /// A failure of the kind `params` if a name is none, or names are the same.
    pub fn tenants(&self, run: &str) -> Result<Tenants, Failure> {
        let number = self.tenants.max(1);
        if number > 1 && !self.tenant_name.contains("{n}") {
            let message = format!("`tenant_name` needs `{{n}}` for the number of each of the {number} tenants");
            return Err(Failure::params(message));
        }
        let run = run.to_ascii_lowercase();
        let tenant = |n: u32| {
            let name = self.tenant_name.replace("{n}", &n.to_string()).replace("{run}", &run);
            let mut tenant = Tenant::new(&name)?;
            if n > self.tag_tenants {
                tenant.tag = OTHERS.into();
            }
            Ok::<_, Failure>(tenant)
        };
        let mut tenants = Tenants::from(tenant(1)?);
        for n in 2..=number {
            tenants.push(tenant(n)?);
        }
        Ok(tenants)
    }
}

/// Chooses the tenant of each iteration.
#[derive(Clone, Debug)]
pub struct Chooser {
    tenants: usize,
    choice: Choice,
    /// For Zipf: the chance that one of the tenants up to this one is chosen.
    chances: Vec<f64>,
}

impl Chooser {
    /// Chooses among so many tenants.
    pub fn new(params: &TenantParams, tenants: usize) -> Self {
        let chances = match params.tenant_choice {
            Choice::Zipf => zipf(tenants, params.zipf_exponent),
            Choice::Uniform | Choice::RoundRobin => Vec::new(),
        };
        Self { tenants, choice: params.tenant_choice, chances }
    }

    /// The place of the tenant for an iteration.
    pub fn choose(&self, user: u32, iteration: u64) -> usize {
        self.choose_by(user, iteration, random::next)
    }

    /// As `choose`; `bits` gives 64 random bits.
    fn choose_by(&self, user: u32, iteration: u64, bits: impl FnOnce() -> u64) -> usize {
        let number = self.tenants as u64;
        match self.choice {
            Choice::Uniform => random::scale(bits(), number) as usize,
            Choice::RoundRobin => (u64::from(user).wrapping_add(iteration) % number.max(1)) as usize,
            Choice::Zipf => {
                let roll = random::share_of(bits());
                self.chances.partition_point(|chance| *chance <= roll).min(self.tenants.saturating_sub(1))
            }
        }
    }
}

/// For each tenant the chance that it or one before it is chosen.
fn zipf(number: usize, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=number)
        .map(|n| {
            sum += (n as f64).powf(-exponent);
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(json: &str) -> Result<Tenants, Failure> {
        params(json).tenants("20261126-R1")
    }

    fn params(json: &str) -> TenantParams {
        serde_json::from_str(json).unwrap()
    }

    /// How often each tenant is chosen in 10,000 iterations of ten users.
    fn counts(json: &str) -> Vec<usize> {
        let params = params(json);
        let chooser = Chooser::new(&params, params.tenants as usize);
        let mut state = 7_u64;
        let mut counts = vec![0; params.tenants as usize];
        for number in 0..10_000_u64 {
            let place = chooser.choose_by((number % 10) as u32, number / 10, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state ^ (state >> 29)
            });
            counts[place] += 1;
        }
        counts
    }

    #[test]
    fn names_have_their_number_and_the_run() {
        let tenants = tenants(r#"{"tenants":3,"tenant_name":"t-{run}-{n}","tag_tenants":2}"#).unwrap();
        let names: Vec<_> = tenants.iter().map(|it| (it.name(), it.tag())).collect();
        let expected = [
            ("t-20261126-r1-1", "t-20261126-r1-1"),
            ("t-20261126-r1-2", "t-20261126-r1-2"),
            ("t-20261126-r1-3", "others"),
        ];
        assert_eq!(names, expected);
        let request = tenants.get(0).sends(Request::get("o", "/"));
        assert_eq!(request.headers, [("x-mlflow-workspace".to_owned(), "t-20261126-r1-1".to_owned())]);
    }

    #[test]
    fn names_that_are_none_or_mean_everybody_are_refused() {
        for name in ["", "a", "default", "workspaces", "Team", "-a", "a-", "a b", "a/b", "..", &"x".repeat(64)] {
            assert!(Tenant::new(name).is_err(), "{name}");
        }
        assert!(tenants(r#"{"tenants":2,"tenant_name":"same"}"#).is_err());
        assert!(tenants(r#"{"tenants":1,"tenant_name":"same"}"#).is_ok());
    }

    #[test]
    fn uniform_and_round_robin_spread_evenly() {
        for (choice, spread) in [("uniform", 150), ("round-robin", 10)] {
            let counts = counts(&format!(r#"{{"tenants":10,"tenant_choice":"{choice}"}}"#));
            assert!(counts.iter().all(|count| count.abs_diff(1000) <= spread), "{choice}: {counts:?}");
        }
    }

    #[test]
    fn zipf_prefers_the_first() {
        // 12, 6, 4 and 3 of 25.
        let counts = counts(r#"{"tenants":4,"tenant_choice":"zipf"}"#);
        for (count, wanted) in counts.iter().zip([4800_usize, 2400, 1600, 1200]) {
            assert!(count.abs_diff(wanted) < 200, "{counts:?}");
        }
    }
}
