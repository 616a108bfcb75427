//! Runs side by side. Those that differ by nothing but the seed are one column: chance is no
//! difference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::outcome::{Outcome, Waited, Waits};
use super::units::Unit;
use crate::stats::spread;

/// The setting by which runs of one column differ.
const SEED: &str = "seed";

/// Settings that are told in the name of a column; more are only counted.
const NAMED: usize = 3;

/// Runs side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// In the order in which they were given.
    pub columns: Vec<Column>,
    /// Settings that are not the same in all columns.
    pub settings: Vec<Setting>,
    /// Every figure that any run has.
    pub figures: Vec<Row>,
}

/// Runs that differ by the seed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// What is different in it; if nothing is, what the run is called.
    pub name: String,
    /// As it is written on the command line.
    pub strategy: String,
    /// `sized` or `full`.
    pub fidelity: String,
    /// How long they went on.
    pub days: u64,
    /// One for each run.
    pub seeds: Vec<u64>,
    /// The places of the runs among those given.
    #[serde(skip)]
    runs: Vec<usize>,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// Of the values; empty for names.
    pub unit: String,
    /// What it is.
    pub what: String,
    /// One for each column, as TOML; none where there is no such setting.
    pub values: Vec<Option<String>>,
}

/// A figure in all columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As in [`super::Figure`].
    pub key: String,
    /// As there.
    pub group: &'static str,
    /// As there.
    pub what: String,
    /// As there.
    pub unit: Unit,
    /// One for each column; none where there is nothing of it.
    pub values: Vec<Option<Value>>,
}

/// A figure over the seeds of a column. None: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Value {
    /// Half of the seeds are not above it.
    pub median: Option<u64>,
    /// Of all seeds.
    pub lowest: Option<u64>,
    /// Of all seeds.
    pub highest: Option<u64>,
}

impl Value {
    /// Over seeds, at least one.
    fn of(figures: &[Option<u64>]) -> Self {
        let Some(all) = spread(figures) else {
            return Self { median: None, lowest: None, highest: None };
        };
        Self {
            median: (all.median < u64::MAX).then_some(all.median),
            lowest: Some(all.best),
            highest: (all.never == 0).then_some(all.worst),
        }
    }

    /// For people: the median, and the lowest and highest if they are not the same.
    #[must_use]
    pub fn show(&self, unit: Unit) -> String {
        let show =
            |value: Option<u64>| value.map_or_else(|| "never".to_owned(), |one| unit.show(one));
        let (median, lowest, highest) = (show(self.median), show(self.lowest), show(self.highest));
        if lowest == highest { median } else { format!("{median} ({lowest} to {highest})") }
    }
}

impl Comparison {
    /// Compares runs. The same run given twice counts once.
    #[must_use]
    pub fn of(runs: &[Outcome]) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            if runs.iter().take(index).any(|other| other == run) {
                continue;
            }
            let same = |column: &&mut Column| {
                column
                    .runs
                    .first()
                    .and_then(|first| runs.get(*first))
                    .is_some_and(|one| alike(one, run))
            };
            match columns.iter_mut().find(same) {
                Some(column) => {
                    column.seeds.push(run.seed);
                    column.runs.push(index);
                }
                None => columns.push(Column {
                    name: String::new(),
                    strategy: run.strategy.clone(),
                    fidelity: run.fidelity.clone(),
                    days: run.days,
                    seeds: vec![run.seed],
                    runs: vec![index],
                }),
            }
        }
        let firsts: Vec<&Outcome> =
            columns.iter().filter_map(|one| runs.get(*one.runs.first()?)).collect();
        let settings = settings(&firsts);
        let names: Vec<String> =
            (0..columns.len()).map(|column| name(&firsts, column, &settings)).collect();
        for (column, name) in columns.iter_mut().zip(names) {
            column.name = name;
        }
        let figures = figures(&columns, runs);
        Self { columns, settings, figures }
    }

    /// Waits of all seeds of a column together.
    pub(super) fn pooled<'a>(
        &self,
        column: usize,
        runs: &'a [Outcome],
        of: impl Fn(&'a Outcome) -> &'a Waits,
    ) -> Waits {
        let mut after: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let places = self.columns.get(column).map(|one| one.runs.as_slice()).unwrap_or_default();
        for run in places.iter().filter_map(|place| runs.get(*place)) {
            for one in &of(run).after {
                let sum = after.entry(one.seconds).or_default();
                *sum = (sum.0 + one.happened, sum.1 + one.censored);
            }
        }
        let waited = |(seconds, (happened, censored))| Waited { seconds, happened, censored };
        Waits { after: after.into_iter().map(waited).collect() }
    }

    /// How long the runs went on, if that is not the same for all: then what is told of all their
    /// time does not compare.
    #[must_use]
    pub fn uneven_days(&self) -> Option<Vec<u64>> {
        let days: BTreeSet<u64> = self.columns.iter().map(|column| column.days).collect();
        (days.len() > 1).then(|| days.into_iter().collect())
    }
}

/// Whether two runs differ by nothing but the seed.
fn alike(one: &Outcome, other: &Outcome) -> bool {
    let decided = |run: &Outcome| {
        let options = run.options.iter().filter(|option| option.key != SEED);
        options.map(|option| (option.key.clone(), option.value.clone())).collect::<Vec<_>>()
    };
    one.strategy == other.strategy
        && one.fidelity == other.fidelity
        && one.days == other.days
        && decided(one) == decided(other)
}

fn settings(firsts: &[&Outcome]) -> Vec<Setting> {
    let mut seen = BTreeSet::new();
    let all = firsts.iter().flat_map(|run| &run.options);
    let unique = all.filter(|one| one.key != SEED && seen.insert(one.key.as_str()));
    let rows = unique.map(|one| {
        let value = |run: &&Outcome| {
            run.options.iter().find(|other| other.key == one.key).map(|other| other.value.clone())
        };
        Setting {
            key: one.key.clone(),
            unit: one.unit.clone(),
            what: one.what.clone(),
            values: firsts.iter().map(value).collect(),
        }
    });
    let differs = |row: &Setting| row.values.iter().any(|value| Some(value) != row.values.first());
    rows.filter(differs).collect()
}

/// What is different in a column.
fn name(firsts: &[&Outcome], column: usize, settings: &[Setting]) -> String {
    let Some(run) = firsts.get(column) else { return String::new() };
    let mut told = Vec::new();
    if firsts.iter().any(|other| other.strategy != run.strategy) {
        told.push(run.strategy.clone());
    }
    if firsts.iter().any(|other| other.fidelity != run.fidelity) {
        told.push(run.fidelity.clone());
    }
    for setting in settings.iter().take(NAMED) {
        let value = setting.values.get(column).and_then(Option::as_deref).unwrap_or("-");
        told.push(format!("{}={value}", setting.key));
    }
    if let Some(more @ 1..) = settings.len().checked_sub(NAMED) {
        told.push(format!("and {more} more"));
    }
    if told.is_empty() { run.name.clone() } else { told.join(", ") }
}

fn figures(columns: &[Column], runs: &[Outcome]) -> Vec<Row> {
    let all: Vec<Vec<super::Figure>> = runs.iter().map(Outcome::figures).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = BTreeSet::new();
    for figure in all.iter().flatten().filter(|one| seen.insert(one.key.as_str())) {
        let found = |run: &usize| {
            all.get(*run)?.iter().find(|other| other.key == figure.key).map(|other| other.value)
        };
        let value = |column: &Column| {
            let values: Vec<Option<u64>> = column.runs.iter().filter_map(found).collect();
            (!values.is_empty()).then(|| Value::of(&values))
        };
        rows.push(Row {
            key: figure.key.clone(),
            group: figure.group,
            what: figure.what.clone(),
            unit: figure.unit,
            values: columns.iter().map(value).collect(),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Chosen, Delivery};
    use super::*;

    fn run(seed: u64, equipped: &str, waits: &[(u64, u64, u64)]) -> Outcome {
        let waited = |&(seconds, happened, censored)| Waited { seconds, happened, censored };
        let waits = Waits { after: waits.iter().map(waited).collect() };
        let option = |key: &str, value: &str| Chosen {
            key: key.to_owned(),
            value: value.to_owned(),
            unit: String::new(),
            what: String::new(),
            basis: String::new(),
            changed: false,
        };
        Outcome {
            format: super::super::outcome::FORMAT,
            name: "small".to_owned(),
            strategy: "huza".to_owned(),
            fidelity: "sized".to_owned(),
            seed,
            days: 30,
            log_hash: seed.to_string(),
            options: vec![option(SEED, &seed.to_string()), option("people.equipped", equipped)],
            urgent: Delivery { written: 4, to_hub: waits, ..Delivery::default() },
            routine: Delivery::default(),
            villages: Vec::new(),
            hubs: Vec::new(),
            phones: Vec::new(),
            meetings: Vec::new(),
        }
    }

    #[test]
    fn seeds_are_one_column_and_their_spread_is_told() {
        let runs = [
            run(1, "0.5", &[(60, 4, 0)]),
            run(2, "0.5", &[(120, 4, 0)]),
            run(3, "0.5", &[(60, 1, 0), (86_400, 0, 3)]),
            run(1, "1", &[(30, 4, 0)]),
            run(1, "1", &[(30, 4, 0)]),
        ];
        let all = Comparison::of(&runs);
        let names: Vec<&str> = all.columns.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["people.equipped=0.5", "people.equipped=1"]);
        assert_eq!((&all.columns[0].seeds, &all.columns[1].seeds), (&vec![1, 2, 3], &vec![1]));
        assert_eq!(all.settings.len(), 1, "the seed is no difference");
        assert_eq!(all.settings[0].values, [Some("0.5".to_owned()), Some("1".to_owned())]);
        let half = all.figures.iter().find(|row| row.key == "urgent.hub.p50").unwrap();
        let told: Vec<String> =
            half.values.iter().map(|one| one.unwrap().show(half.unit)).collect();
        assert_eq!(told, ["2 min (1 min to never)", "1 min"]);
        let pooled = all.pooled(0, &runs, |run| &run.urgent.to_hub);
        let pooled: Vec<_> =
            pooled.after.iter().map(|one| (one.seconds, one.happened, one.censored)).collect();
        assert_eq!(pooled, [(60, 5, 0), (120, 4, 0), (86_400, 0, 3)]);
    }

    #[test]
    fn what_never_comes_is_no_number() {
        let never = Value::of(&[None, None]);
        assert_eq!(never.show(Unit::Seconds), "never");
        let most = Value::of(&[None, None, Some(60)]);
        assert_eq!(most.show(Unit::Seconds), "never (1 min to never)");
    }
}
