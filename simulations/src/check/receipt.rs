//! Law: a receipt is true when its bytes leave its issuer. `Stored` covers what is on the
//! issuer's disk; `Accepted` and `Refused` cover what the facility has seen and answered.

use huza_crdt::codec;
use huza_crdt::control::{Receipt, ReceiptKind, Statement};

use super::Speaker;
use crate::audit::{Model, Place};
use crate::facility::Facility;
use crate::token::{Token, Tokens};
use crate::violation::{Broken, Law};

/// Whether `statement`, a receipt that `speaker` issued, is true.
pub(crate) fn is_true(
    statement: &Statement,
    speaker: Speaker<'_>,
    tokens: &Tokens,
) -> Result<(), Broken> {
    let id = statement.id().short();
    let broken = |what: String| Err(Broken::new(Law::ReceiptIsTrue, format!("{what} [{id}]")));
    let receipt: Receipt = match codec::decode(statement.body()) {
        Ok(receipt) => receipt,
        Err(error) => return broken(format!("a receipt cannot be read: {error}")),
    };
    let mut model = Model::default();
    model.add(speaker.auditor, tokens, speaker.durable);
    for range in &receipt.ranges {
        for seq in range.from..=range.to {
            let place = (receipt.log, seq);
            let Some(hash) = model.hashes.get(&place) else {
                if receipt.kind != ReceiptKind::Stored {
                    // What the facility has said stays true if the gateway lost its copy.
                    continue;
                }
                return broken(format!("{} does not hold {seq} of its log", kind(&receipt)));
            };
            if seq == range.to && *hash != range.end {
                return broken(format!("{} names another header at {seq}", kind(&receipt)));
            }
            answered(&receipt, place, speaker, &model).or_else(broken)?;
        }
    }
    Ok(())
}

fn kind(receipt: &Receipt) -> &'static str {
    match receipt.kind {
        ReceiptKind::Stored => "the issuer of `stored`",
        ReceiptKind::Accepted => "the issuer of `accepted`",
        ReceiptKind::Refused => "the issuer of `refused`",
        ReceiptKind::Shown => "the issuer of `shown`",
    }
}

/// Whether the facility has seen everything that an envelope brought. Of a resource, a later
/// version will do; what is being erased is not given to it.
fn answered(
    receipt: &Receipt,
    place: Place,
    speaker: Speaker<'_>,
    model: &Model,
) -> Result<(), String> {
    if !matches!(receipt.kind, ReceiptKind::Accepted | ReceiptKind::Refused) {
        return Ok(());
    }
    let none = Facility::default();
    let facility = speaker.facility.unwrap_or(&none);
    if model.stubs.contains(&place) {
        // Erased since.
        return Ok(());
    }
    let Some(tokens) = model.places.get(&place) else {
        return Err(format!("the facility answers for {}, which cannot be read", place.1));
    };
    let seen = |token: &&Token| {
        facility.seen.contains(token)
            || speaker.ledger.later(token).any(|later| facility.seen.contains(later))
    };
    let erasing = |token: &&Token| {
        let record = speaker.ledger.entries.get(token).and_then(|entry| entry.record);
        record.is_some_and(|record| speaker.erasing.contains(&record))
    };
    match tokens.iter().find(|token| !seen(token) && !erasing(token)) {
        None => Ok(()),
        Some(token) => {
            let shown = model.describe(token);
            let version = speaker.ledger.entries.get(token).map(|entry| &entry.version);
            let token = token.as_str();
            Err(format!(
                "the facility answers for {token}, version {version:?}, which it has not seen; \
                 the record: {shown}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::draw::Draw;
    use crate::host::HostId;
    use crate::ledger::Ledger;
    use crate::options::Options;
    use crate::programme::Programmes;
    use huza_crdt::control::{ReceiptRange, Scope, kind};
    use huza_crdt::crypto::SigningKey;
    use huza_crdt::id::{CertId, Hash, LogId, StoreId};
    use huza_crdt::trust::Issuer;

    fn receipt_of(kind_of: ReceiptKind, ranges: Vec<ReceiptRange>) -> Statement {
        let (store, log) = (StoreId([1; 16]), LogId([2; 32]));
        let receipt = Receipt { store, log, kind: kind_of, reason: 0, ranges };
        let place = (0, Hash([0; 32]));
        let issuer = Issuer::Certified(CertId([3; 16]));
        let body = (kind::RECEIPT, codec::encode(&receipt));
        Statement::sign(&SigningKey::from_seed([4; 32]), issuer, place, Scope::Programme, body)
    }

    #[test]
    fn a_receipt_for_what_is_not_held_is_found() {
        let programmes = Programmes::found(&Options::draw(1), &mut Draw::new(1, "keys")).unwrap();
        let (durable, ledger) = (crate::disk::Durable::default(), Ledger::default());
        let speaker = Speaker {
            host: HostId(1),
            certificate: Some(CertId([3; 16])),
            durable: &durable,
            facility: None,
            auditor: &programmes.auditor,
            ledger: &ledger,
            erasing: &BTreeSet::new(),
        };
        let check = |receipt: &Statement| is_true(receipt, speaker, &Tokens::default());
        let range = ReceiptRange { from: 0, to: 0, end: Hash([5; 32]) };
        let broken = check(&receipt_of(ReceiptKind::Stored, vec![range])).unwrap_err();
        assert_eq!(broken.law, Law::ReceiptIsTrue);
        assert!(check(&receipt_of(ReceiptKind::Stored, Vec::new())).is_ok());
    }

    #[test]
    fn a_receipt_for_what_the_facility_never_saw_is_found() {
        let programmes = Programmes::found(&Options::draw(1), &mut Draw::new(1, "keys")).unwrap();
        let (durable, ledger) = (crate::disk::Durable::default(), Ledger::default());
        let mut facility = crate::facility::Facility::new(0);
        let (place, token) = ((LogId([2; 32]), 0), Token::mint(1, &mut Draw::new(1, "t")));
        let mut model = Model::default();
        model.places.insert(place, [token].into());
        let receipt = Receipt {
            store: StoreId([1; 16]),
            log: LogId([2; 32]),
            kind: ReceiptKind::Accepted,
            reason: 0,
            ranges: Vec::new(),
        };
        let check = |facility: Option<&crate::facility::Facility>| {
            let speaker = Speaker {
                host: HostId(1),
                certificate: None,
                durable: &durable,
                facility,
                auditor: &programmes.auditor,
                ledger: &ledger,
                erasing: &BTreeSet::new(),
            };
            answered(&receipt, place, speaker, &model)
        };
        assert!(check(None).is_err());
        assert!(check(Some(&facility)).is_err());
        facility.seen.insert(token);
        assert!(check(Some(&facility)).is_ok());
    }
}
