//! What a node holds of the logs of one health centre: spans, not records.
//!
//! A span is all records of a log from one number to another. Two nodes are compared by walking two
//! sorted lists; equal lists are known to be equal by a sum over all records that they cover, which
//! does not depend on how they are cut.

/// What became of a span: nothing, the time in which it was borrowed, or how many copies of it there
/// are.
pub(super) type Mark = u32;

/// It is held for ever.
pub(super) const KEPT: Mark = 0;

/// It was let go: it counts as held, and is offered to nobody.
pub(super) const RELEASED: Mark = Mark::MAX;

/// Records of a log, all with one mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) log: u32,
    /// The first.
    pub(super) from: u32,
    /// Behind the last.
    pub(super) to: u32,
    pub(super) mark: Mark,
}

/// What a node holds of the logs of one health centre.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    pub(super) hub: u32,
    /// The sum over all records in the spans.
    pub(super) print: u64,
    /// The statement of the hub up to which it is known what may be let go.
    pub(super) looked: u32,
    /// Sorted, apart, and joined where they touch and have one mark.
    pub(super) spans: Vec<Span>,
}

impl Shelf {
    /// The place of the first span of a log that ends behind a record, or of what comes after it.
    fn place(&self, log: u32, record: u32) -> usize {
        self.spans.partition_point(|span| (span.log, span.to) <= (log, record))
    }

    /// The spans that share records with that part of a log, cut to it.
    pub(super) fn within(&self, log: u32, from: u32, to: u32) -> impl Iterator<Item = Span> {
        let spans = self.spans.get(self.place(log, from)..).unwrap_or_default();
        spans
            .iter()
            .take_while(move |span| span.log == log && span.from < to)
            .map(move |span| Span { from: span.from.max(from), to: span.to.min(to), ..*span })
    }

    /// The parts of that part of a log that are not here.
    pub(super) fn lacking(&self, log: u32, from: u32, to: u32, into: &mut Vec<(u32, u32)>) {
        let mut next = from;
        for span in self.within(log, from, to) {
            if next < span.from {
                into.push((next, span.from));
            }
            next = span.to;
        }
        if next < to {
            into.push((next, to));
        }
    }

    /// Adds records that were not here.
    pub(super) fn insert(&mut self, new: Span) {
        let place = self.place(new.log, new.from);
        let joins = |one: &Span, next: &Span| {
            one.log == next.log && one.to == next.from && one.mark == next.mark
        };
        let before = place
            .checked_sub(1)
            .filter(|before| self.spans.get(*before).is_some_and(|before| joins(before, &new)));
        let after = self.spans.get(place).copied().filter(|after| joins(&new, after));
        match (before.and_then(|before| self.spans.get_mut(before)), after) {
            (Some(before), None) => before.to = new.to,
            (Some(before), Some(after)) => {
                before.to = after.to;
                self.spans.remove(place);
            }
            (None, Some(_)) => {
                if let Some(after) = self.spans.get_mut(place) {
                    after.from = new.from;
                }
            }
            (None, None) => self.spans.insert(place, new),
        }
    }

    /// Gives records that are here another mark.
    pub(super) fn mark(&mut self, log: u32, from: u32, to: u32, mark: Mark) {
        let place = self.place(log, from);
        let inside: Vec<Span> = self.within(log, from, to).collect();
        let cut = self.spans.splice(place..place + inside.len(), []).collect::<Vec<Span>>();
        let mut parts = Vec::with_capacity(inside.len() + 2);
        if let Some(first) = cut.first().filter(|first| first.from < from) {
            parts.push(Span { to: from, ..*first });
        }
        parts.extend(inside.into_iter().map(|span| Span { mark, ..span }));
        if let Some(last) = cut.last().filter(|last| last.to > to) {
            parts.push(Span { from: to, ..*last });
        }
        for part in parts {
            self.insert(part);
        }
    }
}

/// What is offered of `ours` and is not in `theirs`, in order.
pub(super) fn missing(
    ours: &[Span],
    theirs: &[Span],
    offered: impl Fn(&Span) -> bool,
    into: &mut Vec<Span>,
) {
    let mut theirs = theirs;
    for span in ours.iter().filter(|span| offered(span)) {
        let gone = theirs.partition_point(|one| (one.log, one.to) <= (span.log, span.from));
        theirs = theirs.get(gone..).unwrap_or_default();
        let mut next = span.from;
        for one in theirs.iter().take_while(|one| one.log == span.log && one.from < span.to) {
            if next < one.from {
                into.push(Span { from: next, to: one.from, ..*span });
            }
            next = next.max(one.to);
        }
        if next < span.to {
            into.push(Span { from: next, ..*span });
        }
    }
}

/// How many logs two lists do not hold the same of.
pub(super) fn differing(ours: &[Span], theirs: &[Span]) -> u64 {
    let (mut ours, mut theirs) = (Covered(ours).peekable(), Covered(theirs).peekable());
    let (mut count, mut last) = (0, None);
    loop {
        let (one, other) = (ours.peek().copied(), theirs.peek().copied());
        let next = match (one, other) {
            (None, None) => return count,
            (one, other) if one == other => {
                ours.next();
                theirs.next();
                continue;
            }
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other).unwrap_or_default(),
        };
        if one == Some(next) {
            ours.next();
        } else {
            theirs.next();
        }
        if last != Some(next.0) {
            (count, last) = (count + 1, Some(next.0));
        }
    }
}

/// Spans without their marks, joined where they touch: log, first, behind the last.
struct Covered<'a>(&'a [Span]);

impl Iterator for Covered<'_> {
    type Item = (u32, u32, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (first, mut rest) = self.0.split_first()?;
        let mut to = first.to;
        while let Some((next, others)) = rest.split_first()
            && next.log == first.log
            && next.from == to
        {
            (to, rest) = (next.to, others);
        }
        self.0 = rest;
        Some((first.log, first.from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(log: u32, from: u32, to: u32, mark: Mark) -> Span {
        Span { log, from, to, mark }
    }

    fn shelf(spans: &[Span]) -> Shelf {
        let mut shelf = Shelf::default();
        spans.iter().for_each(|span| shelf.insert(*span));
        shelf
    }

    #[test]
    fn spans_that_touch_are_joined_if_nothing_else_became_of_them() {
        let all = shelf(&[span(1, 5, 7, 0), span(1, 0, 3, 0), span(1, 3, 5, 0), span(1, 7, 9, 4)]);
        assert_eq!(all.spans, [span(1, 0, 7, 0), span(1, 7, 9, 4)]);
        let mut gaps = Vec::new();
        shelf(&[span(1, 2, 3, 0), span(1, 5, 7, 0), span(2, 0, 9, 0)]).lacking(1, 0, 9, &mut gaps);
        assert_eq!(gaps, [(0, 2), (3, 5), (7, 9)]);
    }

    #[test]
    fn a_mark_on_a_part_cuts_a_span_and_joins_it_again() {
        let mut all = shelf(&[span(1, 0, 10, 2)]);
        all.mark(1, 3, 5, RELEASED);
        assert_eq!(all.spans, [span(1, 0, 3, 2), span(1, 3, 5, RELEASED), span(1, 5, 10, 2)]);
        all.mark(1, 5, 12, RELEASED);
        assert_eq!(all.spans, [span(1, 0, 3, 2), span(1, 3, 10, RELEASED)]);
        all.mark(1, 0, 10, 2);
        assert_eq!(all.spans, [span(1, 0, 10, 2)]);
    }

    /// Against the same on single records.
    #[test]
    fn what_is_missing_and_what_differs_is_found_as_record_by_record() {
        let mut draw = crate::draw::Draw::new(5, "spans");
        for _ in 0..2_000 {
            let mut drawn = || {
                let mut shelf = Shelf::default();
                let mut held = std::collections::BTreeMap::new();
                for log in 0..3_u32 {
                    for record in 0..12_u32 {
                        if draw.below(3) > 0 {
                            let mark = if draw.below(3) > 0 { KEPT } else { RELEASED };
                            shelf.insert(span(log, record, record + 1, mark));
                            held.insert((log, record), mark);
                        }
                    }
                }
                (shelf, held)
            };
            let ((ours, held), (theirs, other)) = (drawn(), drawn());
            let mut found = Vec::new();
            missing(&ours.spans, &theirs.spans, |span| span.mark == KEPT, &mut found);
            let found: Vec<(u32, u32)> = found
                .iter()
                .flat_map(|span| (span.from..span.to).map(|at| (span.log, at)))
                .collect();
            let expected: Vec<(u32, u32)> = held
                .iter()
                .filter(|(at, mark)| **mark == KEPT && !other.contains_key(at))
                .map(|(at, _)| *at)
                .collect();
            assert_eq!(found, expected);
            let logs = (0..3).filter(|log| {
                (0..12).any(|at| held.contains_key(&(*log, at)) != other.contains_key(&(*log, at)))
            });
            assert_eq!(differing(&ours.spans, &theirs.spans), logs.count() as u64);
        }
    }
}
