//! The suite: what the whole file means once everything in it has been found to be right.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    cells::{CELLS, CELLS_KEY, Cells, read_cells},
    credential::{CREDENTIAL, Credential, read_credential},
    environment::ENVIRONMENT,
    export::{EXPORT, Export, read_export},
    limits::{LIMITS, Limits, read_limits},
    native::NativeCollector,
    observer::{AnyCollector, COLLECTOR, Collector, REPORTER, Reporter, read_collector, read_reporter},
    plugin_use::{Known, PluginUse, SIMULATED_TARGET, TargetRef},
    scenario::{SCENARIO, Scenario, read_scenario},
    simulated::{SIMULATED, Simulated, read_simulated},
    target::{Address, Double, TARGET, Target, read_target},
    threshold::{THRESHOLD, Threshold, read_thresholds},
};
use crate::{
    keys::{KeySpec, Kind, Need, Reader, Section, TableSpec},
    text::{DiagnosticBag, Located, Node, Origin, Sources, Span, Table, Value},
    values::check_name,
};

/// A checked suite: environment and overrides applied, variables filled in, matrix expanded, every reference in it good. It
/// says nothing yet about what only plugins, files or the machine know. With cells, it is that of the first one.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The key `name`, the title of reports.
    pub name: String,
    /// The key `description`; empty without it.
    pub description: String,
    /// The seed of whatever is random in scenarios and in the simulated server.
    pub seed: u64,
    /// The environment it was loaded for; None for the suite as it stands.
    pub environment: Option<String>,
    /// The servers under test, by name.
    pub targets: BTreeMap<String, Target>,
    /// The secrets' sources, by name.
    pub credentials: BTreeMap<String, Credential>,
    /// How the built-in simulated server behaves, whether or not a target is one.
    pub simulated: Simulated,
    /// At least one.
    pub scenarios: Vec<Scenario>,
    /// What must hold for the samples of all scenarios together.
    pub thresholds: Vec<Threshold>,
    /// Sandboxed plugins that observe the system under test.
    pub collectors: Vec<Collector>,
    /// Native plugins that observe it.
    pub natives: Vec<NativeCollector>,
    /// Plugins that deliver the result.
    pub reporters: Vec<Reporter>,
    /// Where series go while the run goes on.
    pub export: Export,
    /// How the matrix is gone through cell by cell; None if all of it runs at once.
    pub cells: Option<Cells>,
    /// The texts that the spans point into.
    pub sources: Sources,
}

impl Suite {
    /// Whether anything refers to the built-in simulated server.
    #[must_use]
    pub fn uses_simulated(&self) -> bool {
        let simulated = |target: &TargetRef| match target {
            TargetRef::Simulated => true,
            TargetRef::Named(name) => self.targets.get(name).is_some_and(|it| it.address == Address::Simulated),
        };
        self.plugins().any(|plugin| plugin.target.as_ref().is_some_and(|target| simulated(&target.value)))
    }

    /// The doubles that anything refers to.
    #[must_use]
    pub fn doubles(&self) -> BTreeSet<Double> {
        let used = self.plugins().filter_map(|plugin| match self.targets.get(plugin.target_name()?)?.address {
            Address::Double(double) => Some(double),
            _ => None,
        });
        used.collect()
    }

    /// The plugins of scenarios, collectors and reporters, in this order; native ones are not among them.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginUse> {
        let scenarios = self.scenarios.iter().map(|scenario| &scenario.plugin);
        let collectors = self.collectors.iter().map(|collector| &collector.plugin);
        scenarios.chain(collectors).chain(self.reporters.iter().map(|reporter| &reporter.plugin))
    }
}

/// The key of the tables that are merged into the suite.
pub(crate) const ENVIRONMENTS: &str = "environments";

pub(crate) const SUITE: TableSpec = TableSpec {
    title: "the suite",
    doc: "The keys at the top of the file, before the first table.",
    keys: &[
        KeySpec::new("name", Kind::Text, Need::Required, "The suite's name."),
        KeySpec::new("description", Kind::Text, Need::Default(""), "What the suite is for."),
        KeySpec::new(
            "seed",
            Kind::Integer { min: 0, max: i64::MAX },
            Need::Default("0"),
            "The seed of everything random: the same seed makes the same choices.",
        ),
        KeySpec::new(
            "thresholds",
            Kind::Thresholds(&THRESHOLD),
            Need::Absent("none"),
            "What must hold for the samples of all scenarios together.",
        ),
        KeySpec::new(
            "vars",
            Kind::ScalarMap,
            Need::Absent("none"),
            "Values of `${NAME}`, unless the process environment has one.",
        ),
        KeySpec::new("targets", Kind::Tables(&TARGET), Need::Absent("none"), "Servers under test, by name."),
        KeySpec::new("credentials", Kind::Tables(&CREDENTIAL), Need::Absent("none"), "Secrets' sources, by name."),
        KeySpec::new(
            "simulated",
            Kind::Table(&SIMULATED),
            Need::Absent("the defaults"),
            "The built-in simulated server.",
        ),
        KeySpec::new("limits", Kind::Table(&LIMITS), Need::Absent("the defaults"), "What every plugin may use."),
        KeySpec::new(
            "matrix",
            Kind::Axes,
            Need::Absent("none"),
            "Axes with their values. A scenario that uses `${matrix.AXIS}` becomes one scenario for each combination, or, \
             with `[cells]`, the suite becomes one run for each.",
        ),
        KeySpec::new(
            CELLS_KEY,
            Kind::Table(&CELLS),
            Need::Absent("everything runs at once"),
            "Runs the matrix cell by cell.",
        ),
        KeySpec::new("scenario", Kind::List(&SCENARIO), Need::Required, "What runs; at least one."),
        KeySpec::new("collector", Kind::List(&COLLECTOR), Need::Absent("none"), "What observes the system under test."),
        KeySpec::new("reporter", Kind::List(&REPORTER), Need::Absent("none"), "Who is told about the result."),
        KeySpec::new("export", Kind::Table(&EXPORT), Need::Absent("nowhere"), "Where series go while the run goes on."),
        KeySpec::new(
            ENVIRONMENTS,
            Kind::Tables(&ENVIRONMENT),
            Need::Absent("none"),
            "Named environments, each with what differs there; `--env NAME` picks one.",
        ),
    ],
};

/// Reads the suite out of a document whose environment, overrides, variables and matrix are already applied. Adds the uses of
/// plugins to `uses`, also when no suite comes of them.
pub(crate) fn read_suite(
    reader: &mut Reader<'_>,
    root: &Table,
    environment: Option<&str>,
    uses: &RefCell<Vec<PluginUse>>,
) -> Option<Suite> {
    let top = Span::new(Origin::File, 0..reader.sources.text().find('\n').unwrap_or(reader.sources.text().len()));
    let section = reader.section_of(&SUITE, root, top, |_| None);
    let name = reader.located::<String>(&section, "name");
    let description = reader.value(&section, "description");
    let seed = reader.value(&section, "seed");
    for applied in ["vars", "matrix", ENVIRONMENTS] {
        reader.find(&section, applied);
    }
    let empty = Node::new(Value::Table(Table::default()), top);
    let simulated = reader.find(&section, "simulated").0.unwrap_or(&empty);
    let simulated = read_simulated(reader, simulated, seed);
    let limits = reader.find(&section, "limits").0.unwrap_or(&empty);
    let limits: Option<Limits> = read_limits(reader, limits, None);

    let cells = reader.find(&section, CELLS_KEY).0;
    let cells = cells.map(|node| read_cells(reader, node, root));

    let targets = named(reader, &section, "targets", read_target);
    let credentials = named(reader, &section, "credentials", read_credential);
    let keys = |name| section.table.get(name).and_then(Node::table).map_or_else(Vec::new, |it| it.keys().collect());
    let fallback = read_limits(&mut Reader::new(DiagnosticBag::new(reader.sources)), &empty, None)?;
    let known =
        Known { targets: keys("targets"), credentials: keys("credentials"), limits: limits.unwrap_or(fallback), uses };
    if let Some(entry) = root
        .get("targets")
        .and_then(Node::table)
        .and_then(|targets| targets.entries.iter().find(|entry| entry.key == SIMULATED_TARGET))
    {
        reader.report(entry.key_span, "`simulated` is the built-in server's name", "choose another name".to_owned());
    }
    for target in targets.values() {
        if let Some(credential) = &target.credential {
            known.credential(reader, credential);
        }
        if let Address::Secret(credential) = &target.address {
            known.credential(reader, credential);
        }
    }

    let scenarios = reader.items(&section, "scenario");
    let collectors = reader.items(&section, "collector");
    let reporters = reader.items(&section, "reporter");
    if let Some(node) = root.get("scenario")
        && node.array().is_some_and(<[Node]>::is_empty)
    {
        reader.report(node.span, "a suite needs at least one scenario", "add a `[[scenario]]` table".to_owned());
    }
    let scenarios: Vec<_> = scenarios.iter().map(|node| read_scenario(reader, node, &known)).collect();
    let collectors: Vec<_> = collectors.iter().map(|node| read_collector(reader, node, &known)).collect();
    let reporters: Vec<_> = reporters.iter().map(|node| read_reporter(reader, node, &known)).collect();
    let export = reader.find(&section, "export").0.map(|node| read_export(reader, node, &known));
    let thresholds = read_thresholds(reader, &section, "thresholds");
    if let Some(name) = &name {
        check_located_name(reader, name);
    }
    check_names(reader, root, "scenario");
    check_names(reader, root, "collector");
    check_names(reader, root, "reporter");
    let (mut sandboxed, mut natives) = (Vec::new(), Vec::new());
    for collector in collectors {
        match collector? {
            AnyCollector::Sandboxed(collector) => sandboxed.push(collector),
            AnyCollector::Native(collector) => natives.push(collector),
        }
    }
    Some(Suite {
        name: name?.value,
        description,
        seed,
        environment: environment.map(str::to_owned),
        targets,
        credentials,
        simulated: simulated?,
        scenarios: scenarios.into_iter().collect::<Option<_>>()?,
        thresholds,
        collectors: sandboxed,
        natives,
        reporters: reporters.into_iter().collect::<Option<_>>()?,
        export: export.unwrap_or_else(|| Some(Export::default()))?,
        cells: match cells {
            Some(cells) => Some(cells?),
            None => None,
        },
        sources: reader.sources.clone(),
    })
}

/// Reads a table of tables by name, and checks the names.
fn named<T>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &'static str,
    read: impl Fn(&mut Reader<'_>, &str, &Node) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut map = BTreeMap::new();
    for entry in reader.entries(section, key) {
        check_located_name(reader, &Located { value: entry.key.clone(), span: entry.key_span });
        if let Some(value) = read(reader, &entry.key, &entry.node) {
            map.insert(entry.key.clone(), value);
        }
    }
    map
}

fn check_located_name(reader: &mut Reader<'_>, name: &Located<String>) {
    if let Err(error) = check_name(&name.value) {
        reader.report(name.span, error.to_string(), None);
    }
}

/// Checks the names of an array of tables, also of those that are wrong otherwise.
fn check_names(reader: &mut Reader<'_>, root: &Table, list: &str) {
    let mut seen = BTreeSet::new();
    for item in root.get(list).and_then(Node::array).unwrap_or_default() {
        let Some(node) = item.table().and_then(|table| table.get("name")) else { continue };
        let Some(name) = node.text() else { continue };
        check_located_name(reader, &Located { value: name.to_owned(), span: node.span });
        if !seen.insert(name) {
            let help = format!("give every {list} a name of its own");
            reader.report(node.span, format!("there is already a {list} named `{name}`"), help);
        }
    }
}
