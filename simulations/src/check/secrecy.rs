//! Law: nobody without the key reads. No canary is on a link, in a carrier's store, in an event,
//! or in a reader's store that its certificate does not cover; neither as it is nor behind
//! compression.

use huza_crdt::codec;
use huza_crdt::envelope::{Content, Stored, Wire};
use huza_crdt::limits::PLAINTEXT_BYTES_MAX;
use huza_crdt::node::Event;
use huza_crdt::pack;
use huza_crdt::store::{Batch, Op, StoreKind, Table};

use crate::host::Nature;
use crate::token::{DIRECTORY, Token, Tokens};
use crate::violation::{Broken, Law};

fn broken(what: &str) -> Broken {
    Broken::new(Law::Secrecy, what)
}

/// Bytes on a link.
pub(crate) fn on_link(tokens: &Tokens, bytes: &[u8]) -> Result<(), Broken> {
    if tokens.any(bytes) { Err(broken("a canary is in clear on a link")) } else { Ok(()) }
}

/// Envelopes on a link or in a store, behind compression.
pub(crate) fn in_envelopes<'a>(
    tokens: &Tokens,
    wires: impl Iterator<Item = &'a Wire>,
) -> Result<(), Broken> {
    for wire in wires {
        if let Content::Sealed(sealed) = &wire.content {
            unpacked(tokens, sealed)?;
        }
    }
    Ok(())
}

/// Sealed bytes, which must be no compressed ones, with or without the byte that names the seal.
fn unpacked(tokens: &Tokens, sealed: &[u8]) -> Result<(), Broken> {
    for skip in 0..2 {
        let plain = pack::unpack(sealed.get(skip..).unwrap_or_default(), PLAINTEXT_BYTES_MAX);
        if plain.is_ok_and(|plain| tokens.any(&plain)) {
            return Err(broken("a canary is compressed but not sealed"));
        }
    }
    Ok(())
}

/// What `Debug` prints, and so what may come into a log.
pub(crate) fn in_print(tokens: &Tokens, it: &impl core::fmt::Debug) -> Result<(), Broken> {
    if tokens.any(format!("{it:?}").as_bytes()) {
        return Err(broken("a canary prints"));
    }
    Ok(())
}

/// What an operator reads.
pub(crate) fn in_event(tokens: &Tokens, event: &Event) -> Result<(), Broken> {
    let spelled = serde_json::to_vec(event).unwrap_or_default();
    if tokens.any(format!("{event:?}").as_bytes()) || tokens.any(&spelled) {
        return Err(broken("a canary is in an event"));
    }
    Ok(())
}

/// What becomes durable at a host. `outside` tells which tokens the host wrote into villages that
/// are not its own; of these it may keep its own text.
pub(crate) fn on_disk(
    tokens: &Tokens,
    nature: &Nature,
    batch: &Batch,
    outside: &dyn Fn(&Token) -> bool,
) -> Result<(), Broken> {
    for op in &batch.0 {
        let Op::Put { table, key, value } = op else { continue };
        if table.store() == StoreKind::Carrier {
            if tokens.any(key) || tokens.any(value) {
                return Err(broken("a canary is in clear in a carrier's store"));
            }
            if matches!(table, Table::Envelopes | Table::Forked)
                && let Ok(stored) = codec::decode::<Stored>(value)
            {
                in_envelopes(tokens, core::iter::once(&stored.wire))?;
            }
            continue;
        }
        let found = tokens.find(key).into_iter().chain(tokens.find(value));
        for token in found {
            let village = token.village();
            if village != DIRECTORY && !nature.covers.contains(&village) && !outside(&token) {
                let evidence =
                    format!("a record of village {village} is in a reader that may not read it");
                return Err(Broken::new(Law::Secrecy, evidence));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::host::Belonging;
    use huza_crdt::trust::Role;
    use std::collections::BTreeSet;

    fn nature() -> Nature {
        Nature {
            label: "w1".to_owned(),
            belonging: Belonging::Member,
            role: Role::Worker,
            catchment: 0,
            covers: BTreeSet::from([1]),
        }
    }

    fn on_disk_at(table: Table, village: u64, outside: bool) -> Result<(), Broken> {
        let token = Token::mint(village, &mut Draw::new(1, "secrecy"));
        let mut batch = Batch::default();
        batch.put(table, [1], format!("name: {}", token.as_str()));
        on_disk(&Tokens::default(), &nature(), &batch, &|_| outside)
    }

    #[test]
    fn a_carrier_that_can_be_read_is_found() {
        assert_eq!(on_disk_at(Table::Taken, 1, false).unwrap_err().law, Law::Secrecy);
    }

    #[test]
    fn a_reader_holds_its_own_villages_and_no_other() {
        assert!(on_disk_at(Table::Changes, 1, false).is_ok());
        assert!(on_disk_at(Table::Changes, DIRECTORY, false).is_ok());
        assert!(on_disk_at(Table::Changes, 2, true).is_ok());
        assert!(on_disk_at(Table::Changes, 2, false).is_err());
    }

    #[test]
    fn bytes_that_are_packed_and_not_sealed_are_found() {
        let token = Token::mint(1, &mut Draw::new(1, "secrecy"));
        let packed = pack::pack(token.as_str().as_bytes()).unwrap();
        let tokens = Tokens::default();
        assert!(unpacked(&tokens, &packed).is_err());
        assert!(unpacked(&tokens, &[&[0], packed.as_slice()].concat()).is_err());
        assert!(unpacked(&tokens, b"no zstd at all").is_ok());
        assert!(on_link(&tokens, token.as_str().as_bytes()).is_err());
        assert!(on_link(&tokens, b"sealed").is_ok());
    }
}
