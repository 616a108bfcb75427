//! Commands that change one thing in a record that is here.

use super::super::Node;
use super::super::api::CommandId;
use super::{Content, Draft, Plan, document};
use crate::id::{AreaTag, RecordId, VisitId};
use crate::limits::TEXT_CHARS_MAX;
use crate::record::{Edit, read_bundle};
use crate::store::{Range, Table};

impl Node {
    pub(super) fn plan_void(
        &mut self,
        id: CommandId,
        record: RecordId,
        visit: VisitId,
        reason: String,
    ) {
        let length = reason.trim().chars().count();
        if !(1..=TEXT_CHARS_MAX).contains(&length) {
            let message = format!("a reason of {length} characters");
            let hint = format!("say in 1 to {TEXT_CHARS_MAX} why the visit was entered in error");
            return self.decline(id, "invalid_reason", &message, &hint);
        }
        let Some((area, _)) = self.known(id, record) else { return };
        self.gather(vec![Range::prefix(Table::Changes, record.0)], move |node, rows| {
            let find =
                move || document(record, &rows).view().visits.contains_key(&visit.to_string());
            node.work("find visit", find, move |node, found| {
                if found {
                    node.amend(id, (record, area), Edit::Void { visit, reason });
                } else {
                    let message = format!("no visit {visit} in this record");
                    let hint = "`huza person show` lists its visits";
                    node.decline(id, "unknown_visit", &message, hint);
                }
            });
        });
    }

    pub(super) fn plan_resource(&mut self, id: CommandId, record: RecordId, text: String) {
        let Some((area, _)) = self.known(id, record) else { return };
        self.work(
            "read resource",
            move || resource(&text),
            move |node, read| match read {
                Ok(edit) => node.amend(id, (record, area), edit),
                Err(why) => {
                    let hint =
                        "give one resource of FHIR R4 with a UUID as id; nothing was changed";
                    node.decline(id, "bad_resource", &why, hint);
                }
            },
        );
    }

    fn amend(&mut self, id: CommandId, (record, area): (RecordId, AreaTag), edit: Edit) {
        let worker = self.reader.as_ref().map_or_else(String::new, |one| one.worker.clone());
        let content = Content::Edits(vec![edit]);
        let drafts = vec![Draft { area, record: Some(record), content }];
        self.execute(Plan { id, worker, drafts, import: None });
    }
}

/// The one resource of a text, to be kept under its own id.
fn resource(text: &str) -> Result<Edit, String> {
    let import = read_bundle(text, None).map_err(|error| error.to_string())?;
    if let Some(problem) = import.problems.first() {
        return Err(problem.why.to_string());
    }
    let one = <[_; 1]>::try_from(import.incoming).map_err(|_some| "not one resource")?;
    let [one] = one;
    if one.key != one.local {
        return Err("its id is no UUID".to_owned());
    }
    Ok(Edit::Resource { key: one.key, text: one.text })
}
