//! The change that every record begins with.

use std::sync::LazyLock;

use automerge::{ActorId, Automerge, Change, ObjId};

use super::edit::Root;

/// The actor of genesis.
pub(crate) const GENESIS_ACTOR: [u8; 16] = [0; 16];

/// Raw bytes of the change that begins every record: actor of 16 zero bytes, time 0, no message,
/// four maps. Pinned for ever by a test.
const GENESIS: [u8; 82] = [
    0x85, 0x6f, 0x4a, 0x83, 0xe5, 0x76, 0x4a, 0xa8, 0x01, 0x48, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x05, 0x15, 0x1f, 0x34, 0x01, 0x42, 0x02, 0x56, 0x02, 0x70, 0x02, 0x7c, 0x06, 0x70, 0x65,
    0x72, 0x73, 0x6f, 0x6e, 0x06, 0x76, 0x69, 0x73, 0x69, 0x74, 0x73, 0x09, 0x72, 0x65, 0x73, 0x6f,
    0x75, 0x72, 0x63, 0x65, 0x73, 0x05, 0x6c, 0x69, 0x6e, 0x6b, 0x73, 0x04, 0x04, 0x00, 0x04, 0x00,
    0x04, 0x00,
];

pub(super) const GENESIS_HASH: [u8; 32] = [
    0xe5, 0x76, 0x4a, 0xa8, 0xa1, 0xda, 0x35, 0x6d, 0x28, 0xc4, 0xfa, 0x1d, 0x6b, 0xff, 0x91, 0x61,
    0x98, 0x42, 0x1d, 0x33, 0xd0, 0xa8, 0xec, 0xe7, 0x21, 0x36, 0xca, 0x2f, 0x0a, 0x27, 0x6d, 0xbc,
];

/// The last operation number of genesis: it makes four maps.
pub(super) const GENESIS_MAX_OP: u64 = 4;

/// Raw bytes of the change that begins every record.
#[must_use]
pub fn genesis() -> &'static [u8] {
    &GENESIS
}

/// Its Automerge hash.
#[must_use]
pub const fn genesis_hash() -> [u8; 32] {
    GENESIS_HASH
}

/// A document that holds genesis alone, to be written by `actor`.
pub(super) fn with_genesis(actor: ActorId) -> Automerge {
    // Every record begins with it: to copy it costs a fraction of making it.
    static EMPTY: LazyLock<Automerge> = LazyLock::new(empty);
    EMPTY.clone().with_actor(actor)
}

fn empty() -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from(GENESIS_ACTOR));
    #[expect(
        clippy::expect_used,
        reason = "the constant bytes are a valid change; tests hold them"
    )]
    let change = Change::try_from(GENESIS.as_slice()).expect("genesis is a change");
    #[expect(
        clippy::expect_used,
        reason = "an empty document takes a change without dependencies"
    )]
    doc.apply_changes([change]).expect("genesis applies");
    doc
}

/// The Automerge id of a root map: the operation of genesis that made it.
pub(super) fn map_id(root: Root) -> ObjId {
    ObjId::Id(root.op(), ActorId::from(GENESIS_ACTOR), 0)
}

#[cfg(test)]
mod tests {
    use automerge::ObjType;
    use automerge::transaction::{CommitOptions, Transactable as _};

    use super::*;
    use crate::id::hex;

    #[test]
    fn genesis_is_what_automerge_writes_and_never_changes() {
        let mut doc = Automerge::new().with_actor(ActorId::from(GENESIS_ACTOR));
        let mut transaction = doc.transaction();
        for root in Root::ALL {
            let id = transaction.put_object(automerge::ROOT, root.name(), ObjType::Map).unwrap();
            assert_eq!(id, map_id(root));
        }
        transaction.commit_with(CommitOptions::default().with_time(0));
        let change = doc.get_last_local_change().unwrap();
        assert_eq!(change.raw_bytes(), genesis());
        assert_eq!(change.hash().0, genesis_hash());
        assert_eq!(change.max_op(), GENESIS_MAX_OP);
        assert_eq!(
            hex(genesis()),
            "856f4a83e5764aa80148001000000000000000000000000000000000010100000005151f3401\
             4202560270027c06706572736f6e06766973697473097265736f\
             7572636573056c696e6b7304040004000400"
        );
    }
}
