//! The first-party plugins, built by this package's build script.
