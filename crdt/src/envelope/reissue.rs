//! What is left of an envelope when one record in it is erased: the author's header and signature,
//! the other items, and of the erased ones their salted hashes. So the rest is still proven to be
//! the author's, though another device sealed it anew.

use serde::{Deserialize, Serialize};

use super::{
    Contents, Header, Item, OpenError, Payload, SEAL_REISSUE, Unnumbered, Urgency, context, leaf,
    member_salt, root_of,
};
use crate::codec::{self, DecodeError};
use crate::crypto::{Signature, SymmetricKey};
use crate::id::{DeviceKey, LogId, RecordId, hash_parts, truncated};
use crate::limits::{PAYLOAD_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use crate::pack;

/// One item of the original, or its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaf {
    /// It stays.
    Kept(Item),
    /// It is erased.
    Gone([u8; 32]),
}

/// What is left of one envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reissue {
    /// The author's header.
    pub header: Header,
    /// Over it.
    pub signature: Signature,
    /// See [`Payload::origin`].
    pub origin: Option<LogId>,
    /// See [`Payload::first`].
    pub first: u64,
    /// The salt of the items, without which their root cannot be computed.
    pub salt: [u8; 32],
    /// Every item, in order.
    pub leaves: Vec<Leaf>,
}

impl Reissue {
    /// What is left of the contents of an envelope without `record`. Nothing, if nothing is.
    #[must_use]
    pub fn without(
        record: RecordId,
        header: Header,
        signature: Signature,
        contents: Contents,
    ) -> Vec<Self> {
        let all = match contents {
            Contents::Changes { payload, salt } => {
                let Payload { origin, first, items } = payload;
                let leaves = items.into_iter().map(Leaf::Kept).collect();
                vec![Self { header, signature, origin, first, salt, leaves }]
            }
            Contents::Reissued(all) => all,
        };
        let rest = all.into_iter().map(|one| one.erase(record));
        rest.filter(|one| one.leaves.iter().any(|leaf| matches!(leaf, Leaf::Kept(_)))).collect()
    }

    fn erase(mut self, record: RecordId) -> Self {
        for place in &mut self.leaves {
            if let Leaf::Kept(item) = place
                && item.record == record
            {
                *place = Leaf::Gone(leaf(&self.salt, item));
            }
        }
        self
    }

    /// The log whose changes these are.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.origin.unwrap_or(self.header.log)
    }

    /// The items that stay, each with the counter of its change, if the author signed for them.
    ///
    /// # Errors
    /// If the signature is not the author's, or is over other items.
    pub fn items(self, author: DeviceKey) -> Result<Vec<(u64, Item)>, OpenError> {
        if self.first.checked_add(self.leaves.len() as u64).is_none() {
            return Err(DecodeError::Limit("counters").into());
        }
        let hashes: Vec<[u8; 32]> = self
            .leaves
            .iter()
            .map(|one| match one {
                Leaf::Kept(item) => leaf(&self.salt, item),
                Leaf::Gone(hash) => *hash,
            })
            .collect();
        let signed = self.header.signed(author, self.signature).verify();
        if !signed || root_of(&hashes) != self.header.items_root {
            return Err(OpenError::WrongItems);
        }
        let counters = self.first..;
        let kept = counters.zip(self.leaves).filter_map(|(counter, one)| match one {
            Leaf::Kept(item) => Some((counter, item)),
            Leaf::Gone(_) => None,
        });
        Ok(kept.collect())
    }
}

/// Packs and seals what is left of some envelopes, for `log`.
///
/// # Errors
/// If it exceeds a limit.
pub fn seal_reissues(
    reissues: &[Reissue],
    log: LogId,
    key: &SymmetricKey,
    entropy: [u8; 32],
) -> Result<Unnumbered, OpenError> {
    let plain = codec::encode(reissues);
    if plain.len() > PLAINTEXT_BYTES_MAX {
        return Err(DecodeError::Limit("plaintext bytes").into());
    }
    let epoch = crate::trust::epoch_of(key);
    let context = [context(log, epoch).as_slice(), &[SEAL_REISSUE]].concat();
    let sealed = key.seal(&context, &pack::pack(&plain)?, entropy);
    let items_root = root(&member_salt(key, &sealed), &plain);
    let payload = [&[SEAL_REISSUE], sealed.as_slice()].concat();
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(DecodeError::Limit("payload bytes").into());
    }
    let urgent = |one: &Reissue| one.header.urgency == Urgency::Urgent;
    let urgency = if reissues.iter().any(urgent) { Urgency::Urgent } else { Urgency::Routine };
    Ok(Unnumbered { changes: 0, epoch, urgency, items_root, payload })
}

/// What a re-issuing header signs for.
pub(super) fn root(salt: &[u8; 32], plain: &[u8]) -> [u8; 16] {
    truncated(hash_parts("huza 2026 reissues root", &[salt, plain]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use crate::envelope::{Content, Seal, Stored};
    use crate::id::Hash;

    fn item(record: u8) -> Item {
        Item { record: RecordId([record; 16]), change: vec![record; 50], card: Vec::new() }
    }

    fn envelope(author: &SigningKey, key: &SymmetricKey) -> (Header, Stored) {
        let payload = Payload { origin: None, first: 4, items: vec![item(1), item(2), item(1)] };
        let log = LogId([3; 32]);
        let seal = Seal::Member(key.clone());
        let sealed = payload.seal(log, &seal, Urgency::Routine, [4; 32]).unwrap();
        let stored = sealed.number(author, log, 9, Hash([8; 32]));
        (stored.wire.header(log, 9, stored.previous), stored)
    }

    fn contents((header, stored): &(Header, Stored), key: &SymmetricKey) -> Contents {
        let Content::Sealed(sealed) = &stored.wire.content else { panic!("sealed") };
        Contents::open(header, sealed, key).unwrap()
    }

    #[test]
    fn what_is_left_is_still_proven_to_be_its_authors() {
        let (author, key) = (SigningKey::from_seed([1; 32]), SymmetricKey::from_bytes([2; 32]));
        let one = envelope(&author, &key);
        let (signature, opened) = (one.1.wire.signature, contents(&one, &key));
        let left = Reissue::without(RecordId([1; 16]), one.0, signature, opened.clone());
        let sealed = seal_reissues(&left, LogId([5; 32]), &key, [6; 32]).unwrap();
        let authority = SigningKey::from_seed([7; 32]);
        let stored = sealed.number(&authority, LogId([5; 32]), 0, Hash([0; 32]));
        let header = stored.wire.header(LogId([5; 32]), 0, stored.previous);
        let Contents::Reissued(left) = contents(&(header, stored), &key) else { panic!() };
        let items = left[0].clone().items(author.public()).unwrap();
        assert_eq!(items, [(5, item(2))]);
        assert!(left[0].clone().items(authority.public()).is_err(), "not the authority's words");
        let mut altered = left[0].clone();
        altered.leaves[1] = Leaf::Kept(item(3));
        assert!(altered.items(author.public()).is_err());
        // A second person goes: what was re-issued is re-issued again, and then nothing is left.
        let more = Reissue::without(RecordId([2; 16]), one.0, signature, opened);
        assert_eq!(more[0].clone().items(author.public()).unwrap().len(), 2);
        let again = Contents::Reissued(left);
        assert!(Reissue::without(RecordId([2; 16]), one.0, signature, again).is_empty());
    }
}
