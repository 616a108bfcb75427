//! `huza import`: FHIR R4 bundles, file by file; E-Heza's tables in [`eheza`].

mod eheza;

use std::collections::BTreeSet;
use std::path::Path;

use huza_crdt::limits::IMPORT_BYTES_MAX;
use huza_crdt::node::{AreaRef, Command, Reply};
use serde_json::{Value, json};

use crate::args::{ImportArgs, System};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;
use crate::shell::Device;

/// What the import of one file brought.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Distinct resources.
    pub(crate) resources: usize,
    /// Their keys.
    pub(crate) keys: Vec<String>,
    /// Records they went to.
    pub(crate) records: usize,
    /// Resources that were here already.
    pub(crate) unchanged: usize,
    /// Entries that were left out, with the reason.
    pub(crate) problems: Vec<String>,
    /// Persons who share an id with another but contradict it, and so got a record of their own.
    pub(crate) kept_apart: usize,
}

/// Imports every file; one that cannot be taken does not keep the others out.
pub(crate) async fn run(context: &Context, args: ImportArgs) -> Result<(), Failure> {
    if let (System::Eheza, Some(areas)) = (args.from, &args.areas) {
        return eheza::run(context, &args, areas).await;
    }
    if args.areas.is_some() {
        let failure = Failure::new(Kind::Usage, "usage", "--areas is for --from eheza");
        return Err(failure.hint("Say --area for files of FHIR"));
    }
    context.with_reader(async |device| all(context, &args, device).await).await
}

async fn all(context: &Context, args: &ImportArgs, device: &mut Device) -> Result<(), Failure> {
    let area = args.write.area.clone().unwrap_or(AreaRef::Own);
    let mut files: Vec<Value> = Vec::new();
    let mut keys = BTreeSet::new();
    let mut left_out = 0;
    let mut some_in = false;
    let mut failed: Option<Failure> = None;
    for (index, path) in args.files.iter().enumerate() {
        context.output.progress(&format!(
            "importing {} of {}: {}",
            index + 1,
            args.files.len(),
            path.display()
        ));
        let taken = file(device, path, &area, args.source.as_deref()).await;
        context.output.progress("");
        match taken {
            Ok(taken) => {
                some_in = true;
                left_out += taken.problems.len();
                tell(context, path, &taken)?;
                files.push(of_file(path, &taken));
                keys.extend(taken.keys);
            }
            Err(failure) if args.files.len() == 1 => return Err(failure),
            Err(failure) => {
                files.push(json!({ "file": path, "error": failure }));
                // Machines find it beside its file.
                if !context.output.json {
                    context.output.failure(&failure);
                }
                failed.get_or_insert(failure);
            }
        }
    }
    let text = format!("{} in all.", output::count(keys.len(), "distinct resource"));
    context.output.answer(&json!({ "resources": keys.len(), "files": files }), &text)?;
    end(left_out, some_in, failed)
}

/// Imports one file.
pub(crate) async fn file(
    device: &mut Device,
    path: &Path,
    area: &AreaRef,
    source: Option<&str>,
) -> Result<Taken, Failure> {
    take(device, read(path)?, area, source).await.map_err(|failure| {
        let message = format!("{}: {}", path.display(), failure.message);
        Failure { message, ..failure }
    })
}

/// Imports one bundle.
async fn take(
    device: &mut Device,
    text: String,
    area: &AreaRef,
    source: Option<&str>,
) -> Result<Taken, Failure> {
    let command = Command::Import { area: area.clone(), text, source: source.map(str::to_owned) };
    match device.call(command).await? {
        Reply::Imported { resources, keys, records, unchanged, problems, kept_apart } => {
            Ok(Taken { resources, keys, records, unchanged, problems, kept_apart })
        }
        _ => Err(Failure::answer("import")),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > IMPORT_BYTES_MAX as u64 {
        let message = format!(
            "The file {} is {} long; {} are allowed",
            path.display(),
            output::bytes(size),
            output::bytes(IMPORT_BYTES_MAX as u64)
        );
        return Err(Failure::new(Kind::Input, "too_long", message).hint("Split the bundle"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_not_text| {
        Failure::new(
            Kind::Input,
            "not_text",
            format!("The file {} is not UTF-8 text", path.display()),
        )
        .hint("Give a FHIR R4 bundle in JSON")
    })
}

fn tell(context: &Context, path: &Path, taken: &Taken) -> Result<(), Failure> {
    context.output.tell(&format!(
        "{}: {} in {}, {} unchanged",
        path.display(),
        output::count(taken.resources, "resource"),
        output::count(taken.records, "record"),
        taken.unchanged,
    ))?;
    if taken.kept_apart > 0 {
        context.output.note(&format!(
            "{}: {} under a known id with another sex or birth date; kept as a record of its own, \
             and linked as possibly the same person",
            path.display(),
            output::count(taken.kept_apart, "person"),
        ));
    }
    for problem in &taken.problems {
        context.output.note(&format!("{}: left out: {problem}", path.display()));
    }
    Ok(())
}

fn of_file(path: &Path, taken: &Taken) -> Value {
    json!({
        "file": path,
        "resources": taken.resources,
        "records": taken.records,
        "unchanged": taken.unchanged,
        "problems": taken.problems,
        "kept_apart": taken.kept_apart,
    })
}

fn end(left_out: usize, some_in: bool, failed: Option<Failure>) -> Result<(), Failure> {
    if let Some(failure) = failed {
        let message = "Not every file could be imported";
        // Something is in already, so this is not a failure that changed nothing.
        let kind = if some_in { Kind::Incomplete } else { failure.kind };
        return Err(Failure::new(kind, "import_files", message)
            .hint("See what was said of each file; the others are in"));
    }
    if left_out > 0 {
        let entries = if left_out == 1 {
            "1 entry was".to_owned()
        } else {
            format!("{left_out} entries were")
        };
        let message = format!("{entries} left out; all others are in");
        return Err(Failure::new(Kind::Incomplete, "import_entries", message).hint(
            "Mend what was said of each, and import again: what is in already stays as it is",
        ));
    }
    Ok(())
}
