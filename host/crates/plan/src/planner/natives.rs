//! Native collectors in a plan. Making one loads its library, which runs code outside the sandbox: only if that is allowed.

use kperf_native::LoadError;
use kperf_suite::{Diagnostic, NativeCollector, PluginRef};

use super::Planner;
use crate::params::{self, ParamsContext};
use crate::plan::PlannedNative;

impl Planner<'_> {
    /// Finds, checks and loads a native plugin, and checks what it is asked to do.
    pub(super) fn native(&mut self, wanted: &NativeCollector, allowed: bool) -> Option<PlannedNative> {
        if !allowed {
            let message = format!("the native plugin of `{}` is not allowed", wanted.plugin.name.value);
            let help =
                "add --allow-native if you trust its code: it runs outside the sandbox, as you, inside this process";
            self.report(wanted.native.span, message, help);
            return None;
        }
        let (plugin, source) = self.library(wanted)?;
        let description = plugin.description();
        let names: Vec<&str> = description.modes.iter().map(|mode| mode.name.as_str()).collect();
        let at = self.mode_index(&wanted.plugin, &description.name, &names)?;
        let mode = description.modes.get(at)?;
        self.add_metrics(&description.metrics);
        let context = ParamsContext { folder: self.folder, credentials: Some(&[]), metrics: &self.metrics };
        match params::check(&wanted.plugin.params, &mode.schema, &context, wanted.plugin.span) {
            Ok(params) => {
                let (name, mode) = (wanted.plugin.name.value.clone(), mode.name.clone());
                Some(PlannedNative { name, source, mode, params, plugin })
            }
            Err(diagnostics) => {
                self.diagnostics.extend(diagnostics);
                None
            }
        }
    }

    fn library(&mut self, wanted: &NativeCollector) -> Option<(kperf_native::Plugin, String)> {
        let span = wanted.plugin.plugin.span;
        let written = match &wanted.plugin.plugin.value {
            PluginRef::Builtin(name) => {
                let plugin = kperf_native::Plugin::builtin(name);
                if plugin.is_none() {
                    let help = kperf_suite::suggestion(name, kperf_native::names());
                    self.report(span, format!("there is no built-in native plugin `{name}`"), &help);
                }
                return Some((plugin?, "built-in".to_owned()));
            }
            PluginRef::File(written) => written,
        };
        let path = self.folder.join(written);
        let Some(sha256) = &wanted.sha256 else {
            match kperf_native::Plugin::digest_of_file(&path) {
                Ok(digest) => {
                    let help = format!("if `{written}` is the file that you trust, add `sha256 = \"{digest}\"`");
                    self.report(span, format!("the native plugin `{written}` is not pinned"), &help);
                }
                Err(error) => self.report(span, error.to_string(), "paths are relative to the suite"),
            }
            return None;
        };
        let key = (written.clone(), sha256.value.clone());
        if let Some(known) = self.libraries.get(&key) {
            return Some((known.clone(), written.clone()));
        }
        match kperf_native::Plugin::load(&path, &sha256.value, kperf_native::LOAD_LIMIT) {
            Ok(plugin) => {
                self.libraries.insert(key, plugin.clone());
                Some((plugin, written.clone()))
            }
            Err(error @ (LoadError::Digest { .. } | LoadError::Read { .. })) => {
                let place = if matches!(error, LoadError::Digest { .. }) { sha256.span } else { span };
                self.diagnostics.push(Diagnostic::new(place, error.to_string()));
                None
            }
            Err(error) => {
                self.plugin_diagnostics.push(Diagnostic::new(span, format!("native plugin `{written}`: {error}")));
                None
            }
        }
    }
}
