//! Where a plan's targets are, and how to talk to them: the only place that knows a URL.
//!
//! A plan knows a target's [`TargetAddress`]. With the secrets, and with the [`Endpoints`] of servers inside the process, that becomes
//! a [`ResolvedTarget`]. The clients that talk to it are made elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use kperf_plugin::{Credential, RequestDefaults};
use kperf_suite::{Address, Double, Located, Target, TargetRef};
use url::Url;

use crate::plan::Plan;
use crate::secrets::Secrets;

/// Where requests go, as far as it is known before a run. Its text stands in a run's header, by which a later cleanup recognises
/// the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetAddress<'a> {
    /// The simulated server, which a run starts.
    Simulated,
    /// A double of a service, which a run starts.
    Double(Double),
    /// The URL that this credential holds.
    Secret(&'a str),
    /// A base URL without a trailing slash.
    Url(&'a str),
}

impl TargetAddress<'_> {
    /// The text of [`TargetAddress::Simulated`].
    pub const SIMULATED: &'static str = "simulated";
}

impl fmt::Display for TargetAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated => f.write_str(Self::SIMULATED),
            Self::Double(double) => f.write_str(double.word()),
            Self::Secret(credential) => write!(f, "the URL in {credential}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// Where servers inside the process listen: base URLs. Those that do not run are not there.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// The simulated server.
    pub simulated: Option<String>,
    /// Doubles of services.
    pub doubles: BTreeMap<Double, String>,
}

/// Why a target can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The suite names a target that it does not have.
    #[error("there is no target `{0}`")]
    Unknown(String),
    /// The target was inside a process that has ended.
    #[error("`{0}` ended with the run")]
    Ended(&'static str),
    /// The credential that should hold the URL holds another text.
    #[error("the secret `{0}` is to be a URL, and is none")]
    Secret(String),
    /// No client takes the URL.
    #[error("can't use the URL `{url}`: {source}")]
    Url {
        /// The URL, without what of it is a secret.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// A header can't be sent.
    #[error("can't send the header `{header}` of target `{target}`: {source}")]
    Header {
        /// The header's name.
        header: String,
        /// The target's name.
        target: String,
        /// What is wrong with its name or its value.
        source: http::Error,
    },
    /// A file of certificates can't be read.
    #[error("can't read `{file}` of target `{target}`: {source}")]
    File {
        /// The file, as the suite writes it.
        file: String,
        /// The target's name.
        target: String,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A target, and how to talk to it. It can't be printed: its URL may be a secret.
pub struct ResolvedTarget<'a> {
    /// Its table in the suite; none for the simulated server where the suite has no table for it.
    pub settings: Option<&'a Target>,
    /// How requests are sent unless the plugin says otherwise, with the headers of each.
    pub requests: RequestDefaults,
    /// What every request carries, unless the plugin asks for another one.
    pub credential: Option<Arc<Credential>>,
    /// The base URL without a trailing slash.
    base: String,
    /// Whether only the origin of the URL may be shown.
    secret: bool,
}

impl ResolvedTarget<'_> {
    /// The URL of a path behind the base URL, which itself has the empty path.
    ///
    /// # Errors
    /// When no client takes it.
    pub fn url(&self, path: &str) -> Result<Uri, TargetError> {
        let url = format!("{}{path}", self.base);
        url.parse().map_err(|source| TargetError::Url { url: self.shown_url(path), source })
    }

    /// The URL of a path without what of it is a secret, for people and for plugins.
    #[must_use]
    pub fn shown_url(&self, path: &str) -> String {
        match Url::parse(&self.base) {
            Ok(url) if self.secret => url.origin().ascii_serialization(),
            Err(_) if self.secret => String::new(),
            _ => format!("{}{path}", self.base),
        }
    }
}

impl Plan {
    /// Where requests to a target go; none if the suite has no such target.
    #[must_use]
    pub fn address(&self, target: &TargetRef) -> Option<TargetAddress<'_>> {
        let TargetRef::Named(name) = target else { return Some(TargetAddress::Simulated) };
        Some(match &self.suite.targets.get(name)?.address {
            Address::Simulated => TargetAddress::Simulated,
            Address::Double(double) => TargetAddress::Double(*double),
            Address::Secret(credential) => TargetAddress::Secret(&credential.value),
            address @ Address::Url(_) => TargetAddress::Url(address.base_url()?),
            Address::Cluster(_) => TargetAddress::Url(&self.clusters.get(name)?.value.url),
        })
    }

    /// A target with everything that a client needs.
    ///
    /// # Errors
    /// When it is not there, or its settings can't be used.
    pub fn resolve(
        &self,
        target: &TargetRef,
        secrets: &Secrets,
        endpoints: &Endpoints,
    ) -> Result<ResolvedTarget<'_>, TargetError> {
        let (name, settings) = match target {
            TargetRef::Named(name) => (name.as_str(), self.suite.targets.get(name)),
            TargetRef::Simulated => (TargetAddress::SIMULATED, None),
        };
        let base = match self.address(target).ok_or_else(|| TargetError::Unknown(name.to_owned()))? {
            TargetAddress::Simulated => {
                endpoints.simulated.clone().ok_or(TargetError::Ended(TargetAddress::SIMULATED))?
            }
            TargetAddress::Double(double) => {
                endpoints.doubles.get(&double).cloned().ok_or(TargetError::Ended(double.word()))?
            }
            TargetAddress::Secret(credential) => {
                secrets.url(credential).ok_or_else(|| TargetError::Secret(credential.to_owned()))?.to_owned()
            }
            TargetAddress::Url(url) => url.to_owned(),
        };
        let own = |settings: &Target| secrets.credential(&settings.credential.as_ref()?.value);
        Ok(ResolvedTarget {
            settings,
            requests: settings.map(requests).transpose()?.unwrap_or_default(),
            credential: settings.and_then(|it| own(it).or_else(|| secrets.of_cluster(&it.name))),
            base,
            secret: settings.is_some_and(|it| matches!(it.address, Address::Secret(_))),
        })
    }

    /// Whom to trust at a target of the suite, and who to be.
    ///
    /// # Errors
    /// When one of its files can't be read.
    pub fn tls(&self, target: &Target) -> Result<TlsMaterial, TargetError> {
        if let Some(Located { value: cluster, .. }) = self.clusters.get(&target.name) {
            let identity = cluster.user.identity.as_ref();
            return Ok(TlsMaterial {
                authorities: cluster.authorities.clone(),
                identity: identity.map(|(certificate, key)| (certificate.clone(), key.expose().as_bytes().to_vec())),
                insecure: cluster.insecure,
            });
        }
        let read = |path: &Located<String>| {
            std::fs::read(self.folder.join(&path.value)).map_err(|source| TargetError::File {
                file: path.value.clone(),
                target: target.name.clone(),
                source,
            })
        };
        let authorities = target.ca.as_ref().map(read).transpose()?;
        let identity = match &target.client_certificate {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        Ok(TlsMaterial { authorities, identity, insecure: target.insecure })
    }
}

/// What TLS with a target takes beside the system's certificates: all in PEM.
#[derive(Default)]
pub struct TlsMaterial {
    /// Certificate authorities to trust, too.
    pub authorities: Option<Vec<u8>>,
    /// The certificate that is shown to the server, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
}

fn requests(target: &Target) -> Result<RequestDefaults, TargetError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers {
        let wrong = |source| TargetError::Header { header: name.clone(), target: target.name.clone(), source };
        headers.append(
            HeaderName::try_from(name).map_err(|error| wrong(error.into()))?,
            HeaderValue::try_from(value).map_err(|error| wrong(error.into()))?,
        );
    }
    Ok(RequestDefaults {
        timeout: Some(target.timeout),
        body_limit: target.body_limit.bytes(),
        compression: target.compression,
        headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;

    const SUITE: &str = r#"
name = "s"
[credentials.hook]
env = "HOOK"
[credentials.key]
env = "KEY"
[targets.plain]
url = "https://plain.example:443/base/"
credential = "key"
headers = { x-team = "ml" }
timeout = "3s"
[targets.secret]
url_from = "hook"
[targets.inside]
url = "simulated"
[targets.chat]
url = "simulated-slack"
[targets.cluster]
kubeconfig = "config"
[[scenario]]
name = "a"
plugin = "p"
target = "plain"
load = { executor = "per-vu-iterations" }
"#;

    const KUBECONFIG: &str = "current-context: c\n\
        clusters: [{name: c, cluster: {server: 'https://k8s.example:6443/', certificate-authority-data: 'Y2E='}}]\n\
        users: [{name: u, user: {token: t0ken-of-robot, client-certificate-data: 'Y2VydA==', client-key-data: 'a2V5'}}]\n\
        contexts: [{name: c, context: {cluster: c, user: u}}]\n";

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOOK" => Some("https://hooks.example/T0/B0/s3cr3tp4th".to_owned()),
            "KEY" => Some("k3y".to_owned()),
            _ => None,
        }
    }

    fn planned() -> Plan {
        let mut plan = plan(SUITE, lookup);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), KUBECONFIG).unwrap();
        let cluster = crate::kubeconfig::read(&folder.path().join("config"), None).unwrap();
        let span = plan.suite.scenarios[0].plugin.span;
        plan.clusters.insert("cluster".to_owned(), Located { value: cluster, span });
        plan
    }

    fn named(name: &str) -> TargetRef {
        TargetRef::Named(name.to_owned())
    }

    #[test]
    fn a_plan_knows_where_requests_go_as_far_as_that_is_certain() {
        let plan = planned();
        let text = |target: &TargetRef| plan.address(target).map(|address| address.to_string());
        let texts = ["plain", "secret", "inside", "chat", "cluster", "none"].map(|name| text(&named(name)));
        let wanted = [
            Some("https://plain.example/base"),
            Some("the URL in hook"),
            Some("simulated"),
            Some("simulated-slack"),
            Some("https://k8s.example:6443"),
            None,
        ];
        assert_eq!(texts, wanted.map(|text| text.map(str::to_owned)));
        assert_eq!(text(&TargetRef::Simulated).as_deref(), Some(TargetAddress::SIMULATED));
    }

    #[test]
    fn a_target_is_resolved_with_its_settings() {
        let plan = planned();
        let secrets = Secrets::read(&plan).unwrap();
        let target = plan.resolve(&named("plain"), &secrets, &Endpoints::default()).unwrap();
        assert_eq!(target.url("").unwrap().to_string(), "https://plain.example/base");
        assert_eq!(target.url("/write?a=b").unwrap().to_string(), "https://plain.example/base/write?a=b");
        assert_eq!(target.shown_url("/write"), "https://plain.example/base/write");
        assert_eq!(target.requests.timeout, Some(std::time::Duration::from_secs(3)));
        assert_eq!(target.requests.headers["x-team"], "ml");
        let mut headers = HeaderMap::new();
        target.credential.unwrap().attach(&mut headers, b"");
        assert_eq!(headers["authorization"], "Bearer k3y");
    }

    #[test]
    fn a_secret_url_is_used_and_only_its_origin_is_shown() {
        let plan = planned();
        let secrets = Secrets::read(&plan).unwrap();
        let target = plan.resolve(&named("secret"), &secrets, &Endpoints::default()).unwrap();
        assert_eq!(target.url("").unwrap().to_string(), "https://hooks.example/T0/B0/s3cr3tp4th");
        assert_eq!(target.shown_url("/more"), "https://hooks.example");
        assert!(!target.url(" ").unwrap_err().to_string().contains("s3cr3t"));
    }

    #[test]
    fn servers_inside_the_process_are_where_they_listen_or_have_ended() {
        let plan = planned();
        let secrets = Secrets::read(&plan).unwrap();
        let endpoints = Endpoints {
            simulated: Some("http://127.0.0.1:1".to_owned()),
            doubles: [(Double::Slack, "http://127.0.0.1:2".to_owned())].into(),
        };
        let url = |target: &TargetRef, endpoints: &Endpoints| {
            plan.resolve(target, &secrets, endpoints).map(|target| target.shown_url(""))
        };
        for target in [TargetRef::Simulated, named("inside")] {
            assert_eq!(url(&target, &endpoints).unwrap(), "http://127.0.0.1:1");
            let ended = url(&target, &Endpoints::default()).unwrap_err();
            assert_eq!(ended.to_string(), "`simulated` ended with the run");
        }
        assert_eq!(url(&named("chat"), &endpoints).unwrap(), "http://127.0.0.1:2");
        assert!(matches!(url(&named("chat"), &Endpoints::default()), Err(TargetError::Ended("simulated-slack"))));
        assert!(matches!(url(&named("none"), &endpoints), Err(TargetError::Unknown(name)) if name == "none"));
    }

    #[test]
    fn a_kubeconfig_says_whom_to_trust_and_who_to_be() {
        let plan = planned();
        let secrets = Secrets::read(&plan).unwrap();
        let target = plan.resolve(&named("cluster"), &secrets, &Endpoints::default()).unwrap();
        let mut headers = HeaderMap::new();
        target.credential.unwrap().attach(&mut headers, b"");
        assert_eq!(headers["authorization"], "Bearer t0ken-of-robot");
        let tls = plan.tls(target.settings.unwrap()).unwrap();
        assert_eq!(tls.authorities.as_deref(), Some(&b"ca"[..]));
        assert_eq!(tls.identity, Some((b"cert".to_vec(), b"key".to_vec())));
        assert_eq!(secrets.redactor.redact("sent t0ken-of-robot"), "sent **************");
    }
}
