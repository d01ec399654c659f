//! The keys that scenarios, collectors and reporters share: which plugin, against what, with which grants.

use std::cell::RefCell;

use super::{
    limits::{LIMITS, Limits, read_limits},
    params::Params,
};
use crate::{
    keys::{KeySpec, Kind, Need, Reader, Section},
    text::{Complaint, Located, Span, suggest},
    values::HostGrant,
};

/// A plugin, what it is asked to do and which hosts it may reach.
#[derive(Clone, Debug)]
pub struct PluginUse {
    /// The name of the scenario, collector or reporter; each kind has its names once.
    pub name: Located<String>,
    /// The built-in plugin or the component file.
    pub plugin: Located<PluginRef>,
    /// The mode; None for the plugin's only one.
    pub mode: Option<Located<String>>,
    /// The server that it works against; None for a plugin that needs none.
    pub target: Option<Located<TargetRef>>,
    /// `params`, to be checked against the schema of the plugin's mode.
    pub params: Params,
    /// Hosts beside the target that it may reach.
    pub allow_hosts: Vec<HostGrant>,
    /// Credentials beside the target's that it may ask for; all of them exist.
    pub credentials: Vec<String>,
    /// Memory, CPU, samples and the like that it may use, the suite's `[limits]` included.
    pub limits: Limits,
    /// The place of its table, for diagnostics about a missing key.
    pub span: Span,
}

impl PluginUse {
    /// The name of the target in `[targets]`, if it has one there.
    #[must_use]
    pub fn target_name(&self) -> Option<&str> {
        match &self.target.as_ref()?.value {
            TargetRef::Named(name) => Some(name),
            TargetRef::Simulated => None,
        }
    }
}

/// A plugin as a suite names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginRef {
    /// One that comes with kperf.
    Builtin(String),
    /// A component file, relative to the suite.
    File(String),
}

/// A target as a suite names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetRef {
    /// The built-in simulated server.
    Simulated,
    /// One of the suite's targets; it exists.
    Named(String),
}

/// The target name that stands for the built-in server.
pub(crate) const SIMULATED_TARGET: &str = "simulated";

pub(crate) const NAME: KeySpec =
    KeySpec::new("name", Kind::Text, Need::Required, "Its name in reports and in the tag `scenario`.");
pub(crate) const PLUGIN: KeySpec = KeySpec::new(
    "plugin",
    Kind::Text,
    Need::Required,
    "A built-in plugin's name, or a path to a `.wasm` file, relative to the suite.",
);
pub(crate) const MODE: KeySpec =
    KeySpec::new("mode", Kind::Text, Need::Absent("the plugin's only mode"), "Which of the plugin's modes.");
pub(crate) const TARGET: KeySpec = KeySpec::new(
    "target",
    Kind::Text,
    Need::Absent("none"),
    "A name of `[targets]`, or `simulated` for the built-in simulated server.",
);
pub(crate) const PARAMS: KeySpec = KeySpec::new(
    "params",
    Kind::Opaque,
    Need::Absent("the plugin's defaults"),
    "The parameters of the mode, as the plugin documents them.",
);
pub(crate) const ALLOW_HOSTS: KeySpec = KeySpec::new(
    "allow_hosts",
    Kind::Texts,
    Need::Absent("the target only"),
    "Hosts beside the target that the plugin may reach: `other.example:443`, or without a port for any.",
);
pub(crate) const CREDENTIALS: KeySpec = KeySpec::new(
    "credentials",
    Kind::Texts,
    Need::Absent("the target's only"),
    "Names of `[credentials]` that the plugin may ask for by name.",
);
pub(crate) const LIMITS_KEY: KeySpec = KeySpec::new(
    "limits",
    Kind::Table(&LIMITS),
    Need::Absent("the suite's `[limits]`"),
    "Limits that differ from the suite's.",
);

/// The names that a table may refer to.
pub(crate) struct Known<'a> {
    pub targets: Vec<&'a str>,
    pub credentials: Vec<&'a str>,
    pub limits: Limits,
    /// The uses of plugins that could be read, whatever else is wrong.
    pub uses: &'a RefCell<Vec<PluginUse>>,
}

impl Known<'_> {
    /// Reports a credential that does not exist.
    pub fn credential(&self, reader: &mut Reader<'_>, credential: &Located<String>) {
        if !self.credentials.contains(&credential.value.as_str()) {
            let message = format!("there is no credential `{}`", credential.value);
            reader.report(
                credential.span,
                message,
                suggest::suggestion(&credential.value, self.credentials.iter().copied()),
            );
        }
    }
}

/// Reads the use of a plugin in the sandbox.
pub(crate) fn read_plugin_use(reader: &mut Reader<'_>, section: &Section<'_>, known: &Known<'_>) -> Option<PluginUse> {
    let used = read_use(reader, section, known)?;
    known.uses.borrow_mut().push(used.clone());
    Some(used)
}

/// Reads the keys that all uses of plugins share.
pub(crate) fn read_use(reader: &mut Reader<'_>, section: &Section<'_>, known: &Known<'_>) -> Option<PluginUse> {
    let name = reader.located::<String>(section, "name");
    let plugin = reader.located::<String>(section, "plugin");
    let mode = reader.located(section, "mode");
    let target = read_target_ref(reader, section, known);
    let params = match reader.find(section, "params").0 {
        Some(node) => match node.table() {
            Some(table) => Params::read(reader, table, node.span),
            None => {
                reader.complain(node, Complaint::new(format!("expected a table, found {}", node.found())));
                Params::none(node.span)
            }
        },
        None => Params::none(section.span),
    };
    let mut allow_hosts = Vec::new();
    for host in reader.texts(section, "allow_hosts") {
        match host.value.parse::<HostGrant>() {
            Ok(grant) => allow_hosts.push(grant),
            Err(error) => reader.report(host.span, error.to_string(), None),
        }
    }
    let credentials = reader.texts(section, "credentials");
    for credential in &credentials {
        known.credential(reader, credential);
    }
    let limits = match reader.find(section, "limits").0 {
        Some(node) => read_limits(reader, node, Some(&known.limits)),
        None => None,
    };
    Some(PluginUse {
        name: name?,
        plugin: plugin.map(plugin_ref)?,
        mode,
        target,
        params,
        allow_hosts,
        credentials: credentials.into_iter().map(|credential| credential.value).collect(),
        limits: limits.unwrap_or(known.limits),
        span: section.span,
    })
}

fn plugin_ref(plugin: Located<String>) -> Located<PluginRef> {
    let is_file = plugin.value.ends_with(".wasm") || plugin.value.contains(['/', '\\']);
    let value = if is_file { PluginRef::File(plugin.value) } else { PluginRef::Builtin(plugin.value) };
    Located { value, span: plugin.span }
}

fn read_target_ref(reader: &mut Reader<'_>, section: &Section<'_>, known: &Known<'_>) -> Option<Located<TargetRef>> {
    let target: Located<String> = reader.located(section, "target")?;
    let value = match target.value.as_str() {
        SIMULATED_TARGET => TargetRef::Simulated,
        name => {
            if !known.targets.contains(&name) {
                let names = known.targets.iter().copied().chain([SIMULATED_TARGET]);
                let help = suggest::suggestion(name, names);
                reader.report(target.span, format!("there is no target `{name}`"), help);
            }
            TargetRef::Named(target.value)
        }
    };
    Some(Located { value, span: target.span })
}
