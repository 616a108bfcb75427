//! What becomes of meetings.

use core::fmt::Write as _;

use super::super::figures::part as share_of;
use super::super::outcome::{Meetings, Outcome};
use super::super::units::{Unit, count};
use super::page::{Cell, escaped, paragraph, section as part, table};

/// What is left of the meetings of a kind, with its colour.
const FATES: [(&str, &str); 6] = [
    ("phone off", "#c9ced3"),
    ("not noticed by the radio", "#8f98a0"),
    ("too short to set up", "#d1380b"),
    ("contact, nothing new to exchange", "#cfe3f1"),
    ("contact, cut before all was exchanged", "#f0b84c"),
    ("contact, all exchanged", "#2b77b5"),
];

/// How many meetings come to which end. A contact that brought nothing new and was cut besides is
/// told as one without news.
fn fates(one: &Meetings) -> [u64; 6] {
    let useful = one.contacts.saturating_sub(one.idle);
    let cut = one.cut.min(useful);
    [one.off, one.missed, one.short, one.idle.min(one.contacts), cut, useful - cut]
}

/// Bars for each kind, and the figures.
pub(super) fn section(outcome: &Outcome) -> String {
    let intro = "Two devices that are near each other meet; what the radio notices in time becomes a \
        contact. Wasted are meetings that never become one, and contacts that are cut.";
    let mut legend = "<div class=\"legend\">\n".to_owned();
    for (name, colour) in FATES {
        let _written = writeln!(
            legend,
            "<span><i class=\"key\" style=\"background:{colour};border-radius:2px\"></i>{name}</span>"
        );
    }
    legend.push_str("</div>\n");
    let bars: String = outcome.meetings.iter().filter(|one| one.met > 0).map(bar).collect();
    let rows: Vec<Vec<Cell>> =
        outcome.meetings.iter().chain([&all(&outcome.meetings)]).map(row).collect();
    let head = [
        "kind",
        "met",
        "phone off",
        "not noticed",
        "too short",
        "contacts",
        "of them cut",
        "nothing new",
        "exchanged",
        "a contact, mean",
        "time in contact, mean",
    ];
    let never: Vec<String> =
        outcome.meetings.iter().filter(|one| one.met == 0).map(|one| name(&one.kind)).collect();
    let never = if never.is_empty() {
        String::new()
    } else {
        paragraph(&format!("Nobody met for: {}.", never.join(", ")))
    };
    let body = format!(
        "{}{legend}<figure>\n{bars}</figure>\n{never}{}",
        paragraph(intro),
        table(&head, &rows)
    );
    part("meetings", "What becomes of meetings", &body)
}

/// Meetings of all kinds.
fn all(kinds: &[Meetings]) -> Meetings {
    let sum = |of: fn(&Meetings) -> u64| kinds.iter().map(of).fold(0, u64::saturating_add);
    Meetings {
        kind: "all".to_owned(),
        met: sum(|one| one.met),
        off: sum(|one| one.off),
        missed: sum(|one| one.missed),
        short: sum(|one| one.short),
        contacts: sum(|one| one.contacts),
        cut: sum(|one| one.cut),
        idle: sum(|one| one.idle),
        bytes: sum(|one| one.bytes),
        seconds: sum(|one| one.seconds),
    }
}

/// As people say it.
fn name(kind: &str) -> String {
    kind.replace('_', " ")
}

fn bar(one: &Meetings) -> String {
    let fates = fates(one);
    let all = fates.iter().fold(0_u64, |all, fate| all.saturating_add(*fate)).max(1);
    let mut text = format!(
        "<h3>{} <small class=\"soft\">{}</small></h3>\n<svg viewBox=\"0 0 1000 26\" \
        preserveAspectRatio=\"none\" style=\"height:1.6rem\" role=\"img\" aria-label=\"{}\">\n",
        escaped(&name(&one.kind)),
        count(one.met, "meeting"),
        escaped(&name(&one.kind))
    );
    let mut from = 0;
    for (fate, (name, colour)) in fates.into_iter().zip(FATES) {
        let wide = fate.saturating_mul(10_000) / all;
        if wide > 0 {
            let _written = writeln!(
                text,
                "<rect x=\"{}.{}\" width=\"{}.{}\" height=\"26\" fill=\"{colour}\"><title>{name}: \
                {}</title></rect>",
                from / 10,
                from % 10,
                wide / 10,
                wide % 10,
                escaped(&Unit::Millionths.show(share_of(fate, all).unwrap_or_default()))
            );
        }
        from += wide;
    }
    text.push_str("</svg>\n");
    text
}

fn row(one: &Meetings) -> Vec<Cell> {
    let share = |some, all| Cell::Figure(Unit::Millionths, share_of(some, all), "-");
    let each = |all: u64| all.checked_div(one.contacts);
    vec![
        Cell::text(&name(&one.kind)),
        Cell::count(one.met),
        share(one.off, one.met),
        share(one.missed, one.met),
        share(one.short, one.met),
        Cell::count(one.contacts),
        share(one.cut, one.contacts),
        share(one.idle, one.contacts),
        Cell::of(Unit::Bytes, one.bytes),
        Cell::Figure(Unit::Bytes, each(one.bytes), "-"),
        Cell::Figure(Unit::Seconds, each(one.seconds), "-"),
    ]
}
