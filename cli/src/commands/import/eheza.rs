//! E-Heza's tables: people with the place where they live, and what was measured of them.
//!
//! Each row becomes one FHIR resource under the id that E-Heza gave it ([`resource`]), and goes the way of
//! every import. So the same row again is no change, on this phone and on any other, and what was cut
//! off is begun again.
//!
//! Tables are read row by row. What is kept of them in memory is an id, an area and a birth date for each
//! person, a bundle of at most [`BUNDLE_ROWS`] rows for each area, and what could not be taken.

mod areas;
mod resource;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use huza_crdt::node::AreaRef;
use huza_crdt::trust::AreaName;
use serde_json::{Value, json};

use self::areas::Areas;
use self::resource::{KINDS, Kind as Measured};
use self::table::{Row, Table};
use super::{Taken, take};
use crate::args::ImportArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;
use crate::shell::Device;

/// Rows of one bundle. // guess: some 100 kB
const BUNDLE_ROWS: usize = 200;

/// The source of ids, if the user names none.
const SOURCE: &str = "eheza";

/// Table of people: its name begins so.
const PEOPLE: &str = "person";

/// Imports the one folder that is named.
pub(super) async fn run(context: &Context, args: &ImportArgs, areas: &Path) -> Result<(), Failure> {
    let [folder] = args.files.as_slice() else {
        let failure = Failure::new(Kind::Usage, "usage", "--from eheza takes one folder");
        return Err(failure.hint("Name the folder of the tables"));
    };
    let areas = Areas::read(areas)?;
    let tables = Tables::find(folder)?;
    let source = args.source.clone().unwrap_or_else(|| SOURCE.to_owned());
    context
        .with_reader(async |device| {
            let readable = device.status(false).await?.areas;
            let readable = readable.into_iter().map(|(name, _)| name).collect();
            let mut run = Run::new(context, device, source, areas, readable);
            for (path, kind) in &tables.wanted {
                run.table(path, *kind).await?;
            }
            run.end(&tables.others)
        })
        .await
}

/// The tables of a folder.
struct Tables {
    /// People first; those of one kind in the order of their names.
    wanted: Vec<(PathBuf, Option<&'static Measured>)>,
    /// Names of files that are none of them.
    others: Vec<String>,
}

impl Tables {
    fn find(folder: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::file("read", folder, &error);
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(failed)?;
        paths.sort();
        let (mut people, mut measured, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths.into_iter().filter(|path| path.is_file()) {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_table = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
            match KINDS.iter().find(|kind| kind.table == stem).filter(|_| is_table) {
                Some(kind) => measured.push((path, Some(kind))),
                None if is_table && stem.starts_with(PEOPLE) => people.push((path, None)),
                None => others.push(file_name(&path)),
            }
        }
        if people.is_empty() {
            let message = format!("There is no table of people in {}", folder.display());
            return Err(Failure::new(Kind::Input, "no_people", message)
                .hint("It is named person.csv, or begins so; nothing was imported"));
        }
        Ok(Self { wanted: people.into_iter().chain(measured).collect(), others })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A person who was placed.
struct Placed {
    area: Arc<AreaName>,
    born: Option<String>,
}

/// Rows on their way to one area.
#[derive(Default)]
struct Bundle {
    entries: Vec<String>,
    /// File and line of each.
    from: Vec<(String, u64)>,
}

/// What became of one table.
#[derive(Debug, Default)]
struct Counts {
    rows: usize,
    taken: usize,
    unchanged: usize,
    left_out: usize,
}

struct Problem {
    file: String,
    line: u64,
    reason: String,
}

struct Run<'a> {
    context: &'a Context,
    device: &'a mut Device,
    source: String,
    areas: Areas,
    /// Areas that this device reads.
    readable: Vec<String>,
    people: BTreeMap<String, Placed>,
    bundles: BTreeMap<Arc<AreaName>, Bundle>,
    counts: BTreeMap<String, Counts>,
    by_area: BTreeMap<String, usize>,
    kept_apart: usize,
    problems: Vec<Problem>,
}

impl<'a> Run<'a> {
    fn new(
        context: &'a Context,
        device: &'a mut Device,
        source: String,
        areas: Areas,
        readable: Vec<String>,
    ) -> Self {
        Self {
            context,
            device,
            source,
            areas,
            readable,
            people: BTreeMap::new(),
            bundles: BTreeMap::new(),
            counts: BTreeMap::new(),
            by_area: BTreeMap::new(),
            kept_apart: 0,
            problems: Vec::new(),
        }
    }

    /// Imports one table, of people if it is of no other kind.
    async fn table(&mut self, path: &Path, kind: Option<&'static Measured>) -> Result<(), Failure> {
        let file = file_name(path);
        let mut table = Table::open(path)?;
        self.counts.entry(file.clone()).or_default();
        while let Some((line, row)) = table.next() {
            self.counts.entry(file.clone()).or_default().rows += 1;
            let placed = row.and_then(|row| match kind {
                None => self.person(&row),
                Some(kind) => self.measured(&row, kind),
            });
            match placed {
                Ok((area, text)) => {
                    let bundle = self.bundles.entry(Arc::clone(&area)).or_default();
                    bundle.entries.push(text);
                    bundle.from.push((file.clone(), line));
                    if bundle.entries.len() >= BUNDLE_ROWS {
                        self.send(&area).await?;
                    }
                }
                Err(reason) => self.leave_out(file.clone(), line, reason),
            }
        }
        for area in self.bundles.keys().cloned().collect::<Vec<_>>() {
            self.send(&area).await?;
        }
        Ok(())
    }

    /// The area and the Patient of a row of people.
    fn person(&mut self, row: &Row) -> Result<(Arc<AreaName>, String), String> {
        let id = row.need("id")?.to_owned();
        if self.people.contains_key(&id) {
            return Err(format!("person {id} is in an earlier row too"));
        }
        let area = self.areas.find(row)?;
        if !self.readable.contains(&area.to_string()) {
            return Err(format!("this device does not read area {area}"));
        }
        let (text, born) = resource::patient(row, &self.source)?;
        self.people.insert(id, Placed { area: Arc::clone(&area), born });
        Ok((area, text))
    }

    /// The area of the person of a row, and what was measured.
    fn measured(&self, row: &Row, kind: &Measured) -> Result<(Arc<AreaName>, String), String> {
        let person = |column| {
            let id = row.need(column)?;
            let placed = self.people.get(id);
            placed.ok_or_else(|| format!("person {id} is not here, or could not be placed"))
        };
        let subject = person(kind.subject)?;
        if let Some(other) = kind.other {
            person(other)?;
        }
        let text = resource::observed(row, kind, &self.source, subject.born.as_deref())?;
        Ok((Arc::clone(&subject.area), text))
    }

    /// Has the device take what is ready for an area.
    async fn send(&mut self, area: &AreaName) -> Result<(), Failure> {
        let Some(bundle) = self.bundles.remove(area) else { return Ok(()) };
        let text = resource::bundle(&bundle.entries);
        self.context
            .output
            .progress(&format!("{area}: {}", output::count(bundle.from.len(), "row")));
        let taken = take(self.device, text, &AreaRef::Name(area.clone()), Some(&self.source)).await;
        self.context.output.progress("");
        self.took(&bundle, area, taken?);
        Ok(())
    }

    fn took(&mut self, bundle: &Bundle, area: &AreaName, taken: Taken) {
        let mut refused = BTreeMap::new();
        for problem in taken.problems {
            // `entry N: why`; what is said of the whole stands at its first row.
            let entry = problem.strip_prefix("entry ").and_then(|rest| rest.split_once(": "));
            let entry =
                entry.and_then(|(number, why)| Some((number.parse().ok()?, why.to_owned())));
            let (number, why): (usize, String) = entry.unwrap_or((0, problem));
            refused.insert(number, why);
        }
        // All rows of a bundle are of one table.
        if let Some(counts) = bundle.from.first().and_then(|(file, _)| self.counts.get_mut(file)) {
            counts.unchanged += taken.unchanged;
            counts.taken += taken.resources.saturating_sub(taken.unchanged);
        }
        *self.by_area.entry(area.to_string()).or_default() += taken.resources;
        self.kept_apart += taken.kept_apart;
        for (number, why) in refused {
            if let Some((file, line)) = bundle.from.get(number) {
                self.leave_out(file.clone(), *line, why);
            }
        }
    }

    fn leave_out(&mut self, file: String, line: u64, reason: String) {
        self.context.output.note(&format!("{file}:{line}: left out: {reason}"));
        self.counts.entry(file.clone()).or_default().left_out += 1;
        self.problems.push(Problem { file, line, reason });
    }

    /// Tells what became of all.
    fn end(self, others: &[String]) -> Result<(), Failure> {
        let rows: Vec<Vec<String>> = self
            .counts
            .iter()
            .map(|(file, one)| {
                let numbers = [one.rows, one.taken, one.unchanged, one.left_out];
                [file.clone()].into_iter().chain(numbers.map(|n| n.to_string())).collect()
            })
            .collect();
        let mut text = output::table(&["table", "rows", "new", "unchanged", "left out"], &rows);
        for (area, resources) in &self.by_area {
            text.push_str(&format!("\n{area}: {}", output::count(*resources, "row")));
        }
        if !others.is_empty() {
            text.push_str(&format!("\nNot taken: {}", others.join(", ")));
        }
        if self.kept_apart > 0 {
            text.push_str(&format!(
                "\n{} with another sex or birth date than before; see huza duplicates",
                output::count(self.kept_apart, "person")
            ));
        }
        let tables: BTreeMap<&String, Value> = self
            .counts
            .iter()
            .map(|(file, one)| {
                let Counts { rows, taken, unchanged, left_out } = one;
                let value = json!({ "rows": rows, "new": taken, "unchanged": unchanged, "left_out": left_out });
                (file, value)
            })
            .collect();
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|Problem { file, line, reason }| json!({ "file": file, "line": line, "reason": reason }))
            .collect();
        let value = json!({
            "tables": tables,
            "areas": self.by_area,
            "not_taken": others,
            "kept_apart": self.kept_apart,
            "problems": problems,
        });
        self.context.output.answer(&value, &text)?;
        if self.problems.is_empty() {
            return Ok(());
        }
        let message =
            format!("{} left out; all others are in", output::count(self.problems.len(), "row"));
        Err(Failure::new(Kind::Incomplete, "import_rows", message).hint(
            "Mend what was said of each, and import again: what is in already stays as it is",
        ))
    }
}
