//! The targets of a suite: whether their files are there, and what their kubeconfigs say.

use std::collections::BTreeMap;

use kperf_suite::{Address, Diagnostic, Kubeconfig, Located, Suite};

use super::Planner;
use crate::kubeconfig::{self, Cluster};
use crate::plan::Lookup;

impl Planner<'_> {
    /// Looks for the files of targets, and reads what kubeconfigs say: by target.
    pub(super) fn clusters(&mut self, suite: &Suite, lookup: Lookup) -> BTreeMap<String, Located<Cluster>> {
        let mut clusters = BTreeMap::new();
        for target in suite.targets.values() {
            let identity = target.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
            for file in target.ca.iter().chain(identity) {
                if !self.folder.join(&file.value).is_file() {
                    let message = format!("there is no file `{}`", file.value);
                    self.report(file.span, message, "paths are relative to the suite");
                }
            }
            let Address::Cluster(Kubeconfig { source, context }) = &target.address else { continue };
            let read = match source.value.as_str() {
                Kubeconfig::IN_CLUSTER => kubeconfig::in_cluster(lookup),
                file => kubeconfig::read(&self.folder.join(file), context.as_ref().map(|it| it.value.as_str())),
            };
            match read {
                Ok(cluster) => {
                    clusters.insert(target.name.clone(), Located { value: cluster, span: source.span });
                }
                Err(error) => self.diagnostics.push(Diagnostic::new(source.span, error.to_string())),
            }
        }
        clusters
    }
}
