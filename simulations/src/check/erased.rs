//! Law: once an erasure has reached everybody, the erased record is on no disk: not in clear, and
//! not in any envelope that the auditor can open.

use std::collections::BTreeSet;

use huza_crdt::codec;
use huza_crdt::control::{Erasure, kind};
use huza_crdt::id::RecordId;
use huza_crdt::store::Table;

use crate::audit::Model;
use crate::disk::Durable;
use crate::ledger::Ledger;
use crate::programme::Auditor;
use crate::token::{Token, Tokens};
use crate::violation::{Broken, Law};

/// The records that erasures on a disk name.
pub(crate) fn named(auditor: &Auditor, durable: &Durable) -> BTreeSet<RecordId> {
    let orders = durable.carrier.statements().filter(|one| one.kind() == kind::ERASURE);
    let named = orders.filter_map(|order| {
        let erasure: Erasure = codec::decode(order.body()).ok()?;
        let key = auditor.key(erasure.area, erasure.epoch)?;
        // As `docs/wire.md` says.
        let context = [b"huza erasure 1\0".as_slice(), &erasure.area.0, &erasure.epoch.0].concat();
        RecordId::from_slice(&key.open(&context, &erasure.record).ok()?)
    });
    named.collect()
}

/// The canaries of some records.
pub(crate) fn canaries(ledger: &Ledger, records: &BTreeSet<RecordId>) -> BTreeSet<Token> {
    let of = ledger
        .entries
        .iter()
        .filter(|(_, entry)| entry.record.is_some_and(|record| records.contains(&record)));
    of.map(|(token, _)| *token).collect()
}

/// Whether nothing of the erased is on a disk.
pub(crate) fn is_gone(
    erased: &BTreeSet<Token>,
    (auditor, tokens): (&Auditor, &Tokens),
    durable: &Durable,
) -> Result<(), Broken> {
    let broken = |token: &Token, what: String| {
        Err(Broken::new(Law::ErasedIsGone, format!("{} is {what}", token.as_str())))
    };
    for table in Table::ALL {
        for (key, value) in durable.rows(*table) {
            let found = [key, value].into_iter().flat_map(|bytes| tokens.find(bytes));
            if let Some(token) = found.into_iter().find(|token| erased.contains(token)) {
                return broken(&token, format!("in clear in {table:?}"));
            }
        }
    }
    let mut model = Model::default();
    model.add(auditor, tokens, durable);
    for ((log, seq), found) in &model.places {
        if let Some(token) = found.iter().find(|token| erased.contains(*token)) {
            return broken(token, format!("sealed in envelope {seq} of log {}", log.short()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::options::Options;
    use crate::programme::Programmes;
    use huza_crdt::store::Batch;

    #[test]
    fn a_disk_that_keeps_something_of_the_erased_is_found() {
        let programmes = Programmes::found(&Options::draw(1), &mut Draw::new(1, "keys")).unwrap();
        let (gone, stays) =
            (Token::mint(1, &mut Draw::new(1, "a")), Token::mint(1, &mut Draw::new(2, "a")));
        let erased = BTreeSet::from([gone]);
        let with = |token: &Token| {
            let mut durable = Durable::default();
            let mut batch = Batch::default();
            batch.put(Table::Summaries, [1], format!("name: {}", token.as_str()));
            durable.reader.apply(&batch);
            is_gone(&erased, (&programmes.auditor, &Tokens::default()), &durable)
        };
        assert!(with(&stays).is_ok());
        assert_eq!(with(&gone).unwrap_err().law, Law::ErasedIsGone);
    }
}
