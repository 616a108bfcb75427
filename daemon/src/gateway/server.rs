//! A facility that is a FHIR R4 server.
//!
//! ```text
//! for each resource:  read the server's copy
//!    none, and it is to be withdrawn       nothing to do
//!    none                                  PUT
//!    a head of it is unknown here          the server is ahead: wait
//!    the same content                      nothing to do
//!    another                               PUT with ifMatch = its version
//! ```
//!
//! Resources go in transactions; [`order`] says which together. What holds whatever moment either side
//! ends at: a transaction counts whole or not at all, and nothing is written before the server's copy
//! was read since, so what went through is seen and not written again.
//!
//! A transaction that the server refuses is halved until the resources that it refuses stand alone.
//! What is remembered between deliveries (which versions are there) only saves reading: the server
//! answers 412 where it is out of date.

mod copies;
mod http;
mod order;

use std::collections::{BTreeSet, VecDeque};

use huza_crdt::{
    node::{Answer, Outgoing},
    record::server,
};
use serde_json::{Value, json};

use super::{Answers, FacilityError, Known, ServerSetting, unusable};
use copies::{Copies, Decision};
use http::{Answered, Http};

/// How often a transaction is decided anew because somebody else wrote meanwhile.
const ROUNDS_MAX: usize = 5;

/// A server, and what is known of it.
#[derive(Debug)]
pub struct Server {
    http: Http,
    copies: Copies,
}

/// "Internal Server Error": the server has failed, perhaps over what it was given.
const STUMBLED: u16 = 500;

/// What became of a transaction.
enum Outcome {
    Done,
    /// Somebody else has written meanwhile, or it cannot be told: look again.
    Again,
    /// One of its resources is refused, or more.
    Refused(u16, String),
}

impl Server {
    /// Reads what is needed to be let in. It is not spoken to yet.
    ///
    /// # Errors
    /// If a file cannot be read, or does not hold what it should.
    pub fn open(setting: &ServerSetting) -> Result<Self, FacilityError> {
        Ok(Self { http: Http::open(setting)?, copies: Copies::default() })
    }

    /// Gives it resources; see [`super::Facility::deliver`].
    ///
    /// # Errors
    /// If it does not answer, does not let us in, or cannot serve now.
    pub fn deliver(
        &mut self,
        resources: &[Outgoing],
        known: &Known,
    ) -> Result<Answers, FacilityError> {
        let mut answers = Answers::new();
        let fits = |one: &&Outgoing| is_place(&one.place);
        for one in resources.iter().filter(|one| !fits(one)) {
            answers.insert(one.key.clone(), unusable());
        }
        let resources: Vec<Outgoing> = resources.iter().filter(fits).cloned().collect();
        let (mut some_went, mut all_stumbled) = (false, true);
        let mut refused = Vec::new();
        let mut todo: VecDeque<Vec<usize>> = order::transactions(&resources).into();
        while let Some(group) = todo.pop_front() {
            let group_of: Vec<&Outgoing> =
                group.iter().filter_map(|at| resources.get(*at)).collect();
            match (self.give(&group_of, known, &mut answers)?, group_of.as_slice()) {
                (None, _) => some_went = true,
                (Some((code, why)), [only]) => {
                    all_stumbled &= code == STUMBLED;
                    refused.push((only.key.clone(), Answer::Refused { code, why }));
                }
                (Some(_), _) => {
                    // Targets are in front, so they go first again.
                    let (first, second) = group.split_at(group.len() / 2);
                    todo.push_front(second.to_vec());
                    todo.push_front(first.to_vec());
                }
            }
        }
        // If it stumbles over everything, that says nothing about the resources.
        if !refused.is_empty() && all_stumbled && !some_went {
            return Err(FacilityError::Busy { status: STUMBLED, retry_after: None });
        }
        answers.extend(refused);
        Ok(answers)
    }

    /// Gives it some resources in one transaction. The result is why it refuses that.
    fn give(
        &mut self,
        group: &[&Outgoing],
        known: &Known,
        answers: &mut Answers,
    ) -> Result<Option<(u16, String)>, FacilityError> {
        // What is withdrawn keeps what the copy says, so that is read even if it was written by us.
        let withdrawn = group.iter().filter(|one| one.text.is_none());
        self.copies.forget(withdrawn.map(|one| one.place.as_str()));
        self.read(group)?;
        for _ in 0..ROUNDS_MAX {
            let entries = self.decide(group, known, answers);
            if entries.is_empty() {
                return Ok(None);
            }
            match self.transact(&entries)? {
                Outcome::Done => return Ok(None),
                Outcome::Refused(code, why) => {
                    let places = entries.iter().map(|(place, _)| place.as_str());
                    self.copies.forget(places);
                    return Ok(Some((code, why)));
                }
                Outcome::Again => {
                    self.copies.forget(group.iter().map(|one| one.place.as_str()));
                    self.read(group)?;
                }
            }
        }
        Err(FacilityError::Busy { status: 412, retry_after: None })
    }

    /// Reads the copies of resources, and whether what they refer to is there.
    fn read(&mut self, group: &[&Outgoing]) -> Result<(), FacilityError> {
        let own = group.iter().map(|one| one.place.as_str());
        let targets = group.iter().flat_map(|one| one.references.values().map(String::as_str));
        let wanted: BTreeSet<&str> = own.chain(targets).filter(|place| is_place(place)).collect();
        let missing: Vec<&str> =
            wanted.into_iter().filter(|place| !self.copies.is_known(place)).collect();
        for places in missing.chunks(copies::READ_AT_ONCE) {
            let get = |place: &&str| json!({ "request": { "method": "GET", "url": place } });
            let entry: Vec<Value> = places.iter().map(get).collect();
            let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entry });
            let answered = serving(self.http.post(&bundle.to_string())?)?;
            let entries = entries(&answered)?;
            if entries.len() != places.len() {
                return Err(FacilityError::Odd("it does not answer each part of a batch"));
            }
            for (place, entry) in places.iter().zip(entries) {
                match status_of(&entry) {
                    200 => self.copies.read(place, entry.get("resource").unwrap_or(&Value::Null)),
                    404 | 410 => self.copies.none(place),
                    status @ (401 | 403) => return Err(FacilityError::Denied(status)),
                    status => return Err(FacilityError::Busy { status, retry_after: None }),
                }
            }
        }
        Ok(())
    }

    /// What has to be written: places and entries of a transaction.
    fn decide(
        &self,
        group: &[&Outgoing],
        known: &Known,
        answers: &mut Answers,
    ) -> Vec<(String, String)> {
        let none = BTreeSet::new();
        let together: BTreeSet<&str> = group.iter().map(|one| one.place.as_str()).collect();
        let is_there = |place: &str| self.copies.is_there(place) || together.contains(place);
        let mut entries = Vec::new();
        for one in group {
            answers.remove(&one.key);
            let known = known.get(&one.record).unwrap_or(&none);
            let missing: BTreeSet<String> =
                one.references.values().filter(|place| !is_there(place)).cloned().collect();
            let text = match &one.text {
                Some(text) => {
                    server::addressed(text, &one.place, &one.heads, &one.references, is_there).ok()
                }
                None => match self.copies.withdrawn(one) {
                    Some(text) => Some(text),
                    None => continue,
                },
            };
            let Some(text) = text else {
                answers.insert(one.key.clone(), unusable());
                continue;
            };
            let complete = missing.is_empty();
            if !complete {
                answers.insert(one.key.clone(), Answer::Incomplete { missing });
            }
            match self.copies.decide(one, &text, known, complete) {
                Decision::Leave => {}
                Decision::Ahead => drop(answers.insert(one.key.clone(), Answer::Ahead)),
                Decision::Foreign => {
                    let why = "another resource, which huza did not write, has this id".to_owned();
                    answers.insert(one.key.clone(), Answer::Refused { code: 409, why });
                }
                Decision::Put(version) => {
                    let full = json!(format!("{}/{}", self.http.base(), one.place));
                    let mut request = json!({ "method": "PUT", "url": one.place });
                    if let (Some(version), Some(request)) = (version, request.as_object_mut()) {
                        request.insert("ifMatch".to_owned(), json!(format!("W/\"{version}\"")));
                    }
                    // Put together by hand, so that numbers keep their digits.
                    let entry =
                        format!(r#"{{"fullUrl":{full},"resource":{text},"request":{request}}}"#);
                    entries.push((one.place.clone(), entry));
                }
            }
        }
        entries
    }

    fn transact(&mut self, entries: &[(String, String)]) -> Result<Outcome, FacilityError> {
        let places = || entries.iter().map(|(place, _)| place.as_str());
        let texts: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
            texts.join(",")
        );
        // Whatever happens now, what is there is known only from what is answered.
        let before = self.copies.take(places());
        let answered = self.http.post(&bundle)?;
        match answered.status {
            200 | 201 => {}
            412 => return Ok(Outcome::Again),
            401 | 403 => return Err(FacilityError::Denied(answered.status)),
            status if is_refusal(status) => {
                self.copies.put_back(before);
                return Ok(Outcome::Refused(status, outcome(&answered.body)));
            }
            _ => return Err(busy(&answered)),
        }
        let told = crate::gateway::server::entries(&answered)?;
        if told.len() != entries.len() {
            return Ok(Outcome::Again);
        }
        let mut all = Outcome::Done;
        for (entry, (place, text)) in told.iter().zip(entries) {
            match status_of(entry) {
                200 | 201 => self.copies.wrote(place, version_of(entry), text),
                412 => all = Outcome::Again,
                status @ (401 | 403) => return Err(FacilityError::Denied(status)),
                status if is_refusal(status) => {
                    let why = entry.pointer("/response/outcome").unwrap_or(&Value::Null);
                    return Ok(Outcome::Refused(status, outcome(&why.to_string())));
                }
                status => return Err(FacilityError::Busy { status, retry_after: None }),
            }
        }
        Ok(all)
    }
}

/// Whether something can be asked for under this place.
fn is_place(place: &str) -> bool {
    let Some((kind, id)) = place.split_once('/') else { return false };
    let of_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (1..=64).contains(&id.len())
        && id.bytes().all(of_id)
}

/// Whether a code says that what was sent cannot be taken as it is.
fn is_refusal(status: u16) -> bool {
    (400..=499).contains(&status) && !matches!(status, 408 | 425 | 429) || status == STUMBLED
}

/// An answer that is no error.
fn serving(answered: Answered) -> Result<Answered, FacilityError> {
    match answered.status {
        200 | 201 => Ok(answered),
        status @ (401 | 403) => Err(FacilityError::Denied(status)),
        429 | 500..=599 => Err(busy(&answered)),
        _ => Err(FacilityError::Odd("it does not take a batch")),
    }
}

fn busy(answered: &Answered) -> FacilityError {
    FacilityError::Busy { status: answered.status, retry_after: answered.retry_after }
}

/// The entries of a Bundle.
fn entries(answered: &Answered) -> Result<Vec<Value>, FacilityError> {
    let bundle: Value =
        serde_json::from_str(&answered.body).map_err(|_| FacilityError::Odd("it is not JSON"))?;
    if bundle.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
        return Err(FacilityError::Odd("it is no Bundle"));
    }
    Ok(bundle.get("entry").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// `201 Created` as 201.
fn status_of(entry: &Value) -> u16 {
    let status = entry.pointer("/response/status").and_then(Value::as_str).unwrap_or_default();
    status.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// The version that an entry was given: `W/"3"` as 3.
fn version_of(entry: &Value) -> Option<String> {
    let text = |at| entry.pointer(at).and_then(Value::as_str);
    let etag = text("/response/etag").map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    let behind =
        || text("/response/location")?.rsplit_once("/_history/").map(|(_, version)| version);
    let own = || text("/resource/meta/versionId");
    etag.filter(|version| !version.is_empty()).or_else(behind).or_else(own).map(str::to_owned)
}

/// What an OperationOutcome says, in one line.
fn outcome(body: &str) -> String {
    let read: Option<Value> = serde_json::from_str(body).ok();
    let issues = read.as_ref().and_then(|outcome| outcome.get("issue")?.as_array());
    let line = |issue: &Value| {
        let text = |at| issue.pointer(at).and_then(Value::as_str);
        let says = [text("/code"), text("/details/text"), text("/diagnostics")];
        let at = issue.get("expression").and_then(Value::as_array);
        let at = at.into_iter().flatten().filter_map(Value::as_str);
        says.into_iter().flatten().chain(at).collect::<Vec<_>>().join(" ")
    };
    match issues {
        Some(issues) => issues.iter().map(line).collect::<Vec<_>>().join("; "),
        None => body.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
