//! The forms that a device knows, with who gave each.

use std::sync::Arc;

use huza_crdt::node::PublishedForm;
use huza_crdt::record::{Form, Forms, form_text};

/// The forms that a device fills, and those that were published.
#[derive(Debug)]
pub struct KnownForms {
    /// Those that are filled.
    pub forms: Forms,
    /// Also those that count no more.
    published: Vec<(Form, PublishedForm)>,
    /// Published forms that only a later version of this program can read.
    pub unreadable: usize,
}

impl KnownForms {
    /// What a device answered to [`huza_crdt::node::Command::Forms`].
    #[must_use]
    pub fn of(all: Vec<PublishedForm>) -> Self {
        let count = all.len();
        let read = |one: PublishedForm| Some((Form::read(&one.text).ok()?, one));
        let mut published: Vec<(Form, PublishedForm)> = all.into_iter().filter_map(read).collect();
        // The programme's behind those of a health centre, as the device has them.
        published.sort_by_key(|(_, one)| one.centre.is_none());
        let counted = published.iter().filter(|(_, one)| one.counts);
        let forms = Forms::built_in().with(counted.map(|(form, _)| Arc::new(form.clone())));
        let unreadable = count - published.len();
        Self { forms, published, unreadable }
    }

    /// The form of this id that is filled, or the published one of this whole name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Form> {
        let named = self.published.iter().find(|(form, _)| form.name().to_string() == id);
        named.map(|(form, _)| form).or_else(|| self.forms.latest(id))
    }

    /// Who gave it (`huza`, `programme`, `centre 0512`), and its text.
    #[must_use]
    pub fn source(&self, form: &Form) -> (String, &str) {
        match self.published.iter().find(|(known, _)| known == form) {
            None => ("huza".to_owned(), form_text(&form.id).unwrap_or_default()),
            Some((_, one)) => {
                let by = one.centre.as_ref();
                (by.map_or("programme".to_owned(), |code| format!("centre {code}")), &one.text)
            }
        }
    }

    /// The names of those that count no more.
    #[must_use]
    pub fn void(&self) -> Vec<String> {
        let void = self.published.iter().filter(|(_, one)| !one.counts);
        void.map(|(form, _)| form.name().to_string()).collect()
    }
}
