//! Law: what a node says of progress is true. Of a contact: what came and what was taken, as the
//! bytes on its pipe say, and never more than in all. Of a record: what it calls stored at the health
//! centre was at a hub.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::id::RecordId;
use huza_crdt::node::{RecordStatus, SessionStatus};
use huza_crdt::session::Stats;

use super::contact::Talk;
use crate::audit::{Model, Place};
use crate::token::Token;
use crate::violation::{Broken, Law};

fn broken(what: String) -> Broken {
    Broken::new(Law::ToldIsTrue, what)
}

/// Whether what is told of an open contact is what its pipe carried.
pub(crate) fn of_contact(told: &SessionStatus, talk: &Talk) -> Result<(), Broken> {
    let ((expected, came), (promised, taken)) = (told.receiving, told.sending);
    let pipe = told.pipe.0;
    if came > talk.came || came > expected {
        let seen = talk.came;
        return Err(broken(format!(
            "pipe {pipe}: {came} of {expected} envelopes are said to have come, and {seen} did"
        )));
    }
    if taken > talk.taken || taken > promised {
        let seen = talk.taken;
        return Err(broken(format!(
            "pipe {pipe}: {taken} of {promised} envelopes are said to be taken, and {seen} were"
        )));
    }
    Ok(())
}

/// Whether what is told of a contact that is complete is what its pipe carried.
pub(crate) fn of_completion(stats: &Stats, talk: &Talk) -> Result<(), Broken> {
    if stats.envelopes_sent > talk.taken || stats.envelopes_received > talk.came {
        let (sent, received) = (stats.envelopes_sent, stats.envelopes_received);
        return Err(broken(format!(
            "a complete contact: {sent} envelopes are said to be taken and {received} to have come; \
             {} were and {} did",
            talk.taken, talk.came
        )));
    }
    Ok(())
}

/// Whether what is told to be stored at the health centre was in envelopes that a hub held. `mine`:
/// what the device itself holds; `everywhere`: in which envelopes each canary is, on any disk.
pub(crate) fn of_records(
    told: &[RecordStatus],
    mine: &Model,
    everywhere: &BTreeMap<Token, BTreeSet<Place>>,
    at_hubs: &BTreeSet<Place>,
) -> Result<(), Broken> {
    let stored = told.iter().filter(|one| one.stored).map(|one| one.record);
    let stored: BTreeSet<RecordId> = stored.filter(|one| !mine.held_back.contains(one)).collect();
    let none = BTreeSet::new();
    for (token, record) in mine.tokens.iter().filter(|(_, record)| stored.contains(record)) {
        let places = everywhere.get(token).unwrap_or(&none);
        if places.is_disjoint(at_hubs) {
            return Err(broken(format!(
                "record {record} is said to be at the health centre, and no hub held {}",
                token.as_str()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use huza_crdt::id::LogId;
    use huza_crdt::node::PipeId;

    #[test]
    fn a_progress_that_runs_ahead_is_found() {
        let mut talk = Talk::new(false, false, 0);
        (talk.came, talk.taken) = (3, 2);
        let told = |receiving, sending| {
            let (peer, stats) = (None, Stats::default());
            let pipe = PipeId(1);
            let told = SessionStatus { pipe, peer, complete: false, stats, receiving, sending };
            of_contact(&told, &talk)
        };
        assert!(told((4, 3), (2, 2)).is_ok());
        assert_eq!(told((4, 4), (2, 2)).unwrap_err().law, Law::ToldIsTrue);
        assert!(told((2, 3), (2, 2)).is_err(), "over a hundred per cent");
        assert!(told((4, 3), (5, 3)).is_err());
        assert!(told((4, 3), (1, 2)).is_err());
        let stats = |sent, received| Stats {
            envelopes_sent: sent,
            envelopes_received: received,
            ..Stats::default()
        };
        assert!(of_completion(&stats(2, 3), &talk).is_ok());
        assert!(of_completion(&stats(3, 3), &talk).is_err());
        assert!(of_completion(&stats(2, 4), &talk).is_err());
    }

    #[test]
    fn a_record_that_no_hub_ever_held_is_not_at_the_health_centre() {
        let (record, place) = (RecordId([1; 16]), (LogId([2; 32]), 0));
        let token = Token::mint(1, &mut Draw::new(1, "told"));
        let mut mine = Model::default();
        mine.tokens.insert(token, record);
        let told = |stored| RecordStatus {
            record,
            name: String::new(),
            changes: 1,
            pending: 0,
            taken: 0,
            stored,
            accepted: false,
            refused: false,
            receipts: Vec::new(),
        };
        let everywhere = BTreeMap::from([(token, BTreeSet::from([place]))]);
        let check = |stored, hubs: &[Place]| {
            of_records(&[told(stored)], &mine, &everywhere, &hubs.iter().copied().collect())
        };
        assert!(check(false, &[]).is_ok());
        assert!(check(true, &[place]).is_ok());
        assert_eq!(check(true, &[]).unwrap_err().law, Law::ToldIsTrue);
    }
}
