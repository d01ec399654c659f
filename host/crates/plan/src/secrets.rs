//! Credentials: read before anything runs, kept in the host, and read again while it runs where they come from files, since
//! tokens expire and whoever issues them replaces the file in time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kperf_plugin::{Credential, CredentialError, Redactor, Secret};
use kperf_suite::{Address, CredentialSource, Diagnostic, Diagnostics, Suite};
use url::Url;

use crate::kubeconfig::Token;
use crate::plan::{Lookup, Plan};

/// How often the files of credentials are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest path of a URL, in bytes, that is a secret on its own.
const SECRET_PATH: usize = 12;

/// The credentials that a plan uses, ready to be attached.
pub struct Secrets {
    /// Removes every one of them from a text.
    pub redactor: Redactor,
    by_name: BTreeMap<String, Arc<Credential>>,
    of_clusters: BTreeMap<String, Arc<Credential>>,
    urls: BTreeMap<String, String>,
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
        let mut reader = Reader::default();
        reader.read_suite(plan);
        reader.read_clusters(plan);
        let Reader { secrets, by_name, of_clusters, urls, files, diagnostics } = reader;
        if diagnostics.is_empty() {
            Ok(Self { redactor: Redactor::new(&secrets), by_name, of_clusters, urls, files })
        } else {
            Err(Diagnostics::new(plan.suite.sources.clone(), diagnostics))
        }
    }

    /// A credential of the suite.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<Arc<Credential>> {
        self.by_name.get(name).cloned()
    }

    /// What a target's kubeconfig says who to be, if that is a token.
    pub(crate) fn of_cluster(&self, target: &str) -> Option<Arc<Credential>> {
        self.of_clusters.get(target).cloned()
    }

    /// The base URL that is the secret of a credential, if it is one.
    pub(crate) fn url(&self, credential: &str) -> Option<&str> {
        self.urls.get(credential).map(String::as_str)
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

/// Why a credential can't be had.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    #[error("can't read the credential's file `{file}`: {source}")]
    File { file: String, source: io::Error },
    #[error("can't read the token in {}: {source}", file.display())]
    Token { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// Why a secret is no URL of a target. The text does not repeat it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum SecretUrlError {
    #[error("it is no absolute URL, like https://example.com/path")]
    Relative,
    #[error("it is no http or https URL")]
    Scheme,
    #[error("a target's URL has no user, no query and no fragment")]
    Query,
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    secrets: Vec<Secret>,
    by_name: BTreeMap<String, Arc<Credential>>,
    of_clusters: BTreeMap<String, Arc<Credential>>,
    urls: BTreeMap<String, String>,
    files: Vec<Watched>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    /// Credentials of `[credentials]`.
    fn read_suite(&mut self, plan: &Plan) {
        let (suite, folder) = (&plan.suite, &plan.folder);
        let of_targets = suite.targets.values().filter_map(|target| target.credential.as_ref().map(|it| &it.value));
        let of_params = plan.plugins().flat_map(|plugin| &plugin.params.credentials);
        let of_plugins = suite.plugins().flat_map(|plugin| &plugin.credentials);
        let used: Vec<&String> = of_targets.chain(secret_urls(suite)).chain(of_params).chain(of_plugins).collect();
        for credential in suite.credentials.values().filter(|credential| used.contains(&&credential.name)) {
            let name = &credential.name;
            let made = text_of(credential, folder, plan.lookup).and_then(|text| {
                let secret = self.secret(&text);
                let made = Credential::new(&credential.header, &credential.scheme, &secret)?;
                Ok((Arc::new(made), secret))
            });
            match made {
                Ok((made, secret)) => {
                    if secret_urls(suite).any(|it| it == name) {
                        self.read_url(name, &secret);
                    }
                    if let CredentialSource::File(path) = &credential.source.value {
                        self.files.push(Watched { file: folder.join(path), secret, credential: Arc::clone(&made) });
                    }
                    self.by_name.insert(name.clone(), made);
                }
                Err(error) => self.diagnostics.push(
                    Diagnostic::new(credential.source.span, error.to_string())
                        .help(format!("the credential `{name}` is needed before anything runs")),
                ),
            }
        }
    }

    fn read_url(&mut self, name: &str, secret: &Secret) {
        let Ok(url) = base_url(secret) else { return };
        // Messages about a request show its path at the most; a short one is a word, and hides nothing.
        if url.path().len() >= SECRET_PATH {
            self.secret(url.path());
        }
        self.urls.insert(name.to_owned(), url.as_str().trim_end_matches('/').to_owned());
    }

    /// Who to be at clusters.
    fn read_clusters(&mut self, plan: &Plan) {
        for (target, cluster) in &plan.clusters {
            let user = &cluster.value.user;
            self.secrets.extend(user.identity.iter().map(|(_, key)| key.clone()));
            let Some(token) = &user.token else { continue };
            match self.read_token(token) {
                Ok(credential) => {
                    self.of_clusters.insert(target.clone(), credential);
                }
                Err(error) => self.diagnostics.push(
                    Diagnostic::new(cluster.span, error.to_string())
                        .help(format!("the kubeconfig of the target `{target}` says that it is there")),
                ),
            }
        }
    }

    fn read_token(&mut self, token: &Token) -> Result<Arc<Credential>, SecretError> {
        let bearer = |secret: &Secret| Credential::new("authorization", "Bearer", secret).map(Arc::new);
        match token {
            Token::Text(secret) => {
                self.secrets.push(secret.clone());
                Ok(bearer(secret)?)
            }
            Token::File(file) => {
                let read = std::fs::read_to_string(file);
                let text = read.map_err(|source| SecretError::Token { file: file.clone(), source })?;
                let secret = self.secret(&text);
                let credential = bearer(&secret)?;
                self.files.push(Watched { file: file.clone(), secret, credential: Arc::clone(&credential) });
                Ok(credential)
            }
        }
    }

    /// A text that must not be shown.
    fn secret(&mut self, text: &str) -> Secret {
        let secret = Secret::new(text);
        self.secrets.push(secret.clone());
        secret
    }
}

/// The credentials that hold URLs.
fn secret_urls(suite: &Suite) -> impl Iterator<Item = &String> {
    suite.targets.values().filter_map(|target| match &target.address {
        Address::Secret(name) => Some(&name.value),
        _ => None,
    })
}

fn text_of(credential: &kperf_suite::Credential, folder: &Path, lookup: Lookup) -> Result<String, SecretError> {
    match &credential.source.value {
        CredentialSource::Env(name) => lookup(name).ok_or_else(|| SecretError::Unset(name.clone())),
        CredentialSource::File(path) => std::fs::read_to_string(folder.join(path))
            .map_err(|source| SecretError::File { file: path.clone(), source }),
    }
}

fn base_url(secret: &Secret) -> Result<Url, SecretUrlError> {
    let url = Url::parse(secret.expose()).map_err(|_| SecretUrlError::Relative)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(SecretUrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(SecretUrlError::Query);
    }
    Ok(url)
}

/// Secret URLs that are there and are none, each at the place of its source. One that is not there is no mistake of the suite.
pub(crate) fn wrong_urls(suite: &Suite, folder: &Path, lookup: Lookup) -> Vec<Diagnostic> {
    let credentials = secret_urls(suite).filter_map(|name| suite.credentials.get(name));
    let wrong = credentials.filter_map(|credential| {
        let wrong = base_url(&Secret::new(&text_of(credential, folder, lookup).ok()?)).err()?;
        let message = format!("the secret is to be a URL, and {wrong}");
        Some(Diagnostic::new(credential.source.span, message).help("look at the variable or the file"))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;

    #[test]
    fn a_secret_that_is_no_url_of_a_target_is_refused_without_being_repeated() {
        let of = |text: &str| base_url(&Secret::new(text)).map(|url| url.to_string());
        assert_eq!(of(" https://hooks.example/T0/B0/k3y\n"), Ok("https://hooks.example/T0/B0/k3y".to_owned()));
        assert_eq!(of("hooks.example/T0"), Err(SecretUrlError::Relative));
        assert_eq!(of("ftp://hooks.example/T0"), Err(SecretUrlError::Scheme));
        assert_eq!(of("https://me:k3y@hooks.example"), Err(SecretUrlError::Query));
        assert_eq!(of("https://hooks.example/?key=k3y"), Err(SecretUrlError::Query));
    }

    #[test]
    fn only_what_is_used_is_read_and_what_is_missing_is_named_at_its_place() {
        let suite = |credential: &str| {
            format!(
                "name = 's'\n[credentials.used]\nenv = 'USED'\n[credentials.unused]\nenv = 'UNUSED'\n\
                 [targets.t]\nurl = 'http://t'\ncredential = '{credential}'\n\
                 [[scenario]]\nname = 'a'\nplugin = 'p'\ntarget = 't'\nload = {{ executor = 'per-vu-iterations' }}\n"
            )
        };
        let lookup: Lookup = |name| (name == "USED").then(|| "s3cret-text".to_owned());
        let secrets = Secrets::read(&plan(&suite("used"), lookup)).unwrap();
        assert!(secrets.credential("used").is_some() && secrets.credential("unused").is_none());
        assert_eq!(secrets.redactor.redact("a s3cret-text"), "a ***********");
        let missing = Secrets::read(&plan(&suite("unused"), lookup)).err().unwrap();
        let missing: Vec<_> = missing.iter().map(|it| (missing.sources().slice(it.span), &*it.message)).collect();
        assert_eq!(missing, [("'UNUSED'", "the environment variable `UNUSED` is not set")]);
    }
}
