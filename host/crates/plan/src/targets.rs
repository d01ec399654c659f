//! The targets of a plan: their files, and what kubeconfigs say of them.

use std::collections::BTreeMap;

use kperf_suite::{Address, Diagnostic, Kubeconfig, Located, Suite};

use crate::kubeconfig::{self, Cluster};
use crate::planner::Planner;

impl Planner<'_> {
    /// Looks for the files of targets. Those of a cluster get its URL.
    pub(crate) fn targets(&mut self, suite: &mut Suite) -> BTreeMap<String, Located<Cluster>> {
        let mut clusters = BTreeMap::new();
        for target in suite.targets.values_mut() {
            let identity = target.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
            for file in target.ca.iter().chain(identity) {
                if !self.folder.join(&file.value).is_file() {
                    let message = format!("there is no file `{}`", file.value);
                    self.report(file.span, message, "paths are relative to the suite");
                }
            }
            let Address::Cluster(Kubeconfig { source, context }) = &target.address else { continue };
            let read = match source.value.as_str() {
                Kubeconfig::IN_CLUSTER => kubeconfig::in_cluster(),
                file => kubeconfig::read(&self.folder.join(file), context.as_ref().map(|it| it.value.as_str())),
            };
            let made = read.and_then(|cluster| {
                let url = Address::parse(&cluster.url).map_err(|why| format!("the kubeconfig's server: {why}"))?;
                Ok((url, cluster))
            });
            match made {
                Ok((url, cluster)) => {
                    clusters.insert(target.name.clone(), Located { value: cluster, span: source.span });
                    target.address = url;
                }
                Err(message) => self.findings.push(Diagnostic::new(source.span, message)),
            }
        }
        clusters
    }
}
