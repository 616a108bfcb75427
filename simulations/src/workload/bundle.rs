//! Small FHIR bundles: a person, some observations, now and then an organization; the same
//! bundle in newer versions.

use core::fmt::Write as _;

use crate::draw::Draw;
use crate::token::{DIRECTORY, Token};

/// How a bundle names its person.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Naming {
    /// By a UUID.
    Uuid(String),
    /// By an identifier that is unique in the country, and an id of the source.
    Identifier(String),
}

/// A bundle that a clinic's system exported, and may export again.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// The village of its person.
    pub(crate) village: u64,
    /// Its source, as the user names it.
    pub(crate) source: String,
    naming: Naming,
    person: (u64, Token),
    observations: Vec<(u64, Token)>,
    organization: Option<(u64, Token)>,
}

impl Bundle {
    /// A new person's bundle. `organization` is one of a few that several bundles share.
    pub(crate) fn new(
        village: u64,
        number: u64,
        organization: Option<(u64, Token)>,
        draw: &mut Draw,
    ) -> Self {
        let naming = if draw.chance(500) {
            Naming::Identifier(format!("11990{:011}", draw.below(99_999_999_999)))
        } else {
            let hex = format!("{:032x}", u128::from_be_bytes(draw.bytes()));
            let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
            let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
            Naming::Uuid(parts.map(|(from, to)| part(from, to)).join("-"))
        };
        let observations = (0..draw.below(4)).map(|_| (0, Token::mint(village, draw))).collect();
        Self {
            village,
            source: format!("clinic-{number}"),
            naming,
            person: (0, Token::mint(village, draw)),
            observations,
            organization,
        }
    }

    /// Changes one of its resources.
    pub(crate) fn change(&mut self, draw: &mut Draw) {
        let which = draw.below(self.observations.len() as u64 + 1);
        let at = usize::try_from(which).unwrap_or_default();
        let (version, token) = self.observations.get_mut(at).unwrap_or(&mut self.person);
        *version += 1;
        *token = Token::mint(self.village, draw);
    }

    /// Its tokens, each with its version.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (u64, &Token)> {
        let all = self.observations.iter().chain([&self.person]).chain(&self.organization);
        all.map(|(version, token)| (*version, token))
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        let (id, identifier) = match &self.naming {
            Naming::Uuid(uuid) => (uuid.clone(), String::new()),
            Naming::Identifier(value) => (
                "p1".to_owned(),
                format!(r#","identifier":[{{"system":"NID","value":"{value}"}}]"#),
            ),
        };
        let mut text = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Patient","id":"{id}","gender":"female","birthDate":"1990-01-02"{identifier},"name":[{{"text":"{}"}}]}}}}"#,
            self.person.1.as_str()
        );
        for (number, (_, token)) in self.observations.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                r#",{{"resource":{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"text":"weight"}},"subject":{{"reference":"Patient/{id}"}},"valueQuantity":{{"value":61.50}},"note":[{{"text":"{}"}}]}}}}"#,
                token.as_str()
            );
        }
        if let Some((number, token)) = &self.organization {
            let _ = write!(
                text,
                r#",{{"resource":{{"resourceType":"Organization","id":"00000000-0000-4000-8000-{number:012}","name":"{}"}}}}"#,
                token.as_str()
            );
        }
        text.push_str("]}");
        text
    }
}

/// A few organizations that bundles share.
pub(crate) fn organizations(draw: &mut Draw) -> Vec<(u64, Token)> {
    (0..2).map(|_| (0, Token::mint(DIRECTORY, draw))).enumerate().map(number).collect()
}

fn number((index, (_, token)): (usize, (u64, Token))) -> (u64, Token) {
    (index as u64, token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tokens;
    use huza_crdt::record::{Place, read_bundle};

    #[test]
    fn bundles_import_without_problems_and_keep_their_keys_when_changed() {
        for seed in 0..20 {
            let mut draw = Draw::new(seed, "bundles");
            let organizations = organizations(&mut draw);
            let mut bundle = Bundle::new(11, 1, organizations.first().cloned(), &mut draw);
            let read = |bundle: &Bundle| {
                let import = read_bundle(&bundle.text(), Some(&bundle.source)).unwrap();
                assert!(import.problems.is_empty(), "{:?}", import.problems);
                let found = Tokens::default().find(bundle.text().as_bytes());
                assert_eq!(found.len(), import.incoming.len());
                assert_eq!(bundle.tokens().count(), import.incoming.len());
                let places = import.incoming.iter().map(|i| (i.place, i.key.clone()));
                places.collect::<Vec<_>>()
            };
            let first = read(&bundle);
            assert!(first.iter().any(|(place, _)| *place == Place::Directory));
            let before = bundle.text();
            bundle.change(&mut draw);
            assert_ne!(before, bundle.text());
            assert_eq!(first, read(&bundle));
        }
    }
}
