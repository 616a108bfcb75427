//! Who wrote what a visit says, and on which device.

use std::collections::BTreeSet;

use super::node::{Node, display, hl7, reference, resource};
use super::visit::Visit;
use super::{Projected, made_id};
use crate::id::LogId;

/// One for a visit and all that became of it; `None` if the times that its writers claim are none.
pub(super) fn of(visit: &Visit<'_>, all: &[Projected]) -> Option<Projected> {
    let values: Vec<_> = visit.values().collect();
    let recorded = values.iter().map(|value| value.at).max().and_then(Node::instant)?;
    let workers: BTreeSet<&str> = values.iter().map(|value| value.worker.as_str()).collect();
    let devices: BTreeSet<(LogId, &str)> =
        values.iter().map(|value| (value.origin.log, value.worker.as_str())).collect();
    // A change may come without a name.
    let workers = workers.into_iter().filter(|worker| !worker.is_empty());
    let agents = workers.map(author).chain(devices.into_iter().map(device));
    let targets = all.iter().map(|one| reference(&one.key));
    let voided =
        visit.view.field("void").map(|why| Node::object([("text", Some(Node::text(why)))]));
    Some(resource(
        "Provenance",
        &made_id(&[visit.id, "provenance"]),
        [
            ("target", Node::list(targets)),
            ("occurredDateTime", visit.occurred()),
            ("recorded", Some(recorded)),
            ("reason", Node::list(voided)),
            ("agent", Node::list(agents)),
        ],
    ))
}

fn author(worker: &str) -> Node {
    Node::object([
        ("type", Some(hl7("provenance-participant-type", "author"))),
        ("who", Some(display(worker))),
    ])
}

/// A device is known by the log that it wrote in.
fn device((log, worker): (LogId, &str)) -> Node {
    let identifier = Node::object([
        ("system", Some(Node::text("urn:huza:log"))),
        ("value", Some(Node::text(&log.to_string()))),
    ]);
    let who =
        Node::object([("type", Some(Node::text("Device"))), ("identifier", Some(identifier))]);
    Node::object([
        ("type", Some(hl7("provenance-participant-type", "assembler"))),
        ("who", Some(who)),
        ("onBehalfOf", Some(display(worker))),
    ])
}
