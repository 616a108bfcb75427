//! What users wrote and what they were told of it: the promises that the laws hold nodes to.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::id::RecordId;
use huza_crdt::node::CommandId;

use crate::host::HostId;
use crate::token::Token;

/// One write of one canary.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Who wrote it, and whether as an outsider of that village.
    pub(crate) authors: BTreeMap<HostId, bool>,
    /// The hosts that acknowledged it.
    pub(crate) acked: BTreeSet<HostId>,
    /// Hosts that acknowledged it and lost it to no fault of theirs.
    pub(crate) excused: BTreeSet<HostId>,
    /// The record it is in, as far as it is known.
    pub(crate) record: Option<RecordId>,
    /// With a resource, its key and how many versions of it came before.
    pub(crate) version: Option<(String, u64)>,
}

/// A command under way.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) host: HostId,
    /// Key of the resource, if it is an import, and token of each write.
    pub(crate) writes: Vec<(Option<String>, Token)>,
    /// The village it is about.
    pub(crate) village: u64,
    /// People in it, as far as they are known beforehand.
    pub(crate) people: Vec<RecordId>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: BTreeMap<Token, Entry>,
    pub(crate) under_way: BTreeMap<CommandId, Intent>,
    /// Records that somebody was told of, with their villages.
    pub(crate) records: Vec<(u64, RecordId)>,
    /// Commands that were answered with an error: code -> how many.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Ledger {
    /// Notes that a user wants to write.
    pub(crate) fn want(
        &mut self,
        id: CommandId,
        intent: Intent,
        outsider: bool,
        known: impl Fn(&Token) -> (Option<(String, u64)>, Option<RecordId>),
    ) {
        for (_, token) in &intent.writes {
            let entry = self.entries.entry(*token).or_insert_with(|| Entry {
                authors: BTreeMap::new(),
                acked: BTreeSet::new(),
                excused: BTreeSet::new(),
                version: known(token).0,
                record: known(token).1,
            });
            entry.authors.insert(intent.host, outsider);
        }
        self.under_way.insert(id, intent);
    }

    /// Notes that a node acknowledged some writes.
    pub(crate) fn ack(&mut self, host: HostId, tokens: &[Token]) {
        for token in tokens {
            if let Some(entry) = self.entries.get_mut(token) {
                entry.acked.insert(host);
                entry.excused.remove(&host);
            }
        }
    }

    /// The hosts whose promises are not among what is `sealed` on any disk.
    pub(crate) fn unsealed(&self, sealed: &BTreeSet<Token>) -> BTreeSet<HostId> {
        let open = self.entries.iter().filter(|(token, _)| !sealed.contains(token));
        open.flat_map(|(_, entry)| &entry.acked).copied().collect()
    }

    /// Something was lost: excuses every promise that neither a disk keeps sealed, nor the reader
    /// of the host that gave it. The results are those that are newly excused.
    pub(crate) fn excuse(
        &mut self,
        sealed: &BTreeSet<Token>,
        readers: &BTreeMap<HostId, BTreeSet<Token>>,
    ) -> Vec<(HostId, Token)> {
        let mut newly = Vec::new();
        for (token, entry) in self.entries.iter_mut().filter(|(token, _)| !sealed.contains(token)) {
            let keeps = |host: &&HostId| readers.get(host).is_some_and(|of| of.contains(token));
            let lost: Vec<HostId> =
                entry.acked.iter().filter(|host| !keeps(host)).copied().collect();
            for host in lost {
                if entry.excused.insert(host) {
                    newly.push((host, *token));
                }
            }
        }
        newly
    }

    /// The tokens that this host wrote as an outsider.
    pub(crate) fn written_outside_by(&self, host: HostId) -> BTreeSet<&Token> {
        let outside = |entry: &Entry| entry.authors.get(&host).is_some_and(|outsider| *outsider);
        self.entries.iter().filter(|(_, entry)| outside(entry)).map(|(token, _)| token).collect()
    }

    /// The later versions of the resource that `token` is a version of.
    pub(crate) fn later(&self, token: &Token) -> impl Iterator<Item = &Token> {
        let version = self.entries.get(token).and_then(|entry| entry.version.as_ref());
        let later = move |entry: &Entry| {
            version
                .zip(entry.version.as_ref())
                .is_some_and(|((key, version), (other, later))| key == other && later > version)
        };
        self.entries.iter().filter(move |(_, entry)| later(entry)).map(|(token, _)| token)
    }

    /// The records of which something was lost with a device.
    pub(crate) fn lost_in(&self) -> BTreeSet<RecordId> {
        let lost = self.entries.values().filter(|entry| !entry.excused.is_empty());
        lost.filter_map(|entry| entry.record).collect()
    }

    /// How many promises are excused.
    pub(crate) fn excuses(&self) -> usize {
        self.entries.values().map(|entry| entry.excused.len()).sum()
    }

    /// How many writes were acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        self.entries.values().filter(|entry| !entry.acked.is_empty()).count() as u64
    }
}
