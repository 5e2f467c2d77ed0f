//! Which of the charts below a chart count: conditions, tags, aliases; and which values a parent takes over from them.

use super::coalesce::{Nulls, Table, coalesce, lay_under, table_at, value_at};
use super::load::Chart;
use super::metadata::Dependency;
use serde_json::Value;

/// Returns `chart` with only the charts below it that are switched on, under their aliases, and with the values that
/// it takes over from them.
pub(super) fn settle(chart: &Chart, values: &Table) -> Result<Chart, String> {
    let mut chart = chart.clone();
    keep_enabled(&mut chart, values, "")?;
    import_values(&mut chart)?;
    Ok(chart)
}

/// Returns the dependencies that are declared and switched on but not there, in `chart` and below it.
pub(super) fn missing(chart: &Chart, values: &Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    look_for_missing(chart, values, "", &mut found);
    found
}

fn look_for_missing(chart: &Chart, values: &Table, path: &str, found: &mut Vec<Dependency>) {
    let mut with_aliases = chart.clone();
    with_aliases.dependencies = candidates(chart);
    // A mismatch of values is told by the render; here it switches nothing off.
    let all = coalesce(&with_aliases, values, Nulls::Remove).unwrap_or_else(|_| values.clone());
    for dependency in &chart.metadata.dependencies {
        if !is_enabled(dependency, &all, path) {
            continue;
        }
        match chart.dependencies.iter().find(|below| below.answers(dependency)) {
            None if has_name(chart, dependency) => {}
            None => found.push(dependency.clone()),
            Some(below) => look_for_missing(below, &all, &format!("{path}{}.", dependency.key()), found),
        }
    }
}

/// A chart of that name in another version is told by nobody: Helm then takes it as it is.
fn has_name(chart: &Chart, dependency: &Dependency) -> bool {
    chart.dependencies.iter().any(|below| below.metadata.name == dependency.name)
}

/// Returns the charts below `chart` as `Chart.yaml` asks for them: undeclared ones as they are, declared ones once for
/// each time they are declared, under their aliases.
fn candidates(chart: &Chart) -> Vec<Chart> {
    let declared = &chart.metadata.dependencies;
    let undeclared = |below: &&Chart| !declared.iter().any(|dependency| below.answers(dependency));
    let mut all: Vec<Chart> = chart.dependencies.iter().filter(undeclared).cloned().collect();
    for dependency in declared {
        if let Some(below) = chart.dependencies.iter().find(|below| below.answers(dependency)) {
            let mut below = below.clone();
            dependency.key().clone_into(&mut below.metadata.name);
            all.push(below);
        }
    }
    all
}

fn keep_enabled(chart: &mut Chart, values: &Table, path: &str) -> Result<(), String> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    chart.dependencies = candidates(chart);
    for dependency in &mut chart.metadata.dependencies {
        dependency.name = dependency.key().to_owned();
    }
    let all = coalesce(chart, values, Nulls::Remove)?;
    let off = |dependency: &&Dependency| !is_enabled(dependency, &all, path);
    let off: Vec<String> = chart.metadata.dependencies.iter().filter(off).map(|d| d.name.clone()).collect();
    chart.dependencies.retain(|below| !off.contains(&below.metadata.name));
    chart.metadata.dependencies.retain(|dependency| !off.contains(&dependency.name));
    for below in &mut chart.dependencies {
        let path = format!("{path}{}.", below.metadata.name);
        keep_enabled(below, &all, &path)?;
    }
    Ok(())
}

/// Says whether a dependency counts: the first condition that holds a truth value decides, else the tags, else yes.
fn is_enabled(dependency: &Dependency, values: &Table, path: &str) -> bool {
    let conditions = dependency.condition.trim().split(',').filter(|condition| !condition.is_empty());
    for condition in conditions {
        if let Some(Value::Bool(on)) = value_at(values, &format!("{path}{condition}")) {
            return *on;
        }
    }
    let tags = values.get("tags").and_then(Value::as_object);
    let said: Vec<bool> = dependency.tags.iter().filter_map(|tag| tags?.get(tag)?.as_bool()).collect();
    said.is_empty() || said.contains(&true)
}

fn import_values(chart: &mut Chart) -> Result<(), String> {
    for below in &mut chart.dependencies {
        import_values(below)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let mut all = coalesce(chart, &Table::new(), Nulls::Keep)?;
    let mut taken = Table::new();
    for dependency in &chart.metadata.dependencies {
        for import in &dependency.import_values {
            if let Some(table) = table_at(&all, &format!("{}.{}", dependency.name, import.child)) {
                lay_under(&mut taken, nested(&import.parent, table.clone()), Nulls::Keep);
            }
        }
    }
    lay_under(&mut all, taken, Nulls::Keep);
    chart.set_values(all);
    Ok(())
}

/// Returns `table` at the end of `path`; `.` is the top.
fn nested(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, part| Table::from_iter([(part.to_owned(), Value::Object(inner))]))
}
