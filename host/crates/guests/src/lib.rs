//! The first-party plugins, built by this package's build script.
//!
//! In comes the `plugins/` workspace at build time; out go the components' bytes by name. It must not know what is in them.

/// Name, whether it ships, and the component.
static GUESTS: &[(&str, bool, &[u8])] = include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The names of the plugins that ship with kperf, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    GUESTS.iter().filter(|(_, shipped, _)| *shipped).map(|(name, ..)| *name)
}

/// A plugin's component by its name; also those that only tests use (`plugins/tests/`), which [`names`] leaves out.
pub fn get(name: &str) -> Option<&'static [u8]> {
    GUESTS.iter().find(|(guest, ..)| *guest == name).map(|(.., component)| *component)
}
