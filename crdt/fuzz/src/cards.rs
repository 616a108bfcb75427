//! What the file of a bundle can hold: damaged by chance, written by a stranger, or by a member who
//! seals what no device would write. All bytes are accounted for, whatever the chunks in which they
//! are read; nothing that is taken in panics, and nothing of it keeps an honest bundle out.

use huza_crdt::bundle::{self, CONTEXT, Found, Pages};
use huza_crdt::crypto::SymmetricKey;
use huza_crdt::node::{BundleScope, Command, Reply};
use huza_crdt::session::frame::Frame;
use huza_crdt::store::{MemoryStore, Range, Table};
use huza_crdt::trust::Role;

use super::common::{Host, World};
use super::raw_peer::RawPeer;

/// Most that one run does to a file.
const HARMS_MAX: usize = 16;

/// A bundle of a phone that wrote a little, and a relay that is to take it in.
pub struct Cards {
    relay: Host,
    store: MemoryStore,
    member: SymmetricKey,
    /// What is sealed in its pages.
    frames: Vec<Vec<u8>>,
    file: Vec<u8>,
    envelopes: usize,
}

impl Default for Cards {
    fn default() -> Self {
        Self::new()
    }
}

impl Cards {
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        let member = RawPeer::join(&mut world, 9, Role::Worker, "01").membership.member;
        let relay = world.device(3, Role::Relay, &[]);
        let store = relay.backup();
        let mut phone = world.device(1, Role::Worker, &["01"]);
        let person = phone.person("zza");
        phone.visit(person, &[("age-months", "14"), ("convulsions", "yes")]);
        phone.person("zzb");
        phone.call(Command::Seal);
        let begun = phone.call(Command::BundleBegin { scope: BundleScope::Everything });
        let Reply::BundleBegun { bundle, .. } = begun else { panic!("{begun:?}") };
        let mut file = Vec::new();
        while let Reply::BundlePage { page: Some(page) } =
            phone.call(Command::BundlePage { bundle })
        {
            file.extend(page);
        }
        let frames: Vec<Vec<u8>> = pages(&file, 4_096)
            .iter()
            .map(|page| member.open(CONTEXT, page).unwrap().to_vec())
            .collect();
        assert!(frames.len() > 2);
        let mut cards = Self { relay, store, member, frames, file, envelopes: 0 };
        let mut host = cards.relay.over(cards.store.clone());
        cards.import(&mut host);
        cards.envelopes = held(&host);
        assert!(cards.envelopes > 1);
        cards
    }

    /// How to begin (1 byte), then what is done (1), where (2) and with what (1), again and again.
    pub fn run(&self, bytes: &[u8]) {
        let Some((how, harms)) = bytes.split_first() else { return };
        let mut host = self.relay.over(self.store.clone());
        let found = match how % 4 {
            // Any bytes.
            0 => pages(harms, 1 + usize::from(*how)),
            // The file, damaged.
            1 => {
                let mut file = self.file.clone();
                harms.chunks_exact(4).take(HARMS_MAX).for_each(|harm| damage(&mut file, harm));
                pages(&file, 1 + 16 * usize::from(*how))
            }
            // Pages that a member seals: what an honest one would, changed.
            2 => {
                let (chosen, harms) = harms.split_first().unwrap_or((&0, &[]));
                let mut frame = self.frames[usize::from(*chosen) % self.frames.len()].clone();
                harms.chunks_exact(4).take(HARMS_MAX).for_each(|harm| damage(&mut frame, harm));
                vec![self.member.seal(CONTEXT, &frame, [*how; 32])]
            }
            // Or anything.
            _ => vec![self.member.seal(CONTEXT, harms, [*how; 32])],
        };
        for page in found {
            let frame = self.member.open(CONTEXT, &page).ok();
            let frame = frame.and_then(|frame| Frame::from_bytes(&frame).ok());
            match (frame, host.call(Command::PageTake { page })) {
                (Some(Frame::Batch { statements, runs, .. }), Reply::PageTaken(taken)) => {
                    let envelopes = runs.iter().map(|run| run.envelopes.len() as u64).sum::<u64>();
                    let told = [taken.statements, taken.envelopes]
                        .map(|part| part.new + part.known + part.refused);
                    assert_eq!(told, [statements.len() as u64, envelopes], "{taken:?}");
                }
                (Some(Frame::Totals { .. }), Reply::PageTaken(taken)) => {
                    assert!(taken.totals.is_some());
                }
                (_, Reply::Error(_)) => {}
                (frame, reply) => panic!("{reply:?} to {frame:?}"),
            }
        }
        self.import(&mut host);
        assert_eq!(held(&host), self.envelopes, "the honest bundle is not taken in");
    }

    /// Takes in the bundle as it was written.
    fn import(&self, host: &mut Host) {
        for page in pages(&self.file, 4_096) {
            let reply = host.call(Command::PageTake { page });
            assert!(matches!(reply, Reply::PageTaken(_)), "{reply:?}");
        }
    }
}

/// What is sealed in the whole pages of a file, which is read in chunks of two sizes.
fn pages(file: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let all = found(file, file.len().max(1));
    assert_eq!(all, found(file, chunk), "in chunks of {chunk}");
    let (mut at, mut sealed) = (0, Vec::new());
    for one in all {
        match one {
            Found::Page(page) => {
                at += bundle::page(&page).len() as u64;
                sealed.push(page);
            }
            Found::Damaged { from, to } => {
                assert!(from == at && to > from);
                at = to;
            }
        }
    }
    assert_eq!(at, file.len() as u64);
    sealed
}

fn found(file: &[u8], chunk: usize) -> Vec<Found> {
    let mut pages = Pages::default();
    let mut found = Vec::new();
    for bytes in file.chunks(chunk) {
        pages.push(bytes);
        found.extend(core::iter::from_fn(|| pages.find()));
    }
    pages.end();
    found.extend(core::iter::from_fn(|| pages.find()));
    found
}

/// Changes bytes: what, where (2), with what.
fn damage(bytes: &mut Vec<u8>, harm: &[u8]) {
    let &[what, low, high, with] = harm else { return };
    let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len().max(1);
    match what % 5 {
        0 if at < bytes.len() => bytes[at] ^= with | 1,
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..(at + usize::from(with)).min(bytes.len()))),
        3 => drop(bytes.splice(at..at, [with; 7])),
        // Again what is there.
        4 => {
            let again = bytes[at..(at + 8 * usize::from(with)).min(bytes.len())].to_vec();
            bytes.extend(again);
        }
        _ => {}
    }
}

/// How many envelopes a host holds.
fn held(host: &Host) -> usize {
    host.store.load(&Range { rows_max: usize::MAX, ..Range::all(Table::Envelopes) }).len()
}
