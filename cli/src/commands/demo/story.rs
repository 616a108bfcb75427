//! What is written before anybody meets: the built-in story, or the files that were given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Reply};
use huza_crdt::record::{Danger, Form, Forms};
use huza_crdt::time::Stamp;
use huza_daemon::time;

use super::programme::Members;
use crate::commands::{import, person, visit};
use crate::error::Failure;
use crate::output::{self, Output};
use crate::shell::Device;

/// A file such as a clinic's own system would hand over.
const CLINIC: &str = include_str!("../../../story/clinic.json");

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Keys of the resources that were brought in.
    pub(super) keys: BTreeSet<String>,
    /// Whether nothing else was written, so that exactly these must arrive.
    pub(super) only_keys: bool,
    /// Entries that were left out, with the reason.
    pub(super) problems: Vec<String>,
}

struct Visit {
    name: &'static str,
    sex: &'static str,
    birth_date: &'static str,
    form: &'static str,
    answers: &'static [(&'static str, &'static str)],
}

/// Days since the last period, for the antenatal visits. Today's date minus this is the answer.
const LMP_DAYS: i64 = 180;

const ON_A: [Visit; 3] = [
    Visit {
        name: "Immaculee Uwase",
        sex: "female",
        birth_date: "1998-04-12",
        form: "anc",
        answers: &[("round", "2"), ("weight", "62.5"), ("systolic", "118"), ("diastolic", "76")],
    },
    Visit {
        name: "Esperance Mukamana",
        sex: "female",
        birth_date: "1991",
        form: "anc",
        answers: &[
            ("round", "3"),
            ("weight", "71.20"),
            ("systolic", "165"),
            ("diastolic", "105"),
            ("severe-headache", "yes"),
        ],
    },
    Visit {
        name: "Kevin Ishimwe",
        sex: "male",
        birth_date: "2025-02",
        form: "sick-child",
        answers: &[
            ("age-months", "21"),
            ("temperature", "38.2"),
            ("muac", "13.1"),
            ("diarrhoea", "yes"),
        ],
    },
];

const ON_B: Visit = Visit {
    name: "Aline Iradukunda",
    sex: "female",
    birth_date: "2024-06",
    form: "sick-child",
    answers: &[("age-months", "29"), ("temperature", "37.1"), ("weight", "11.40")],
};

/// Tells the built-in story.
pub(super) async fn tell(output: Output, all: &Members, folder: &Path) -> Result<Told, Failure> {
    output.tell(super::report::VILLAGE_A)?;
    let mut device = all.phone_a.open().await?;
    for entry in &ON_A {
        record(output, &mut device, entry).await?;
    }
    let file = folder.join("clinic.json");
    std::fs::write(&file, CLINIC).map_err(|error| Failure::file("write", &file, &error))?;
    let mut told = bring_in(output, &mut device, &[file]).await?;
    told.only_keys = false;
    device.close().await?;
    output.tell(super::report::LOCKED)?;
    output.tell(super::report::VILLAGE_B)?;
    let mut device = all.phone_b.open().await?;
    record(output, &mut device, &ON_B).await?;
    device.close().await?;
    Ok(told)
}

/// Brings in files on phone A and nothing else.
pub(super) async fn import(
    output: Output,
    all: &Members,
    files: &[PathBuf],
) -> Result<Told, Failure> {
    output.tell(super::report::FILES_ON_A)?;
    let mut device = all.phone_a.open().await?;
    let told = bring_in(output, &mut device, files).await;
    device.close().await?;
    told
}

async fn bring_in(output: Output, device: &mut Device, files: &[PathBuf]) -> Result<Told, Failure> {
    let mut told = Told { only_keys: true, ..Told::default() };
    for path in files {
        let taken = import::file(device, path, &AreaRef::Own, None).await?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        output.tell(&format!(
            "   {name}: {} in {}",
            output::count(taken.resources, "resource"),
            output::count(taken.records, "record"),
        ))?;
        for problem in &taken.problems {
            output.note(&format!("   {name}: left out: {problem}"));
            told.problems.push(format!("{name}: {problem}"));
        }
        told.keys.extend(taken.keys);
    }
    Ok(told)
}

/// Records one person and one visit, and says so.
async fn record(output: Output, device: &mut Device, entry: &Visit) -> Result<(), Failure> {
    let forms = Forms::built_in();
    let form = forms.latest(entry.form).ok_or_else(|| Failure::answer("forms"))?;
    let id = add_person(device, entry).await?;
    let mut answers = map(entry.answers);
    if entry.form == "anc" {
        answers.insert("lmp".to_owned(), date(Stamp(time::now().0 - LMP_DAYS * 86_400)));
    }
    let command = Command::AddVisit {
        record: id,
        form: entry.form.to_owned(),
        occurred: time::now(),
        answers,
    };
    let Reply::Written { dangers, .. } = device.call(command).await? else {
        return Err(Failure::answer("visit add"));
    };
    output.tell(&line(entry, form, &dangers))
}

async fn add_person(device: &mut Device, entry: &Visit) -> Result<RecordId, Failure> {
    let mut fields: BTreeMap<String, String> = person::names(entry.name).into_iter().collect();
    fields.insert("sex".to_owned(), entry.sex.to_owned());
    fields.insert("birth-date".to_owned(), entry.birth_date.to_owned());
    let command = Command::AddPerson { area: AreaRef::Own, fields };
    match device.call(command).await? {
        Reply::Written { record, .. } => Ok(record),
        _ => Err(Failure::answer("person add")),
    }
}

fn line(entry: &Visit, form: &Form, dangers: &[Danger]) -> String {
    let answers = entry.answers.iter().filter_map(|(id, value)| {
        let field = form.field(id)?;
        let unit = field.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        Some(format!("{} {value}{unit}", field.label.rw))
    });
    let answers: Vec<String> = answers.collect();
    let mut line = format!(
        "   {}: {} ({})\n     {}",
        entry.name,
        form.title.rw,
        form.title.en,
        answers.join(", ")
    );
    let signs: Vec<String> = dangers.iter().map(|one| visit::both(&one.label)).collect();
    if !signs.is_empty() {
        line.push_str(&format!("\n     DANGER: {}. It travels first.", signs.join("; ")));
    }
    line
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
}

/// The date of a stamp, `YYYY-MM-DD`.
fn date(stamp: Stamp) -> String {
    stamp.to_string().chars().take(10).collect()
}
