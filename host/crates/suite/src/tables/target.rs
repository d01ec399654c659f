//! `[targets.NAME]`: what is tested, and how to talk to it.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use url::Url;

use super::plugin_use::SIMULATED_TARGET;
use crate::{
    keys::{COUNT_OR_NONE, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec, Typed},
    text::{Complaint, Located, Node, Sources, Span, secret_scan, suggest},
    values::{Size, UrlError, base_url},
};

/// A server under test.
#[derive(Clone, Debug)]
pub struct Target {
    /// The `NAME` of `[targets.NAME]`.
    pub name: String,
    /// The URL, or how the run finds it.
    pub address: Address,
    /// The credential that every request to it carries, unless the plugin asks for another one; None for no credential.
    pub credential: Option<Located<String>>,
    /// A file of PEM certificates to trust beside the system's, relative to the suite; None for the system's only.
    pub ca: Option<Located<String>>,
    /// Files of the certificate that is shown to the server, and of its key, in PEM and relative to the suite.
    pub client_certificate: Option<(Located<String>, Located<String>)>,
    /// Whether any certificate is accepted, also one that nobody signed.
    pub insecure: bool,
    /// Which version of HTTP to speak.
    pub http: HttpVersion,
    /// From sending a request to its response's last byte, unless the plugin asks for another one.
    pub timeout: Duration,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// A response with a larger body is an error.
    pub body_limit: Size,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The most connections of one worker; None for no limit.
    pub connections: Option<NonZeroU32>,
    /// Whether compressed responses are asked for and decoded.
    pub compression: bool,
    /// Headers of every request, by name.
    pub headers: BTreeMap<String, String>,
}

/// The address of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The built-in simulated server, wherever it will listen.
    Simulated,
    /// A built-in double of a service that reporters deliver to.
    Double(Double),
    /// The URL is the secret of this credential: it exists.
    Secret(Located<String>),
    /// A base URL: http or https, without user, query or fragment.
    Url(Url),
    /// The Kubernetes API that a kubeconfig describes, which also says whom to trust and who to be. Planning reads it.
    Cluster(Kubeconfig),
}

/// The description of a Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// A file relative to the suite, or `in-cluster` for the service account of the pod that this runs in.
    pub source: Located<String>,
    /// One of the file's contexts; None for its current one.
    pub context: Option<Located<String>>,
}

impl Kubeconfig {
    /// What stands for the service account of the pod that this runs in.
    pub const IN_CLUSTER: &str = "in-cluster";
}

impl Address {
    /// The base URL as text without a trailing slash; none where only the run knows it, and for a cluster whose kubeconfig
    /// has not been read.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        match self {
            Self::Simulated | Self::Double(_) | Self::Secret(_) | Self::Cluster(_) => None,
            Self::Url(url) => Some(url.as_str().trim_end_matches('/')),
        }
    }
}

impl Address {
    /// A base URL, as the key `url` takes it.
    ///
    /// # Errors
    /// No absolute URL of HTTP, or one with login data, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        base_url(text).map(Self::Url)
    }
}

impl Typed for Address {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        let text = String::read(node, kind, sources)?;
        if text == SIMULATED_TARGET {
            return Ok(Self::Simulated);
        }
        if let Some(double) = Double::ALL.into_iter().find(|it| it.word() == text) {
            return Ok(Self::Double(double));
        }
        let url = Url::read(node, kind, sources)?;
        if secret_scan::is_secret(&url) {
            return Err(Complaint::new("this URL is a secret").help(secret_scan::URL_HELP));
        }
        Ok(Self::Url(url))
    }
}

/// A built-in double of a service that reporters deliver to, for trying things out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Double {
    /// For Slack.
    Slack,
    /// For PagerDuty.
    PagerDuty,
}

impl Double {
    const ALL: [Self; 2] = [Self::Slack, Self::PagerDuty];

    /// The word for it in a suite.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slack => "simulated-slack",
            Self::PagerDuty => "simulated-pagerduty",
        }
    }
}

/// Which version of HTTP to speak to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where the server offers it during the TLS handshake, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also without TLS.
    Http2,
}

impl HttpVersion {
    const ALL: [Self; 3] = [Self::Auto, Self::Http1, Self::Http2];
}

pub(crate) const TARGET: TableSpec = TableSpec {
    title: "[targets.NAME]",
    doc: "A server under test. Scenarios, collectors and reporters name it; the name `simulated` is the built-in \
          simulated server.",
    keys: &[
        KeySpec::new(
            "url",
            Kind::Url,
            Need::Absent("`url_from` or `kubeconfig` says it"),
            "The base URL, `http` or `https`; or `simulated` for the built-in simulated server, `simulated-slack` and \
             `simulated-pagerduty` for doubles of those services.",
        ),
        KeySpec::new(
            "url_from",
            Kind::Text,
            Need::Absent("`url` is used"),
            "The credential that holds the URL, where the URL is a secret: a name of `[credentials]`. Its `scheme` and `header` do \
             not matter.",
        ),
        KeySpec::new(
            "credential",
            Kind::Text,
            Need::Absent("no credential"),
            "The credential of every request to this target: a name of `[credentials]`.",
        ),
        KeySpec::new(
            "ca",
            Kind::Text,
            Need::Absent("the system's certificates only"),
            "A PEM file of certificates to trust beside the system's, relative to the suite.",
        ),
        KeySpec::new(
            "client_cert",
            Kind::Text,
            Need::Absent("none"),
            "A PEM file with the certificate that is shown to the server, relative to the suite; with `client_key`.",
        ),
        KeySpec::new("client_key", Kind::Text, Need::Absent("none"), "The PEM file with its private key."),
        KeySpec::new(
            "kubeconfig",
            Kind::Text,
            Need::Absent("`url` is used"),
            "In place of `url`: a kubeconfig file, relative to the suite, that says where a Kubernetes API is, whom to trust and who \
             to be; or `in-cluster` for the service account of the pod that this runs in.",
        ),
        KeySpec::new("context", Kind::Text, Need::Absent("its current one"), "A context of the kubeconfig."),
        KeySpec::new("insecure", Kind::Bool, Need::Default("false"), "Accept any certificate. For test servers only."),
        KeySpec::new(
            "http",
            Kind::Choice(&["auto", "1.1", "2"]),
            Need::Default("auto"),
            "The version of HTTP. `auto` takes 2 where the server offers it during the TLS handshake.",
        ),
        KeySpec::new(
            "timeout",
            SOME_DURATION,
            Need::Default("30s"),
            "From sending a request to the last byte of its response.",
        ),
        KeySpec::new(
            "connect_timeout",
            SOME_DURATION,
            Need::Default("5s"),
            "Name resolution, TCP and TLS handshake together.",
        ),
        KeySpec::new("body_limit", Kind::Size, Need::Default("16MiB"), "The largest response body."),
        KeySpec::new("idle_timeout", SOME_DURATION, Need::Default("90s"), "How long an unused connection is kept."),
        KeySpec::new(
            "connections",
            COUNT_OR_NONE,
            Need::Default("0"),
            "The most connections of one worker thread; 0 for no limit.",
        ),
        KeySpec::new("compression", Kind::Bool, Need::Default("true"), "Ask for compressed responses and decode them."),
        KeySpec::new("headers", Kind::TextMap, Need::Absent("none"), "Headers of every request."),
    ],
};

/// Why a text is no header of requests to a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    /// Characters that a header's name can't have.
    #[error("`{0}` is no header name")]
    Name(String),
    /// A header whose value is a secret.
    #[error(
        "`{0}` carries a secret, which does not belong into a suite: use `credential = \"..\"` with `[credentials.NAME]`"
    )]
    Secret(String),
}

/// Checks a header's name: the token of RFC 9110, section 5.6.2.
pub(crate) fn check_header_name(name: &str) -> Result<(), HeaderError> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !name.is_empty() && name.chars().all(token) { Ok(()) } else { Err(HeaderError::Name(name.to_owned())) }
}

/// A header of every request: no secret.
fn check_target_header(name: &str) -> Result<(), HeaderError> {
    check_header_name(name)?;
    if secret_scan::carries_secret(name) {
        return Err(HeaderError::Secret(name.to_owned()));
    }
    Ok(())
}

pub(crate) fn read_target(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Target> {
    let section = reader.section(&TARGET, node)?;
    let address = read_address(reader, &section, name);
    let target = Target {
        name: name.to_owned(),
        address: Address::Simulated,
        credential: reader.located(&section, "credential"),
        ca: reader.located(&section, "ca"),
        client_certificate: read_identity(reader, &section),
        insecure: reader.value(&section, "insecure"),
        http: reader.choice(&section, "http", &HttpVersion::ALL).unwrap_or_default(),
        timeout: reader.value(&section, "timeout"),
        connect_timeout: reader.value(&section, "connect_timeout"),
        body_limit: reader.value(&section, "body_limit"),
        idle_timeout: reader.value(&section, "idle_timeout"),
        connections: NonZeroU32::new(reader.value(&section, "connections")),
        compression: reader.value(&section, "compression"),
        headers: reader.text_map(&section, "headers", check_target_header),
    };
    Some(Target { address: address?, ..target })
}

/// The keys that say where a target is.
const PLACES: [&str; 3] = ["url", "url_from", "kubeconfig"];

/// Where the target is: exactly one of `url`, `url_from` and `kubeconfig`.
fn read_address(reader: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<Address> {
    let url: Option<Address> = reader.optional(section, "url");
    let secret = reader.located::<String>(section, "url_from");
    let source = reader.located::<String>(section, "kubeconfig");
    let context = reader.located::<String>(section, "context");
    let written = |key: &str| section.table.get(key).map(|node| node.span);
    if let (Some(context), None) = (&context, written("kubeconfig")) {
        reader.report(context.span, "`context` belongs to `kubeconfig`", None);
    }
    let places: Vec<(&str, Span)> = PLACES.into_iter().filter_map(|key| Some((key, written(key)?))).collect();
    match places.as_slice() {
        [("url", _)] => url,
        [("url_from", _)] => secret.map(Address::Secret),
        [_] => {
            for key in ["ca", "insecure", "client_cert", "client_key"] {
                if let Some(span) = written(key) {
                    let help = "leave it out, or give `url` in place of `kubeconfig`".to_owned();
                    reader.report(span, format!("the kubeconfig says what `{key}` would"), help);
                }
            }
            Some(Address::Cluster(Kubeconfig { source: source?, context }))
        }
        [] => {
            let misspelt = section.table.keys().any(|key| suggest::closest(key, PLACES).is_some());
            // A misspelt key is one mistake, not two.
            if !misspelt {
                let help = "add an absolute URL, for example `url = \"https://example.com\"`".to_owned();
                reader.report(section.span, format!("the target `{name}` has no `url`"), help);
            }
            None
        }
        [(first, _), (second, span), ..] => {
            reader.report(*span, format!("a target has either `{first}` or `{second}`, not both"), None);
            None
        }
    }
}

/// The certificate that is shown to the server: both of its keys, or none.
fn read_identity(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<(Located<String>, Located<String>)> {
    let certificate = reader.located::<String>(section, "client_cert");
    let key = reader.located::<String>(section, "client_key");
    for (there, missing) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
        if let (Some(node), None) = (section.table.get(there), section.table.get(missing)) {
            reader.report(node.span, format!("`{there}` needs `{missing}` beside it"), None);
        }
    }
    certificate.zip(key)
}
