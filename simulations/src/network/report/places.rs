//! Villages that fare badly, and the load of hubs.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use super::super::outcome::{Hub, Outcome, Village};
use super::super::units::{Unit, count};
use super::page::{Cell, escaped, folded, paragraph, section as part, table};

/// Villages and hubs that are named before the list is folded.
const NAMED: usize = 12;

/// Villages of which nothing was heard, and those that wait longest.
pub(super) fn villages(outcome: &Outcome) -> String {
    let never: Vec<&Village> = outcome.villages.iter().filter(|one| one.never_heard()).collect();
    let bare: Vec<&Village> = outcome.villages.iter().filter(|one| one.phones == 0).collect();
    let number = |some: &[&Village]| u64::try_from(some.len()).unwrap_or(u64::MAX);
    let heard = match never.len() {
        0 => "Every village in which something was written was heard of at its hub.".to_owned(),
        _ => format!(
            "In {} something was written and nothing of it ever reached the hub.",
            count(number(&never), "village")
        ),
    };
    let without = match bare.len() {
        0 => "In every village somebody has a phone.".to_owned(),
        _ => format!(
            "In {} nobody has a phone, so nothing is written there at all.",
            count(number(&bare), "village")
        ),
    };
    let mut body = paragraph(&format!("{heard} {without}"));
    if !never.is_empty() {
        let _written = write!(body, "<h3>Never heard of</h3>\n{}", names(&never));
    }
    let mut behind: Vec<&Village> = outcome.villages.iter().filter(|one| one.at_hub > 0).collect();
    behind.sort_by_key(|one| core::cmp::Reverse(one.behind_seconds));
    behind.truncate(NAMED);
    let rows: Vec<Vec<Cell>> = behind.into_iter().map(|one| row(outcome, one)).collect();
    let head = [
        "village",
        "hub is behind",
        "last heard of, before the end",
        "phones",
        "written",
        "at the hub",
        "sector",
        "district",
        "hub",
    ];
    let _written = write!(body, "<h3>Of the others, furthest behind</h3>\n{}", table(&head, &rows));
    if !bare.is_empty() {
        let summary = format!("Nobody has a phone ({})", count(number(&bare), "village"));
        body.push_str(&folded(&summary, &names(&bare)));
    }
    part("villages", "Villages that hardly get through", &body)
}

fn row(outcome: &Outcome, village: &Village) -> Vec<Cell> {
    let hub = outcome.hubs.get(village.hub).map_or("", |hub| &hub.name);
    let ago = village.last_heard_seconds.map(|heard| outcome.seconds().saturating_sub(heard));
    vec![
        Cell::text(&village.name),
        Cell::Figure(Unit::Seconds, village.behind_seconds, "-"),
        Cell::Figure(Unit::Seconds, ago, "never"),
        Cell::count(village.phones),
        Cell::count(village.written),
        Cell::count(village.at_hub),
        Cell::text(&village.sector),
        Cell::text(&village.district),
        Cell::text(hub),
    ]
}

/// Names under their districts and sectors.
fn names(villages: &[&Village]) -> String {
    let mut sectors: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for one in villages {
        sectors.entry((&one.district, &one.sector)).or_default().push(&one.name);
    }
    let mut text = "<ul class=\"names\">\n".to_owned();
    for ((district, sector), names) in sectors {
        let _written = writeln!(
            text,
            "<li><b>{}, {}</b>: {}</li>",
            escaped(district),
            escaped(sector),
            escaped(&names.join(", "))
        );
    }
    text.push_str("</ul>\n");
    text
}

/// What the hubs have to do.
pub(super) fn hubs(outcome: &Outcome) -> String {
    let mut all: Vec<&Hub> = outcome.hubs.iter().collect();
    all.sort_by_key(|hub| core::cmp::Reverse((hub.contacts_at_once, hub.received)));
    let most = |of: fn(&Hub) -> u64| outcome.hubs.iter().map(of).max().unwrap_or_default();
    let days = outcome.days.max(1);
    let (at_once, stored) = (most(|hub| hub.contacts_at_once), most(|hub| hub.stored_peak));
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .map(|hub| {
            vec![
                Cell::text(&hub.name),
                Cell::text(if hub.internet { "yes" } else { "never" }),
                Cell::Bar(Unit::Count, hub.contacts_at_once, at_once),
                Cell::count(hub.contacts),
                Cell::of(Unit::Bytes, hub.received / days),
                Cell::of(Unit::Bytes, hub.sent / days),
                Cell::Bar(Unit::Bytes, hub.stored_peak, stored),
            ]
        })
        .collect();
    let head = [
        "hub",
        "internet",
        "phones at once, most",
        "contacts in all",
        "from phones a day",
        "to phones a day",
        "stored, most",
    ];
    let without = outcome.hubs.iter().filter(|hub| !hub.internet).count();
    let number = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
    let mut body = paragraph(&format!(
        "{}, of which {} never have internet. The busiest are first.",
        count(number(outcome.hubs.len()), "hub"),
        without
    ));
    let (named, more) = rows.split_at(NAMED.min(rows.len()));
    body.push_str(&table(&head, named));
    if !more.is_empty() {
        let summary = format!("All others ({})", count(number(more.len()), "hub"));
        body.push_str(&folded(&summary, &table(&head, more)));
    }
    part("hubs", "Load of the hubs", &body)
}
