//! What a component's bytes say before anything is compiled: whether it is one, which world and version of the contract
//! it speaks, and whether it can run several calls at once.

use wasmparser::{CanonicalFunction, CanonicalOption, Encoding, Parser, Payload};

/// The contract's package, as it stands in import and export names.
const PACKAGE: &str = "kperf:plugin/";

/// The start of the import with which a guest waits for one answer and holds up its whole instance meanwhile.
const BLOCKING: &str = "wasi:http/outgoing-handler@0.2";

/// The contract's version that this host speaks. Compatible are those with the same major and minor number.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// What kind of plugin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Makes load.
    Runner,
    /// Observes.
    Collector,
    /// Tells somebody.
    Reporter,
}

impl World {
    fn of(interface: &str) -> Option<Self> {
        match interface {
            "runner-api" => Some(Self::Runner),
            "collector-api" => Some(Self::Collector),
            "reporter-api" => Some(Self::Reporter),
            _ => None,
        }
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Runner => "runner",
            Self::Collector => "collector",
            Self::Reporter => "reporter",
        })
    }
}

/// Why the bytes are no plugin.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum InspectError {
    /// Not a component at all; the text says what it is instead.
    #[error(
        "it is {0}, not a WebAssembly component; build it for `wasm32-wasip2` or wrap it with `wasm-tools component new`"
    )]
    NotAComponent(&'static str),
    /// Damaged.
    #[error("it is a damaged WebAssembly component: {0}; build it again")]
    Damaged(String),
    /// Another version of the contract.
    #[error(
        "it speaks kperf:plugin {found}, this host speaks {CONTRACT_VERSION}; build it against the contract of this version, or use another host"
    )]
    BadVersion {
        /// The version that the component speaks.
        found: String,
    },
    /// None of the three worlds.
    #[error(
        "it exports none of kperf:plugin's runner-api, collector-api and reporter-api; implement one of the contract's worlds"
    )]
    NoWorld,
    /// More than one.
    #[error("it exports more than one of kperf:plugin's worlds; make it one plugin per world")]
    SeveralWorlds,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inspection {
    pub(crate) world: World,
    /// Whether several calls can run in one instance: an export is lifted with the `async` option, and nothing that is
    /// imported makes all of them wait.
    pub(crate) concurrent: bool,
}

impl Inspection {
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, InspectError> {
        if !bytes.starts_with(b"\0asm") {
            let text = std::str::from_utf8(bytes).is_ok_and(|text| text.trim_start().starts_with('('));
            return Err(InspectError::NotAComponent(if text { "WebAssembly text" } else { "no WebAssembly" }));
        }
        let damaged = |error: wasmparser::BinaryReaderError| InspectError::Damaged(error.message().to_owned());
        let mut worlds = Vec::new();
        let mut concurrent = false;
        let mut blocks = false;
        // Nested modules and components come between their section's start and their end.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(damaged)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(InspectError::NotAComponent("a core module"));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let name = import.map_err(damaged)?.name.name;
                        interface(name)?;
                        blocks |= name.starts_with(BLOCKING);
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        worlds.extend(interface(export.map_err(damaged)?.name.name)?.and_then(World::of));
                    }
                }
                Payload::ComponentCanonicalSection(functions) => {
                    for function in functions {
                        if let CanonicalFunction::Lift { options, .. } = function.map_err(damaged)? {
                            concurrent |= options.contains(&CanonicalOption::Async);
                        }
                    }
                }
                _ => {}
            }
        }
        match worlds.as_slice() {
            [] => Err(InspectError::NoWorld),
            [world] => Ok(Self { world: *world, concurrent: concurrent && !blocks }),
            _ => Err(InspectError::SeveralWorlds),
        }
    }
}

/// The name of an interface of the contract, if it is one, in a version that this host speaks.
fn interface(name: &str) -> Result<Option<&str>, InspectError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "without a version"));
    let compatible = |version: &str| version.rsplit_once('.').map(|(major_minor, _)| major_minor.to_owned());
    if compatible(version) != compatible(CONTRACT_VERSION) {
        return Err(InspectError::BadVersion { found: version.into() });
    }
    Ok(Some(interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_the_same_major_and_minor_number_are_spoken() {
        assert_eq!(interface("kperf:plugin/runner-api@0.1.7"), Ok(Some("runner-api")));
        assert_eq!(interface("wasi:cli/run@0.2.6"), Ok(None));
        for wrong in ["0.2.0", "1.1.0", "0.1"] {
            let error = interface(&format!("kperf:plugin/runner-api@{wrong}")).unwrap_err();
            assert_eq!(error, InspectError::BadVersion { found: wrong.into() });
        }
    }

    #[test]
    fn what_is_no_component_is_named() {
        assert_eq!(Inspection::of(b"(module)"), Err(InspectError::NotAComponent("WebAssembly text")));
        assert_eq!(Inspection::of(b"\x7fELF"), Err(InspectError::NotAComponent("no WebAssembly")));
        assert_eq!(Inspection::of(b"\0asm\x01\0\0\0"), Err(InspectError::NotAComponent("a core module")));
        assert_eq!(Inspection::of(b"\0asm\x0d\0\x01\0"), Err(InspectError::NoWorld));
        assert!(matches!(Inspection::of(b"\0asm\x0d\0\x01\0\x07\xff"), Err(InspectError::Damaged(_))));
    }
}
