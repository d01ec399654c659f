//! What a plugin may reach. An empty set of grants denies everything, and every denial says what to add to the suite.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use rustc_hash::FxHashMap;

use crate::environment::secret::Credential;

/// A host and port that a plugin may send requests to, over `http` or `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGrant {
    host: String,
    /// None stands for the scheme's own port.
    port: Option<u16>,
}

/// Why a text is no [`HostGrant`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no host; write `name`, `name:port` or `[::1]:port`, without scheme and path")]
pub struct HostGrantError(String);

impl std::str::FromStr for HostGrant {
    type Err = HostGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HostGrantError(text.into());
        if text.contains('@') {
            return Err(wrong());
        }
        let authority: http::uri::Authority = text.parse().map_err(|_| wrong())?;
        if authority.host().is_empty() || (authority.as_str() != authority.host() && authority.port_u16().is_none()) {
            return Err(wrong());
        }
        Ok(Self { host: authority.host().to_ascii_lowercase(), port: authority.port_u16() })
    }
}

impl HostGrant {
    fn covers(&self, host: &str, port: u16, default_port: u16) -> bool {
        host.eq_ignore_ascii_case(&self.host) && port == self.port.unwrap_or(default_port)
    }
}

/// What the suite grants to one plugin.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// The target's base URL; its origin may be reached.
    pub target: Option<Uri>,
    /// Further hosts.
    pub hosts: Vec<HostGrant>,
    /// The credentials that the plugin may ask for, by name.
    pub credentials: FxHashMap<String, Arc<Credential>>,
    /// What is attached to requests for the target unless the plugin asks for another one.
    pub target_credential: Option<Arc<Credential>>,
    /// The files that the plugin may read: the text in its parameters, and the file that it stands for.
    pub files: FxHashMap<String, PathBuf>,
}

/// A denial; the text says what to add to the suite.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Denied {
    /// Not the target and none of the granted hosts.
    #[error("`{0}` is not granted; add it to `allow_hosts`")]
    Host(String),
    /// A path without a target.
    #[error("there is no target for the path; set `target`, or give an absolute URL of a host in `allow_hosts`")]
    NoTarget,
    /// Not among the granted credentials.
    #[error("the credential `{0}` is not granted; add it to `credentials`")]
    Credential(String),
    /// Not among the granted files.
    #[error("the file `{0}` is not granted; name it in a parameter with `\"format\": \"path\"`")]
    File(String),
}

impl Grants {
    /// Whether a request may go to this absolute URL.
    pub(crate) fn permits(&self, uri: &Uri) -> bool {
        let (Some(host), Some((port, default_port))) = (uri.host(), port(uri)) else { return false };
        self.is_target(uri) || self.hosts.iter().any(|grant| grant.covers(host, port, default_port))
    }

    /// Whether this absolute URL has the target's origin.
    pub(crate) fn is_target(&self, uri: &Uri) -> bool {
        self.target.as_ref().is_some_and(|target| {
            target.scheme() == uri.scheme()
                && port(target) == port(uri)
                && target.host().zip(uri.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }

    /// Whether requests may carry a credential.
    pub(crate) fn has_credentials(&self) -> bool {
        self.target_credential.is_some() || !self.credentials.is_empty()
    }

    pub(crate) fn credential(&self, name: &str) -> Result<&Arc<Credential>, Denied> {
        self.credentials.get(name).ok_or_else(|| Denied::Credential(name.into()))
    }

    pub(crate) fn file(&self, path: &str) -> Result<&Path, Denied> {
        self.files.get(path).map(PathBuf::as_path).ok_or_else(|| Denied::File(path.into()))
    }
}

/// A URL's port and its scheme's own one.
fn port(uri: &Uri) -> Option<(u16, u16)> {
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((uri.port_u16().unwrap_or(default), default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(hosts: &[&str]) -> Grants {
        Grants {
            target: Some("https://target.example/base".parse().unwrap()),
            hosts: hosts.iter().map(|h| h.parse().unwrap()).collect(),
            ..Grants::default()
        }
    }

    #[test]
    fn only_the_target_and_granted_hosts_are_permitted() {
        let grants = grants(&["Other.example", "third.example:8443"]);
        let permits = |url: &str| grants.permits(&url.parse().unwrap());
        for granted in [
            "https://target.example/",
            "https://TARGET.example:443/x",
            "http://other.example/",
            "https://other.example/",
            "https://third.example:8443/",
        ] {
            assert!(permits(granted), "{granted}");
        }
        for denied in [
            "http://target.example/",
            "https://target.example:8443/",
            "https://other.example:8443/",
            "https://third.example/",
            "https://target.example.evil/",
            "ftp://other.example/",
            "/path",
        ] {
            assert!(!permits(denied), "{denied}");
        }
        assert!(!Grants::default().permits(&"http://localhost/".parse().unwrap()));
    }

    #[test]
    fn a_user_in_front_of_the_host_changes_nothing() {
        assert!(!grants(&[]).permits(&"https://target.example@evil.example/".parse().unwrap()));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in ["", "http://x", "a b", "x/y", "u@x", "x:99999"] {
            assert!(wrong.parse::<HostGrant>().is_err(), "{wrong}");
        }
    }
}
