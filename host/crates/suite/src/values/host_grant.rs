//! Hosts that a suite lets a plugin reach: `other.example:443`, `other.example`, `[::1]:8080`.

use std::{fmt, str::FromStr};

/// A host beside the target that a plugin may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostGrant {
    /// The host's name or address in lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port; None for any.
    pub port: Option<u16>,
}

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host: write a name or an address, and a port if only that one is meant, like example.com:443")]
pub struct HostGrantError(String);

impl FromStr for HostGrant {
    type Err = HostGrantError;

    fn from_str(text: &str) -> Result<Self, HostGrantError> {
        let error = || HostGrantError(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(error)?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(error)?) };
                host.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
                (host, port)
            }
            None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if !text.starts_with('[') && (host.is_empty() || !host.chars().all(known)) {
            return Err(error());
        }
        let port = port.map(|port| port.parse().map_err(|_| error())).transpose()?;
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for HostGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => write!(f, "{bracketed}:{port}"),
            None => f.write_str(&bracketed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for text in ["other.example:443", "other.example", "[::1]:8080", "127.0.0.1:1"] {
            assert_eq!(text.parse::<HostGrant>().unwrap().to_string(), text);
        }
        assert_eq!("A.Example".parse::<HostGrant>().unwrap().host, "a.example");
    }

    #[test]
    fn refuses_urls_wildcards_and_bad_ports() {
        for text in ["", ":80", "https://a.example", "a.example/x", "a:99999", "*", "[::1", "::1", "[x]:1"] {
            assert!(text.parse::<HostGrant>().is_err(), "{text}");
        }
    }
}
