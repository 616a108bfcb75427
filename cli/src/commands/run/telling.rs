//! Events of the daemon in words, and as JSON with ids as text.

use huza_crdt::control::Reason;
use huza_crdt::node::Event;
use huza_crdt::session::{Peer, Stats};
use huza_daemon::ShellEvent;
use serde_json::{Value, json};

use crate::commands::doctor;
use crate::output;

/// One object. Ids are hexadecimal, as everywhere else where a machine reads.
pub(super) fn json(event: &ShellEvent) -> Value {
    let ShellEvent::Node(node) = event else { return plain(event) };
    match node {
        Event::Rolled { incarnation } => {
            json!({ "event": "rolled", "incarnation": incarnation.to_string() })
        }
        Event::Met { pipe, peer } => {
            json!({ "event": "met", "pipe": pipe.0, "peer": of_peer(peer) })
        }
        Event::ContactComplete { pipe, peer, stats } => json!({
            "event": "contact_complete",
            "pipe": pipe.0,
            "peer": of_peer(peer),
            "stats": stats,
        }),
        Event::ContactEnded { pipe, peer, stats, complete, fault } => json!({
            "event": "contact_ended",
            "pipe": pipe.0,
            "peer": peer.as_ref().map(of_peer),
            "stats": stats,
            "complete": complete,
            "fault": fault.as_ref().map(ToString::to_string),
        }),
        Event::Revoked { certificate, reason, own } => json!({
            "event": "revoked",
            "certificate": certificate.to_string(),
            "reason": format!("{reason:?}").to_lowercase(),
            "own": own,
        }),
        Event::Forked { log, seq } => {
            json!({ "event": "forked", "log": log.to_string(), "seq": seq })
        }
        Event::SetAside { log, seq, why } => {
            json!({ "event": "set_aside", "log": log.to_string(), "seq": seq, "why": why })
        }
        _ => plain(event),
    }
}

fn plain(event: &ShellEvent) -> Value {
    serde_json::to_value(event).unwrap_or_else(|error| json!({ "event": error.to_string() }))
}

fn of_peer(peer: &Peer) -> Value {
    json!({
        "device": peer.device.to_string(),
        "certificate": peer.certificate.to_string(),
        "role": peer.role.name(),
    })
}

/// A line for people; none for what only concerns machines.
pub(super) fn line(event: &ShellEvent) -> Option<String> {
    Some(match event {
        ShellEvent::Started { process } => format!("Running as process {process}; Ctrl-C ends it."),
        ShellEvent::Listening { address } => format!("Listening on {address}."),
        ShellEvent::HttpListening { address } => {
            format!("Apps are served at http://{address}; `huza app add` lets one in.")
        }
        ShellEvent::ListeningEnded { address } => format!("No longer listening on {address}."),
        ShellEvent::DialFailed { address, why, retry_ms } => {
            let again = retry_ms.map_or("", |_| " It is tried again until somebody does.");
            let place = doctor::place(address).map_or_else(|| address.clone(), |at| at.to_string());
            format!("Nobody answers at {place} ({why}).{again}")
        }
        ShellEvent::DiscoveryFailed { why } => {
            format!("Devices near by are not found by themselves: {why}. Use --dial.")
        }
        ShellEvent::FacilityFailed { why, retry_ms } => {
            format!("The facility cannot be served: {why}. Trying again in {} s.", retry_ms / 1_000)
        }
        ShellEvent::ReaderOpened => "Open: records can be written and read.".to_owned(),
        ShellEvent::ReaderLocked => "Locked: it goes on carrying for others.".to_owned(),
        ShellEvent::Stopping => "Ending.".to_owned(),
        ShellEvent::Missed { count } => format!("({count} events are not shown)"),
        ShellEvent::Node(event) => return node_line(event),
        _ => return None,
    })
}

fn node_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Ready => "Ready.".to_owned(),
        Event::NotJoined => {
            "This device has joined no programme, so it exchanges with nobody yet. \
             Give `huza request` to the health centre, then `huza join` its answer."
                .to_owned()
        }
        Event::Revoked { reason, own: true, .. } => shut_out(*reason),
        Event::Revoked { certificate, reason, own: false } => {
            format!("Device {} is shut out: {}.", certificate.short(), reason_name(*reason))
        }
        Event::Released { envelopes, bytes } => format!(
            "let go of {} of other health centres, {}",
            output::count(*envelopes, "envelope"),
            output::bytes(*bytes),
        ),
        Event::Erased { envelopes, records } => format!(
            "Erased, because an authority ordered it: {} and what {} held of them.",
            output::count(*records, "record"),
            output::count(*envelopes, "envelope"),
        ),
        Event::Rolled { .. } => {
            "This home is a copy, or was restored: it goes on under a new incarnation.".to_owned()
        }
        Event::Met { peer, .. } => format!("Met {}.", name(peer)),
        Event::ContactComplete { peer, stats, .. } => {
            format!("{} and this device hold {}: {}.", name(peer), end(stats), took(stats))
        }
        Event::ContactEnded { peer, stats, complete, fault, .. } => {
            let who = peer.as_ref().map_or_else(|| "an unknown device".to_owned(), name);
            let how = match (fault, complete) {
                (Some(fault), _) => format!("closed, because {fault}"),
                (None, true) => "ended".to_owned(),
                (None, false) => "was cut; the next one goes on from here".to_owned(),
            };
            format!("The contact with {who} {how}: {}.", took(stats))
        }
        Event::Refused { why, .. } => format!("Something was not accepted: {why}."),
        Event::Forked { log, seq } => {
            format!("FORK: log {} has two histories from {seq} on.", log.short())
        }
        Event::SetAside { log, seq, why } => {
            format!("Set aside from envelope {seq} of log {}: {why}.", log.short())
        }
        Event::Receipts { count } => format!("Signed {}.", output::count(*count, "receipt")),
        Event::Delivered { resources, refused, ahead } => {
            let resources = output::count(*resources, "resource");
            let ahead = match ahead {
                0 => String::new(),
                ahead => format!(" {ahead} wait: it shows newer ones, from another gateway."),
            };
            format!("The facility was given {resources} and refused {refused}.{ahead}")
        }
        Event::Stopped { why, .. } => format!("A store failed: {why}."),
        _ => return None,
    })
}

/// What the user of a device that is shut out must know.
pub(crate) fn shut_out(reason: Reason) -> String {
    format!(
        "THIS DEVICE IS SHUT OUT ({}). Others exchange nothing with it any more, and it records \
         nothing new. What is on it is kept. If it is in the right hands, bring it to the health \
         centre: what it wrote last can be looked at and admitted there, and the worker gets a \
         device again with `huza request`.",
        reason_name(reason)
    )
}

/// As people say it.
pub(crate) const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Lost => "lost",
        Reason::Stolen => "stolen",
        Reason::Left => "its worker has left",
        Reason::Replaced => "replaced",
        Reason::Misused => "misused",
    }
}

/// What two devices hold whose contact is complete.
pub(crate) fn end(stats: &Stats) -> String {
    match stats.envelopes_withheld {
        0 => "the same".to_owned(),
        some => format!(
            "the same, but for {} that the other has no room to carry",
            output::count_wide(some, "envelope")
        ),
    }
}

fn name(peer: &Peer) -> String {
    format!("{} {}", peer.role.name(), peer.device.short())
}

fn took(stats: &Stats) -> String {
    format!(
        "{} out, {} in, {} and {}, {}, {} ms",
        output::count_wide(stats.envelopes_sent, "envelope"),
        stats.envelopes_received,
        output::bytes(stats.bytes_sent),
        output::bytes(stats.bytes_received),
        output::count_wide(stats.round_trips.into(), "round trip"),
        stats.millis,
    )
}

#[cfg(test)]
mod tests {
    use huza_crdt::id::{CertId, DeviceKey};
    use huza_crdt::node::PipeId;
    use huza_crdt::trust::Role;

    use super::*;

    #[test]
    fn an_address_that_nobody_answers_is_told_as_people_write_it() {
        let (address, why) = ("/ip4/10.0.0.1/udp/4001/quic-v1".to_owned(), "refused".to_owned());
        let event = ShellEvent::DialFailed { address, why, retry_ms: Some(600) };
        let told =
            "Nobody answers at 10.0.0.1:4001 (refused). It is tried again until somebody does.";
        assert_eq!(line(&event).unwrap(), told);
    }

    #[test]
    fn what_was_left_out_is_told() {
        let full = Stats { envelopes_withheld: 3, ..Stats::default() };
        assert!(end(&full).contains("3 envelopes that the other has no room"), "{}", end(&full));
        assert_eq!(end(&Stats::default()), "the same");
    }

    #[test]
    fn ids_are_text_and_every_object_has_its_tag() {
        let peer =
            Peer { certificate: CertId([1; 16]), device: DeviceKey([2; 32]), role: Role::Hub };
        let stats = Stats { millis: 12, ..Stats::default() };
        let event = Event::ContactComplete { pipe: PipeId(1), peer, stats };
        let value = json(&ShellEvent::Node(event.clone()));
        assert_eq!(value["event"], "contact_complete");
        assert_eq!(value["peer"]["device"], "02".repeat(32));
        assert_eq!(value["stats"]["millis"], 12);
        assert!(node_line(&event).unwrap().starts_with("hub 02020202 and this device"));
        assert_eq!(json(&ShellEvent::Node(Event::Ready))["event"], "ready");
        assert_eq!(json(&ShellEvent::Stopping)["event"], "stopping");
    }
}
