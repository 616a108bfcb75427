//! The words of the story, and its JSON.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::journey::Contact;
use super::programme::{CATCHMENT, Member, Members, NAME};
use super::proof::Proof;
use super::stolen::Stolen;
use crate::output;

pub(super) const VILLAGE_A: &str = "\n2. Village 01, no network. Claudine writes on phone A";
pub(super) const FILES_ON_A: &str = "\n2. Village 01, no network. Files are brought in on phone A";
pub(super) const LOCKED: &str =
    "   Claudine locks the phone. From here on it carries what she wrote, and shows it to nobody";
pub(super) const VILLAGE_B: &str =
    "\n   Village 02, across the valley. Jean Bosco writes on phone B";
pub(super) const A_MEETS_B: &str =
    "\n3. On the path between the villages, phone A, locked in a pocket, meets phone B";
pub(super) const B_MEETS_HUB: &str =
    "\n4. Jean Bosco walks to the health centre: phone B meets the hub";
pub(super) const HUB_MEETS_GATEWAY: &str =
    "\n5. For a moment there is internet: the hub meets the gateway, the gateway the facility";
pub(super) const B_MEETS_HUB_AGAIN: &str =
    "\n6. Next month phone B meets the hub again; the receipts begin their way home";
pub(super) const A_MEETS_B_AGAIN: &str =
    "\n7. Phone A is started again, Claudine opens it, and it meets phone B at the well";

pub(super) const STOLEN: &str =
    "\n9. Phone B is stolen. Odette shuts it out on the authority device";
pub(super) const LEARNS: &str =
    "   In the thief's hands phone B meets the hub: it is turned away, and says so on its screen";

/// What the order did.
pub(super) fn shut_out(done: &[String]) -> String {
    done.iter().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}

/// What the successor has.
pub(super) fn successor(records: usize) -> String {
    format!(
        "   Jean Bosco gets phone C. By one grant it reads the history of village 02: {}",
        output::count(records, "record")
    )
}

/// The first lines.
pub(super) fn opening(folder: &Path, temporary: bool) -> String {
    let fate = if temporary { " (removed at the end; --keep keeps it)" } else { "" };
    format!(
        "Guhuza amakuru: records travel phone to phone, and the proof comes back.\n\
         Files are in {}{fate}.",
        folder.display()
    )
}

/// Who takes part.
pub(super) fn programme(all: &Members) -> String {
    let rows: Vec<Vec<String>> = all
        .all()
        .iter()
        .map(|member| {
            let villages = match member.villages {
                [] => format!("all of {CATCHMENT}"),
                villages => format!("village {}", villages.join(", ")),
            };
            let key = member.device.chars().take(8).collect::<String>();
            vec![member.title.to_owned(), member.role.name().to_owned(), villages, key]
        })
        .collect();
    let table = output::table(&["", "role", "reads", "key"], &rows);
    let table: Vec<String> = table.lines().map(|line| format!("   {line}")).collect();
    format!(
        "\n1. A programme: {NAME}, health centre {CATCHMENT}, two villages, five devices\n{}\n   \
         The authority is made with the health centre's key, which then goes on paper into a safe. \
         Each\n   of the others made its keys, asked with one line of text, and was approved by Odette \
         on the\n   authority. Phone A opens with Claudine's passphrase alone.",
        table.join("\n")
    )
}

/// What a contact took. `process` is that of the phone or hub that dialled, and has ended.
pub(super) fn contact(contact: &Contact, from: &Member, process: u32) -> String {
    let stats = contact.stats;
    let line = |envelopes: u64, statements: u64, bytes: u64| {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        format!(
            "{}, {}, {}",
            output::count(number(envelopes), "envelope"),
            output::count(number(statements), "statement"),
            output::bytes(bytes)
        )
    };
    format!(
        "   gave {}\n   took {}\n   both held the same after {} ms and {}\n   The process of {} \
         ({process}) has ended.",
        line(stats.envelopes_sent, stats.statements_sent, stats.bytes_sent),
        line(stats.envelopes_received, stats.statements_received, stats.bytes_received),
        stats.millis,
        output::count(usize::try_from(stats.round_trips).unwrap_or(0), "round trip"),
        from.title,
    )
}

/// The table per record, and what is proven.
pub(super) fn ending(proof: &Proof) -> String {
    let yes = |is: bool| if is { "yes" } else { "NO" }.to_owned();
    let rows: Vec<Vec<String>> = proof
        .records
        .iter()
        .map(|(phone, record)| {
            let id = record.record.chars().take(8).collect::<String>();
            let (stored, accepted) = (yes(record.stored), yes(record.accepted));
            let taken = record.taken.to_string();
            // A record without a name is shown by its id; here that would be said twice.
            let name = if record.name == record.record { "(no person)" } else { &record.name };
            vec![id, (*phone).to_owned(), taken, stored, accepted, name.to_owned()]
        })
        .collect();
    let head = ["record", "in the files of", "taken by", "stored", "accepted", "name"];
    let verdict = if proof.is_delivered() && proof.receipts_complete {
        format!(
            "All {} resources of {} arrived exactly once.\n\
             A process of its own verified every receipt again, in the phones' own files.",
            proof.resources_delivered,
            output::count(proof.record_count(), "record"),
        )
    } else {
        format!(
            "NOT complete: {} resources written, {} at the facility, {} missing, {} too many.",
            proof.resources_in, proof.resources_delivered, proof.missing, proof.surplus
        )
    };
    format!("\n8. What each phone can prove\n{}\n\n{verdict}", output::table(&head, &rows),)
}

/// The last line but one.
pub(super) fn took(took: Duration) -> String {
    format!("\nIt took {}.{} s.", took.as_secs(), took.subsec_millis() / 100)
}

/// Everything for machines.
pub(super) fn json(
    proof: &Proof,
    contacts: &[Contact],
    stolen: Option<&Stolen>,
    took: Duration,
) -> Value {
    let records: Vec<Value> = proof
        .records
        .iter()
        .map(|(phone, record)| {
            json!({
                "record": record.record,
                "phone": phone,
                "taken": record.taken,
                "stored": record.stored,
                "accepted": record.accepted,
            })
        })
        .collect();
    json!({
        "resources_in": proof.resources_in,
        "resources_delivered": proof.resources_delivered,
        "resources_missing": proof.missing,
        "resources_surplus": proof.surplus,
        "exactly_once": proof.is_delivered(),
        "records": proof.record_count(),
        "receipts_complete": proof.receipts_complete,
        "problems": proof.problems,
        "contacts": contacts,
        "stolen": stolen,
        "per_record": records,
        "millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}
