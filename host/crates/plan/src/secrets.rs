//! Credentials: read before anything runs, kept in the host, and read again while it runs where they come from files, since
//! tokens expire and whoever issues them replaces the file in time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kperf_plugin::{Credential, Redactor, Secret};
use kperf_suite::{Address, CredentialSource, Diagnostic, Diagnostics, Suite};

use crate::kubeconfig::Token;
use crate::planner::Plan;

/// How often the files of credentials are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest path of a URL, in bytes, that is a secret on its own.
const SECRET_PATH: usize = 12;

/// The suite's credentials, ready to be attached.
pub struct Secrets {
    /// By name.
    pub credentials: BTreeMap<String, Arc<Credential>>,
    /// By target, what its kubeconfig says.
    pub clusters: BTreeMap<String, Arc<Credential>>,
    /// Removes every secret of the suite from a text.
    pub redactor: Redactor,
    /// Base URLs that are secrets, by credential.
    pub urls: BTreeMap<String, String>,
    files: Vec<Watched>,
}

/// A credential that comes from a file.
struct Watched {
    file: PathBuf,
    secret: Secret,
    credential: Arc<Credential>,
}

impl Secrets {
    /// Reads every credential of the suite that something uses.
    ///
    /// # Errors
    /// Those that can't be had, each with its place.
    pub fn read(plan: &Plan) -> Result<Self, Diagnostics> {
        read(plan).map_err(|diagnostics| Diagnostics::new(plan.suite.sources.clone(), diagnostics))
    }

    /// Renews each credential whose file changes; for as long as it is polled. A file that can't be read, or holds nothing
    /// that can be sent, changes nothing: whoever writes it may be in the middle of it.
    pub async fn keep_fresh(&self) -> Infallible {
        let mut known: Vec<Secret> = self.files.iter().map(|watched| watched.secret.clone()).collect();
        loop {
            tokio::time::sleep(LOOK).await;
            for (Watched { file, credential, .. }, known) in self.files.iter().zip(&mut known) {
                let Ok(text) = tokio::fs::read_to_string(file).await else { continue };
                let secret = Secret::new(&text);
                if secret == *known {
                    continue;
                }
                // Before it is sent for the first time, so that no answer can tell it.
                self.redactor.learn(&secret);
                if credential.renew(&secret).is_ok() {
                    tracing::info!("read the credential in {} again: it has changed", file.display());
                    *known = secret;
                }
            }
        }
    }
}

/// Reads every credential of the suite that something uses.
fn read(plan: &Plan) -> Result<Secrets, Vec<Diagnostic>> {
    let (suite, folder) = (&plan.suite, &plan.folder);
    let of_targets = suite.targets.values().filter_map(|target| target.credential.as_ref().map(|it| &it.value));
    let of_params = plan.parts().flat_map(|part| &part.params.credentials);
    let of_urls = secret_urls(suite);
    let of_plugins = suite.plugins().flat_map(|plugin| &plugin.credentials);
    let used: Vec<&String> = of_targets.chain(of_urls).chain(of_params).chain(of_plugins).collect();
    let mut urls = BTreeMap::new();
    let (mut credentials, mut files) = (BTreeMap::new(), Vec::new());
    let (mut secrets, mut findings) = (Vec::new(), Vec::new());
    for credential in suite.credentials.values().filter(|credential| used.contains(&&credential.name)) {
        let made = text_of(credential, folder).and_then(|text| {
            let secret = Secret::new(&text);
            let made = Credential::new(&credential.header, &credential.scheme, &secret);
            secrets.push(secret.clone());
            made.map(|made| (Arc::new(made), secret)).map_err(|error| error.to_string())
        });
        match made {
            Ok((made, secret)) => {
                if secret_urls(suite).any(|name| *name == credential.name)
                    && let Ok(url) = base_url(&secret)
                {
                    // Messages about a request show its path at the most; a short one is a word, and hides nothing.
                    if url.path().len() >= SECRET_PATH {
                        secrets.push(Secret::new(url.path()));
                    }
                    urls.insert(credential.name.clone(), url.as_str().trim_end_matches('/').to_owned());
                }
                if let CredentialSource::File(path) = &credential.source.value {
                    files.push(Watched { file: folder.join(path), secret, credential: Arc::clone(&made) });
                }
                credentials.insert(credential.name.clone(), made);
            }
            Err(message) => findings.push(
                Diagnostic::new(credential.source.span, message)
                    .help(format!("the credential `{}` is needed before anything runs", credential.name)),
            ),
        }
    }
    let mut clusters = BTreeMap::new();
    for (target, cluster) in &plan.clusters {
        let user = &cluster.value.user;
        secrets.extend(user.identity.iter().map(|(_, key)| key.clone()));
        let Some(token) = &user.token else { continue };
        let made = match token {
            Token::Text(token) => Ok(token.clone()),
            Token::File(file) => std::fs::read_to_string(file)
                .map(|text| Secret::new(&text))
                .map_err(|error| format!("can't read the token in {}: {error}", file.display())),
        };
        let made = made.and_then(|secret| {
            secrets.push(secret.clone());
            let made = Credential::new("authorization", "Bearer", &secret).map_err(|error| error.to_string())?;
            Ok((Arc::new(made), secret))
        });
        match made {
            Ok((credential, secret)) => {
                if let Token::File(file) = token {
                    files.push(Watched { file: file.clone(), secret, credential: Arc::clone(&credential) });
                }
                clusters.insert(target.clone(), credential);
            }
            Err(message) => findings.push(
                Diagnostic::new(cluster.span, message)
                    .help(format!("the kubeconfig of the target `{target}` says that it is there")),
            ),
        }
    }
    if findings.is_empty() {
        Ok(Secrets { credentials, clusters, redactor: Redactor::new(&secrets), urls, files })
    } else {
        Err(findings)
    }
}

/// The credentials that hold URLs.
fn secret_urls(suite: &Suite) -> impl Iterator<Item = &String> {
    suite.targets.values().filter_map(|target| match &target.address {
        Address::Secret(name) => Some(&name.value),
        _ => None,
    })
}

fn text_of(credential: &kperf_suite::Credential, folder: &Path) -> Result<String, String> {
    match &credential.source.value {
        CredentialSource::Env(name) => {
            std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
        }
        CredentialSource::File(path) => std::fs::read_to_string(folder.join(path))
            .map_err(|error| format!("can't read the credential's file `{path}`: {error}")),
    }
}

/// A secret as the URL of a target. The error does not repeat it.
fn base_url(secret: &Secret) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(secret.expose()).map_err(|_| "it is no absolute URL, like https://example.com/path")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("it is no http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("a target's URL has no user, no query and no fragment");
    }
    Ok(url)
}

/// Secret URLs that are there and are none, each at the place of its source. One that is not there is no mistake of the suite.
pub fn wrong_urls(suite: &Suite, folder: &Path) -> Vec<Diagnostic> {
    let credentials = secret_urls(suite).filter_map(|name| suite.credentials.get(name));
    let findings = credentials.filter_map(|credential| {
        let wrong = base_url(&Secret::new(&text_of(credential, folder).ok()?)).err()?;
        let message = format!("the secret is to be a URL, and {wrong}");
        Some(Diagnostic::new(credential.source.span, message).help("look at the variable or the file"))
    });
    findings.collect()
}
