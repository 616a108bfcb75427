//! What users do: record people and visits, some of them urgent; import bundles, import them
//! again, import newer versions; write into a village that is not theirs.

mod bundle;

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command};
use huza_crdt::record::{Place, read_bundle};
use huza_crdt::time::Stamp;
use huza_crdt::trust::{AreaName, Role};

use self::bundle::{Bundle, organizations};
use crate::draw::Draw;
use crate::host::{HostId, Nature};
use crate::ledger::{Intent, Ledger};
use crate::programme::{Auditor, catchment_code, catchment_of, village_code};
use crate::token::Token;

/// Longest list of people that are visited again.
const RECORDS_MAX: usize = 64;

/// What a user is about to do.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) command: Command,
    pub(crate) intent: Intent,
    /// Whether the writer is no member of the village.
    pub(crate) outsider: bool,
    /// The versions of resources that it writes.
    pub(crate) versions: BTreeMap<Token, (String, u64)>,
    /// The records that they are in, as far as they are known beforehand.
    pub(crate) records: BTreeMap<Token, RecordId>,
}

/// The users of a world.
#[derive(Debug)]
pub(crate) struct Users {
    draw: Draw,
    bundles: Vec<Bundle>,
    organizations: Vec<(u64, Token)>,
}

impl Users {
    pub(crate) fn new(mut draw: Draw) -> Self {
        let organizations = organizations(&mut draw);
        Self { draw, bundles: Vec::new(), organizations }
    }

    /// Whether anybody writes on such a host.
    pub(crate) fn write_on(nature: &Nature) -> bool {
        matches!(nature.role, Role::Worker | Role::Hub)
    }

    /// The next thing that the user of this host does. `now` is what its wall clock shows.
    pub(crate) fn next(
        &mut self,
        host: HostId,
        nature: &Nature,
        villages: &BTreeSet<u64>,
        (ledger, auditor): (&Ledger, &Auditor),
        now: Stamp,
    ) -> Option<Deed> {
        let covered: Vec<u64> = nature.covers.iter().copied().collect();
        let village = *self.draw.pick(&covered)?;
        match self.draw.below(20) {
            0 => {
                let others: Vec<u64> = villages.difference(&nature.covers).copied().collect();
                let other = *self.draw.pick(&others)?;
                let area = AreaRef::Tag(auditor.area(other)?);
                Some(self.person(host, other, area, true))
            }
            1..=6 => Some(self.person(host, village, area_of(nature, village), false)),
            7..=13 => self
                .visit(host, village, ledger, now)
                .or_else(|| Some(self.person(host, village, area_of(nature, village), false))),
            _ => self.import(host, nature, village),
        }
    }

    fn person(&mut self, host: HostId, village: u64, area: AreaRef, outsider: bool) -> Deed {
        let token = Token::mint(village, &mut self.draw);
        let field = self.draw.pick_or(&["name/given", "name/family", "name/text"], "name/given");
        let mut fields = BTreeMap::from([(field.to_owned(), token.as_str().to_owned())]);
        if self.draw.chance(500) {
            fields.insert("sex".to_owned(), "female".to_owned());
            fields.insert("birth-date".to_owned(), "1994".to_owned());
        }
        let command = Command::AddPerson { area, fields };
        let intent = Intent { host, writes: vec![(None, token)], village, people: Vec::new() };
        let (versions, records) = (BTreeMap::new(), BTreeMap::new());
        Deed { command, intent, outsider, versions, records }
    }

    fn visit(&mut self, host: HostId, village: u64, ledger: &Ledger, now: Stamp) -> Option<Deed> {
        let here = ledger.records.iter().filter(|(at, _)| *at == village);
        let known: Vec<_> = here.map(|(_, record)| *record).collect();
        let record = *self.draw.pick(known.get(known.len().saturating_sub(RECORDS_MAX)..)?)?;
        let token = Token::mint(village, &mut self.draw);
        let urgent = self.draw.chance(300);
        let (form, answers): (&str, &[(&str, &str)]) = match (self.draw.chance(500), urgent) {
            (true, true) => ("anc", &[("bleeding", "yes")]),
            (true, false) => ("anc", &[("bleeding", "no")]),
            (false, true) => ("sick-child", &[("age-months", "14"), ("convulsions", "yes")]),
            (false, false) => ("sick-child", &[("age-months", "14")]),
        };
        let common: &[(&str, &str)] = if form == "anc" {
            &[
                ("round", "2"),
                ("lmp", "2026-05-01"),
                ("weight", "61.5"),
                ("systolic", "110"),
                ("diastolic", "70"),
            ]
        } else {
            &[("temperature", "37.1")]
        };
        let mut answers: BTreeMap<String, String> =
            common.iter().chain(answers).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        answers.insert("note".to_owned(), token.as_str().to_owned());
        let occurred = Stamp(now.0.saturating_sub(3_600));
        let form = form.to_owned();
        let command = Command::AddVisit { record, form, occurred, answers };
        let records = BTreeMap::from([(token, record)]);
        let intent = Intent { host, writes: vec![(None, token)], village, people: Vec::new() };
        Some(Deed { command, intent, outsider: false, versions: BTreeMap::new(), records })
    }

    fn import(&mut self, host: HostId, nature: &Nature, village: u64) -> Option<Deed> {
        let here: Vec<usize> = (0..self.bundles.len())
            .filter(|at| self.bundles.get(*at).is_some_and(|b| b.village == village))
            .collect();
        let draw = &mut self.draw;
        let again = if draw.chance(600) { draw.pick(&here).copied() } else { None };
        let at = again.unwrap_or(self.bundles.len());
        if again.is_none() {
            let organization =
                if draw.chance(300) { draw.pick(&self.organizations).cloned() } else { None };
            self.bundles.push(Bundle::new(village, at as u64, organization, draw));
        }
        let bundle = self.bundles.get_mut(at)?;
        if again.is_some() && draw.chance(700) {
            bundle.change(draw);
        }
        let text = bundle.text();
        let read = read_bundle(&text, Some(&bundle.source)).ok()?;
        let mut writes = Vec::new();
        let (mut versions, mut records) = (BTreeMap::new(), BTreeMap::new());
        for (version, token) in bundle.tokens() {
            let resource = read.incoming.iter().find(|i| i.text.contains(token.as_str()))?;
            let key = resource.key.clone();
            records.insert(*token, resource.record);
            if resource.place != Place::Directory {
                versions.insert(*token, (key.clone(), version));
            }
            writes.push((Some(key), *token));
        }
        let command = Command::Import {
            area: area_of(nature, village),
            text,
            source: Some(bundle.source.clone()),
        };
        let people = read.incoming.iter().filter(|i| i.person.is_some()).map(|i| i.record);
        let intent = Intent { host, writes, village, people: people.collect() };
        Some(Deed { command, intent, outsider: false, versions, records })
    }
}

/// How a user of this host names a village of theirs.
fn area_of(nature: &Nature, village: u64) -> AreaRef {
    if nature.role == Role::Worker && nature.covers.len() == 1 {
        return AreaRef::Own;
    }
    AreaRef::Name(AreaName {
        catchment: catchment_code(catchment_of(village)),
        village: village_code(village),
    })
}
