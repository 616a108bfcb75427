//! What authorities decide while everything goes wrong: each decision is a chain of commands, of
//! which any answer may be lost with the device that owes it.

use std::collections::BTreeSet;

use huza_crdt::control::Reason;
use huza_crdt::id::RecordId;
use huza_crdt::node::{Command, CommandId, Input, Order, Reply};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, JoinRequest};

use super::{Happening, World};
use crate::host::{Belonging, Host, HostId, Nature, Reader};
use crate::options::Planted;
use crate::programme::{catchment_of, village_code};
use crate::violation::Violation;

/// What an authority decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A phone is lost or stolen.
    Revoke { trust: bool, rotate: bool },
    /// A revoked phone is found again.
    Reenrol,
    /// Keys are made anew.
    Rotate { whole: bool },
    /// Something quarantined is looked at.
    Judge { admit: bool },
    /// A person wants to be forgotten.
    Erase,
    /// Somebody begins to work.
    Enrol,
}

/// A command under way, and what follows its answer.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// An order: nothing follows.
    Order,
    /// A lock: nothing follows.
    Lock,
    /// An authority looks at what is quarantined.
    Look { authority: HostId, admit: bool },
    /// A device makes its request.
    Ask { authority: HostId, host: HostId },
    /// An authority answers it.
    Approve { host: HostId },
    /// The device takes the answer.
    Join { host: HostId },
}

/// What this world remembers of it.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) under_way: std::collections::BTreeMap<CommandId, (HostId, Step)>,
    /// Records that somebody ordered to be erased, whether that was heard or not.
    pub(crate) erasing: BTreeSet<RecordId>,
    /// Hosts whose stores were replaced by a copy that does not know it is one.
    pub(crate) twins: BTreeSet<HostId>,
}

impl World {
    /// Asks a node something whose answer [`World::stepped`] takes.
    fn begin(&mut self, host: HostId, step: Step, command: Command) -> Result<(), Violation> {
        let id = self.command_id();
        if !self.hosts.get(&host).is_some_and(Host::is_running) {
            return Ok(());
        }
        self.trust.under_way.insert(id, (host, step));
        self.feed(host, Input::Command { id, command: Box::new(command) })
    }

    fn order(&mut self, authority: HostId, order: Order) -> Result<(), Violation> {
        self.laws.count("orders given", 1);
        self.begin(authority, Step::Order, Command::Order(Box::new(order)))
    }

    /// One of the authority devices decides.
    pub(super) fn decide(&mut self, decision: Decision) -> Result<(), Violation> {
        let authorities = self.ids(|host| host.nature.role == Role::Authority && host.ready);
        let Some(authority) = self.draws.faults.pick(&authorities).copied() else { return Ok(()) };
        let catchment = self.hosts.get(&authority).map_or(0, |host| host.nature.catchment);
        let phones = self.ids(|host| {
            host.is_member()
                && host.exists
                && host.nature.is_phone()
                && host.nature.catchment == catchment
        });
        match decision {
            Decision::Revoke { trust, rotate } => {
                let phone = self.draws.faults.pick(&phones).copied();
                let certificate = phone.and_then(|id| self.hosts.get(&id)?.certificate);
                let Some(certificate) = certificate else { return Ok(()) };
                let reason =
                    self.draws.faults.pick_or(&[Reason::Lost, Reason::Stolen], Reason::Lost);
                self.order(authority, Order::Revoke { certificate, reason, trust, rotate })
            }
            Decision::Reenrol => {
                let revoked = |id: &&HostId| {
                    let certificate = self.hosts.get(id).and_then(|host| host.certificate);
                    certificate.is_some_and(|one| self.laws.revoked.contains(&one))
                };
                let found: Vec<HostId> = phones.iter().filter(revoked).copied().collect();
                let Some(host) = self.draws.faults.pick(&found).copied() else { return Ok(()) };
                self.begin(host, Step::Ask { authority, host }, Command::Request)
            }
            Decision::Rotate { whole } => {
                let villages: Vec<String> =
                    self.programmes.auditor.villages(catchment).into_iter().collect();
                let village = self.draws.faults.pick(&villages).filter(|_| !whole).cloned();
                self.order(authority, Order::Rotate { village })
            }
            Decision::Judge { admit } => {
                let step = Step::Look { authority, admit };
                self.begin(authority, step, Command::Status { records: false })
            }
            Decision::Erase => {
                let here: Vec<RecordId> = self
                    .ledger
                    .records
                    .iter()
                    .filter(|(village, _)| catchment_of(*village) == catchment)
                    .map(|(_, record)| *record)
                    .collect();
                let Some(record) = self.draws.faults.pick(&here).copied() else { return Ok(()) };
                self.trust.erasing.insert(record);
                self.order(authority, Order::Erase { record })
            }
            Decision::Enrol => self.enrol(authority, catchment),
        }
    }

    /// A new phone asks to join.
    fn enrol(&mut self, authority: HostId, catchment: u64) -> Result<(), Violation> {
        let villages: Vec<u64> = (0..self.options.villages)
            .map(|village| crate::programme::village_number(catchment, village))
            .collect();
        let village = self.draws.faults.pick(&villages).copied();
        let Some(last) = self.hosts.keys().next_back() else { return Ok(()) };
        let host = HostId(last.0 + 1);
        let label = format!("newcomer{}", host.0);
        let nature = Nature {
            label: label.clone(),
            // Until it has joined.
            belonging: Belonging::Nobody,
            role: Role::Worker,
            catchment,
            covers: village.into_iter().collect(),
        };
        let settings = self.options.settings();
        let new = Host::new(host, nature, settings, &mut self.draws.keys);
        self.hosts.insert(host, new);
        self.start(host)?;
        self.begin(host, Step::Ask { authority, host }, Command::Init { label })
    }

    /// A node answered one step of a decision.
    pub(super) fn stepped(&mut self, step: Step, reply: Reply) -> Result<(), Violation> {
        match (step, reply) {
            (Step::Ask { authority, host }, Reply::Request { request }) => {
                self.approve_at(authority, host, request)
            }
            (Step::Approve { host }, Reply::Approved { welcome, .. }) => {
                self.begin(host, Step::Join { host }, Command::Join { welcome })
            }
            (Step::Join { host }, Reply::Joined { .. }) => {
                self.laws.count("devices enrolled by authority devices", 1);
                let Some(host) = self.hosts.get_mut(&host) else { return Ok(()) };
                host.nature.belonging = Belonging::Member;
                self.plan_for_newcomer()
            }
            (Step::Look { authority, admit }, Reply::Status(status)) => {
                let runs = status
                    .quarantined
                    .iter()
                    .flat_map(|one| one.runs.iter().map(|(from, to, _)| (one.log, *from, *to)));
                let runs: Vec<_> = runs.collect();
                let Some((log, from, to)) = self.draws.faults.pick(&runs).copied() else {
                    return Ok(());
                };
                let to = Some(self.draws.faults.between(from, to));
                self.order(authority, Order::Judge { log, from, to, admit })
            }
            (_, Reply::Issued { .. }) => {
                self.laws.count("orders carried out", 1);
                Ok(())
            }
            (_, Reply::Error(error)) => {
                *self.ledger.errors.entry(error.code).or_default() += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn approve_at(
        &mut self,
        authority: HostId,
        id: HostId,
        request: JoinRequest,
    ) -> Result<(), Violation> {
        let Some(host) = self.hosts.get(&id) else { return Ok(()) };
        let villages: Vec<String> = host.nature.covers.iter().copied().map(village_code).collect();
        // Its clock may be wrong.
        let of = Approval::of(host.nature.role, &villages);
        let approval = Approval { any_date: true, again: true, ..of };
        self.laws.count("orders given", 1);
        let order = Order::Approve { request, approval };
        self.begin(authority, Step::Approve { host: id }, Command::Order(Box::new(order)))
    }

    /// Who joined meets others and writes.
    fn plan_for_newcomer(&mut self) -> Result<(), Violation> {
        let Some(new) = self.hosts.keys().next_back().copied() else { return Ok(()) };
        let others = self.ids(|host| host.is_member() && host.exists && host.id != new);
        for _ in 0..3 {
            let at = self.now + self.draws.faults.below(self.options.chaos_ms / 2);
            self.plan(at, Happening::User(new));
            if let Some(other) = self.draws.faults.pick(&others).copied() {
                let stay = self.draws.faults.between(1_000, self.options.meeting_ms_max.max(1_000));
                self.plan(at + 1, Happening::Meet(new, other, stay));
            }
        }
        Ok(())
    }

    /// A worker locks the reader.
    pub(super) fn lock(&mut self, id: HostId) -> Result<(), Violation> {
        let open = self.hosts.get(&id).is_some_and(|host| host.reader == Reader::Open);
        if !open {
            return Ok(());
        }
        self.begin(id, Step::Lock, Command::Lock)?;
        if let Some(host) = self.hosts.get_mut(&id)
            && self.options.planted == Some(Planted::LockAtOnce)
        {
            host.reader = Reader::Locked;
        }
        Ok(())
    }

    /// A worker unlocks the reader.
    pub(crate) fn unlock(&mut self, id: HostId) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        if host.reader == Reader::Open {
            return Ok(());
        }
        host.reader = Reader::Open;
        let worker = host.worker();
        self.feed(id, Input::ReaderOpened { worker })
    }

    /// The certificates that some statement on a member's disk revokes.
    pub(crate) fn revoked_now(&self) -> BTreeSet<huza_crdt::id::CertId> {
        let members = self.hosts.values().filter(|host| host.is_member() && host.exists);
        let statements = members.flat_map(|host| host.disk.durable.carrier.statements());
        statements.filter_map(crate::check::shut_out::revoked_by).collect()
    }

    /// The members that are there and trusted.
    pub(crate) fn good(&self) -> Vec<HostId> {
        let revoked = self.revoked_now();
        self.ids(|host| {
            host.is_member()
                && host.exists
                && host.certificate.is_none_or(|certificate| !revoked.contains(&certificate))
        })
    }
}
