//! What is due for a person: the visits that forms ask for after other visits, and which of them have
//! been made. A function of the view alone; only whether something is late needs to know the time.
//!
//! A visit is the one that is awaited if it has the form and the answers that the rule names, and was
//! made after the one that asks for it (or after the date from which the rule counts). A visit that was
//! entered in error neither asks nor counts. A death or a departure ends what was asked before it, of
//! whom it names.

use serde::{Deserialize, Serialize};

use super::form::{End, FollowUp, Form, FormName};
use super::forms::Forms;
use super::number::{self, parse_stamp};
use super::validate::holds;
use super::view::{RecordView, Shown, VisitView};
use crate::time::Stamp;

/// A visit that is due, or was, and is done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reminder {
    /// From then on it is due.
    pub due: Stamp,
    /// From then on it is overdue.
    pub late: Stamp,
    /// When it was made, if it was.
    pub done: Option<Stamp>,
    /// The visit that asks for it.
    pub visit: String,
    /// That visit's form.
    pub form: FormName,
    /// The rule of that form.
    pub rule: String,
    /// Who made that visit.
    pub worker: String,
}

crate::debug_shows!(struct Reminder { due, late, done, form, rule });

/// How far something is that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// It should have been made.
    Overdue,
    /// It is to be made now.
    Now,
    /// It is not due yet.
    Later,
    /// It was made.
    Done,
}

impl Reminder {
    /// How far it is at this time.
    #[must_use]
    pub fn at(&self, now: Stamp) -> Due {
        match self.done {
            Some(_) => Due::Done,
            None if self.late <= now => Due::Overdue,
            None if self.due <= now => Due::Now,
            None => Due::Later,
        }
    }

    /// The rule that asks for it; none if the form is not among these.
    #[must_use]
    pub fn follow_up<'a>(&self, forms: &'a Forms) -> Option<&'a FollowUp> {
        let form = forms.get(&self.form)?;
        form.follow_ups.iter().find(|rule| rule.id == self.rule)
    }
}

/// A visit that counts, with what is asked of it again and again.
struct Made<'a> {
    id: &'a str,
    at: Stamp,
    form: &'a Form,
    visit: &'a VisitView,
}

impl<'a> Made<'a> {
    fn of(forms: &'a Forms, id: &'a str, visit: &'a VisitView) -> Option<Self> {
        let name = visit.form().filter(|_| !visit.is_void())?;
        Some(Self { id, at: visit.occurred()?, form: forms.get(&name)?, visit })
    }

    /// Whether what this rule asks for is due no more after this visit.
    fn ends(&self, rule: &FollowUp) -> bool {
        let about = |end: &&End| end.forms.is_empty() || end.forms.contains(&rule.form);
        let mut ends = self.form.ends.iter().filter(about);
        ends.any(|end| holds(self.form, &end.when, |field| self.answer(field)))
    }

    fn answer(&self, field: &str) -> Option<&'a str> {
        self.visit.answers.get(field).map(Shown::text)
    }
}

/// Everything that was ever due for a person by these forms, the earliest first.
#[must_use]
pub fn reminders(view: &RecordView, forms: &Forms) -> Vec<Reminder> {
    let made: Vec<Made<'_>> =
        view.visits.iter().filter_map(|(id, visit)| Made::of(forms, id, visit)).collect();
    let mut all: Vec<Reminder> = Vec::new();
    for asks in &made {
        let due = asks.form.follow_ups.iter().filter_map(|rule| remind(asks, rule, &made));
        all.extend(due);
    }
    all.sort();
    all
}

fn remind(asks: &Made<'_>, rule: &FollowUp, made: &[Made<'_>]) -> Option<Reminder> {
    let answer = |field: &str| asks.answer(field);
    let void = !rule.unless.is_empty() && holds(asks.form, &rule.unless, answer);
    if void || !holds(asks.form, &rule.when, answer) {
        return None;
    }
    let from = match &rule.from {
        None => asks.at,
        Some(field) => {
            let date = asks.answer(field).filter(|date| number::is_date(date))?;
            parse_stamp(&format!("{date}T00:00:00Z"))?
        }
    };
    let after = |one: &Made<'_>| match rule.from {
        None => (one.at, one.id) > (asks.at, asks.id),
        Some(_) => one.at >= from && one.id != asks.id,
    };
    let awaited = made.iter().filter(|one| {
        let answered = |(field, value): (&String, &String)| one.answer(field) == Some(value);
        let same = |field: &String| {
            let both = asks.answer(field).zip(one.answer(field));
            both.is_none_or(|(asked, answered)| asked == answered)
        };
        one.form.id == rule.form
            && rule.answers.iter().all(answered)
            && rule.same.iter().all(same)
            && after(one)
    });
    let done = awaited.map(|one| one.at).min();
    if done.is_none() && made.iter().any(|one| one.at >= asks.at && one.ends(rule)) {
        return None;
    }
    let hours = |hours: u32| Stamp(from.0.saturating_add(i64::from(hours) * 3_600));
    Some(Reminder {
        due: hours(rule.due_hours),
        late: hours(rule.late_hours),
        done,
        visit: asks.id.to_owned(),
        form: asks.form.name(),
        rule: rule.id.clone(),
        worker: asks.visit.field("worker").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::id::{LogId, Origin, RecordId};
    use crate::record::Value;

    const HOUR: i64 = 3_600;

    fn shown(value: &str) -> Shown {
        let origin = Origin { log: LogId([0; 32]), counter: 0 };
        let value = Value { value: value.into(), worker: "w".into(), at: Stamp(0), origin };
        Shown { shown: value, conflict: vec![] }
    }

    fn visit(form: &str, occurred: &str, answers: &[(&str, &str)]) -> VisitView {
        let field = |(name, value): (&str, &str)| (name.to_owned(), shown(value));
        let fields = [("form", form), ("version", "1"), ("occurred", occurred), ("worker", "Keza")];
        VisitView {
            fields: fields.into_iter().map(field).collect(),
            answers: answers.iter().copied().map(field).collect(),
        }
    }

    fn view(visits: Vec<VisitView>) -> RecordView {
        let visits = visits.into_iter().enumerate().map(|(n, one)| (n.to_string(), one));
        RecordView {
            record: RecordId([0; 16]),
            person: BTreeMap::new(),
            visits: visits.collect(),
            resources: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    fn all(view: &RecordView) -> Vec<Reminder> {
        reminders(view, &Forms::built_in())
    }

    fn at(text: &str) -> Stamp {
        parse_stamp(text).unwrap()
    }

    #[test]
    fn the_result_of_a_red_alert_is_awaited_at_once_and_late_after_a_day() {
        let alert = visit("red-alert", "2026-11-01T08:00:00Z", &[("place", "home")]);
        let [one] = all(&view(vec![alert.clone()])).try_into().unwrap();
        let now = at("2026-11-01T08:00:00Z");
        assert_eq!((one.at(now), one.at(Stamp(now.0 + 24 * HOUR))), (Due::Now, Due::Overdue));
        assert_eq!(
            (one.worker.as_str(), one.follow_up(&Forms::built_in()).unwrap().form.as_str()),
            ("Keza", "red-alert-result")
        );
        // A phone that was away for a month shows the same.
        let result = visit("red-alert-result", "2026-11-01T15:00:00Z", &[]);
        let [one] = all(&view(vec![alert.clone(), result.clone()])).try_into().unwrap();
        assert_eq!(one.done, Some(at("2026-11-01T15:00:00Z")));
        assert_eq!(one.at(at("2026-12-01T00:00:00Z")), Due::Done);
        // A result of something before does not count, nor one that was entered in error.
        let earlier = visit("red-alert-result", "2026-11-01T07:59:59Z", &[]);
        let mut void = result;
        void.fields.insert("void".into(), shown("wrong person"));
        let [one] = all(&view(vec![alert, earlier, void])).try_into().unwrap();
        assert_eq!(one.done, None);
    }

    #[test]
    fn newborn_visits_are_counted_from_the_birth_and_told_apart_by_their_number() {
        let birth = visit("birth", "2026-11-05T10:00:00Z", &[("birth-date", "2026-11-04")]);
        let second = visit("newborn", "2026-11-10T09:00:00Z", &[("round", "2")]);
        let all = all(&view(vec![birth, second]));
        let newborn: Vec<_> = all.iter().filter(|one| one.rule.starts_with("newborn")).collect();
        let due: Vec<_> = newborn.iter().map(|one| one.due.to_string()).collect();
        assert_eq!(due, ["2026-11-06T00:00:00Z", "2026-11-10T00:00:00Z", "2026-12-02T00:00:00Z"]);
        let done: Vec<_> = newborn.iter().map(|one| one.done.is_some()).collect();
        assert_eq!(done, [false, true, false]);
        assert_eq!(newborn[0].at(at("2026-11-07T00:00:00Z")), Due::Overdue);
    }

    #[test]
    fn what_is_due_every_month_is_due_after_the_latest() {
        let months = ["2026-08-03T08:00:00Z", "2026-09-01T08:00:00Z"];
        let all = all(&view(months.iter().map(|at| visit("child-health", at, &[])).collect()));
        let done: Vec<_> = all.iter().map(|one| one.done.is_some()).collect();
        assert_eq!(done, [true, false]);
        assert_eq!(all[1].due.to_string(), "2026-09-29T08:00:00Z");
    }

    #[test]
    fn conditions_decide_and_a_death_ends_what_is_due_for_whom_it_names() {
        let measured = |muac| visit("nutrition", "2026-11-01T08:00:00Z", &[("muac", muac)]);
        assert!(all(&view(vec![measured("12.5")])).is_empty());
        assert_eq!(all(&view(vec![measured("12.4")])).len(), 1);
        let death = |who| visit("death", "2026-11-02T08:00:00Z", &[("who", who)]);
        assert!(all(&view(vec![measured("12.4"), death("child")])).is_empty());
        // A newborn's death leaves what is due for the mother; who comes back is asked for again.
        let birth = visit("birth", "2026-11-01T10:00:00Z", &[("birth-date", "2026-11-01")]);
        let left = all(&view(vec![birth, death("newborn")]));
        assert!(left.len() == 3 && left.iter().all(|one| one.rule.starts_with("postnatal")));
        let away = visit("departure", "2026-10-01T08:00:00Z", &[]);
        assert_eq!(all(&view(vec![away, measured("12.4")])).len(), 1);
    }

    #[test]
    fn twins_are_visited_each_and_who_was_born_dead_is_not() {
        let born = |child: &str, dead: &str| {
            let answers = [("birth-date", "2026-11-04"), ("child", child), ("stillborn", dead)];
            visit("birth", "2026-11-05T10:00:00Z", &answers)
        };
        let seen = visit("newborn", "2026-11-06T09:00:00Z", &[("round", "1"), ("child", "2")]);
        let first = |all: Vec<Reminder>| -> Vec<bool> {
            let first = all.into_iter().filter(|one| one.rule == "newborn-1");
            first.map(|one| one.done.is_some()).collect()
        };
        let both = vec![born("1", "no"), born("2", "no"), seen];
        assert_eq!(first(all(&view(both))), [false, true]);
        assert!(first(all(&view(vec![born("1", "yes")]))).is_empty());
    }
}
