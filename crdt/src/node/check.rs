//! What peers sent is checked: may it be said, and do all its signatures hold? Elsewhere, on as many
//! cores as help; then it goes to [`super::ingest`].

use std::collections::BTreeSet;

use super::Node;
use super::api::Taken;
use super::effects::PARTS;
use super::state::{Source, Task};
use crate::control::{Candidates, LaneError, Statement, kind};
use crate::crypto::{Signed, verify_all};
use crate::envelope::{Header, Urgency, Wire};
use crate::id::{DeviceKey, Hash, LogId};
use crate::session::frame::Run;

/// Signatures that one core checks together before a second one helps: the fewer they are, the more
/// each costs, since every device's key costs as much as a signature.
/// // measured (`huza bench first-sync`): 300 to 600 are best; with 2,000 a core idles
const CHECKED_TOGETHER: usize = 512;

/// A batch as it came.
pub(super) struct Parcel {
    pub(super) from: Source,
    pub(super) number: u32,
    /// As the session counts what it owes.
    pub(super) bytes: usize,
    pub(super) statements: Vec<Statement>,
    pub(super) runs: Vec<Run>,
}

impl Heard {
    /// Where it comes from.
    pub(super) const fn from(&self) -> Source {
        self.from
    }

    /// Whether others wait for it.
    pub(super) fn is_pressing(&self) -> bool {
        self.envelopes.iter().any(|one| one.header.urgency == Urgency::Urgent)
            || self.statements.iter().any(|one| one.kind() == kind::REVOCATION)
    }
}

impl Parcel {
    /// Whether others wait for it.
    pub(super) fn is_pressing(&self) -> bool {
        let mut envelopes = self.runs.iter().flat_map(|run| &run.envelopes);
        envelopes.any(|one| one.urgency == Urgency::Urgent)
            || self.statements.iter().any(|one| one.kind() == kind::REVOCATION)
    }

    /// Whether what follows must be seen in the light of it.
    fn is_alone(&self) -> bool {
        self.statements.iter().any(decides)
    }
}

/// Whether a statement may decide on what becomes of envelopes and of peers.
pub(super) fn decides(statement: &Statement) -> bool {
    let kinds = [kind::REVOCATION, kind::ADMISSION, kind::ERASURE, kind::FORK_PROOF];
    kinds.contains(&statement.kind())
}

/// What it takes to check a parcel.
struct Unchecked {
    from: Source,
    bytes: usize,
    taken: Taken,
    /// Statements that may be made, and the signatures on which they stand.
    statements: Vec<Statement>,
    signed: Vec<Signed>,
    runs: Vec<Run>,
    /// Of the runs.
    authors: Vec<DeviceKey>,
    /// Logs that are left out, since their openings are not known.
    unknown: BTreeSet<LogId>,
    /// Why things are left out.
    why: Vec<String>,
}

/// A batch, its signatures checked.
pub(super) struct Heard {
    pub(super) from: Source,
    pub(super) bytes: usize,
    pub(super) taken: Taken,
    pub(super) statements: Vec<Statement>,
    pub(super) envelopes: Vec<Checked>,
    /// Logs of which something is left out.
    pub(super) refused: BTreeSet<LogId>,
    /// Whether all signatures hold.
    pub(super) valid: bool,
}

/// An envelope in its place, its signature checked.
pub(super) struct Checked {
    pub(super) header: Header,
    /// Of the header.
    pub(super) hash: Hash,
    pub(super) wire: Wire,
}

impl Node {
    /// Takes in a batch. Its signatures are checked at once where that needs nothing of what came
    /// before it; else when its turn to be written comes.
    pub(super) fn take_in(&mut self, parcel: Parcel) {
        let lane = self.carrier.lane.as_ref();
        let opened = |run: &Run| lane.is_some_and(|lane| lane.opening(&run.log).is_some());
        if !parcel.statements.is_empty() || !parcel.runs.iter().all(opened) {
            return self.queue_batch(Task::Ingest { parcel });
        }
        self.carrier.unchecked.push(parcel);
        self.check_ahead();
    }

    /// Checks what can be checked before its turn; what comes meanwhile is then checked together,
    /// which costs less for each.
    fn check_ahead(&mut self) {
        if self.carrier.checking || self.carrier.unchecked.is_empty() {
            return;
        }
        self.carrier.checking = true;
        let parcels = core::mem::take(&mut self.carrier.unchecked);
        self.check(parcels, |node, heard| {
            node.carrier.checking = false;
            heard.into_iter().for_each(|heard| node.queue_batch(Task::Accept { heard }));
            node.check_ahead();
        });
    }

    /// Checks a batch whose turn has come, and those of the same session that wait right behind it:
    /// each may lean on the statements of those before it.
    pub(super) fn ingest(&mut self, parcel: Parcel) {
        let (from, alone) = (parcel.from, parcel.is_alone());
        let mut parcels = vec![parcel];
        let follows = |task: &mut Task| match task {
            Task::Ingest { parcel } => !alone && parcel.from == from && !parcel.is_alone(),
            _ => false,
        };
        while let Some(Task::Ingest { parcel }) = self.carrier.tasks.pop_front_if(follows) {
            parcels.push(parcel);
        }
        self.check(parcels, |node, heard| node.accept(heard));
    }

    /// Checks all signatures of batches, elsewhere, and goes on with those in which they hold.
    fn check(
        &mut self,
        parcels: Vec<Parcel>,
        then: impl FnOnce(&mut Self, Vec<Heard>) + Send + 'static,
    ) {
        let Some(lane) = &self.carrier.lane else { return then(self, Vec::new()) };
        let mut candidates = lane.candidates();
        let prepare = |parcel| prepare(&mut candidates, parcel);
        let mut all: Vec<Unchecked> = parcels.into_iter().map(prepare).collect();
        for one in &mut all {
            for why in core::mem::take(&mut one.why) {
                self.refuse_part(one.from, &mut one.taken, why);
            }
        }
        let parts = in_parts(all).into_iter().map(|part| (part, self.entropy.draw())).collect();
        let run = |(part, entropy)| check_all(part, entropy);
        self.work_each("verify", parts, run, |node, heard| {
            then(node, heard.into_iter().flatten().collect());
        });
    }
}

/// What it takes to check a batch, whose statements may lean on those of the batches before it.
fn prepare(candidates: &mut Candidates<'_>, parcel: Parcel) -> Unchecked {
    let Parcel { from, number, bytes, statements, mut runs } = parcel;
    let mut taken = Taken { batch: Some(number), ..Taken::default() };
    let mut signed: Vec<Signed> = Vec::new();
    let mut why = Vec::new();
    let mut usable = Vec::new();
    for statement in statements {
        match candidates.add(&statement) {
            Ok(more) => {
                signed.extend(more);
                usable.push(statement);
            }
            Err(error) => why.push(error.to_string()),
        }
    }
    // Their opening may have been refused here, since their author made too many, or the page with
    // it be lost: the others stay.
    let author = |run: &Run| candidates.author(&run.log);
    let left: Vec<Run> = runs.extract_if(.., |run| author(run).is_none()).collect();
    let authors = runs.iter().filter_map(author).collect();
    taken.statements.refuse(why.len());
    taken.envelopes.refuse(left.iter().map(|run| run.envelopes.len()).sum());
    let unknown: BTreeSet<LogId> = left.into_iter().map(|run| run.log).collect();
    why.extend((!unknown.is_empty()).then(|| LaneError::UnknownLog.to_string()));
    Unchecked { from, bytes, taken, statements: usable, signed, runs, authors, unknown, why }
}

/// Divides batches for as many cores as phones have fast ones, if they hold enough signatures.
fn in_parts(batches: Vec<Unchecked>) -> Vec<Vec<Unchecked>> {
    let envelopes = |one: &Unchecked| one.runs.iter().map(|run| run.envelopes.len()).sum::<usize>();
    let signatures = |one: &Unchecked| one.signed.len() + envelopes(one);
    let all: usize = batches.iter().map(signatures).sum();
    let share = all.div_ceil(PARTS).max(CHECKED_TOGETHER);
    let mut parts: Vec<Vec<Unchecked>> = Vec::new();
    let mut before = 0;
    for one in batches {
        let part = before / share;
        before += signatures(&one);
        match parts.get_mut(part) {
            Some(part) => part.push(one),
            None => parts.push(vec![one]),
        }
    }
    parts
}

/// Restores the headers of batches and checks every signature, all together.
fn check_all(batches: Vec<Unchecked>, entropy: [u8; 32]) -> Vec<Heard> {
    let mut signed = Vec::new();
    let restored: Vec<(Heard, usize)> = batches
        .into_iter()
        .map(|one| {
            let before = signed.len();
            (restore(one, &mut signed), signed.len() - before)
        })
        .collect();
    let mut valid = verify_all(&signed, entropy).into_iter();
    let judge = |(heard, count): (Heard, usize)| Heard {
        valid: valid.by_ref().take(count).fold(true, |all, one| all & one),
        ..heard
    };
    restored.into_iter().map(judge).collect()
}

/// Restores the headers of a batch, and adds its signatures to those to be checked.
fn restore(one: Unchecked, signed: &mut Vec<Signed>) -> Heard {
    let Unchecked { from, bytes, taken, statements, signed: told, runs, authors, unknown, .. } =
        one;
    signed.extend(told);
    let mut envelopes = Vec::new();
    for (run, author) in runs.into_iter().zip(authors) {
        let mut previous: Hash = run.previous;
        for (seq, wire) in (run.first..).zip(run.envelopes) {
            let header = wire.header(run.log, seq, previous);
            previous = header.hash();
            signed.push(header.signed(author, wire.signature));
            envelopes.push(Checked { header, hash: previous, wire });
        }
    }
    Heard { from, bytes, taken, statements, envelopes, refused: unknown, valid: false }
}
