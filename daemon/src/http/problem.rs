//! Why a request is refused: problem details (RFC 9457) with a code that is stable, or a FHIR
//! OperationOutcome with the same.

use huza_crdt::node::CommandError;
use serde_json::{Value, json};

/// Every code, with its status and what it means. Never used again for anything else.
pub const CODES: [(&str, u16, &str); 41] = [
    ("malformed", 400, "The request cannot be read"),
    ("invalid_parameter", 400, "A parameter cannot be used"),
    ("no_host", 400, "The request does not say whom it asks"),
    ("unauthorized", 401, "The app is not known"),
    ("read_only", 403, "The app may only read"),
    ("origin", 403, "Pages of this origin may not ask"),
    ("not_entitled", 403, "This device may not write"),
    ("not_found", 404, "There is no such address"),
    ("unknown_record", 404, "There is no such record here"),
    ("unknown_visit", 404, "There is no such visit in the record"),
    ("unknown_form", 404, "There is no such form"),
    ("unknown_resource", 404, "There is no such resource here"),
    ("unknown_type", 404, "Resources of this type are not served"),
    ("method_not_allowed", 405, "The address does not know this method"),
    ("not_acceptable", 406, "Only JSON is served"),
    ("not_joined", 409, "This device has not joined a programme"),
    ("no_reader", 409, "This device only carries"),
    ("revoked", 409, "This device is shut out"),
    ("made_here", 409, "The resource is made of a person or a visit"),
    ("cursor_expired", 410, "What changed since then is not known any more"),
    ("precondition_failed", 412, "The resource is not the version that was named"),
    ("too_large", 413, "The body is too long"),
    ("unsupported_media_type", 415, "The body is not JSON"),
    ("wrong_host", 421, "This daemon is not asked by that name"),
    ("invalid", 422, "What was sent cannot be recorded"),
    ("invalid_person", 422, "The person cannot be recorded"),
    ("invalid_answers", 422, "The answers cannot be recorded"),
    ("invalid_reason", 422, "The reason cannot be recorded"),
    ("invalid_form", 422, "There is no form of this name"),
    ("unknown_area", 422, "It is not known where to record it"),
    ("unknown_patient", 422, "The resource names no patient who is here"),
    ("needs_patient", 422, "The search does not say of whom"),
    ("bad_resource", 422, "The resource cannot be recorded"),
    ("locked", 423, "The device is locked"),
    ("too_many_requests", 429, "The app asks too often"),
    ("store_failed", 500, "The device's disk failed"),
    ("failed", 500, "The device could not answer"),
    ("stopping", 503, "The daemon is stopping"),
    ("too_many_streams", 503, "Too many apps follow changes already"),
    ("apps_unreadable", 503, "The list of apps cannot be read"),
    ("timeout", 504, "The answer took too long"),
];

/// A refusal.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) detail: String,
    pub(super) hint: String,
    /// Headers that go with it.
    pub(super) headers: Vec<(&'static str, String)>,
}

// Details may quote what the program sent.
huza_crdt::debug_shows!(struct Problem { code });

impl Problem {
    pub(super) fn new(code: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self { code, detail: detail.into(), hint: hint.to_owned(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A parameter of path or query.
    pub(super) fn parameter(name: &str, hint: &str) -> Self {
        Self::new("invalid_parameter", format!("the parameter `{name}` cannot be used"), hint)
    }

    /// An answer that does not fit the question: a bug.
    pub(super) fn odd() -> Self {
        Self::new("failed", "the device gave an odd answer", "please report it")
    }

    pub(super) fn status(&self) -> u16 {
        self.row().1
    }

    fn row(&self) -> (&'static str, u16, &'static str) {
        CODES.iter().copied().find(|(code, _, _)| *code == self.code).unwrap_or(("failed", 500, ""))
    }

    /// As RFC 9457 has it.
    pub(super) fn details(&self) -> Value {
        let (code, status, title) = self.row();
        json!({
            "type": format!("urn:huza:problem:{code}"),
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": code,
            "hint": self.hint,
        })
    }

    /// As FHIR has it.
    pub(super) fn outcome(&self) -> Value {
        let (code, status, title) = self.row();
        let issue = match status {
            401 => "login",
            403 => "forbidden",
            404 => "not-found",
            405 | 406 | 415 => "not-supported",
            409 | 412 => "conflict",
            413 => "too-long",
            422 => "processing",
            423 => "suppressed",
            429 => "throttled",
            503 | 504 => "transient",
            500 => "exception",
            _ => "invalid",
        };
        let coding = json!({ "system": "urn:huza:problem", "code": code });
        let diagnostics = [self.detail.as_str(), &self.hint].join("; ");
        json!({
            "resourceType": "OperationOutcome",
            "issue": [{
                "severity": "error",
                "code": issue,
                "details": { "coding": [coding], "text": title },
                "diagnostics": diagnostics.trim_end_matches("; "),
            }],
        })
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let known = CODES.iter().find(|(code, _, _)| *code == error.code);
        Self::new(known.map_or("failed", |(code, _, _)| code), error.message, &error.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_its_status_is_an_error() {
        let codes: std::collections::BTreeSet<&str> =
            CODES.iter().map(|(code, _, _)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
        assert!(
            CODES.iter().all(|(_, status, title)| (400..600).contains(status) && !title.is_empty())
        );
    }

    #[test]
    fn a_refusal_of_the_node_keeps_its_code_and_one_unknown_here_is_a_failure() {
        let error = |code: &str| CommandError {
            code: code.to_owned(),
            message: "m".to_owned(),
            hint: "h".to_owned(),
        };
        assert_eq!(Problem::from(error("locked")).status(), 423);
        assert_eq!(Problem::from(error("brand_new")).code, "failed");
        let told = Problem::from(error("invalid_answers")).details();
        assert_eq!((&told["code"], &told["status"]), (&"invalid_answers".into(), &422.into()));
    }
}
