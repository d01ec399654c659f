//! `[[collector]]` with `native = true`: a collector outside the sandbox.

use std::time::Duration;

use super::plugin_use::{Known, PluginRef, PluginUse, read_use};
use crate::{
    keys::{KeySpec, Kind, Need, Reader, Section},
    text::Located,
};

/// A collector that runs as a part of the process, unprotected.
#[derive(Clone, Debug)]
pub struct NativeCollector {
    /// The plugin: a built-in one, or a shared library's path. It has no target and no grants.
    pub plugin: PluginUse,
    /// Where the suite says that it is native.
    pub native: Located<()>,
    /// From one observation to the next.
    pub interval: Duration,
    /// The digest that the library must have, 64 hexadecimal digits; none for a built-in one, and where the suite has none yet.
    pub sha256: Option<Located<String>>,
    /// Whether the run does not start where the collector is not available.
    pub required: bool,
}

pub(crate) const NATIVE: KeySpec = KeySpec::new(
    "native",
    Kind::Bool,
    Need::Default("false"),
    "The plugin is native code, outside the sandbox: a built-in one's name, or the path of a shared library. It may do whatever \
     the user who runs kperf may, and if it crashes, so does the run; so it also takes `--allow-native` on the command line.",
);
pub(crate) const SHA256: KeySpec = KeySpec::new(
    "sha256",
    Kind::Text,
    Need::Absent("needed for a native plugin from a file"),
    "The SHA-256 digest of a native plugin's file, 64 hexadecimal digits; any other file is refused.",
);
pub(crate) const REQUIRED: KeySpec = KeySpec::new(
    "required",
    Kind::Bool,
    Need::Default("false"),
    "The run does not start where this native plugin says that there is nothing to observe; otherwise the result names it.",
);

/// The keys that only native collectors have.
const OWN: [&str; 2] = ["sha256", "required"];
/// The keys that only plugins in the sandbox have.
const SANDBOXED: [&str; 3] = ["target", "allow_hosts", "credentials"];

/// Whether a collector is to be native, and where the suite says so.
pub(crate) fn is_native(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Located<()>> {
    if reader.value::<bool>(section, "native") {
        let span = section.table.get("native").map_or(section.span, |node| node.span);
        return Some(Located { value: (), span });
    }
    for name in OWN {
        if let (Some(node), ..) = reader.find(section, name) {
            reader.report(node.span, format!("`{name}` is for native plugins"), "add `native = true`".to_owned());
        }
    }
    None
}

pub(crate) fn read_native(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    known: &Known<'_>,
    native: Located<()>,
    interval: Duration,
) -> Option<NativeCollector> {
    for name in SANDBOXED {
        if let Some(node) = section.table.get(name) {
            let help = "it reaches whatever it likes; tell it what it needs in `params`".to_owned();
            reader.report(node.span, format!("`{name}` can't be granted to a native plugin"), help);
        }
    }
    let sha256 = read_digest(reader, section);
    let required = reader.value(section, "required");
    let mut plugin = read_use(reader, section, known)?;
    // Without a `/` it is a file, too, if it looks like one.
    if let PluginRef::Builtin(name) = &plugin.plugin.value
        && [".so", ".dylib", ".dll"].iter().any(|extension| name.ends_with(extension))
    {
        plugin.plugin.value = PluginRef::File(name.clone());
    }
    match (&plugin.plugin.value, &sha256) {
        (PluginRef::File(path), _) if path.ends_with(".wasm") => {
            let help = "leave out `native`: a component runs in the sandbox".to_owned();
            reader.report(plugin.plugin.span, format!("`{path}` is no native plugin"), help);
        }
        (PluginRef::Builtin(_), Some(digest)) => {
            reader.report(digest.span, "a built-in plugin has no digest of its own", "leave it out".to_owned());
        }
        _ => {}
    }
    Some(NativeCollector { plugin, native, interval, sha256, required })
}

fn read_digest(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Located<String>> {
    let written: Located<String> = reader.located(section, "sha256")?;
    let digits = written.value.trim_start_matches("sha256:").to_ascii_lowercase();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let help = "`sha256sum FILE` prints them".to_owned();
        reader.report(written.span, "expected the 64 hexadecimal digits of a SHA-256 digest", help);
        return None;
    }
    Some(Located { value: digits, span: written.span })
}
