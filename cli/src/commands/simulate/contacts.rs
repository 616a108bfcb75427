//! `huza simulate contacts`: a scenario in, contacts out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use huza_simulations::geography::Geography;
use huza_simulations::movement::{Contact, Day, Movement, Row, Survey};
use serde_json::{Value, json};

use super::place;
use crate::args::ContactsArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::files::Pending;
use crate::output::{self, count};

/// Villages that are named at most, for people.
const NAMED: usize = 10;

const HEAD: &str = "start_s,end_s,a,b,kind,link\n";

/// Moves everybody, day by day, and reports.
pub(super) fn run(context: &Context, args: &ContactsArgs) -> Result<(), Failure> {
    let (scenario, settings) = place::scenario(&args.scenario, &[])?;
    let place = place::geography(&scenario, &args.scenario)?;
    let days = scenario.days;
    let movement = Movement::new(&place, scenario);
    let began = Instant::now();
    let mut out = args.out.as_ref().map(|path| Pending::begin(path, false, true)).transpose()?;
    if let Some(out) = &mut out {
        out.append(HEAD.as_bytes())?;
    }
    let mut survey = Survey::new(&movement);
    for number in 0..days {
        let day = movement.day(number);
        survey.add(&movement, &day);
        if let Some(out) = &mut out {
            out.append(lines(&day).as_bytes())?;
        }
        let left = began.elapsed() * u32::try_from(days - number - 1).unwrap_or(u32::MAX)
            / u32::try_from(number + 1).unwrap_or(u32::MAX);
        let day = number + 1;
        context.output.progress(&format!("day {day} of {days}, {} s left", left.as_secs()));
    }
    context.output.progress("");
    out.map_or(Ok(()), Pending::publish)?;
    report(
        context,
        &Report { place, movement, survey, settings, millis: began.elapsed().as_millis() },
    )
}

/// A day's contacts, a line each.
fn lines(day: &Day) -> String {
    let mut text = String::with_capacity(day.contacts.len() * 48);
    let seconds = |ms: u64| (ms / 1_000, ms % 1_000);
    for Contact { from_ms, to_ms, nodes: (a, b), kind, link } in &day.contacts {
        let ((from, from_ms), (to, to_ms)) = (seconds(*from_ms), seconds(*to_ms));
        let (kind, link) = (kind.name(), link.name());
        let _written = writeln!(text, "{from}.{from_ms:03},{to}.{to_ms:03},{a},{b},{kind},{link}");
    }
    text
}

/// What there is to tell.
struct Report {
    place: Geography,
    movement: Movement,
    survey: Survey,
    settings: BTreeMap<String, String>,
    millis: u128,
}

fn report(context: &Context, report: &Report) -> Result<(), Failure> {
    let Report { place, movement, survey, .. } = report;
    let (phones, hubs) = (movement.phones(), movement.hubs());
    let scenario = movement.scenario();
    let (bare, unreached) = (survey.without_phone(movement), survey.without_hub(movement));
    let value = json!({
        "villages": place.villages.len(),
        "phones": phones,
        "hubs": hubs,
        "nodes": phones + hubs,
        "days": survey.days(),
        "seed": scenario.seed,
        "kinds": survey.rows().iter().map(|row| row_value(report, row)).collect::<Vec<_>>(),
        "villages_without_phone": names(place, &bare),
        "villages_without_hub": names(place, &unreached),
        "settings": report.settings,
        "millis": report.millis,
    });
    let head = [
        "kind",
        "link",
        "contacts",
        "per phone and day",
        "half last",
        "90 % last",
        "met",
        "missed",
        "too short",
        "phone off",
    ];
    let rows: Vec<Vec<String>> = survey.rows().iter().map(|row| cells(report, row)).collect();
    let mut text = format!(
        "{}, {}, {}, {}, seed {}\n\n{}\n",
        count(place.villages.len(), "village"),
        count(phones, "phone"),
        count(hubs, "hub"),
        count(usize::try_from(survey.days()).unwrap_or(usize::MAX), "day"),
        scenario.seed,
        output::table(&head, &rows),
    );
    tell(&mut text, place, &bare, "in which nobody has a phone");
    tell(&mut text, place, &unreached, "with phones, none of which met a hub in this time");
    context.output.answer(&value, &text)
}

/// Ends of contacts at phones, for each phone and day.
fn per_phone_and_day(report: &Report, row: &Row) -> f64 {
    let days = report.survey.days() as f64 * report.movement.phones() as f64;
    if days > 0.0 { row.ends as f64 / days } else { 0.0 }
}

fn row_value(report: &Report, row: &Row) -> Value {
    json!({
        "kind": row.kind.name(),
        "link": row.link.name(),
        "contacts": row.contacts,
        "per_phone_and_day": per_phone_and_day(report, row),
        "median_s": row.quantile_s(50),
        "p90_s": row.quantile_s(90),
        "met": row.tally.met,
        "missed": row.tally.missed,
        "too_short": row.tally.short,
        "phone_off": row.tally.off,
    })
}

fn cells(report: &Report, row: &Row) -> Vec<String> {
    let seconds = |seconds: Option<u64>| match seconds {
        None => "-".to_owned(),
        Some(seconds @ 0..120) => format!("{seconds} s"),
        Some(seconds) => format!("{} min", seconds / 60),
    };
    let share = |part: u64| match part.saturating_mul(1_000).checked_div(row.tally.met) {
        None => "-".to_owned(),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    };
    vec![
        row.kind.name().to_owned(),
        row.link.name().to_owned(),
        row.contacts.to_string(),
        format!("{:.4}", per_phone_and_day(report, row)),
        seconds(row.quantile_s(50)),
        seconds(row.quantile_s(90)),
        row.tally.met.to_string(),
        share(row.tally.missed),
        share(row.tally.short),
        share(row.tally.off),
    ]
}

fn names(place: &Geography, villages: &[usize]) -> Vec<Value> {
    let villages = villages.iter().filter_map(|village| place.villages.get(*village));
    villages.map(|village| json!({ "id": village.id, "name": village.name })).collect()
}

fn tell(text: &mut String, place: &Geography, villages: &[usize], what: &str) {
    let _written = write!(text, "\n{} {what}", count(villages.len(), "village"));
    let named = villages.iter().filter_map(|village| place.villages.get(*village)).take(NAMED);
    let named: Vec<String> = named.map(|one| format!("{} ({})", one.name, one.id)).collect();
    if !named.is_empty() {
        let more = villages.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _written = write!(text, ": {}{more}", named.join(", "));
    }
}
