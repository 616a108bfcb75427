//! What is written: visits, and photos beside them, as long as the plan says.
//!
//! How long an envelope becomes depends on what sealing does with its content. So it is measured: on a
//! device that is only there for this, for notes and photos of several lengths; what lies between
//! follows from the neighbours.

use huza_crdt::codec;
use huza_crdt::envelope::Stored;
use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Now, Reply};
use huza_crdt::record::read_bundle;
use huza_crdt::store::{Range, Table};
use huza_crdt::trust::Role;

use crate::draw::Draw;
use crate::field::{Device, Field};

/// Letters of a note: of each, compression leaves about two bytes.
const LETTERS: u64 = 4_096;
const FIRST_LETTER: u32 = 0x4000;

/// Lengths of notes and photos that are measured, in letters. The longest note is as long as a form
/// takes.
const NOTES: [u64; 9] = [0, 32, 128, 256, 512, 768, 1_024, 1_536, 2_000];
const PHOTOS: [u64; 5] = [1, 1_000, 10_000, 100_000, 1_000_000];

/// How long to make a content, so that its envelope has a certain length.
#[derive(Debug, Clone, Default)]
pub(super) struct Lengths {
    /// Letters -> bytes of the envelope, ascending.
    note: Vec<(u64, u64)>,
    urgent: Vec<(u64, u64)>,
    photo: Vec<(u64, u64)>,
}

impl Lengths {
    /// Measures them, for contents of up to so many bytes.
    pub(super) fn measured(longest: u64, seed: u64) -> Option<Self> {
        let mut field = Field::new(seed, 1)?;
        let device = field.add(Role::Worker, &[Field::village(0)])?;
        let now = field.now();
        let mut draw = Draw::new(seed, "lengths");
        let device = field.devices.get_mut(device)?;
        let people = Person::register(1, "measured", device, now)?;
        let mut measure = |letters: &[u64], what: &dyn Fn(u64) -> Content| {
            let one = |letters: &u64| {
                let written = what(*letters).write(device, (people.first()?, now), &mut draw)?;
                Some((*letters, written.iter().map(|(_, bytes)| bytes).sum()))
            };
            letters.iter().map(one).collect::<Option<Vec<(u64, u64)>>>()
        };
        let note = measure(&NOTES, &|letters| Content::visit(false, letters))?;
        let urgent = measure(&NOTES, &|letters| Content::visit(true, letters))?;
        let needed = PHOTOS.iter().position(|letters| *letters > 2 * longest);
        let photos = PHOTOS.get(..=needed.unwrap_or(PHOTOS.len() - 1)).unwrap_or(&PHOTOS);
        let photo = measure(photos, &|letters| Content { visit: None, photo: Some(letters) })?;
        Some(Self { note, urgent, photo })
    }

    /// What a record of so many bytes consists of: a visit with a note, and of what is longer than a
    /// note can be also a photo.
    pub(super) fn content(&self, bytes: u64, urgent: bool) -> Content {
        let note = if urgent { &self.urgent } else { &self.note };
        let longest = note.last().map_or(0, |(_, bytes)| *bytes);
        if bytes <= longest {
            return Content::visit(urgent, letters(note, bytes));
        }
        let shortest = note.first().map_or(0, |(_, bytes)| *bytes);
        let photo = letters(&self.photo, bytes - shortest);
        Content { photo: Some(photo), ..Content::visit(urgent, 0) }
    }
}

/// How many letters make an envelope of so many bytes.
fn letters(measured: &[(u64, u64)], bytes: u64) -> u64 {
    let above = measured.partition_point(|(_, length)| *length < bytes);
    let at = |place: usize| measured.get(place).copied().unwrap_or_default();
    if above == 0 || above == measured.len() {
        return at(above.min(measured.len().saturating_sub(1))).0;
    }
    let ((low, short), (high, long)) = (at(above - 1), at(above));
    low + (high - low) * (bytes - short) / (long - short).max(1)
}

/// What is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    /// A visit: whether it is urgent, and letters of its note.
    visit: Option<(bool, u64)>,
    /// Letters of a photo.
    photo: Option<u64>,
}

impl Content {
    const fn visit(urgent: bool, letters: u64) -> Self {
        Self { visit: Some((urgent, letters)), photo: None }
    }

    /// Writes it, and seals it. The result is the keys of its envelopes, each with its length.
    pub(super) fn write(
        self,
        device: &mut Device,
        (person, now): (&Person, Now),
        draw: &mut Draw,
    ) -> Option<Vec<(Vec<u8>, u64)>> {
        // The photo first: what is urgent leaves at once, and takes along what is about the person.
        if let Some(letters) = self.photo {
            let import = Command::Import {
                area: AreaRef::Own,
                text: person.photo(letters, draw),
                source: Some(person.source.clone()),
            };
            matches!(device.call(now, import)?, Reply::Imported { .. }).then_some(())?;
        }
        if let Some((urgent, letters)) = self.visit {
            let mut answers = vec![("age-months", "29".to_owned()), ("note", note(letters, draw))];
            answers.extend(urgent.then(|| ("convulsions", "yes".to_owned())));
            let answers = answers.into_iter().filter(|(_, value)| !value.is_empty());
            let add = Command::AddVisit {
                record: person.record,
                form: "sick-child".to_owned(),
                occurred: now.stamp,
                answers: answers.map(|(field, value)| (field.to_owned(), value)).collect(),
            };
            matches!(device.call(now, add)?, Reply::Written { .. }).then_some(())?;
        }
        device.call(now, Command::Seal)?;
        let keys = device.take_stored();
        let written = keys.into_iter().map(|key| {
            let range = Range { rows_max: 1, ..Range::prefix(Table::Envelopes, key.clone()) };
            let (_, row) = device.store.load(&range).into_iter().next()?;
            let stored: Stored = codec::decode(&row).ok()?;
            Some((key, stored.wire.bytes() as u64))
        });
        written.collect()
    }
}

fn note(letters: u64, draw: &mut Draw) -> String {
    let letter = |_| {
        let letter = u32::try_from(draw.below(LETTERS)).unwrap_or_default();
        char::from_u32(FIRST_LETTER + letter).unwrap_or_default()
    };
    (0..letters).map(letter).collect()
}

/// Somebody about whom records are written.
#[derive(Debug, Clone)]
pub(super) struct Person {
    source: String,
    number: usize,
    record: RecordId,
}

impl Person {
    /// Registers so many people on a device, and seals that.
    pub(super) fn register(
        count: usize,
        source: &str,
        device: &mut Device,
        now: Now,
    ) -> Option<Vec<Self>> {
        if count == 0 {
            return Some(Vec::new());
        }
        let patient = |number| {
            format!(
                r#"{{"resource":{{"resourceType":"Patient","id":"p{number}","name":[{{"text":"Uwase {number}"}}]}}}}"#
            )
        };
        let text = bundle(&(0..count).map(patient).collect::<Vec<_>>().join(","));
        let read = read_bundle(&text, Some(source)).ok()?;
        let source = source.to_owned();
        let import = Command::Import { area: AreaRef::Own, text, source: Some(source.clone()) };
        matches!(device.call(now, import)?, Reply::Imported { .. }).then_some(())?;
        device.call(now, Command::Seal)?;
        device.take_stored();
        let people = (0..).zip(read.incoming).map(|(number, one)| Self {
            source: source.clone(),
            number,
            record: one.record,
        });
        Some(people.collect())
    }

    /// A bundle with a photo of this person.
    fn photo(&self, letters: u64, draw: &mut Draw) -> String {
        // Six bits each, as in the data of a real one.
        let letter = |byte: &u8| char::from(b'0' + byte % 64);
        let data = draw.blob(letters).iter().map(letter).collect::<String>().replace('\\', "+");
        let (number, photo) = (self.number, draw.below(u64::MAX));
        bundle(&format!(
            r#"{{"resource":{{"resourceType":"Media","id":"m{photo}","status":"completed","subject":{{"reference":"Patient/p{number}"}},"content":{{"data":"{data}"}}}}}}"#
        ))
    }
}

fn bundle(entries: &str) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_about_as_long_as_they_should_be() {
        let lengths = Lengths::measured(300_000, 1).unwrap();
        let mut field = Field::new(2, 1).unwrap();
        let device = field.add(Role::Worker, &[Field::village(0)]).unwrap();
        let now = field.now();
        let mut draw = Draw::new(2, "test");
        let device = &mut field.devices[device];
        let people = Person::register(1, "test", device, now).unwrap();
        for bytes in [500, 777, 1_300, 2_000, 3_000, 50_500, 123_456, 202_000] {
            for urgent in [false, true] {
                let content = lengths.content(bytes, urgent);
                let written = content.write(device, (&people[0], now), &mut draw).unwrap();
                let sum: u64 = written.iter().map(|(_, bytes)| bytes).sum();
                assert!(sum.abs_diff(bytes) * 100 <= bytes, "{sum} for {bytes}");
            }
        }
    }
}
