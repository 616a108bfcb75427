//! `huza bundle`: what devices would exchange, as a file that somebody carries.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use huza_crdt::bundle::{Found, Pages};
use huza_crdt::id::AreaTag;
use huza_crdt::node::{BundleScope, Command, ReaderState, Reply, Status, Taken, TakenPart};
use serde_json::json;

use crate::args::{BundleCommand, BundleExportArgs, BundleImportArgs};
use crate::commands::{Context, devices};
use crate::error::{Failure, Kind};
use crate::files::Pending;
use crate::output::{bytes, count};
use crate::shell::Device;

/// Batches that are counted as missing at most: whoever made the file chose their numbers.
const MISSING_SHOWN: usize = 16;

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 65_536;

/// Does what was asked.
pub(crate) async fn run(context: &Context, command: BundleCommand) -> Result<(), Failure> {
    match command {
        BundleCommand::Export(args) => {
            let mut file = Pending::begin(&args.file, true, false)?;
            let work = async |device: &mut Device| export(device, &args, &mut file).await;
            let made = context.with_reader_if_offered(work).await?;
            file.publish()?;
            let text = format!(
                "Wrote {} and {} to {}, {}.",
                count(size(made.envelopes), "envelope"),
                count(size(made.statements), "statement"),
                args.file.display(),
                bytes(made.bytes),
            );
            let json = json!({
                "out": args.file,
                "envelopes": made.envelopes,
                "statements": made.statements,
                "bytes": made.bytes,
            });
            context.output.answer(&json, &text)
        }
        BundleCommand::Import(BundleImportArgs { file }) => {
            let import = context.with_device(async |device| import(device, &file).await);
            let import = import.await?;
            import.check(&file)?;
            context.output.answer(&import.json(), &import.text())?;
            import.verdict()
        }
    }
}

/// What was written.
struct Made {
    statements: u64,
    envelopes: u64,
    bytes: u64,
}

async fn export(
    device: &mut Device,
    args: &BundleExportArgs,
    file: &mut Pending,
) -> Result<Made, Failure> {
    let status = device.status(false).await?;
    let scope = if let Some(wanted) = &args.area {
        BundleScope::Area(named(&status, wanted)?)
    } else if let Some(hub) = &args.missing_at {
        BundleScope::MissingAt(devices::find(device, hub).await?.certificate)
    } else {
        BundleScope::Everything
    };
    // What is written and not sealed yet goes along; a locked device has sealed it when it locked,
    // and one that is shut out seals nothing more.
    if matches!(status.reader, ReaderState::Open { .. }) && status.revoked.is_none() && !status.void
    {
        device.call(Command::Seal).await?;
    }
    let begun = device.call(Command::BundleBegin { scope }).await?;
    let Reply::BundleBegun { bundle, statements, envelopes } = begun else {
        return Err(Failure::answer("the beginning of a bundle"));
    };
    let mut made = Made { statements, envelopes, bytes: 0 };
    loop {
        match device.call(Command::BundlePage { bundle }).await? {
            Reply::BundlePage { page: Some(page) } => {
                file.append(&page)?;
                made.bytes += page.len() as u64;
            }
            Reply::BundlePage { page: None } => return Ok(made),
            _ => return Err(Failure::answer("a page of a bundle")),
        }
    }
}

/// The tag of the area that a user means.
fn named(status: &Status, wanted: &str) -> Result<AreaTag, Failure> {
    if let Some(tag) = AreaTag::from_hex(wanted) {
        return Ok(tag);
    }
    let is_meant = |name: &str| {
        name == wanted || name.rsplit_once('/').is_some_and(|(_, village)| village == wanted)
    };
    let mut found = status.areas.iter().filter(|(name, _)| is_meant(name));
    match (found.next(), found.next()) {
        (Some((_, tag)), None) => Ok(*tag),
        (Some(_), Some(_)) => {
            let message = format!("Several areas have a village {wanted}");
            Err(Failure::new(Kind::Input, "ambiguous", message)
                .hint("Write it as CATCHMENT/VILLAGE"))
        }
        (None, _) if status.reader == ReaderState::Locked => {
            let message = "A locked device knows areas by their tags only";
            Err(Failure::new(Kind::Input, "locked", message).hint(
                "Say --passphrase-file FILE, unlock it with `huza unlock`, or give the area's tag",
            ))
        }
        (None, _) => {
            let message = format!("This device is not a member of an area {wanted}");
            Err(Failure::new(Kind::Input, "unknown_area", message)
                .hint("`huza status` lists its areas"))
        }
    }
}

/// What became of a file.
#[derive(Debug, Default)]
struct Import {
    pages: usize,
    /// Pages that no member of the programme sealed, or that hold something else.
    unusable: usize,
    batches: BTreeSet<u32>,
    /// Of the whole file, if its end was found: statements, envelopes.
    totals: Option<(u64, u64)>,
    statements: TakenPart,
    envelopes: TakenPart,
    damaged: Vec<(u64, u64)>,
    why: BTreeSet<String>,
}

async fn import(device: &mut Device, path: &Path) -> Result<Import, Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut pages, mut import) = (Pages::default(), Import::default());
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        pages.push(chunk.get(..read).unwrap_or_default());
        if read == 0 {
            pages.end();
        }
        while let Some(found) = pages.find() {
            match found {
                Found::Damaged { from, to } => import.damaged.push((from, to)),
                Found::Page(page) => import.take(device, page).await?,
            }
        }
        if read == 0 {
            return Ok(import);
        }
    }
}

impl Import {
    async fn take(&mut self, device: &mut Device, page: Vec<u8>) -> Result<(), Failure> {
        self.pages += 1;
        let taken = match device.call(Command::PageTake { page }).await {
            Ok(Reply::PageTaken(taken)) => *taken,
            Ok(_) => return Err(Failure::answer("a page of a bundle")),
            Err(failure) if ["foreign_page", "malformed_page"].contains(&failure.code.as_str()) => {
                self.unusable += 1;
                self.why.insert(failure.message);
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let Taken { batch, totals, statements, envelopes, why } = taken;
        self.batches.extend(batch);
        self.totals = totals.or(self.totals);
        for (sum, part) in [(&mut self.statements, statements), (&mut self.envelopes, envelopes)] {
            sum.new += part.new;
            sum.known += part.known;
            sum.refused += part.refused;
        }
        self.why.extend(why);
        Ok(())
    }

    /// A file of which nothing can be used is no bundle for this device.
    fn check(&self, path: &Path) -> Result<(), Failure> {
        if self.unusable < self.pages {
            return Ok(());
        }
        let message = match self.why.first() {
            Some(why) => format!("Nothing of {} can be used: {why}", path.display()),
            None => format!("Nothing in {} is whole, or it is no bundle", path.display()),
        };
        Err(Failure::new(Kind::Input, "no_bundle", message)
            .hint("Nothing was taken; bring a file of `huza bundle export` of this programme"))
    }

    /// The first batches in front of the last one found that were not.
    fn missing(&self) -> Vec<u32> {
        let last = self.batches.last().copied().unwrap_or_default();
        (0..last).filter(|number| !self.batches.contains(number)).take(MISSING_SHOWN).collect()
    }

    /// Envelopes that were in the file and did not come out of it, if that can be known.
    fn lost(&self) -> Option<u64> {
        let TakenPart { new, known, refused } = self.envelopes;
        self.totals.map(|(_, envelopes)| envelopes.saturating_sub(new + known + refused))
    }

    fn is_whole(&self) -> bool {
        self.damaged.is_empty()
            && self.unusable == 0
            && self.missing().is_empty()
            && self.lost() == Some(0)
    }

    fn verdict(&self) -> Result<(), Failure> {
        if !self.is_whole() {
            return Err(Failure::new(
                Kind::Incomplete,
                "bundle_damaged",
                "The file is damaged; whatever is whole in it was taken",
            )
            .hint("Copy it again from where it was made, and import it again"));
        }
        if self.statements.refused + self.envelopes.refused > 0 {
            let message = "Some of what is in the file was refused; the rest was taken";
            return Err(Failure::new(Kind::Incomplete, "bundle_refused", message)
                .hint("The reasons are above"));
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let damaged = self.damaged.iter().map(|(from, to)| json!({ "from": from, "to": to }));
        json!({
            "statements": self.statements,
            "envelopes": self.envelopes,
            "batches": self.batches.len(),
            "batches_missing": self.missing(),
            "envelopes_missing": self.lost(),
            "whole": self.is_whole(),
            "damaged": damaged.collect::<Vec<_>>(),
            "why": self.why,
        })
    }

    fn text(&self) -> String {
        let part = |part: TakenPart, noun: &str| {
            let TakenPart { new, known, refused } = part;
            format!("{} new, {known} known, {refused} refused", count(size(new), noun))
        };
        let mut lines = vec![part(self.envelopes, "envelope"), part(self.statements, "statement")];
        lines.extend(self.why.iter().map(|why| format!("  refused: {why}")));
        for (from, to) in &self.damaged {
            lines.push(format!("  damaged: {} at byte {from}", bytes(to - from)));
        }
        let missing = self.missing();
        if !missing.is_empty() {
            let least = if missing.len() < MISSING_SHOWN { "" } else { "at least " };
            let parts = count(missing.len(), "part");
            lines.push(format!("  missing: {least}{parts} of the file"));
        }
        match self.lost() {
            Some(0) => {}
            Some(lost) => lines.push(format!("  missing: {}", count(size(lost), "envelope"))),
            None => lines.push("  its end is missing; what more was in it is not known".to_owned()),
        }
        lines.join("\n")
    }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
