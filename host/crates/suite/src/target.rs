//! `[targets.NAME]`: what is tested, and how to talk to it.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use url::Url;

use crate::{
    leak,
    node::Node,
    plugin_use::SIMULATED_TARGET,
    reader::{Complaint, Leaf, Located, MISSING, Reader, Section},
    size::Size,
    source::Sources,
    spec::{COUNT_OR_NONE, KeySpec, Kind, Need, SOME_DURATION, TableSpec},
};

/// A server under test.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the suite.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The credential that every request to it carries, unless the plugin asks for another one; None for no credential.
    pub credential: Option<Located<String>>,
    /// A file of PEM certificates to trust beside the system's, relative to the suite; None for the system's only.
    pub ca: Option<Located<String>>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Which version of HTTP to speak.
    pub http: HttpVersion,
    /// From sending a request to its response's last byte, unless the plugin asks for another one.
    pub timeout: Duration,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The largest response body.
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

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The built-in simulated server, wherever it will listen.
    Simulated,
    /// A built-in stand-in for a service that reporters tell.
    StandIn(StandIn),
    /// The URL is the secret of this credential: it exists.
    Secret(Located<String>),
    /// A base URL: http or https, without user, query or fragment.
    Url(Url),
}

impl Address {
    /// The base URL as text without a trailing slash; none where only the run knows it.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        match self {
            Self::Simulated | Self::StandIn(_) | Self::Secret(_) => None,
            Self::Url(url) => Some(url.as_str().trim_end_matches('/')),
        }
    }
}

impl Leaf for Address {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        let text = String::read(node, kind, sources)?;
        if text == SIMULATED_TARGET {
            return Ok(Self::Simulated);
        }
        if let Some(stand_in) = StandIn::ALL.into_iter().find(|it| it.word() == text) {
            return Ok(Self::StandIn(stand_in));
        }
        let url = Url::read(node, kind, sources)?;
        if leak::is_secret(&url) {
            return Err(Complaint::new("this URL is a secret").help(leak::URL_HELP));
        }
        Ok(Self::Url(url))
    }
}

/// A built-in stand-in for a service that reporters tell, for trying things out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandIn {
    /// For Slack.
    Slack,
    /// For PagerDuty.
    PagerDuty,
}

impl StandIn {
    const ALL: [Self; 2] = [Self::Slack, Self::PagerDuty];

    /// How a suite calls it.
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
            Need::Absent("`url_from` is used"),
            "The base URL, `http` or `https`; or `simulated` for the built-in simulated server, `simulated-slack` and \
             `simulated-pagerduty` for stand-ins of those services.",
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

/// Checks a header's name: the token of RFC 9110, section 5.6.2.
pub(crate) fn check_header_name(name: &str) -> Result<(), String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !name.is_empty() && name.chars().all(token) { Ok(()) } else { Err(format!("`{name}` is no header name")) }
}

/// A header of every request: no secret.
fn check_target_header(name: &str) -> Result<(), String> {
    check_header_name(name)?;
    if leak::carries_secret(name) {
        return Err(format!(
            "`{name}` carries a secret, which does not belong into a suite: use `credential = \"..\"` with `[credentials.NAME]`"
        ));
    }
    Ok(())
}

fn read_address(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Address> {
    let url: Option<Address> = reader.optional(section, "url");
    let secret = reader.located::<String>(section, "url_from");
    match (section.table.get("url"), secret) {
        (Some(_), Some(secret)) => {
            reader.report(secret.span, "a target has either `url` or `url_from`, not both", None);
            None
        }
        (None, Some(secret)) => Some(Address::Secret(secret)),
        (Some(_), None) => url,
        (None, None) if section.table.get("url_from").is_some() => None,
        (None, None) => {
            let help = "add an absolute URL, for example `url = \"https://example.com\"`".to_owned();
            reader.report(section.span, format!("{MISSING}`url` in {}", TARGET.title), help);
            None
        }
    }
}

pub(crate) fn read_target(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Target> {
    let section = reader.section(&TARGET, node)?;
    let address = read_address(reader, &section);
    let target = Target {
        name: name.to_owned(),
        address: Address::Simulated,
        credential: reader.located(&section, "credential"),
        ca: reader.located(&section, "ca"),
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
