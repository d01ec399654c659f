//! What each thread that runs a plugin is lent: a client for its target, a shard, the run's clock, and what the suite
//! grants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use kperf_http::{HttpVersion, OriginConfig, Tls, TlsConfig};
use kperf_metrics::{Registry, Shard, Tags};
use kperf_plugin::{
    Facts, Grants, HostGrant, Incidents, Limits, PluginContext, Records, RequestDefaults, WorkerContext,
};
use kperf_schedule::Rate;
use kperf_suite::{Address, Double, Located, PluginUse, Suite, Target, TargetRef};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::secrets::Secrets;
use super::worker::unix_ns;
use crate::kubeconfig::Cluster;
use crate::plan::{Part, Plan};

/// The same for every thread of one scenario, collector or reporter.
#[derive(Clone)]
pub(super) struct Lending {
    pub(super) registry: Registry,
    pub(super) epoch: Instant,
    pub(super) incidents: Incidents,
    pub(super) facts: Facts,
    pub(super) redactor: kperf_plugin::Redactor,
    pub(super) seed: u64,
    /// The target and how to talk to it; none if there is no target.
    pub(super) target: Option<(Uri, OriginConfig)>,
}

impl Lending {
    /// A context for the calling thread, with a client and a shard of its own. With `kernel_timestamps` the client tells when
    /// the kernel took an answer in.
    ///
    /// # Errors
    /// When the target's URL or TLS settings can't be used.
    pub(super) fn worker(&self, stop: watch::Receiver<bool>, kernel_timestamps: bool) -> Result<WorkerContext, String> {
        let http = kperf_http::Client::new(OriginConfig { kernel_timestamps, ..OriginConfig::default() });
        if let Some((url, config)) = &self.target {
            let config = OriginConfig { kernel_timestamps, ..config.clone() };
            http.register(url, config).map_err(|error| error.to_string())?;
        }
        Ok(WorkerContext {
            registry: self.registry.clone(),
            shard: Arc::new(Mutex::new(Shard::new(self.registry.clone(), unix_ns()))),
            records: Records::default(),
            facts: self.facts.clone(),
            http,
            epoch: self.epoch,
            stop,
            incidents: self.incidents.clone(),
            redactor: self.redactor.clone(),
            seed: self.seed,
        })
    }
}

/// What all parts of a run have in common.
pub(super) struct Lender<'a> {
    pub(super) suite: &'a Suite,
    pub(super) out: &'a Path,
    pub(super) run: &'a str,
    pub(super) secrets: &'a Secrets,
    pub(super) simulated: Option<String>,
    /// Where the doubles listen that the suite uses.
    pub(super) doubles: BTreeMap<Double, String>,
    pub(super) registry: Registry,
    pub(super) epoch: Instant,
    pub(super) incidents: Incidents,
    pub(super) facts: Facts,
    /// Whom to trust, by target.
    pub(super) trust: BTreeMap<String, Tls>,
}

/// Whom to trust at each of the suite's targets; read once, shared by all threads.
///
/// # Errors
/// When a target's certificates can't be read.
pub(super) fn trust(plan: &Plan) -> Result<BTreeMap<String, Tls>, String> {
    let of_target = |target: &Target| match plan.clusters.get(&target.name) {
        Some(cluster) => trust_of_cluster(&cluster.value, &target.name),
        None => trust_of(target, &plan.folder),
    };
    plan.suite.targets.values().map(|target| Ok((target.name.clone(), of_target(target)?))).collect()
}

impl Lender<'_> {
    /// What a part of the plan may do and use, and what its threads are lent. `users` is the most virtual users, `tags` go
    /// on all its samples.
    ///
    /// # Errors
    /// When its target can't be used.
    pub(super) fn lend(&self, part: &Part, used: &PluginUse, tags: Tags) -> Result<(PluginContext, Lending), String> {
        let mut context = PluginContext {
            name: part.name.as_str().into(),
            mode: part.mode.clone(),
            parameters: part.params.json.clone(),
            metrics: part.params.metrics.clone(),
            run: self.run.to_owned(),
            suite: self.suite.name.clone(),
            limits: limits(&used.limits),
            tags,
            artifacts: Some(self.artifacts(&part.name)),
            grants: Grants {
                hosts: used.allow_hosts.iter().filter_map(|host| host.to_string().parse::<HostGrant>().ok()).collect(),
                files: part.params.files.clone().into_iter().collect(),
                credentials: used
                    .credentials
                    .iter()
                    .chain(&part.params.credentials)
                    .filter_map(|name| Some((name.clone(), Arc::clone(self.secrets.credentials.get(name)?))))
                    .collect(),
                ..Grants::default()
            },
            ..PluginContext::default()
        };
        let mut reached = None;
        match used.target.as_ref().map(|target| &target.value) {
            None => {}
            Some(TargetRef::Simulated) => {
                let url = self.simulated.clone().unwrap_or_default();
                reached = Some((uri(&url)?, OriginConfig::default()));
                context.target = url;
            }
            Some(TargetRef::Named(name)) => {
                let target = self.suite.targets.get(name).ok_or_else(|| format!("there is no target `{name}`"))?;
                let url = match &target.address {
                    Address::Simulated => self.simulated.clone().unwrap_or_default(),
                    Address::Double(double) => {
                        let url = self.doubles.get(double).cloned();
                        url.ok_or_else(|| format!("`{}` ended with the run", double.word()))?
                    }
                    Address::Secret(name) => self.secrets.urls.get(&name.value).cloned().unwrap_or_default(),
                    Address::Url(_) | Address::Cluster(_) => target.address.base_url().unwrap_or_default().to_owned(),
                };
                context.target = match &target.address {
                    Address::Secret(_) => origin_of(&url),
                    _ => url.clone(),
                };
                context.requests = requests(target)?;
                context.grants.target_credential = target
                    .credential
                    .as_ref()
                    .and_then(|credential| self.secrets.credentials.get(&credential.value).cloned())
                    .or_else(|| self.secrets.clusters.get(name).cloned());
                let tls = self.trust.get(name).cloned().unwrap_or_default();
                reached = Some((uri(&url)?, origin(target, tls)));
            }
        }
        context.grants.target = reached.as_ref().map(|(url, _)| url.clone());
        let lending = Lending {
            registry: self.registry.clone(),
            epoch: self.epoch,
            incidents: self.incidents.clone(),
            facts: self.facts.clone(),
            redactor: self.secrets.redactor.clone(),
            seed: self.suite.seed,
            target: reached,
        };
        Ok((context, lending))
    }

    fn artifacts(&self, name: &str) -> PathBuf {
        self.out.join("artifacts").join(name)
    }
}

/// What of a URL is no secret.
pub(super) fn origin_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

pub(super) fn uri(url: &str) -> Result<Uri, String> {
    url.parse().map_err(|error| format!("can't use the URL `{url}`: {error}"))
}

pub(super) fn trust_of(target: &Target, folder: &Path) -> Result<Tls, String> {
    let read = |path: &Located<String>| {
        std::fs::read(folder.join(&path.value))
            .map_err(|error| format!("can't read `{}` of target `{}`: {error}", path.value, target.name))
    };
    let authorities = target.ca.as_ref().map(read).transpose()?;
    let identity = target.client_certificate.as_ref();
    let identity = identity.map(|(certificate, key)| Ok::<_, String>((read(certificate)?, read(key)?))).transpose()?;
    let config = TlsConfig {
        authorities: authorities.as_deref(),
        identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
        insecure: target.insecure,
    };
    tls(config, &target.name)
}

fn trust_of_cluster(cluster: &Cluster, target: &str) -> Result<Tls, String> {
    let identity = cluster.user.identity.as_ref();
    let config = TlsConfig {
        authorities: cluster.authorities.as_deref(),
        identity: identity.map(|(certificate, key)| (certificate.as_slice(), key.expose().as_bytes())),
        insecure: cluster.insecure,
    };
    tls(config, target)
}

fn tls(config: TlsConfig<'_>, target: &str) -> Result<Tls, String> {
    // What most targets have is loaded once and shared.
    match config {
        TlsConfig { authorities: None, identity: None, insecure: false } => Ok(Tls::default()),
        config => Tls::new(config).map_err(|error| format!("can't use the certificates of target `{target}`: {error}")),
    }
}

pub(super) fn origin(target: &Target, tls: Tls) -> OriginConfig {
    OriginConfig {
        tls,
        version: match target.http {
            kperf_suite::HttpVersion::Auto => HttpVersion::Auto,
            kperf_suite::HttpVersion::Http1 => HttpVersion::Http1,
            kperf_suite::HttpVersion::Http2 => HttpVersion::Http2,
        },
        connect_timeout: target.connect_timeout,
        max_connections: target.connections.map(|most| most.get() as usize),
        idle_timeout: target.idle_timeout,
        ..OriginConfig::default()
    }
}

pub(super) fn requests(target: &Target) -> Result<RequestDefaults, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers {
        let wrong = |error: String| format!("can't send the header `{name}` of target `{}`: {error}", target.name);
        headers.append(
            HeaderName::try_from(name).map_err(|error| wrong(error.to_string()))?,
            HeaderValue::try_from(value).map_err(|error| wrong(error.to_string()))?,
        );
    }
    Ok(RequestDefaults {
        timeout: Some(target.timeout),
        body_limit: target.body_limit.bytes(),
        compression: target.compression,
        headers,
    })
}

fn limits(limits: &kperf_suite::Limits) -> Limits {
    let per_second = |rate: Rate| rate.as_per_second().ceil() as u32;
    let size = |size: kperf_suite::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    Limits {
        memory: size(limits.memory),
        cpu: limits.cpu,
        samples: per_second(limits.samples),
        log_lines: per_second(limits.log_lines),
        state: size(limits.state),
        ..Limits::default()
    }
}
