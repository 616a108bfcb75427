//! The standard workload: what the health workers of one catchment write in a month. Sizes and
//! times that are published are measured on it, so that they can be compared from year to year.
//!
//! Enter at [`Workload::change`]: it gives the `index`-th of [`CHANGES`] changes as a user would
//! enter it, first [`RECORDS`] people, then visits to them. It is a function of workload and index
//! alone, so that a part of the workload is the same as in the whole, and anybody may draw it in any
//! order. [`Phones`] are the devices that write it.
//!
//! Every draw is counted ([`Change::bits`]): the sum is what a code that knows this generator, its
//! tables included, could not do without. No name, phrase or worker of it is in the training set of
//! the dictionaries (`crdt/examples/train-dictionary.rs`); a test looks for each of them there.
//!
//! What the workload does not do: make ids, write records, or ask the time.

mod contact;
mod phones;
mod twice;
mod visit;
mod words;

use std::collections::BTreeMap;

use huza_crdt::time::Stamp;

pub use self::contact::{Cost, News, Pair};
pub use self::phones::Phones;
pub use self::twice::{Registered, registered};
pub use self::visit::{Size, visit_size};
use self::words::{FAMILY, GIVEN, NOTES};
use crate::draw::Draw;

/// Villages of the catchment (design: about 30).
pub const VILLAGES: u64 = 30;

/// Logs, one of each phone.
pub const LOGS: u64 = 130;

/// People, each registered on one of the phones of the village.
pub const RECORDS: u64 = 25_000;

/// Changes in all: the people, then the visits to them.
pub const CHANGES: u64 = 50_000;

/// 2026-11-02T06:00:00Z, a Monday at 8 in Kigali: the day of the first visits.
const FIRST_DAY: i64 = 1_793_599_200;

/// Visits of a worker in a day, and the seconds that are kept for each.
const VISITS_OF_DAY: u64 = 8;
const VISIT_SECONDS: u64 = 3_000;

const DAY_SECONDS: u64 = 86_400;

/// The workload of one seed, whole or smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// What all draws come from.
    pub seed: u64,
    /// People; at least one in each log.
    pub records: u64,
    /// Changes in all; the first [`Self::records`] are people.
    pub changes: u64,
    /// Logs: log `n` belongs to village `n % self.villages()`.
    pub logs: u64,
}

/// One change, as a user enters it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The log it is written in.
    pub log: u64,
    /// Its position in that log.
    pub counter: u64,
    /// When it is written down.
    pub at: Stamp,
    /// What is entered.
    pub entry: Entry,
    /// Information in all draws that made it, in bits: the sum of `-log2 p`.
    pub bits: f64,
}

/// What a user enters: the fields of `AddPerson` or `AddVisit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A person is registered.
    Person {
        /// Field -> value.
        fields: BTreeMap<String, String>,
    },
    /// A person is visited.
    Visit {
        /// Which: the index of the change that registered them.
        person: u64,
        /// Id of the form.
        form: &'static str,
        /// When.
        occurred: Stamp,
        /// Field -> answer.
        answers: BTreeMap<String, String>,
    },
}

impl Workload {
    /// All of it.
    #[must_use]
    pub const fn standard(seed: u64) -> Self {
        Self { seed, records: RECORDS, changes: CHANGES, logs: LOGS }
    }

    /// Villages: as in the whole, or fewer, so that two phones of one are colleagues.
    #[must_use]
    pub fn villages(&self) -> u64 {
        (self.logs / 2).clamp(1, VILLAGES)
    }

    /// The worker who writes in a log, and the bits of the draws that made the name.
    #[must_use]
    pub fn worker(&self, log: u64) -> (String, f64) {
        let mut draw = Counted::new(self.seed, "worker", log);
        let name = format!("{} {}", draw.pick(&FAMILY), draw.pick(&GIVEN));
        (name, draw.bits)
    }

    /// Change number `index`.
    #[must_use]
    pub fn change(&self, index: u64) -> Change {
        let mut draw = Counted::new(self.seed, "change", index);
        let (log, counter) = self.place(index);
        let (at, entry) = match index.checked_sub(self.records) {
            None => (registered_at(counter), person(&mut draw)),
            Some(visit) => self.visited(&mut draw, log, visit / self.logs),
        };
        Change { log, counter, at, entry, bits: draw.bits }
    }

    /// The log of change `index`, and its position there.
    #[must_use]
    pub fn place(&self, index: u64) -> (u64, u64) {
        let logs = self.logs;
        match index.checked_sub(self.records) {
            None => (index % logs, index / logs),
            Some(visit) => (visit % logs, self.people_of(visit % logs) + visit / logs),
        }
    }

    /// How many people were registered in a log.
    const fn people_of(&self, log: u64) -> u64 {
        (self.records - log).div_ceil(self.logs)
    }

    /// The `nth` visit that a log's worker makes.
    fn visited(&self, draw: &mut Counted, log: u64, nth: u64) -> (Stamp, Entry) {
        let (day, of_day) = (nth / VISITS_OF_DAY, nth % VISITS_OF_DAY);
        let start = day * DAY_SECONDS + of_day * VISIT_SECONDS;
        let occurred = Stamp(FIRST_DAY.saturating_add_unsigned(start + draw.below(1_800)));
        let at = Stamp(occurred.0.saturating_add_unsigned(draw.below(1_200)));
        // Most visits are to the households that the worker registered, others to a colleague's.
        let by = if draw.chance(750) { log } else { self.colleague(draw, log) };
        let person = by + self.logs * draw.below(self.people_of(by));
        let (form, mut answers) = if draw.chance(600) {
            ("sick-child", sick_child(draw))
        } else {
            ("anc", antenatal(draw, occurred))
        };
        if draw.chance(500) {
            answers.push(("note", note(draw)));
        }
        (at, Entry::Visit { person, form, occurred, answers: owned(answers) })
    }

    /// Another log of the village, if there is one.
    fn colleague(&self, draw: &mut Counted, log: u64) -> u64 {
        let villages = self.villages();
        let village = log % villages;
        let phones = (self.logs - village).div_ceil(villages);
        if phones < 2 {
            return log;
        }
        let other = village + villages * draw.below(phones - 1);
        if other < log { other } else { other + villages }
    }
}

/// People are registered before, one every five minutes.
fn registered_at(counter: u64) -> Stamp {
    let before = 30 * DAY_SECONDS - 300 * counter;
    Stamp(FIRST_DAY.saturating_sub_unsigned(before))
}

fn person(draw: &mut Counted) -> Entry {
    let sex = if draw.chance(520) { "female" } else { "male" };
    let year = 1950 + draw.below(76);
    let born = if draw.chance(250) {
        year.to_string()
    } else {
        format!("{year}-{:02}-{:02}", 1 + draw.below(12), 1 + draw.below(28))
    };
    let mut fields = vec![
        ("name/given", draw.pick(&GIVEN).to_owned()),
        ("name/family", draw.pick(&FAMILY).to_owned()),
        ("sex", sex.to_owned()),
        ("birth-date", born),
    ];
    if draw.chance(400) {
        fields.push(("phone", format!("+25078{:07}", draw.below(10_000_000))));
    }
    Entry::Person { fields: owned(fields) }
}

type Answers = Vec<(&'static str, String)>;

fn sick_child(draw: &mut Counted) -> Answers {
    let mut answers = vec![("age-months", draw.between(2, 59).to_string())];
    let fever = draw.chance(350);
    let (low, high) = if fever { (375, 399) } else { (361, 374) };
    draw.perhaps(950, &mut answers, "temperature", |draw| draw.tenths(low, high));
    draw.perhaps(850, &mut answers, "respiratory-rate", |draw| draw.between(22, 48).to_string());
    draw.perhaps(800, &mut answers, "weight", |draw| draw.tenths(45, 190));
    draw.perhaps(850, &mut answers, "muac", |draw| draw.tenths(114, 175));
    for (field, per_mille) in [
        ("cough", 400),
        ("diarrhoea", 250),
        ("vomits-everything", 6),
        ("convulsions", 6),
        ("unconscious", 3),
        ("drink-unable", 6),
        ("chest-indrawing", 6),
        ("oedema", 6),
    ] {
        draw.perhaps(930, &mut answers, field, |draw| draw.yes(per_mille));
    }
    if fever {
        let result = if draw.chance(300) { "positive" } else { "negative" };
        answers.push(("malaria-rdt", result.to_owned()));
    }
    answers
}

fn antenatal(draw: &mut Counted, occurred: Stamp) -> Answers {
    let pregnant = draw.between(60, 270);
    let lmp = Stamp(occurred.0.saturating_sub_unsigned(pregnant * DAY_SECONDS)).to_string();
    let mut answers = vec![
        ("round", draw.between(1, 5).to_string()),
        ("lmp", lmp.split('T').next().unwrap_or_default().to_owned()),
        ("weight", draw.tenths(450, 820)),
        ("systolic", draw.between(92, 138).to_string()),
        ("diastolic", draw.between(56, 88).to_string()),
    ];
    draw.perhaps(300, &mut answers, "height", |draw| draw.between(146, 175).to_string());
    draw.perhaps(800, &mut answers, "fundal-height", |draw| draw.between(10, 40).to_string());
    draw.perhaps(700, &mut answers, "temperature", |draw| draw.tenths(361, 374));
    for (field, per_mille) in [
        ("bleeding", 6),
        ("convulsions", 3),
        ("severe-headache", 10),
        ("fever", 8),
        ("swelling", 40),
    ] {
        draw.perhaps(930, &mut answers, field, |draw| draw.yes(per_mille));
    }
    answers
}

/// A remark in one of three languages, now and then with a second sentence.
fn note(draw: &mut Counted) -> String {
    let (what, how, then) = draw.pick(&NOTES);
    let remark = format!("{} {}", draw.pick(what), draw.pick(how));
    if draw.chance(350) { format!("{remark}. {}", draw.pick(then)) } else { remark }
}

fn owned(pairs: Answers) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Draws, and the information in them.
struct Counted {
    draw: Draw,
    bits: f64,
}

impl Counted {
    fn new(seed: u64, kind: &str, index: u64) -> Self {
        Self { draw: Draw::new(seed, &format!("standard {kind} {index}")), bits: 0.0 }
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
        let bits = (bound as f64).log2();
        self.bits += bits;
        self.draw.below(bound)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number of tenths, with its point.
    fn tenths(&mut self, low: u64, high: u64) -> String {
        let tenths = self.between(low, high);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// True in `per_mille` of 1000 cases.
    fn chance(&mut self, per_mille: u64) -> bool {
        let yes = self.draw.chance(per_mille);
        #[expect(clippy::cast_precision_loss, reason = "at most 1000")]
        let share = (if yes { per_mille } else { 1_000 - per_mille }) as f64 / 1_000.0;
        self.bits -= share.log2();
        yes
    }

    fn yes(&mut self, per_mille: u64) -> String {
        (if self.chance(per_mille) { "yes" } else { "no" }).to_owned()
    }

    fn perhaps(
        &mut self,
        per_mille: u64,
        answers: &mut Answers,
        field: &'static str,
        answer: impl FnOnce(&mut Self) -> String,
    ) {
        if self.chance(per_mille) {
            let answer = answer(self);
            answers.push((field, answer));
        }
    }

    fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap_or_default();
        from.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use huza_crdt::record::{check, form};

    #[test]
    fn every_index_has_a_place_of_its_own_and_logs_have_no_gaps() {
        let mut next = BTreeMap::new();
        for index in 0..CHANGES {
            let (log, counter) = Workload::standard(1).place(index);
            let expected = next.entry(log).or_insert(0_u64);
            assert_eq!(counter, *expected, "log {log}");
            *expected += 1;
        }
        assert_eq!(next.len() as u64, LOGS);
    }

    #[test]
    fn visits_are_of_people_of_the_village_and_forms_take_their_answers() {
        let mut urgent = 0;
        let all = Workload::standard(1);
        for index in (RECORDS..CHANGES).step_by(7) {
            let one = all.change(index);
            let Entry::Visit { person, form: id, occurred, answers } = &one.entry else { panic!() };
            assert_eq!(all.place(*person).0 % VILLAGES, one.log % VILLAGES);
            assert!(*occurred <= one.at && *person < RECORDS);
            let checked = check(form(id, 1).unwrap(), answers).unwrap();
            assert_eq!(&checked.answers, answers, "in normal form already");
            urgent += u32::from(checked.is_urgent());
            assert!((20.0..200.0).contains(&one.bits), "{}", one.bits);
        }
        assert!((100..600).contains(&urgent), "{urgent} of 3571");
        assert_eq!(all.change(30_000), all.change(30_000));
        assert_ne!(all.change(30_000), Workload::standard(2).change(30_000));
    }

    #[test]
    fn a_small_one_holds_together() {
        for logs in 1..=5 {
            let small = Workload { seed: 1, records: 7, changes: 40, logs };
            for index in small.records..small.changes {
                let one = small.change(index);
                let Entry::Visit { person, .. } = one.entry else { panic!() };
                let villages = small.villages();
                assert_eq!(small.place(person).0 % villages, one.log % villages);
                assert!(person < small.records);
            }
        }
    }

    /// A dictionary holds the most useful pieces of its training set as they were.
    #[test]
    fn nothing_of_it_is_in_a_dictionary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crdt/dictionaries");
        let names = GIVEN.iter().chain(&FAMILY);
        let phrases = NOTES.iter().flat_map(|(what, how, then)| [*what, *how, *then]).flatten();
        let all: Vec<&str> = names.chain(phrases).copied().collect();
        for file in std::fs::read_dir(folder).unwrap() {
            let dictionary = std::fs::read(file.unwrap().path()).unwrap();
            for text in &all {
                let found = memchr::memmem::find(&dictionary, text.as_bytes());
                assert!(found.is_none() || text.len() < 5, "{text:?} is in a dictionary");
            }
        }
        let training = concat!(env!("CARGO_MANIFEST_DIR"), "/../crdt/examples/train-dictionary.rs");
        let training = std::fs::read_to_string(training).unwrap();
        for text in &all {
            assert!(!training.contains(&format!("\"{text}\"")), "{text:?} is trained on");
        }
    }
}
