//! The records of lists in memory, as they are stored: a tenth of what they take when they are read,
//! so each is read when it is asked for. A row that cannot be read is listed, though not shown: of its
//! record something is filed, and a later version may know it.

use std::collections::BTreeMap;

use super::state::SummaryRow;
use crate::codec;
use crate::id::{AreaTag, RecordId};
use crate::record::{Link, Query, Texts};

/// Where a stored row says whether something is unread, and whether there is a message; and where its
/// summary begins. The area is in front.
const UNREAD: usize = AreaTag::LEN;
const MESSAGE: usize = AreaTag::LEN + 1;
const BEFORE_SUMMARY: usize = AreaTag::LEN + 2;

/// Every record of which something is filed.
#[derive(Default)]
pub(super) struct Listing(BTreeMap<RecordId, Box<[u8]>>);

impl Listing {
    /// Lists a record, or lists it anew.
    pub(super) fn insert(&mut self, row: &SummaryRow) {
        self.insert_stored(row.summary.record, codec::encode(row));
    }

    /// The same, with its row as it is stored.
    pub(super) fn insert_stored(&mut self, record: RecordId, row: Vec<u8>) {
        self.0.insert(record, row.into_boxed_slice());
    }

    pub(super) fn remove(&mut self, record: &RecordId) {
        self.0.remove(record);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, record: &RecordId) -> bool {
        self.0.contains_key(record)
    }

    /// Its row, if that can be read.
    pub(super) fn get(&self, record: &RecordId) -> Option<SummaryRow> {
        codec::decode(self.0.get(record)?).ok()
    }

    /// The area that it belongs to: what every row begins with.
    pub(super) fn area(&self, record: &RecordId) -> Option<AreaTag> {
        AreaTag::from_slice(self.0.get(record)?.get(..AreaTag::LEN)?)
    }

    /// Every record that was listed without the form of one of its visits.
    pub(super) fn unread(&self) -> impl Iterator<Item = RecordId> {
        self.marked(UNREAD)
    }

    /// Every record with a message to workers.
    pub(super) fn with_messages(&self) -> impl Iterator<Item = RecordId> {
        self.marked(MESSAGE)
    }

    fn marked(&self, at: usize) -> impl Iterator<Item = RecordId> {
        let marked = move |row: &[u8]| row.get(at) == Some(&1);
        self.0.iter().filter(move |(_, row)| marked(row)).map(|(record, _)| *record)
    }

    /// Every record from this id on.
    pub(super) fn from(&self, first: RecordId) -> impl Iterator<Item = RecordId> {
        self.0.range(first..).map(|(record, _)| *record)
    }

    /// Every record with its area and the texts by which it is found.
    pub(super) fn texts(&self) -> impl Iterator<Item = (RecordId, AreaTag, Texts<'_>)> {
        self.0.iter().filter_map(|(record, row)| {
            let area = AreaTag::from_slice(row.get(..AreaTag::LEN)?)?;
            let summary = row.get(BEFORE_SUMMARY..)?;
            let (texts, _) = postcard::take_from_bytes::<Texts<'_>>(summary).ok()?;
            Some((*record, area, texts))
        })
    }

    /// Every record that a query finds.
    pub(super) fn search(&self, query: &Query) -> impl Iterator<Item = RecordId> {
        self.texts().filter(|(_, _, texts)| query.finds(texts.all())).map(|(record, ..)| record)
    }

    /// Every record that says of others whether they are about the same person.
    pub(super) fn linked(&self) -> impl Iterator<Item = (RecordId, Vec<Link>)> {
        let links = |record: &RecordId| Some((*record, self.get(record)?.summary.links));
        self.0.keys().filter_map(links).filter(|(_, links)| !links.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Summary;

    fn row(name: &str) -> SummaryRow {
        let summary = Summary {
            record: RecordId([7; 16]),
            names: vec![name.to_owned()],
            sex: Some("female".to_owned()),
            birth_date: Some("1998".to_owned()),
            village: None,
            identifiers: vec!["nid|1 1998".to_owned()],
            visits: 2,
            resources: 0,
            has_conflict: false,
            urgent: true,
            latest: None,
            reminders: vec![],
            links: vec![],
        };
        SummaryRow {
            area: AreaTag([3; 16]),
            unread: name.starts_with('J'),
            message: name.starts_with('M'),
            summary,
        }
    }

    #[test]
    fn a_stored_row_is_found_as_the_summary_it_came_from_is() {
        for name in ["Immaculée Uwase", "MUKAMANA Espérance", "Jean-Bosco"] {
            let mut listing = Listing::default();
            let row = row(name);
            listing.insert(&row);
            for query in
                ["", "uwa immac", "ESPERANCE", "é", "female", "98 nid|1", "bosco x", "ee u"]
            {
                let found = listing.search(&Query::new(query)).count();
                assert_eq!(found == 1, row.summary.matches(query), "{query} in {name}");
            }
            assert_eq!(listing.area(&row.summary.record), Some(row.area));
            assert_eq!(listing.unread().count(), usize::from(row.unread));
            assert_eq!(listing.with_messages().count(), usize::from(row.message));
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_listed_and_not_shown() {
        let mut listing = Listing::default();
        let record = RecordId([9; 16]);
        listing.insert_stored(record, [[3; 16].as_slice(), &[255; 40]].concat());
        assert!(listing.contains(&record) && listing.get(&record).is_none());
        assert_eq!(listing.area(&record), Some(AreaTag([3; 16])));
        assert_eq!(listing.search(&Query::new("")).count(), 0);
    }
}
