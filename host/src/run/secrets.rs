//! Credentials: read once, before anything runs, and kept in the host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kperf_plugin::{Credential, Redactor, Secret};
use kperf_suite::{CredentialSource, Diagnostic, Suite};

/// The suite's credentials, ready to be attached.
pub(super) struct Secrets {
    pub(super) credentials: BTreeMap<String, Arc<Credential>>,
    pub(super) redactor: Redactor,
}

/// Reads every credential of the suite that something uses.
///
/// # Errors
/// Those that can't be had, each with its place.
pub(super) fn read(suite: &Suite, folder: &Path) -> Result<Secrets, Vec<Diagnostic>> {
    let of_targets = suite.targets.values().filter_map(|target| target.credential.as_ref().map(|it| &it.value));
    let used: Vec<&String> = of_targets.chain(suite.plugins().flat_map(|plugin| &plugin.credentials)).collect();
    let (mut credentials, mut secrets, mut findings) = (BTreeMap::new(), Vec::new(), Vec::new());
    for credential in suite.credentials.values().filter(|credential| used.contains(&&credential.name)) {
        let text = match &credential.source.value {
            CredentialSource::Env(name) => {
                std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
            }
            CredentialSource::File(path) => std::fs::read_to_string(folder.join(path))
                .map_err(|error| format!("can't read the credential's file `{path}`: {error}")),
        };
        let made = text.and_then(|text| {
            let secret = Secret::new(&text);
            let made = Credential::new(&credential.header, &credential.scheme, &secret);
            secrets.push(secret);
            made.map_err(|error| error.to_string())
        });
        match made {
            Ok(made) => {
                credentials.insert(credential.name.clone(), Arc::new(made));
            }
            Err(message) => findings.push(
                Diagnostic::new(credential.source.span, message)
                    .help(format!("the credential `{}` is needed before anything runs", credential.name)),
            ),
        }
    }
    if findings.is_empty() { Ok(Secrets { credentials, redactor: Redactor::new(&secrets) }) } else { Err(findings) }
}
