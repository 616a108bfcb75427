//! Trains `crdt/dictionaries/2`, the zstd dictionary that payloads are packed with.
//!
//! ```text
//! cargo run -p huza-crdt --example train-dictionary            # trains and measures
//! cargo run -p huza-crdt --example train-dictionary -- check   # measures only
//! ```
//!
//! The samples are synthetic: a seeded generator fills the real forms, writes the real changes
//! and encodes the real payloads. No word comes from a person's record. The same seed gives the
//! same dictionary for one version of zstd. Measured is a set made with another seed, other names,
//! other notes and other places. The standard workload (`simulations/src/standard.rs`), on which the
//! bytes of a visit are published, has a generator, names and phrases of its own again, and a test
//! there looks for each of them in the dictionaries and in this file.
//!
//! A dictionary in use never changes, because old payloads need it: a better one gets the next
//! number.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a tool that a developer runs by hand, and that should fail loudly"
)]

use std::collections::BTreeMap;

use huza_crdt::crypto::Entropy;
use huza_crdt::envelope::{Item, Payload};
use huza_crdt::id::{LogId, Origin, RecordId, VisitId};
use huza_crdt::record::{Document, Edit, Field, FieldType, Form, Forms, card, check, pack};
use huza_crdt::time::Stamp;

/// Bytes of the dictionary. // measured with this example: single visits gain 1 % from twice the
/// size, FHIR resources 10 % from 8 to 16 KB and 2 % from 16 to 32 KB
const DICTIONARY_BYTES: usize = 16_384;

/// Payloads of each kind to train on. zstd asks for a hundred times the dictionary's size.
const SAMPLES: usize = 900;

/// The level that `pack` uses.
const LEVEL: i32 = 12;

fn main() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dictionaries/2");
    let only_check = std::env::args().nth(1).is_some_and(|argument| argument == "check");
    let dictionary = if only_check {
        std::fs::read(path).expect("the dictionary can be read")
    } else {
        let dictionary = train(DICTIONARY_BYTES);
        std::fs::write(path, &dictionary).expect("the dictionary can be written");
        dictionary
    };
    println!("{} bytes in {path}", dictionary.len());
    measure(&dictionary);
}

fn train(bytes: usize) -> Vec<u8> {
    let mut world = World::new(1, &TRAINING);
    let mut samples = Vec::new();
    for n in 0..SAMPLES {
        // Single visits are the most common and gain the most, so they are most of the samples.
        samples.push(world.payload(&[Kind::Visit]));
        samples.push(world.payload(&[Kind::Visit]));
        samples.push(world.payload(&[Kind::Person, Kind::Visit]));
        samples.push(world.payload(&[Kind::Person]));
        samples.push(world.payload(&[Kind::Edit]));
        if n % 3 == 0 {
            samples.push(world.payload(&[Kind::Visit; 8]));
            samples.push(world.payload(&[Kind::Resource]));
        }
    }
    zstd::dict::from_samples(&samples, bytes).expect("there are enough samples")
}

fn measure(dictionary: &[u8]) {
    println!("{:<34} {:>7} {:>9} {:>9} {:>9}", "held out", "plain", "without", "with", "wire");
    let table: [(&str, &[Kind]); 8] = [
        ("1 person", &[Kind::Person]),
        ("1 visit", &[Kind::Visit]),
        ("1 visit, form anc", &[Kind::Antenatal]),
        ("1 visit, form sick-child", &[Kind::SickChild]),
        ("3 visits", &[Kind::Visit; 3]),
        ("8 visits", &[Kind::Visit; 8]),
        ("1 edit of a name or phone", &[Kind::Edit]),
        ("1 change of FHIR resources", &[Kind::Resource]),
    ];
    for (name, kinds) in table {
        let mut world = World::new(2, &HELD_OUT);
        let payloads: Vec<Vec<u8>> = (0..200).map(|_| world.payload(kinds)).collect();
        let mean = |sizes: Vec<usize>| sizes.iter().sum::<usize>() / payloads.len() / kinds.len();
        let packed = |dictionary: &[u8]| {
            mean(payloads.iter().map(|plain| compressed(plain, dictionary)).collect())
        };
        let plain = mean(payloads.iter().map(Vec::len).collect());
        let wire = packed(dictionary) + AROUND / kinds.len();
        println!("{name:<34} {plain:>7} {:>9} {:>9} {wire:>9}", packed(&[]), packed(dictionary));
    }
    println!("bytes per item, mean of 200 payloads; wire = with dictionary, sealed and signed");
}

fn compressed(plain: &[u8], dictionary: &[u8]) -> usize {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)
        .expect("a compressor can be made");
    compressor.include_checksum(false).expect("a known option");
    compressor.include_dictid(false).expect("a known option");
    compressor.compress(plain).expect("memory suffices").len()
}

/// Bytes that sealing, signing and naming the dictionary add, with a length of two bytes
/// (docs/wire.md, section 8).
const AROUND: usize = 99 + 1 + 42;

/// What one item of a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Visit,
    Antenatal,
    SickChild,
    Edit,
    Resource,
}

/// Words of the generator. Common Rwandan names and invented notes; nobody's record.
struct Words {
    given: &'static [&'static str],
    family: &'static [&'static str],
    workers: &'static [&'static str],
    notes: &'static [&'static str],
    villages: &'static [&'static str],
}

const TRAINING: Words = Words {
    given: &[
        "Aline",
        "Claudine",
        "Jean Bosco",
        "Emmanuel",
        "Vestine",
        "Josiane",
        "Eric",
        "Solange",
        "Jean de Dieu",
        "Immaculee",
        "Patrick",
        "Chantal",
        "Diane",
        "Olivier",
        "Beatha",
        "Innocent",
        "Marie Louise",
        "Theogene",
        "Esperance",
        "Fabrice",
    ],
    family: &[
        "Uwimana",
        "Mukamana",
        "Niyonzima",
        "Habimana",
        "Uwase",
        "Nsengimana",
        "Mukandayisenga",
        "Hakizimana",
        "Ingabire",
        "Nyirahabimana",
        "Bizimana",
        "Umutoni",
        "Tuyisenge",
        "Mukeshimana",
        "Ndayisaba",
        "Uwamahoro",
        "Iradukunda",
        "Nshimiyimana",
        "Nyiransabimana",
        "Twagirimana",
    ],
    workers: &[
        "Mukamana Vestine",
        "Habimana Eric",
        "worker 1",
        "CHW-0142",
        "Uwase Chantal",
        "Nsengimana Theogene",
        "Ingabire Claudine",
        "Bizimana Fabrice",
        "Umutoni Esperance",
    ],
    notes: &[
        "Yagiriwe inama yo kujya ku kigo nderabuzima",
        "Mother advised to return in two days",
        "Amoxicillin 250 mg, 2x per day, 5 days",
        "ORS and zinc given",
        "Referred to health centre with transfer form",
        "Coartem 1x6 given, RDT positive",
        "Aragaruka ku wa mbere",
        "Nta kibazo kidasanzwe",
        "Child is eating normally",
        "Umwana afite inkorora n'ibicurane",
        "La mère a reçu des conseils sur l'allaitement",
        "Temperature taken in the afternoon",
        "Yatangiye kurya neza",
        "Visite à domicile, tout va bien",
        "No danger signs found today",
        "Umubyeyi yagiriwe inama yo konsa kenshi",
        "Enfant référé au centre de santé",
        "Will be weighed again at the next visit",
        "Azasubira kwa muganga ku wa gatanu",
        "Fièvre depuis deux jours, paracétamol donné",
        "Slept under a net last night",
        "Yahawe imiti ya malariya, azongera gusurwa",
        "Les vaccins sont à jour",
        "Grandmother is caring for the child",
        "Afite iseru, yoherejwe ku bitaro",
        "Diarrhée, SRO et zinc remis à la famille",
        "Has been coughing for one week",
        "Arahumeka neza, nta muriro afite",
        "Prochaine consultation dans quatre semaines",
        "Iron tablets given for thirty days",
    ],
    villages: &["01", "02", "03", "Kabeza", "Nyagatovu", "Rugarama"],
};

const HELD_OUT: Words = Words {
    given: &["Odette", "Celestin", "Divine", "Pacifique", "Jeannette", "Gilbert", "Alphonsine"],
    family: &["Mukarugwiza", "Gasana", "Kayitesi", "Rukundo", "Nyirabagenzi", "Sibomana"],
    workers: &["Gasana Odette", "CHW-2077"],
    notes: &[
        "Ibiro byaragabanutse, azasurwa mu cyumweru gitaha",
        "Mosquito net checked, in use",
        "Paracetamol given; fever since yesterday evening",
        "Afite umuriro kuva ejo",
    ],
    villages: &["07", "Gatare"],
};

struct World {
    entropy: Entropy,
    words: &'static Words,
    now: i64,
}

impl World {
    fn new(seed: u8, words: &'static Words) -> Self {
        Self { entropy: Entropy::new([seed; 32]), words, now: 1_780_000_000 }
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        u64::from_le_bytes(self.entropy.draw()) as usize % end
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        let index = self.below(of.len());
        of.get(index).copied().unwrap_or_default()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Short spelling of a payload of one item of each of `kinds`.
    fn payload(&mut self, kinds: &[Kind]) -> Vec<u8> {
        self.now = 1_780_000_000 + self.below(40_000_000) as i64;
        let log = LogId(self.entropy.draw());
        let first = self.below(4_000) as u64;
        let worker = self.one(self.words.workers);
        let mut items: Vec<Item> = Vec::new();
        for (kind, counter) in kinds.iter().zip(first..) {
            self.now += self.below(9_000) as i64;
            let origin = Origin { log, counter };
            // A visit that follows a person in one payload is usually that person's.
            let same = items.last().map(|item| item.record).filter(|_| kinds.len() == 2);
            let record = match (kind, same) {
                (Kind::Person, _) => origin.record(),
                (_, Some(record)) => record,
                // Most people that are visited were registered on the same phone.
                _ if self.chance(70) => {
                    Origin { log, counter: self.below(first as usize + 1) as u64 }.record()
                }
                _ => Origin { log: LogId(self.entropy.draw()), counter: 0 }.record(),
            };
            items.push(self.item(*kind, origin, record, worker));
        }
        (Payload { origin: None, first, items }).to_short(log)
    }

    fn item(&mut self, kind: Kind, origin: Origin, record: RecordId, worker: &str) -> Item {
        let mut document = Document::new(record);
        let mut urgent = Vec::new();
        let edits = match kind {
            Kind::Person => self.person(),
            Kind::Edit => {
                let earlier = self.person();
                let before = Origin { log: LogId(self.entropy.draw()), counter: 0 };
                document
                    .write(before, Stamp(self.now - 86_400), worker, &earlier)
                    .expect("within limits");
                let value = self.one(self.words.given).to_owned();
                let phone = format!("+25078{:07}", self.below(10_000_000));
                let (field, value) =
                    if self.chance(50) { ("name/given", value) } else { ("phone", phone) };
                vec![Edit::Person { field: field.to_owned(), value }]
            }
            Kind::Resource => self.resources(),
            Kind::Visit | Kind::Antenatal | Kind::SickChild => {
                let forms = Forms::built_in();
                let any = self.below(forms.filled().count());
                let form = match kind {
                    Kind::Antenatal => forms.latest("anc"),
                    Kind::SickChild => forms.latest("sick-child"),
                    _ => forms.filled().nth(any),
                };
                let form = form.expect("a form of ours");
                let (edit, card) = self.visit(form, origin, record, worker);
                urgent = card;
                vec![edit]
            }
        };
        let raw = document
            .write(origin, Stamp(self.now), worker, &edits)
            .expect("within limits")
            .unwrap_or_default();
        if raw.is_empty() {
            // The edit changed nothing; another one will.
            return self.item(kind, origin, record, worker);
        }
        Item { record, change: pack(origin, &raw).expect("our own change"), card: urgent }
    }

    fn date(&mut self, years: usize) -> String {
        let at = Stamp(self.now - self.below(years * 31_536_000) as i64).to_string();
        at.get(..10).unwrap_or_default().to_owned()
    }

    fn person(&mut self) -> Vec<Edit> {
        let mut fields = vec![
            ("name/given", self.one(self.words.given).to_owned()),
            ("name/family", self.one(self.words.family).to_owned()),
            ("sex", (if self.chance(60) { "female" } else { "male" }).to_owned()),
        ];
        let born = self.date(60);
        let estimated = self.chance(30);
        let shown = if estimated { born.get(..4).unwrap_or_default().to_owned() } else { born };
        fields.push(("birth-date", shown));
        if self.chance(60) {
            fields.push(("village", self.one(self.words.villages).to_owned()));
        }
        if self.chance(40) {
            fields.push(("phone", format!("+25078{:07}", self.below(10_000_000))));
        }
        fields
            .into_iter()
            .map(|(field, value)| Edit::Person { field: field.to_owned(), value })
            .collect()
    }

    fn visit(
        &mut self,
        form: &Form,
        origin: Origin,
        record: RecordId,
        worker: &str,
    ) -> (Edit, Vec<u8>) {
        let checked = loop {
            let answers: BTreeMap<String, String> =
                form.fields.iter().filter_map(|field| self.answer(field)).collect();
            if let Ok(checked) = check(form, &answers) {
                break checked;
            }
        };
        let visit: VisitId = origin.visit();
        let occurred = Stamp(self.now - self.below(7_200) as i64);
        let name = format!("{} {}", self.one(self.words.given), self.one(self.words.family));
        let card = card(&form.name(), Some(&name), &checked, (record, visit), occurred);
        let edit = Edit::Visit {
            visit,
            form: form.name(),
            occurred,
            worker: worker.to_owned(),
            answers: checked.answers,
        };
        (edit, card)
    }

    fn answer(&mut self, field: &Field) -> Option<(String, String)> {
        if !field.required && self.chance(15) {
            return None;
        }
        let range = field.soft.as_ref().or(field.hard.as_ref());
        let bounds = |text: &str| text.parse::<f64>().unwrap_or(0.0);
        let (min, max) =
            range.map_or((0.0, 10.0), |range| (bounds(&range.min), bounds(&range.max)));
        let steps = ((max - min) * 10.0) as usize + 1;
        let value = match field.kind {
            FieldType::Integer => {
                format!("{}", min as usize + self.below((max - min) as usize + 1))
            }
            FieldType::Decimal => format!("{:.1}", min + self.below(steps) as f64 / 10.0),
            FieldType::Date => self.date(1),
            FieldType::YesNo => (if self.chance(3) { "yes" } else { "no" }).to_owned(),
            FieldType::Choice => {
                let index = self.below(field.choices.len());
                field.choices.get(index)?.id.clone()
            }
            FieldType::Text => {
                if self.chance(45) {
                    return None;
                }
                self.one(self.words.notes).to_owned()
            }
        };
        Some((field.id.clone(), value))
    }

    fn uuid(&mut self) -> String {
        Origin { log: LogId(self.entropy.draw()), counter: 0 }.visit().to_string()
    }

    /// Resources as an app would write them: one to four of one person.
    fn resources(&mut self) -> Vec<Edit> {
        let (patient, encounter) = (self.uuid(), self.uuid());
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| {
                let id = self.uuid();
                let text = self.resource(&id, &patient, &encounter);
                let kind = text.split('"').nth(3).unwrap_or_default().to_owned();
                Edit::Resource { key: format!("{kind}/{id}"), text }
            })
            .collect()
    }

    fn resource(&mut self, id: &str, patient: &str, encounter: &str) -> String {
        let at = format!("{}T{:02}:{:02}:00+02:00", self.date(2), self.below(24), self.below(60));
        let subject = format!(r#""subject":{{"reference":"Patient/{patient}"}}"#);
        let within = format!(r#""encounter":{{"reference":"Encounter/{encounter}"}}"#);
        let final_digits = self.below(10_000);
        match self.below(8) {
            0 => {
                let (given, family) = (self.one(self.words.given), self.one(self.words.family));
                let gender = if self.chance(60) { "female" } else { "male" };
                let born = self.date(60);
                let village = self.one(self.words.villages);
                format!(
                    r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"use":"official","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}}]}},"system":"http://hie.moh.gov.rw/identifier/upid","value":"2607{final_digits:04}-1138-{:04}"}}],"active":true,"name":[{{"use":"official","family":"{family}","given":["{given}"]}}],"telecom":[{{"system":"phone","value":"+25078{:07}","use":"mobile"}}],"gender":"{gender}","birthDate":"{born}","address":[{{"use":"home","type":"physical","line":["{village}"],"country":"RW"}}],"managingOrganization":{{"reference":"Organization/{encounter}"}}}}"#,
                    self.below(10_000),
                    self.below(10_000_000),
                )
            }
            1 => format!(
                r#"{{"resourceType":"Encounter","id":"{id}","meta":{{"lastUpdated":"{at}"}},"status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HH","display":"home health"}},"type":[{{"coding":[{{"system":"http://snomed.info/sct","code":"439708006","display":"Home visit"}}]}}],{subject},"participant":[{{"individual":{{"reference":"Practitioner/{}"}}}}],"period":{{"start":"{at}","end":"{at}"}}}}"#,
                self.uuid(),
            ),
            2..=4 => {
                const VITALS: [(&str, &str, &str, &str); 6] = [
                    ("29463-7", "Body weight", "kg", "kg"),
                    ("8310-5", "Body temperature", "Cel", "Cel"),
                    ("8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]"),
                    ("8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]"),
                    ("9279-1", "Respiratory rate", "/min", "/min"),
                    ("56072-2", "Circumference Mid upper arm - right", "cm", "cm"),
                ];
                let index = self.below(VITALS.len());
                let (code, display, unit, ucum) = VITALS.get(index).copied().unwrap_or_default();
                let (whole, part) = (self.below(120), self.below(10));
                format!(
                    r#"{{"resourceType":"Observation","id":"{id}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}],"text":"{display}"}},{subject},{within},"effectiveDateTime":"{at}","issued":"{at}","valueQuantity":{{"value":{whole}.{part},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{ucum}"}}}}"#,
                )
            }
            5 => {
                const PROBLEMS: [(&str, &str); 4] = [
                    ("61462000", "Malaria"),
                    ("62315008", "Diarrhea"),
                    ("233604007", "Pneumonia"),
                    ("77386006", "Pregnancy"),
                ];
                let index = self.below(PROBLEMS.len());
                let (code, display) = PROBLEMS.get(index).copied().unwrap_or_default();
                format!(
                    r#"{{"resourceType":"Condition","id":"{id}","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},"verificationStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"confirmed"}}]}},"category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"encounter-diagnosis","display":"Encounter Diagnosis"}}]}}],"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}","display":"{display}"}}],"text":"{display}"}},{subject},{within},"onsetDateTime":"{at}","recordedDate":"{at}"}}"#,
                )
            }
            6 => {
                const VACCINES: [(&str, &str); 4] =
                    [("19", "BCG"), ("02", "OPV"), ("120", "DTaP-Hib-IPV"), ("05", "measles")];
                let index = self.below(VACCINES.len());
                let (code, display) = VACCINES.get(index).copied().unwrap_or_default();
                format!(
                    r#"{{"resourceType":"Immunization","id":"{id}","status":"completed","vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"{code}","display":"{display}"}}],"text":"{display}"}},"patient":{{"reference":"Patient/{patient}"}},{within},"occurrenceDateTime":"{at}","primarySource":true,"lotNumber":"R{final_digits:04}"}}"#,
                )
            }
            _ => {
                let note = self.one(self.words.notes);
                format!(
                    r#"{{"resourceType":"CarePlan","id":"{id}","status":"active","intent":"plan","category":[{{"coding":[{{"system":"http://snomed.info/sct","code":"734163000","display":"Care plan"}}]}}],{subject},{within},"period":{{"start":"{at}"}},"activity":[{{"detail":{{"status":"in-progress","description":"{note}"}}}}]}}"#,
                )
            }
        }
    }
}
