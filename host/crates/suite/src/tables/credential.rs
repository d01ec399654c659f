//! `[credentials.NAME]`: where a secret comes from and how a request carries it. Never the secret itself.

use super::target::check_header_name;
use crate::{
    keys::{KeySpec, Kind, Need, Reader, TableSpec},
    text::{Located, Node},
};

/// A secret's source and the header that carries it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The `NAME` of `[credentials.NAME]`.
    pub name: String,
    /// The environment variable or the file that holds the secret.
    pub source: Located<CredentialSource>,
    /// What stands before the secret in the header, without a space; empty for the secret alone. With `Basic` the secret is
    /// `user:password`, and is encoded when it is sent.
    pub scheme: String,
    /// The name of the header that carries the secret.
    pub header: String,
}

/// The source of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// In this environment variable.
    Env(String),
    /// In this file, relative to the suite.
    File(String),
}

pub(crate) const CREDENTIAL: TableSpec = TableSpec {
    title: "[credentials.NAME]",
    doc: "A secret that the host adds to requests; no plugin ever sees it. Exactly one of `env` and `file`.",
    keys: &[
        KeySpec::new("env", Kind::Text, Need::Absent("`file` is used"), "The environment variable that holds it."),
        KeySpec::new(
            "file",
            Kind::Text,
            Need::Absent("`env` is used"),
            "The file that holds it, relative to the suite. Looked at once a second while the suite runs, so that a token can be \
             replaced before it expires.",
        ),
        KeySpec::new(
            "scheme",
            Kind::Text,
            Need::Default("Bearer"),
            "What stands before the secret: `Bearer`, `Basic` (the secret is `user:password`), or `\"\"` for the secret alone. With \
             `HMAC-SHA256` the secret is a key: the header is `sha256=` and the signature of the request's body.",
        ),
        KeySpec::new("header", Kind::Text, Need::Default("authorization"), "The header that carries it."),
    ],
};

pub(crate) fn read_credential(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Credential> {
    let section = reader.section(&CREDENTIAL, node)?;
    let env = reader.located::<String>(&section, "env");
    let file = reader.located::<String>(&section, "file");
    let scheme = reader.value(&section, "scheme");
    let header: String = reader.value(&section, "header");
    if let Err(error) = check_header_name(&header) {
        let span = section.table.get("header").map_or(section.span, |node| node.span);
        reader.report(span, error.to_string(), None);
    }
    let source = match (env, file) {
        (Some(env), None) => Located { value: CredentialSource::Env(env.value), span: env.span },
        (None, Some(file)) => Located { value: CredentialSource::File(file.value), span: file.span },
        (Some(_), Some(file)) => {
            reader.report(file.span, "a credential has either `env` or `file`, not both", None);
            return None;
        }
        (None, None) if section.table.get("env").is_some() || section.table.get("file").is_some() => return None,
        (None, None) => {
            let help = format!(
                "add `env = \"{}_TOKEN\"`",
                name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
            );
            reader.report(section.span, format!("the credential `{name}` has no source"), help);
            return None;
        }
    };
    Some(Credential { name: name.to_owned(), source, scheme, header })
}
