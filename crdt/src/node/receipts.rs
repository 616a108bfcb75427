//! Signing receipts: what this device vouches for, by its role.

use super::Node;
use super::api::{CommandId, Event, Reply};
use crate::codec;
use crate::control::{Receipt, ReceiptKind, ReceiptRange, Scope, kind};
use crate::holdings::{Held, Spans};
use crate::id::LogId;
use crate::limits::RANGES_MAX;
use crate::trust::Role;

impl Node {
    /// Signs every receipt that says less than what is true now, and answers who waits for that.
    pub(super) fn sign_receipts(&mut self, of: Option<CommandId>) {
        let mut due: Vec<(LogId, ReceiptKind, u16, Spans)> = Vec::new();
        for (log, shown) in self.reader.iter().flat_map(|reader| &reader.shown) {
            due.push((*log, ReceiptKind::Shown, 0, shown.clone()));
        }
        match self.role() {
            Some(Role::Hub) => {
                // What is only carried may be let go: nothing is promised of it.
                let all = self.carrier.holdings.logs.iter();
                let whole = |(log, held): &(&LogId, &Held)| held.released() == 0 && self.keeps(log);
                for (log, held) in all.filter(whole) {
                    let counting = held.counting(|seq| self.carrier.is_erased(log, seq));
                    due.push((*log, ReceiptKind::Stored, 0, counting));
                }
            }
            Some(Role::Gateway) => {
                for (log, answered) in self.reader.iter().flat_map(|reader| &reader.answered) {
                    due.push((*log, ReceiptKind::Accepted, 0, answered.accepted.clone()));
                    for (reason, spans) in &answered.refused {
                        due.push((*log, ReceiptKind::Refused, *reason, spans.clone()));
                    }
                }
            }
            Some(Role::Authority | Role::Worker | Role::Relay) | None => {}
        }
        let mut change = self.change();
        let mut count = 0;
        for (log, kind, reason, spans) in due {
            count +=
                usize::from(self.sign_receipt(&mut change, log, kind, reason, &spans).is_some());
        }
        if count > 0 {
            self.event(Event::Receipts { count });
        }
        self.commit(change, move |node| {
            if let Some(id) = of {
                node.reply(id, Reply::Noted);
            }
        });
    }

    fn sign_receipt(
        &mut self,
        change: &mut super::ingest::Change,
        log: LogId,
        kind: ReceiptKind,
        reason: u16,
        spans: &Spans,
    ) -> Option<()> {
        let (issuer, _) = self.carrier.issuer()?;
        let store = self.carrier.identity.as_ref()?.store;
        let lane = self.carrier.lane.as_ref()?;
        let area = lane.opening(&log)?.area;
        let newest = spans.as_slice().iter().rev().take(RANGES_MAX).rev();
        let ranges: Vec<ReceiptRange> = newest
            .map(|span| ReceiptRange { from: span.from, to: span.to, end: span.end })
            .collect();
        let told = lane.receipt(issuer, store, log, kind, reason);
        if ranges.is_empty() || told.is_some_and(|told| told.ranges == ranges) {
            return None;
        }
        let body = codec::encode(&Receipt { store, log, kind, reason, ranges });
        let scope = Scope::Catchment(area.catchment());
        self.issue(change, scope, kind::RECEIPT, body).map(drop)
    }
}
