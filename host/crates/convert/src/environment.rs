//! What the environment says: where the server is, and whether it knows users.

use std::net::Ipv6Addr;

use kperf_suite::{Diagnostic, Diagnostics, Source, Sources, Span, suggestion};
use url::Url;

use crate::flag;

/// What the environment variables are called.
const HOST: &str = "API_HOST";
const PORT: &str = "API_PORT";
const NAMESPACE: &str = "NAMESPACE";
const MULTI_USER: &str = "isKubeflowMode";
const LOCAL: &str = "local";
pub(crate) const CACHE: &str = "cacheEnabled";

/// All that are read here.
const NAMES: [&str; 6] = [HOST, PORT, NAMESPACE, MULTI_USER, LOCAL, CACHE];

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 8888;
const DEFAULT_NAMESPACE: &str = "kubeflow";
/// Ports that speak TLS where the host's name does not say.
const TLS_PORTS: [u16; 2] = [443, 8443];
/// The experiment that the Python client uses where none is named.
pub(crate) const DEFAULT_EXPERIMENT: &str = "Default";

/// The server under test, as environment variables describe it.
#[derive(Debug, PartialEq)]
pub(crate) struct Server {
    /// Its base URL, without a slash at its end.
    pub url: String,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// The namespace, if the server knows users.
    pub namespace: Option<String>,
    /// Whether steps may be answered from the cache, if that is said.
    pub cache: Option<bool>,
}

/// Reads the environment.
///
/// # Errors
/// Every mistake, shown in the variables that are set.
pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Server, Diagnostics> {
    let mut variables = Variables { set: Vec::new(), text: String::new(), diagnostics: Vec::new() };
    for name in NAMES {
        if let Some(value) = lookup(name) {
            variables.add(name, value.trim());
        }
    }
    let url = variables.url();
    let multi_user = variables.flag(MULTI_USER).unwrap_or_default();
    let namespace = if multi_user { Some(variables.namespace()) } else { None };
    let local = variables.flag(LOCAL).unwrap_or_default();
    let cache = variables.flag(CACHE);
    match url {
        Some(url) if variables.diagnostics.is_empty() => {
            let insecure = local && url.scheme() == "https";
            let url = url.as_str().trim_end_matches('/').to_owned();
            Ok(Server { url, insecure, namespace, cache })
        }
        _ => {
            let sources = Sources::file(Source { name: "environment", text: &variables.text });
            Err(Diagnostics::new(sources, variables.diagnostics))
        }
    }
}

/// The variables that are set, written one below the other, so that a diagnostic can point at one.
struct Variables {
    set: Vec<(&'static str, String, Span)>,
    text: String,
    diagnostics: Vec<Diagnostic>,
}

impl Variables {
    fn add(&mut self, name: &'static str, value: &str) {
        self.text += name;
        self.text.push('=');
        let start = self.text.len();
        self.text += &without_user(value);
        let span = Span::in_file(start..self.text.len());
        self.text.push('\n');
        self.set.push((name, value.to_owned(), span));
    }

    fn get(&self, name: &str) -> Option<(String, Span)> {
        self.set.iter().find(|(known, ..)| *known == name).map(|(_, value, span)| (value.clone(), *span))
    }

    /// As [`Variables::get`], but for a variable that is empty.
    fn filled(&self, name: &str) -> Option<(String, Span)> {
        self.get(name).filter(|(value, _)| !value.is_empty())
    }

    fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(span, message).help(help));
    }

    /// None for a variable that is not set, and for a word that is reported.
    fn flag(&mut self, name: &str) -> Option<bool> {
        let (value, span) = self.get(name)?;
        let flag = flag::read(&value);
        if flag.is_none() {
            let message = format!("`{name}` is neither true nor false: `{value}`");
            self.report(span, message, suggestion(&value, ["true", "false", "1", "0", "yes", "no", "on", "off"]));
        }
        flag
    }

    fn namespace(&mut self) -> String {
        let Some((value, span)) = self.filled(NAMESPACE) else { return DEFAULT_NAMESPACE.to_owned() };
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let name = value.starts_with(letter) && value.ends_with(letter) && value.chars().all(|c| letter(c) || c == '-');
        if !name || value.len() > 63 {
            let help = "lower-case letters, digits and `-`, at most 63, not beginning or ending with `-`";
            self.report(span, format!("`{value}` is no Kubernetes namespace"), help);
        }
        value
    }

    /// The port that is set; None also for one that is none.
    fn port(&mut self) -> Option<(u16, Span)> {
        let (value, span) = self.filled(PORT)?;
        match value.parse() {
            Ok(0) | Err(_) => {
                self.report(span, format!("expected a port from 1 to 65535, found `{value}`"), "write `API_PORT=8888`");
                None
            }
            Ok(port) => Some((port, span)),
        }
    }

    /// Host and port as a URL. A host with a scheme says everything; one without speaks TLS on TLS's ports only.
    fn url(&mut self) -> Option<Url> {
        let port = self.port();
        let (host, span) = self.filled(HOST).unwrap_or((DEFAULT_HOST.to_owned(), Span::in_file(0..0)));
        let (mut url, own) = match address(&host) {
            Ok(address) => address,
            Err(why) => {
                let help = "write a host's name like `kfp.example.com`, or a URL like `https://kfp.example.com`";
                self.report(span, format!("`{}` is no address of a server: {why}", without_user(&host)), help);
                return None;
            }
        };
        let bare = !host.contains("://");
        let port = match (own, port) {
            (Some(own), Some((port, place))) if own != port => {
                let help = "leave one of the two out";
                self.report(place, format!("`{HOST}` says port {own}, `{PORT}` says port {port}"), help);
                return None;
            }
            (Some(port), _) | (None, Some((port, _))) => Some(port),
            (None, None) => bare.then_some(DEFAULT_PORT),
        };
        if bare && port.is_some_and(|port| TLS_PORTS.contains(&port)) {
            url.set_scheme("https").ok()?;
        }
        url.set_port(port).ok()?;
        Some(url)
    }
}

/// An address without its user name and password: those are secrets.
fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}***@{host}")
        }
        None => address.to_owned(),
    }
}

/// A host with or without scheme and port, as a URL, and the port that it names.
fn address(host: &str) -> Result<(Url, Option<u16>), String> {
    let text = match host.contains("://") {
        true => host.to_owned(),
        false if host.parse::<Ipv6Addr>().is_ok() => format!("http://[{host}]"),
        false => format!("http://{host}"),
    };
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is neither http nor https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not carry a user name or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    // A scheme's own port is dropped from its URLs; another scheme's is not.
    let other = text.split_once("://").map(|(scheme, rest)| match scheme {
        "http" => format!("https://{rest}"),
        _ => format!("http://{rest}"),
    });
    let port = url.port().or_else(|| other.and_then(|other| Url::parse(&other).ok()).and_then(|other| other.port()));
    Ok((url, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(variables: &[(&str, &str)]) -> Result<Server, Diagnostics> {
        read(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn url(host: &str, port: &str) -> String {
        server(&[("API_HOST", host), ("API_PORT", port)]).map_or_else(|wrong| wrong.to_string(), |server| server.url)
    }

    #[test]
    fn the_address_has_defaults_and_a_scheme() {
        for (host, port, wanted) in [
            ("", "", "http://localhost:8888"),
            ("kfp.example.com", "", "http://kfp.example.com:8888"),
            ("kfp.example.com", "80", "http://kfp.example.com"),
            ("kfp.example.com:80", "", "http://kfp.example.com"),
            ("kfp.example.com", "443", "https://kfp.example.com"),
            ("kfp.example.com:8443", "", "https://kfp.example.com:8443"),
            ("kfp.example.com:9000", "9000", "http://kfp.example.com:9000"),
            ("https://kfp.example.com", "", "https://kfp.example.com"),
            ("https://kfp.example.com", "8888", "https://kfp.example.com:8888"),
            ("http://kfp.example.com", "443", "http://kfp.example.com:443"),
            ("https://kfp.example.com/pipeline/", "", "https://kfp.example.com/pipeline"),
            ("127.0.0.1", "31380", "http://127.0.0.1:31380"),
            ("::1", "", "http://[::1]:8888"),
        ] {
            assert_eq!(url(host, port), wanted, "{host} {port}");
        }
    }

    #[test]
    fn wrong_values_are_shown_in_their_variable() {
        for (host, port, wanted) in [
            ("", "http", "environment:2:10"),
            ("", "0", "environment:2:10"),
            ("", "70000", "environment:2:10"),
            ("a b", "", "environment:1:10"),
            ("ftp://kfp", "", "environment:1:10"),
            ("http://me:secret@kfp", "", "environment:1:10"),
            ("kfp?x", "", "environment:1:10"),
            ("kfp:9000", "9001", "environment:2:10"),
            ("https://kfp:443", "8443", "environment:2:10"),
        ] {
            assert!(url(host, port).contains(wanted), "{host} {port}: {}", url(host, port));
        }
        assert!(!url("http://me:secret@kfp", "").contains("secret"));
        let wrong = server(&[("API_PORT", "x"), ("isKubeflowMode", "Treu"), ("cacheEnabled", "?")]).unwrap_err();
        assert_eq!(wrong.len(), 3, "all at once: {wrong}");
        assert!(wrong.to_string().contains("did you mean `true`?"), "{wrong}");
    }

    #[test]
    fn the_namespace_counts_only_where_users_do() {
        let namespace = |mode: &str, namespace: &str| {
            server(&[("isKubeflowMode", mode), ("NAMESPACE", namespace)]).map(|server| server.namespace).ok()
        };
        assert_eq!(namespace("False", "team-1"), Some(None));
        assert_eq!(namespace("False", "any thing"), Some(None));
        assert_eq!(namespace("True", "team-1"), Some(Some("team-1".into())));
        assert_eq!(namespace("True", ""), Some(Some("kubeflow".into())));
        assert_eq!(namespace("True", "Team_1"), None);
    }

    #[test]
    fn caching_is_as_it_is_said_to_be() {
        let cache = |value: &str| server(&[("cacheEnabled", value)]).unwrap().cache;
        assert_eq!((cache("True"), cache("False"), cache("")), (Some(true), Some(false), Some(false)));
        assert_eq!(server(&[]).unwrap().cache, None);
    }

    #[test]
    fn certificates_count_only_with_tls() {
        let insecure = |host: &str, local: &str| server(&[("API_HOST", host), ("local", local)]).unwrap().insecure;
        assert!(insecure("https://kfp", "True"));
        assert!(!insecure("https://kfp", "False"));
        assert!(!insecure("kfp", "True"));
    }
}
