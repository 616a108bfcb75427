//! Law: what is carried for others is let go when two devices of that health centre have signed that
//! they hold it, one of them its hub, or when it was carried for as long as the device is set to.

use std::collections::BTreeSet;

use huza_crdt::codec;
use huza_crdt::control::{Receipt, ReceiptKind, kind};
use huza_crdt::id::{CertId, DeviceKey};
use huza_crdt::trust::{Issuer, Role};

use crate::audit::Place;
use crate::disk::Durable;
use crate::violation::{Broken, Law};

/// The devices whose receipts on a disk name an envelope, and whether each is a hub that stored it.
fn witnesses(
    (log, seq): Place,
    durable: &Durable,
    known: &dyn Fn(CertId) -> Option<(DeviceKey, Role)>,
) -> BTreeSet<(DeviceKey, bool)> {
    let statements = durable.carrier.statements();
    let signed = statements.filter(|one| one.kind() == kind::RECEIPT).filter_map(|one| {
        let Issuer::Certified(issuer) = one.issuer() else { return None };
        let receipt: Receipt = codec::decode(one.body()).ok()?;
        let names = receipt.log == log
            && receipt.kind != ReceiptKind::Shown
            && receipt.ranges.iter().any(|range| (range.from..=range.to).contains(&seq));
        let (device, role) = known(issuer).filter(|_| names)?;
        Some((device, role == Role::Hub && receipt.kind == ReceiptKind::Stored))
    });
    signed.collect()
}

/// Whether `own`, a device with this disk, may let go of an envelope that it has carried, as it may
/// count, for `carried_ms`, and is set to carry for `carry_ms`.
pub(crate) fn may_go(
    place: Place,
    (own, durable): (Option<DeviceKey>, &Durable),
    known: &dyn Fn(CertId) -> Option<(DeviceKey, Role)>,
    (carried_ms, carry_ms): (u64, u64),
) -> Result<(), Broken> {
    if carried_ms >= carry_ms {
        return Ok(());
    }
    let mut all = witnesses(place, durable, known);
    all.retain(|(device, _)| Some(*device) != own);
    let hubs = all.iter().filter(|(_, stored)| *stored).map(|(device, _)| device);
    let mut pairs = hubs.map(|hub| all.iter().any(|(device, _)| device != hub));
    if pairs.any(|second| second) {
        return Ok(());
    }
    let evidence = format!(
        "envelope {} of log {} is let go after {carried_ms} ms of {carry_ms}, and {} devices vouch \
         for it",
        place.1,
        place.0.short(),
        all.len()
    );
    Err(Broken::new(Law::ReleasedIsVouched, evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use huza_crdt::control::{ReceiptRange, Scope, Statement};
    use huza_crdt::crypto::SigningKey;
    use huza_crdt::id::{Hash, LogId, StoreId};
    use huza_crdt::store::{Batch, Table};

    const PLACE: Place = (LogId([2; 32]), 3);

    fn disk(receipts: &[(u8, ReceiptKind)]) -> Durable {
        let mut durable = Durable::default();
        for (issuer, kind_of) in receipts {
            let ranges = vec![ReceiptRange { from: 1, to: 4, end: Hash([5; 32]) }];
            let (store, reason) = (StoreId([1; 16]), 0);
            let receipt = Receipt { store, log: PLACE.0, kind: *kind_of, reason, ranges };
            let body = (kind::RECEIPT, codec::encode(&receipt));
            let key = SigningKey::from_seed([*issuer; 32]);
            let issuer = Issuer::Certified(CertId([*issuer; 16]));
            let at = (0, Hash([0; 32]));
            let statement = Statement::sign(&key, issuer, at, Scope::Programme, body);
            let mut batch = Batch::default();
            batch.put(Table::Statements, statement.id().0, statement.to_bytes());
            durable.carrier.apply(&batch);
        }
        durable
    }

    #[test]
    fn a_device_that_lets_go_on_one_word_is_found() {
        // Devices 1 and 2 are hubs, 3 is a gateway.
        let role = |id: u8| if id == 3 { Role::Gateway } else { Role::Hub };
        let known = |id: CertId| Some((DeviceKey([id.0[0]; 32]), role(id.0[0])));
        let go = |receipts: &[(u8, ReceiptKind)], carried| {
            may_go(PLACE, (Some(DeviceKey([2; 32])), &disk(receipts)), &known, (carried, 1_000))
        };
        let (stored, accepted) = (ReceiptKind::Stored, ReceiptKind::Accepted);
        assert!(go(&[(1, stored), (3, accepted)], 0).is_ok());
        assert_eq!(go(&[(1, stored)], 999).unwrap_err().law, Law::ReleasedIsVouched);
        assert!(go(&[], 1_000).is_ok(), "its time is over");
        assert!(go(&[(3, accepted)], 0).is_err(), "no hub");
        assert!(go(&[(1, stored), (1, accepted)], 0).is_err(), "one device");
        assert!(go(&[(1, stored), (2, stored)], 0).is_err(), "itself");
    }
}
