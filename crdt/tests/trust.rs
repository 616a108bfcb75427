//! Revocation, quarantine, rotation, handover: who is shut out, and what stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use common::{Host, TODAY, World, complete};
use huza_crdt::control::Reason;
use huza_crdt::id::{CertId, LogId};
use huza_crdt::node::{Command, Event, Input, Order, Reply};
use huza_crdt::session::Fault;
use huza_crdt::store::{Range, Table};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, JoinRequest};

fn certificate(host: &mut Host) -> CertId {
    host.status().certificate.unwrap()
}

fn request(host: &mut Host) -> JoinRequest {
    match host.call(Command::Request) {
        Reply::Request { request } => request,
        other => panic!("{other:?}"),
    }
}

/// An authority device approves a device.
fn enrol(authority: &mut Host, host: &mut Host, role: Role, villages: &[&str]) {
    approve(authority, host, role, villages, false);
}

/// The same, of one that was shut out.
fn enrol_again(authority: &mut Host, host: &mut Host, role: Role, villages: &[&str]) {
    approve(authority, host, role, villages, true);
}

fn approve(authority: &mut Host, host: &mut Host, role: Role, villages: &[&str], again: bool) {
    let villages: Vec<String> = villages.iter().map(|v| (*v).to_owned()).collect();
    let request = request(host);
    let approval = Approval { again, ..Approval::of(role, &villages) };
    let reply = authority.order(Order::Approve { request, approval });
    let Reply::Approved { welcome, .. } = reply else { panic!("{reply:?}") };
    let reply = host.call(Command::Join { welcome });
    assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
}

fn issued(reply: &Reply) {
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
}

fn revoke(authority: &mut Host, certificate: CertId, trust: bool) {
    let order = Order::Revoke { certificate, reason: Reason::Stolen, trust, rotate: true };
    issued(&authority.order(order));
}

fn fault(host: &Host) -> Option<Fault> {
    let ended = host.events.iter().rev().find_map(|event| match event {
        Event::ContactEnded { fault, .. } => Some(fault.clone()),
        _ => None,
    });
    ended.flatten()
}

/// An authority device, a hub and two phones of one village, all of whom have met.
struct Story {
    world: World,
    authority: Host,
    hub: Host,
    a: Host,
    b: Host,
}

fn story() -> Story {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut hub = Host::new(2, true);
    enrol(&mut authority, &mut hub, Role::Hub, &[]);
    let (mut a, mut b) = (Host::new(3, true), Host::new(4, true));
    enrol(&mut authority, &mut a, Role::Worker, &["01"]);
    enrol(&mut authority, &mut b, Role::Worker, &["01"]);
    a.person("Uwase");
    b.person("Keza");
    let mut story = Story { world, authority, hub, a, b };
    story.gather();
    story
}

impl Story {
    /// Everybody meets the hub, twice.
    fn gather(&mut self) {
        for _ in 0..2 {
            for host in [&mut self.authority, &mut self.a, &mut self.b] {
                self.world.meet(host, &mut self.hub);
            }
        }
    }
}

#[test]
fn an_authority_device_enrols_phones_that_work() {
    let mut story = story();
    assert_eq!(story.b.found("uwase"), 1);
    assert_eq!(story.authority.found("keza"), 1);
    let status = story.a.status();
    assert!(status.records.iter().any(|record| record.stored), "{status:?}");
}

#[test]
fn wrong_stale_and_replayed_requests_are_refused_with_the_reason() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut other = world.device(9, Role::Authority, &[]);
    let mut phone = Host::new(3, true);
    let first = request(&mut phone);
    let refused = |reply: Reply, part: &str| {
        let Reply::Error(error) = reply else { panic!("{reply:?}") };
        assert!(error.message.contains(part), "{error:?}");
        assert!(!error.hint.is_empty());
    };
    let ask = |request: &JoinRequest, role, villages: &[&str]| {
        let villages: Vec<String> = villages.iter().map(|v| (*v).to_owned()).collect();
        Order::Approve { request: request.clone(), approval: Approval::of(role, &villages) }
    };
    refused(authority.order(ask(&first, Role::Worker, &["77"])), "not in this catchment");
    refused(authority.order(ask(&first, Role::Worker, &[])), "at least one village");
    refused(authority.order(ask(&first, Role::Authority, &["01"])), "whole catchment");
    let mut relay = Host::new(8, false);
    let carries = request(&mut relay);
    refused(authority.order(ask(&carries, Role::Worker, &["01"])), "only carries");
    let mut late = first.clone();
    late.made = huza_crdt::time::Stamp(TODAY.0 - 30 * 86_400);
    refused(authority.order(ask(&late, Role::Worker, &["01"])), "not signed");
    let reply = authority.order(ask(&first, Role::Worker, &["01"]));
    assert!(matches!(reply, Reply::Approved { .. }), "{reply:?}");
    refused(authority.order(ask(&first, Role::Worker, &["02"])), "answered before");
    // Another authority device of the centre knows it too, once they have met.
    world.meet(&mut authority, &mut other);
    refused(other.order(ask(&first, Role::Worker, &["02"])), "answered before");
    // Weeks later, by the authority's clock.
    let second = request(&mut phone);
    authority.days_pass(30);
    refused(authority.order(ask(&second, Role::Worker, &["01"])), "stale");
    let mut any = Approval::of(Role::Worker, &["01".to_owned()]);
    any.any_date = true;
    let reply = authority.order(Order::Approve { request: second, approval: any });
    assert!(matches!(reply, Reply::Approved { .. }), "a phone without a clock: {reply:?}");
    // Not an authority.
    let mut worker = world.device(5, Role::Worker, &["01"]);
    let third = request(&mut phone);
    refused(worker.order(ask(&third, Role::Worker, &["01"])), "no authority device");
}

#[test]
fn a_revoked_phone_learns_it_is_shut_out_and_reads_nothing_new() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    world.meet(authority, hub);
    let pipe = world.meet(a, hub);
    assert!(!complete(a, pipe) && !complete(hub, pipe));
    assert_eq!(fault(hub), Some(Fault::Revoked));
    assert_eq!(a.status().revoked, Some(Reason::Stolen));
    let own = |event: &Event| matches!(event, Event::Revoked { own: true, .. });
    assert!(a.events.iter().any(own), "its user is told");
    let reply = a.call(Command::AddPerson {
        area: huza_crdt::node::AreaRef::Own,
        fields: std::collections::BTreeMap::from([("name/given".to_owned(), "X".to_owned())]),
    });
    assert!(matches!(reply, Reply::Error(error) if error.code == "revoked"));
    // Those who remain write with a key that it does not hold.
    world.meet(b, hub);
    b.person("Mutesi");
    let pipe = world.meet(b, hub);
    assert!(complete(b, pipe));
    assert_eq!(hub.found("mutesi"), 1);
    assert_eq!(b.found("uwase"), 1, "what it wrote before counts");
    // Even if somebody who does not know of the theft gives it everything.
    let everything = b.backup();
    let mut thief = a.over(a.backup());
    thief.steal_envelopes(&everything);
    assert_eq!(thief.found("mutesi"), 0);
    assert_eq!(thief.found("keza"), 1, "the past it could read already");
}

#[test]
fn a_device_that_is_shut_out_is_not_shut_out_again() {
    let mut story = story();
    let stolen = certificate(&mut story.a);
    revoke(&mut story.authority, stolen, true);
    let statements = story.authority.status().statements;
    let (reason, rotate) = (Reason::Lost, true);
    let again = Order::Revoke { certificate: stolen, reason, trust: true, rotate };
    let reply = story.authority.order(again);
    let Reply::Error(error) = reply else { panic!("{reply:?}") };
    assert_eq!(error.code, "already_revoked");
    assert!(error.message.contains("already: stolen"), "{}", error.message);
    assert_eq!(story.authority.status().statements, statements);
    // To trust it less is another order.
    revoke(&mut story.authority, stolen, false);
}

#[test]
fn a_revocation_travels_through_carriers_that_cannot_read() {
    let mut story = story();
    let Story { world, authority, a, b, .. } = &mut story;
    let mut relay = world.device(7, Role::Relay, &[]);
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    world.meet(authority, &mut relay);
    world.meet(&mut relay, b);
    world.meet(a, b);
    assert_eq!(fault(b), Some(Fault::Revoked));
}

#[test]
fn an_open_session_ends_when_its_peers_revocation_comes() {
    let mut story = story();
    let Story { world, authority, hub, a, .. } = &mut story;
    let pipe = world.open(a, hub);
    World::carry(a, hub, usize::MAX);
    assert!(complete(hub, pipe) && !hub.closed.contains(&pipe));
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    world.meet(authority, hub);
    assert!(hub.closed.contains(&pipe), "while it was open");
    World::carry(a, hub, usize::MAX);
    assert_eq!(a.status().revoked, Some(Reason::Stolen), "told before it closed");
}

#[test]
fn what_lies_beyond_the_cut_off_is_quarantined_until_an_authority_judges() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    // The phone, in whosever hands, writes on; a colleague who has not heard takes it.
    a.person("Ingabire");
    a.person("Forged");
    world.meet(a, b);
    assert_eq!(b.found("ingabire"), 1, "nobody told B yet");
    world.meet(authority, hub);
    world.meet(b, hub);
    assert_eq!((b.found("ingabire"), hub.found("ingabire")), (0, 0), "taken out again");
    assert_eq!((b.found("uwase"), hub.found("uwase")), (1, 1));
    let held_back = hub.status().quarantined;
    assert_eq!(held_back.len(), 1);
    assert_eq!(held_back[0].certificate, stolen);
    let (log, (from, to, rejected)) = (held_back[0].log, held_back[0].runs[0]);
    assert!(!rejected);
    // Nothing of it is lost: an authority looks at it and admits it.
    world.meet(authority, hub);
    issued(&authority.order(Order::Judge { log, from, to: Some(to), admit: true }));
    assert_eq!(authority.found("ingabire"), 1);
    world.meet(authority, hub);
    let pipe = world.meet(b, hub);
    assert!(complete(b, pipe));
    assert_eq!((b.found("ingabire"), hub.found("ingabire")), (1, 1));
    // And may think again.
    issued(&authority.order(Order::Judge { log, from, to: Some(to), admit: false }));
    world.meet(authority, hub);
    assert_eq!(hub.found("ingabire"), 0);
    assert!(hub.status().quarantined[0].runs[0].2, "rejected");
    // The same after a restart, from what is stored.
    hub.restart(false);
    assert_eq!((hub.found("ingabire"), hub.found("uwase")), (0, 1));
}

#[test]
fn two_authorities_apart_never_conflict() {
    let mut story = story();
    let mut second = Host::new(5, true);
    enrol(&mut story.authority, &mut second, Role::Authority, &[]);
    let Story { world, authority, hub, a, b } = &mut story;
    world.meet(&mut second, hub);
    world.meet(authority, hub);
    a.person("Late");
    world.meet(a, &mut second);
    // One has seen more of the phone than the other; both revoke it, both rotate.
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    revoke(&mut second, stolen, true);
    for _ in 0..2 {
        world.meet(authority, hub);
        world.meet(&mut second, hub);
        world.meet(b, hub);
    }
    for host in [&mut *authority, &mut second, hub, b] {
        assert_eq!((host.found("late"), host.found("uwase")), (0, 1), "the lower cut-off");
    }
    b.person("After");
    b.call(Command::Seal);
    for _ in 0..2 {
        for host in [&mut *authority, &mut second, b] {
            let pipe = world.meet(host, hub);
            assert!(complete(host, pipe));
        }
    }
    for host in [authority, &mut second, hub] {
        assert_eq!(host.found("after"), 1, "rotations made apart are both opened");
    }
    // Each revokes the other: both are out, whoever hears which first.
    let mut story = self::story();
    let mut second = Host::new(5, true);
    enrol(&mut story.authority, &mut second, Role::Authority, &[]);
    let Story { world, authority, hub, b, .. } = &mut story;
    world.meet(&mut second, hub);
    world.meet(authority, hub);
    let (one, other) = (certificate(authority), certificate(&mut second));
    revoke(authority, other, true);
    revoke(&mut second, one, true);
    world.meet(authority, b);
    world.meet(&mut second, hub);
    let pipe = world.meet(b, hub);
    assert!(complete(b, pipe));
    for host in [b, hub] {
        world.meet(authority, host);
        assert_eq!(fault(host), Some(Fault::Revoked));
        world.meet(&mut second, host);
        assert_eq!(fault(host), Some(Fault::Revoked));
    }
}

#[test]
fn a_stolen_authority_that_revokes_everybody_is_undone_from_above() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    let (thief, victim) = (certificate(authority), certificate(a));
    revoke(authority, victim, false);
    world.meet(authority, hub);
    world.meet(a, hub);
    assert_eq!(fault(hub), Some(Fault::Revoked));
    // The centre's paper key revokes the authority device, naming nothing that stays: so another
    // is enrolled from paper, and approves everybody anew.
    let statement = world.centre.revoke(thief, Reason::Stolen);
    issued(&hub.call(Command::Take { statements: vec![statement] }));
    let status = hub.status();
    assert!(status.void && status.revoked.is_none(), "approved by the thief's device");
    let mut fresh = world.device(6, Role::Authority, &[]);
    enrol(&mut fresh, hub, Role::Hub, &[]);
    enrol(&mut fresh, b, Role::Worker, &["01"]);
    let pipe = world.meet(b, hub);
    assert!(complete(b, pipe));
    // That it was called stolen is not forgotten, though who said so counts no more.
    world.meet(&mut fresh, hub);
    let approval = Approval::of(Role::Worker, &["01".to_owned()]);
    let reply = fresh.order(Order::Approve { request: request(a), approval });
    assert!(matches!(reply, Reply::Error(error) if error.message.contains("shut out")));
    enrol_again(&mut fresh, a, Role::Worker, &["01"]);
    let pipe = world.meet(a, hub);
    assert!(complete(a, pipe), "the thief's revocation is void");
    // What was written before is carried, and admitted by the new authority device.
    world.meet(&mut fresh, hub);
    for held_back in fresh.status().quarantined {
        let (from, log) = (held_back.runs[0].0, held_back.log);
        issued(&fresh.order(Order::Judge { log, from, to: None, admit: true }));
    }
    world.meet(&mut fresh, hub);
    assert_eq!((hub.found("uwase"), hub.found("keza")), (1, 1));
}

#[test]
fn the_centre_goes_on_without_its_hub_and_one_authority_device() {
    let mut story = story();
    let mut second = Host::new(5, true);
    enrol(&mut story.authority, &mut second, Role::Authority, &[]);
    let Story { mut world, authority, hub, mut a, mut b } = story;
    world.meet(&mut second, &mut b);
    drop((authority, hub));
    let mut hub = Host::new(6, true);
    enrol(&mut second, &mut hub, Role::Hub, &[]);
    a.person("Mutesi");
    for _ in 0..2 {
        world.meet(&mut a, &mut hub);
        world.meet(&mut b, &mut hub);
    }
    assert_eq!((hub.found("mutesi"), b.found("mutesi")), (1, 1));
    assert!(a.status().records.iter().all(|record| record.stored), "the new hub vouches");
    // And without any: the paper makes another.
    drop(second);
    let mut third = world.device(7, Role::Authority, &[]);
    world.meet(&mut third, &mut hub);
    let mut c = Host::new(8, true);
    enrol(&mut third, &mut c, Role::Worker, &["01"]);
    world.meet(&mut c, &mut hub);
    assert_eq!(c.found("mutesi"), 1);
}

#[test]
fn a_successor_gets_the_history_by_one_grant_and_the_predecessor_nothing_more() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    // The village's key is made anew, twice, once with the whole catchment's.
    issued(&authority.order(Order::Rotate { village: Some("01".to_owned()) }));
    world.meet(authority, hub);
    world.meet(a, hub);
    a.person("Second");
    world.meet(a, hub);
    issued(&authority.order(Order::Rotate { village: None }));
    world.meet(authority, hub);
    world.meet(a, hub);
    world.meet(b, hub);
    a.person("Third");
    world.meet(a, hub);
    // A hands over, when the authority has all that it wrote.
    world.meet(authority, hub);
    let leaving = certificate(a);
    revoke(authority, leaving, true);
    world.meet(authority, hub);
    let mut heir = Host::new(6, true);
    enrol(authority, &mut heir, Role::Worker, &["01"]);
    world.meet(&mut heir, hub);
    for name in ["uwase", "second", "third", "keza"] {
        assert_eq!(heir.found(name), 1, "{name}");
    }
    heir.person("Fourth");
    world.meet(&mut heir, hub);
    world.meet(b, hub);
    assert_eq!(b.found("fourth"), 1);
    // The old records keep their author.
    let shown = heir.first_record("uwase");
    assert!(shown.contains("worker 1"), "{shown}");
    let everything = hub.backup();
    let mut before = a.over(a.backup());
    before.steal_envelopes(&everything);
    assert_eq!(before.found("fourth"), 0);
}

#[test]
fn a_village_rotates_alone() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    let mut elsewhere = Host::new(6, true);
    enrol(authority, &mut elsewhere, Role::Worker, &["02"]);
    world.meet(authority, hub);
    world.meet(&mut elsewhere, hub);
    let leaving = certificate(a);
    let Reply::Issued { statements, .. } = authority.order(Order::Revoke {
        certificate: leaving,
        reason: Reason::Left,
        trust: true,
        rotate: true,
    }) else {
        panic!()
    };
    // The revocation, the village's new key, its rung, and B's grant (the revoked get none).
    assert_eq!(statements, 4);
    world.meet(authority, hub);
    for host in [b, &mut elsewhere] {
        world.meet(host, hub);
        host.person("After");
        let pipe = world.meet(host, hub);
        assert!(complete(host, pipe));
    }
    assert_eq!(hub.found("after"), 2);
}

#[test]
fn a_granted_gateway_reads_and_a_revoked_one_reads_nothing_new() {
    let mut story = story();
    let Story { world, authority, hub, b, .. } = &mut story;
    let mut guest = Host::new(6, true);
    enrol(authority, &mut guest, Role::Worker, &["02"]);
    world.meet(&mut guest, hub);
    world.meet(authority, hub);
    assert_eq!(guest.found("uwase"), 0);
    let guest_certificate = certificate(&mut guest);
    let villages = vec!["01".to_owned()];
    issued(&authority.order(Order::Grant { certificate: guest_certificate, villages }));
    world.meet(authority, hub);
    world.meet(&mut guest, hub);
    assert_eq!(guest.found("uwase"), 1, "what it carried already opens");
    revoke(authority, guest_certificate, true);
    world.meet(authority, hub);
    world.meet(b, hub);
    b.person("Secret");
    world.meet(b, hub);
    guest.steal_envelopes(&hub.backup());
    assert_eq!(guest.found("secret"), 0);
    let Reply::Audited { entries, whole, .. } = authority.call(Command::Audit { after: None })
    else {
        panic!()
    };
    assert!(whole);
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.name()).collect();
    assert!(actions.contains(&"granted") && actions.contains(&"revoked"), "{actions:?}");
}

#[test]
fn programme_time_steps_far_only_with_two_issuers() {
    let mut story = story();
    let mut second = Host::new(5, true);
    enrol(&mut story.authority, &mut second, Role::Authority, &[]);
    let Story { world, authority, hub, .. } = &mut story;
    world.meet(&mut second, hub);
    authority.days_pass(400);
    issued(&authority.order(Order::Time));
    world.meet(authority, hub);
    assert_eq!(hub.status().programme_time, Some(TODAY), "one clock alone may be wrong");
    second.days_pass(399);
    issued(&second.order(Order::Time));
    world.meet(&mut second, hub);
    let now = hub.status().programme_time.unwrap();
    assert_eq!(now.0, TODAY.0 + 400 * 86_400, "two say so, give or take a day");
}

#[test]
fn receipts_of_a_store_that_was_put_back_count_no_more() {
    let mut story = story();
    let Story { world, hub, a, .. } = &mut story;
    let early = hub.backup();
    a.person("Mutesi");
    for _ in 0..2 {
        world.meet(a, hub);
    }
    assert!(a.status().records.iter().all(|record| record.stored));
    let mut hub = hub.over(early);
    hub.restart(true);
    // The old store's word is void as soon as the new one speaks; it holds all again by then.
    let pipe = world.meet(a, &mut hub);
    assert!(complete(a, pipe));
    let status = a.status();
    assert!(status.records.iter().all(|record| record.stored), "{status:?}");
    hub.pass(1_000);
}

#[test]
fn what_is_quarantined_is_not_delivered_before_it_is_admitted() {
    let mut story = story();
    let Story { world, authority, hub, a, .. } = &mut story;
    let mut gateway = Host::new(7, true);
    enrol(authority, &mut gateway, Role::Gateway, &[]);
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    a.person("Ingabire");
    world.meet(authority, &mut gateway);
    // Straight from a colleague who has not heard.
    let mut colleague = world.device(8, Role::Relay, &[]);
    world.meet(a, &mut colleague);
    world.meet(&mut colleague, &mut gateway);
    world.meet(&mut gateway, hub);
    let delivered =
        |gateway: &Host, name: &str| gateway.facility.values().any(|text| text.contains(name));
    assert!(delivered(&gateway, "Uwase"), "what it wrote before is");
    assert!(!delivered(&gateway, "Ingabire"));
    world.meet(authority, &mut gateway);
    let held_back = authority.status().quarantined.remove(0);
    let (from, log) = (held_back.runs[0].0, held_back.log);
    issued(&authority.order(Order::Judge { log, from, to: None, admit: true }));
    world.meet(authority, &mut gateway);
    assert!(delivered(&gateway, "Ingabire"));
}

/// A device may have asked twice, and been approved twice. It is the device that is stolen.
#[test]
fn a_device_with_two_certificates_is_shut_out_whole_and_comes_back_only_on_purpose() {
    let mut story = story();
    let Story { world, authority, hub, a, .. } = &mut story;
    let stolen = certificate(a);
    let villages = ["02".to_owned()];
    let approval = Approval::of(Role::Worker, &villages);
    let second = Order::Approve { request: request(a), approval: approval.clone() };
    let Reply::Approved { welcome, .. } = authority.order(second) else { panic!() };
    revoke(authority, stolen, true);
    world.meet(authority, hub);
    let reply = a.call(Command::Join { welcome });
    assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
    world.meet(a, hub);
    assert_eq!(fault(hub), Some(Fault::Revoked), "by its other certificate");
    assert_eq!(a.status().revoked, Some(Reason::Stolen));
    // A new request of the same device is no way back either, unless its holder is known.
    let ask = Order::Approve { request: request(a), approval: approval.clone() };
    let reply = authority.order(ask);
    assert!(matches!(reply, Reply::Error(error) if error.message.contains("shut out")));
    let approval = Approval { again: true, ..approval };
    let ask = Order::Approve { request: request(a), approval };
    assert!(matches!(authority.order(ask), Reply::Approved { .. }));
    // Nobody shuts out the device in their own hands by a slip.
    let certificate = certificate(authority);
    let order = Order::Revoke { certificate, reason: Reason::Lost, trust: true, rotate: true };
    assert!(matches!(authority.order(order), Reply::Error(error) if error.code == "own_device"));
}

/// Somebody has a phone's signing key, and writes another history for those who lack the true one.
struct Forgery {
    story: Story,
    victim: Host,
    empty: Host,
}

/// The phone wrote three persons after the key was stolen, then it is lost; the thief wrote four,
/// and only `victim` heard of them. The authority has the phone's word and shuts it out.
fn forgery() -> Forgery {
    let mut story = story();
    let Story { world, authority, hub, a, b: _ } = &mut story;
    let mut thief = a.over(a.backup());
    for name in ["Mutesi", "Ingabire", "Kamanzi"] {
        a.person(name);
        world.meet(a, hub);
    }
    world.meet(authority, hub);
    let mut victim = world.device(21, Role::Worker, &["01"]);
    let empty = world.device(22, Role::Worker, &["01"]);
    for name in ["Forged1", "Forged2", "Forged3", "Forged4"] {
        thief.person(name);
        world.meet(&mut thief, &mut victim);
    }
    assert_eq!(victim.found("forged"), 4);
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    Forgery { story, victim, empty }
}

const HONEST: [&str; 4] = ["uwase", "mutesi", "ingabire", "kamanzi"];

#[test]
fn below_a_cut_off_only_the_history_that_leads_to_it_counts() {
    let Forgery { story, mut victim, .. } = forgery();
    let Story { mut world, mut authority, .. } = story;
    world.meet(&mut authority, &mut victim);
    assert_eq!(victim.found("forged"), 0, "not one leads to the cut-off");
    // The true history comes, although the log is frozen; the first contact proves the fork.
    world.meet(&mut authority, &mut victim);
    let pipe = world.meet(&mut authority, &mut victim);
    assert!(complete(&victim, pipe) && complete(&authority, pipe));
    for name in HONEST {
        assert_eq!((victim.found(name), authority.found(name)), (1, 1), "{name}");
    }
    assert_eq!(victim.found("forged"), 0);
    assert_eq!(authority.found("forged"), 0);
    // And stays after a start, when only the disk knows.
    victim.restart(false);
    assert_eq!((victim.found("mutesi"), victim.found("forged")), (1, 0));
}

#[test]
fn a_proven_fork_does_not_keep_the_true_history_from_those_who_have_none() {
    let Forgery { story, mut victim, mut empty } = forgery();
    let Story { mut world, mut authority, .. } = story;
    for _ in 0..2 {
        world.meet(&mut authority, &mut victim);
    }
    // It hears of fork and revocation from somebody who has nothing else to say yet.
    let statements = authority.backup();
    let mut messenger = world.device(23, Role::Relay, &[]);
    let mut batch = huza_crdt::store::Batch::default();
    for (key, value) in statements.load(&Range::all(Table::Statements)) {
        batch.put(Table::Statements, key, value);
    }
    messenger.store.apply(&batch);
    messenger.restart(false);
    world.meet(&mut messenger, &mut empty);
    assert_eq!(empty.found("uwase"), 0);
    let pipe = world.meet(&mut authority, &mut empty);
    assert!(complete(&empty, pipe));
    for name in HONEST {
        assert_eq!(empty.found(name), 1, "{name}");
    }
    assert_eq!(empty.found("forged"), 0);
}

#[test]
fn a_locked_reader_finds_the_true_history_when_it_is_unlocked() {
    let Forgery { story, mut victim, .. } = forgery();
    let Story { mut world, mut authority, .. } = story;
    victim.lock();
    for _ in 0..3 {
        world.meet(&mut authority, &mut victim);
    }
    victim.unlock("worker 1");
    for name in HONEST {
        assert_eq!(victim.found(name), 1, "{name}");
    }
    assert_eq!(victim.found("forged"), 0);
}

#[test]
fn the_true_history_comes_back_in_pieces() {
    let Forgery { story, mut victim, .. } = forgery();
    let Story { mut world, mut authority, .. } = story;
    for _ in 0..2 {
        world.meet(&mut authority, &mut victim);
    }
    // Every contact breaks a little later; what came stays.
    for bytes in (1_000..40_000).step_by(300) {
        let pipe = world.open(&mut authority, &mut victim);
        World::carry(&mut authority, &mut victim, bytes);
        authority.handle(Input::PipeClosed { pipe });
        victim.handle(Input::PipeClosed { pipe });
        authority.sent.clear();
        victim.sent.clear();
        assert_eq!(victim.found("forged"), 0);
    }
    for name in HONEST {
        assert_eq!(victim.found(name), 1, "{name}");
    }
}

/// Envelopes in front of a gap lead to no cut-off: whoever revokes admits them for themselves.
#[test]
fn what_an_authority_holds_with_gaps_counts_when_it_revokes() {
    let Story { mut world, authority, mut hub, mut a, .. } = story();
    a.person("Ingabire");
    a.call(Command::Seal);
    let (record, log) = (a.person("Mutesi"), log_of(&a));
    let urgent = a.visit(record, &[("age-months", "14"), ("convulsions", "yes")]);
    assert!(matches!(urgent, Reply::Written { .. }), "{urgent:?}");
    world.meet(&mut a, &mut hub);
    let held = |host: &Host| -> Vec<u64> {
        let rows = host.store.load(&Range::prefix(Table::Envelopes, log.0)).into_iter();
        rows.map(|(key, _)| u64::from_be_bytes(key[LogId::LEN..].try_into().unwrap())).collect()
    };
    // A contact that breaks as soon as what is urgent has come.
    let gap = (500..).step_by(50).find_map(|bytes| {
        let mut other = authority.over(authority.backup());
        let pipe = world.open(&mut hub, &mut other);
        World::carry(&mut hub, &mut other, bytes);
        hub.handle(Input::PipeClosed { pipe });
        hub.sent.clear();
        other.handle(Input::PipeClosed { pipe });
        let seqs = held(&other);
        assert!(seqs.len() < held(&hub).len(), "no contact left a gap");
        (seqs.len() == 2 && seqs[1] > 1).then_some(other)
    });
    let mut authority = gap.unwrap();
    revoke(&mut authority, certificate(&mut a), true);
    assert_eq!(authority.found("uwase"), 1);
    let mut other = world.device(21, Role::Worker, &["01"]);
    world.meet(&mut authority, &mut other);
    assert_eq!(other.found("uwase"), 1);
    assert!(other.status().quarantined.is_empty());
}

/// The log that a phone writes.
fn log_of(host: &Host) -> LogId {
    let rows = host.store.load(&Range::all(Table::CarrierMeta));
    let own = rows.into_iter().find(|(key, _)| key.starts_with(b"own/")).unwrap().1;
    LogId::from_slice(&own[..LogId::LEN]).unwrap()
}

/// The honest holder of a phone whose key a thief has too writes on, is shut out, and comes back.
#[test]
fn what_an_honest_author_wrote_beyond_a_cut_off_comes_again_when_it_does() {
    let mut story = story();
    let Story { world, authority, hub, a, b } = &mut story;
    let mut thief = a.over(a.backup());
    thief.person("Forged");
    world.meet(&mut thief, b);
    a.person("Mutesi");
    a.call(Command::Seal);
    let stolen = certificate(a);
    revoke(authority, stolen, true);
    world.meet(authority, hub);
    world.meet(b, hub);
    world.meet(a, hub);
    assert!(a.status().revoked.is_some());
    enrol_again(authority, a, Role::Worker, &["01"]);
    for _ in 0..3 {
        world.meet(authority, hub);
        world.meet(a, hub);
    }
    assert_eq!((a.found("mutesi"), hub.found("mutesi")), (1, 1));
    assert_eq!((hub.found("forged"), b.found("forged")), (0, 0));
    a.restart(false);
    world.meet(a, hub);
    let status = a.status();
    assert_eq!((status.pending, a.found("mutesi"), hub.found("mutesi")), (0, 1, 1));
}
