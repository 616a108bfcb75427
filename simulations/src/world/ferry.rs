//! Bundles: a device fills a file, somebody carries it about, loses or damages pages of it, and
//! another device reads what is left, perhaps much later, perhaps twice.

use std::collections::BTreeMap;

use huza_crdt::bundle::{Found, Pages};
use huza_crdt::node::{BundleScope, Command, CommandId, Input, Reply};

use super::{Happening, World};
use crate::host::{Host, HostId};
use crate::violation::{Broken, Law, Violation};

/// Bundles that are being filled or read, by the command that is waited for.
#[derive(Debug, Default)]
pub(super) struct Ferries {
    under_way: BTreeMap<CommandId, Ride>,
}

/// How far one bundle is.
#[derive(Debug)]
enum Ride {
    /// It is being filled, for another device.
    Filling { to: HostId, bundle: Option<u64>, file: Vec<u8> },
    /// It is being read: these pages are left.
    Reading { pages: Vec<Vec<u8>> },
}

impl World {
    /// A device begins to fill a bundle for another.
    pub(crate) fn ferry(&mut self, from: HostId, to: HostId) -> Result<(), Violation> {
        let ride = Ride::Filling { to, bundle: None, file: Vec::new() };
        self.ride(from, ride, Command::BundleBegin { scope: BundleScope::Everything })
    }

    /// A file is read, what is damaged of it apart.
    pub(crate) fn unload(&mut self, at: HostId, file: &[u8]) -> Result<(), Violation> {
        let mut found = Pages::default();
        found.push(file);
        let mut pages = Vec::new();
        while let Some(one) = found.find() {
            if let Found::Page(sealed) = one {
                pages.push(sealed);
            }
        }
        pages.reverse();
        self.read_page(at, pages)
    }

    fn read_page(&mut self, at: HostId, mut pages: Vec<Vec<u8>>) -> Result<(), Violation> {
        let Some(page) = pages.pop() else { return Ok(()) };
        self.ride(at, Ride::Reading { pages }, Command::PageTake { page })
    }

    fn ride(&mut self, host: HostId, ride: Ride, command: Command) -> Result<(), Violation> {
        if !self.hosts.get(&host).is_some_and(Host::is_running) {
            return Ok(());
        }
        let id = self.command_id();
        self.ferries.under_way.insert(id, ride);
        self.feed(host, Input::Command { id, command: Box::new(command) })
    }

    /// Whether a command is one of a bundle.
    pub(super) fn is_ferried(&self, command: CommandId) -> bool {
        self.ferries.under_way.contains_key(&command)
    }

    /// A node answered about a bundle.
    pub(super) fn ferried(
        &mut self,
        host: HostId,
        command: CommandId,
        reply: Reply,
    ) -> Result<(), Violation> {
        match (self.ferries.under_way.remove(&command), reply) {
            (Some(Ride::Filling { to, file, .. }), Reply::BundleBegun { bundle, .. }) => {
                let ride = Ride::Filling { to, bundle: Some(bundle), file };
                self.ride(host, ride, Command::BundlePage { bundle })
            }
            (
                Some(Ride::Filling { to, bundle: Some(bundle), mut file }),
                Reply::BundlePage { page: Some(page) },
            ) => {
                if self.laws.tokens.any(&page) {
                    let broken = Broken::new(Law::Secrecy, "a canary is in a bundle");
                    return Err(self.violated(Some(host), &broken));
                }
                file.extend(page);
                let ride = Ride::Filling { to, bundle: Some(bundle), file };
                self.ride(host, ride, Command::BundlePage { bundle })
            }
            (Some(Ride::Filling { to, mut file, .. }), Reply::BundlePage { .. }) => {
                self.laws.count("bundles filled", 1);
                if self.draws.faults.chance(300) {
                    let at = self.draws.faults.below(file.len() as u64);
                    let byte = usize::try_from(at).ok().and_then(|at| file.get_mut(at));
                    byte.into_iter().for_each(|byte| *byte ^= 0x55);
                }
                for _ in 0..self.draws.faults.between(1, 2) {
                    let at = self.now + self.draws.faults.below(self.options.chaos_ms);
                    self.plan(at, Happening::Unload(to, file.clone()));
                }
                Ok(())
            }
            (Some(Ride::Reading { pages }), Reply::PageTaken(_)) => {
                self.laws.count("pages of bundles read", 1);
                self.read_page(host, pages)
            }
            // Another was begun, it is no member, or it was shut out: all say so.
            (_, Reply::Error(error)) => {
                *self.ledger.errors.entry(error.code).or_default() += 1;
                Ok(())
            }
            (_, reply) => Err(self.unexpected(host, "a bundle", &reply)),
        }
    }
}
