//! A kubeconfig, or the service account of the pod that this runs in: where a Kubernetes API is, whom to trust, who to be.
//!
//! In comes a file as `kubectl` reads it; out goes a [`Cluster`]. Programs that make tokens are not run: what a run does must be
//! in its suite.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use kperf_plugin::Secret;
use kperf_suite::{Address, UrlError};
use serde::Deserialize;

/// Where Kubernetes puts a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A Kubernetes API and how to talk to it.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Its base URL.
    pub url: String,
    /// PEM of certificate authorities to trust beside the system's.
    pub authorities: Option<Vec<u8>>,
    /// Accept any certificate.
    pub insecure: bool,
    /// Who to be.
    pub user: User,
}

/// Who to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// What every request carries.
    pub token: Option<Token>,
    /// PEM of a client certificate, and of its key.
    pub identity: Option<(Vec<u8>, Secret)>,
}

/// A bearer token.
#[derive(Debug, Clone)]
pub(crate) enum Token {
    /// The token itself.
    Text(Secret),
    /// A file that holds it, and holds another one before it expires.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextEntry,
}

#[derive(Deserialize)]
struct ContextEntry {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: ClusterEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: UserEntry,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UserEntry {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    username: Option<String>,
    exec: Option<Exec>,
    auth_provider: Option<Provider>,
}

#[derive(Deserialize)]
struct Exec {
    #[serde(default)]
    command: String,
}

#[derive(Deserialize)]
struct Provider {
    #[serde(default)]
    name: String,
}

/// Why a kubeconfig or a service account can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeconfigError {
    #[error("can't read the kubeconfig: {0}")]
    Read(#[source] io::Error),
    /// Without the parser's error, whose text shows what stands there, which may be a token.
    #[error("can't read the kubeconfig: line {line}, column {column} is not what a kubeconfig has there")]
    Syntax { line: u64, column: u64 },
    #[error("can't read the kubeconfig: this is no kubeconfig")]
    NoKubeconfig,
    #[error("the kubeconfig has no current context; name one with `context`")]
    NoContext,
    #[error("the kubeconfig has no context `{wanted}`; it has `{}`", .known.join("`, `"))]
    Context { wanted: String, known: Vec<String> },
    #[error("the kubeconfig has no cluster `{0}`")]
    Cluster(String),
    #[error("the kubeconfig has no user `{0}`")]
    User(String),
    #[error("the kubeconfig's `{0}` is not offered")]
    NotOffered(&'static str),
    #[error("the user `{user}` gets a token from the program `{command}`, which is not run; {INSTEAD}")]
    Program { user: String, command: String },
    #[error("the user `{user}` gets a token from the provider `{provider}`, which is not asked; {INSTEAD}")]
    Provider { user: String, provider: String },
    #[error("the user `{0}` has a password, which Kubernetes does not take any more; {INSTEAD}")]
    Password(String),
    #[error("the key of the user `{user}` is no PEM")]
    Key { user: String, source: Utf8Error },
    #[error("the user `{0}` has a certificate without a key, or a key without a certificate")]
    IncompleteIdentity(String),
    #[error("the kubeconfig's `{key}-data` is no base64")]
    Base64 { key: &'static str, source: DecodeError },
    #[error("can't read `{key}` of the kubeconfig, {}: {source}", file.display())]
    File { key: &'static str, file: PathBuf, source: io::Error },
    #[error("the kubeconfig's server: {0}")]
    Server(#[source] UrlError),
    #[error("this does not run in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")]
    NoPod,
    #[error("can't read {}: {source}; is `automountServiceAccountToken` switched off?", file.display())]
    ServiceAccount { file: PathBuf, source: io::Error },
}

/// What a user without a token of its own can do.
const INSTEAD: &str = "make a token (`kubectl create token SERVICEACCOUNT`), and give it as the target's `credential` with `url` and `ca`";

/// Reads a kubeconfig; files that it names are relative to it.
///
/// # Errors
/// What is wrong with it, what it asks for that is not offered, and what to do then.
pub(crate) fn read(file: &Path, context: Option<&str>) -> Result<Cluster, KubeconfigError> {
    let text = fs::read_to_string(file).map_err(KubeconfigError::Read)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    parse(&text, context, folder)
}

fn parse(text: &str, context: Option<&str>, folder: &Path) -> Result<Cluster, KubeconfigError> {
    let config: File = serde_saphyr::from_str(text).map_err(|error| match error.location() {
        Some(place) => KubeconfigError::Syntax { line: place.line(), column: place.column() },
        None => KubeconfigError::NoKubeconfig,
    })?;
    let wanted = context.unwrap_or(&config.current_context);
    if wanted.is_empty() {
        return Err(KubeconfigError::NoContext);
    }
    let Some(context) = config.contexts.iter().find(|it| it.name == wanted) else {
        let known = config.contexts.iter().map(|it| it.name.clone()).collect();
        return Err(KubeconfigError::Context { wanted: wanted.to_owned(), known });
    };
    let context = &context.context;
    let cluster = config.clusters.iter().find(|it| it.name == context.cluster);
    let cluster = cluster.ok_or_else(|| KubeconfigError::Cluster(context.cluster.clone()))?;
    let cluster = &cluster.cluster;
    for (key, value) in [("tls-server-name", &cluster.tls_server_name), ("proxy-url", &cluster.proxy_url)] {
        if value.is_some() {
            return Err(KubeconfigError::NotOffered(key));
        }
    }
    let authorities =
        content(&cluster.certificate_authority_data, &cluster.certificate_authority, folder, "certificate-authority")?;
    let user = config.users.into_iter().find(|it| it.name == context.user);
    let user = match user {
        Some(user) => read_user(user, folder)?,
        None if context.user.is_empty() => User::default(),
        None => return Err(KubeconfigError::User(context.user.clone())),
    };
    let url = server(&cluster.server)?;
    Ok(Cluster { url, authorities, insecure: cluster.insecure_skip_tls_verify, user })
}

/// The URL of a server as that of any other target.
fn server(written: &str) -> Result<String, KubeconfigError> {
    let address = Address::parse(written.trim_end_matches('/')).map_err(KubeconfigError::Server)?;
    Ok(address.base_url().unwrap_or_default().to_owned())
}

fn read_user(NamedUser { name, user }: NamedUser, folder: &Path) -> Result<User, KubeconfigError> {
    if let Some(Exec { command }) = user.exec {
        return Err(KubeconfigError::Program { user: name, command });
    }
    if let Some(Provider { name: provider }) = user.auth_provider {
        return Err(KubeconfigError::Provider { user: name, provider });
    }
    if user.username.is_some() {
        return Err(KubeconfigError::Password(name));
    }
    let certificate = content(&user.client_certificate_data, &user.client_certificate, folder, "client-certificate")?;
    let key = content(&user.client_key_data, &user.client_key, folder, "client-key")?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let key = str::from_utf8(&key).map_err(|source| KubeconfigError::Key { user: name, source })?;
            Some((certificate, Secret::new(key)))
        }
        (None, None) => None,
        _ => return Err(KubeconfigError::IncompleteIdentity(name)),
    };
    let token = user.token.filter(|token| !token.is_empty()).map(|token| Token::Text(Secret::new(&token)));
    let token = token.or_else(|| user.token_file.map(|file| Token::File(folder.join(file))));
    Ok(User { token, identity })
}

/// What stands in the file itself, in base64, or in another one.
fn content(
    data: &Option<String>,
    file: &Option<PathBuf>,
    folder: &Path,
    key: &'static str,
) -> Result<Option<Vec<u8>>, KubeconfigError> {
    match (data, file) {
        (Some(data), _) => {
            let bytes = STANDARD.decode(data.trim()).map_err(|source| KubeconfigError::Base64 { key, source })?;
            Ok(Some(bytes))
        }
        (None, Some(file)) => {
            let file = folder.join(file);
            match fs::read(&file) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(source) => Err(KubeconfigError::File { key, file, source }),
            }
        }
        (None, None) => Ok(None),
    }
}

/// The service account of the pod that this runs in; `variable` looks up the process environment.
///
/// # Errors
/// When this runs in no pod, or its service account is not there.
pub(crate) fn in_cluster(variable: impl Fn(&str) -> Option<String>) -> Result<Cluster, KubeconfigError> {
    inside(Path::new(SERVICE_ACCOUNT), variable)
}

fn inside(account: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Cluster, KubeconfigError> {
    let (host, port) =
        variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT")).ok_or(KubeconfigError::NoPod)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let file = account.join("ca.crt");
    let authorities = match fs::read(&file) {
        Ok(authorities) => authorities,
        Err(source) => return Err(KubeconfigError::ServiceAccount { file, source }),
    };
    Ok(Cluster {
        url: server(&format!("https://{host}:{port}"))?,
        authorities: Some(authorities),
        insecure: false,
        // Kubernetes replaces the token every hour or so.
        user: User { token: Some(Token::File(account.join("token"))), identity: None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: prod
preferences: {}
clusters:
- name: prod
  cluster: {server: "https://k8s.example:6443/", certificate-authority-data: "Y2E="}
- name: lab
  cluster: {server: "https://lab.example", certificate-authority: ca.pem}
- name: proxied
  cluster: {server: "https://x", proxy-url: "http://proxy"}
contexts:
- name: prod
  context: {cluster: prod, user: robot, namespace: kubeflow}
- name: lab
  context: {cluster: lab, user: person}
- name: cloud
  context: {cluster: prod, user: cloud}
- name: proxied
  context: {cluster: proxied, user: robot}
- name: broken
  context: {cluster: none, user: robot}
- name: half
  context: {cluster: prod, user: half}
users:
- name: robot
  user: {token: abcdef}
- name: person
  user: {client-certificate-data: "Y2VydA==", client-key: key.pem}
- name: cloud
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}}
- name: half
  user: {client-certificate-data: "Y2VydA=="}
"#;

    #[test]
    fn the_current_context_or_a_named_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), "lab ca").unwrap();
        fs::write(folder.path().join("key.pem"), "key").unwrap();
        let file = folder.path().join("config");
        fs::write(&file, CONFIG).unwrap();
        let prod = read(&file, None).unwrap();
        assert_eq!((prod.url.as_str(), prod.authorities.as_deref()), ("https://k8s.example:6443", Some(&b"ca"[..])));
        assert!(matches!(prod.user.token, Some(Token::Text(ref token)) if token.expose() == "abcdef"));
        assert!(!format!("{prod:?}").contains("abcdef"));
        let lab = read(&file, Some("lab")).unwrap();
        assert_eq!(lab.authorities.as_deref(), Some(&b"lab ca"[..]));
        let (certificate, key) = lab.user.identity.unwrap();
        assert_eq!((certificate.as_slice(), key.expose()), (&b"cert"[..], "key"));
    }

    #[test]
    fn what_can_not_be_used_says_why_and_what_to_do() {
        let why = |context: &str| parse(CONFIG, Some(context), Path::new("/nowhere")).unwrap_err().to_string();
        assert!(why("staging").contains("no context `staging`; it has `prod`, `lab`"));
        assert!(why("cloud").contains("from the program `aws`, which is not run; make a token"));
        assert!(why("proxied").contains("`proxy-url` is not offered"));
        assert!(why("broken").contains("no cluster `none`"));
        assert!(why("half").contains("without a key"));
        assert!(why("lab").contains("/nowhere/ca.pem"));
        let no_context = parse("clusters: []", None, Path::new("")).unwrap_err().to_string();
        assert!(no_context.contains("name one with `context`"));
        let torn = parse("users:\n- name: a\n  user: [s3cret]\n", None, Path::new("")).unwrap_err().to_string();
        assert!(torn.contains("line 3") && !torn.contains("s3cret"), "{torn}");
    }

    #[test]
    fn a_pod_has_a_service_account() {
        let account = tempfile::tempdir().unwrap();
        fs::write(account.path().join("ca.crt"), "ca").unwrap();
        let variable = |name: &str| Some(if name.ends_with("HOST") { "fd00::1" } else { "443" }.to_owned());
        let cluster = inside(account.path(), variable).unwrap();
        assert_eq!(cluster.url, "https://[fd00::1]");
        assert!(matches!(cluster.user.token, Some(Token::File(file)) if file == account.path().join("token")));
        assert!(matches!(inside(account.path(), |_| None), Err(KubeconfigError::NoPod)));
        let none = inside(&account.path().join("none"), variable).unwrap_err();
        assert!(none.to_string().contains("automountServiceAccountToken"), "{none}");
    }
}
