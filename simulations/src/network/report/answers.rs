//! The first page: what was run, and what came of it in words.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use super::super::figures::{SHARES, millionths};
use super::super::outcome::{Delivery, Outcome, Waits};
use super::super::units::{Unit, count, grouped};
use super::page::{escaped, paragraph};
use super::settings;

/// Title, answers, and what decided the run.
pub(super) fn section(outcome: &Outcome) -> String {
    let [urgent, routine] =
        [("urgent", &outcome.urgent), ("routine", &outcome.routine)].map(|of| card(outcome, of));
    format!(
        "<section id=\"answers\"><h1>{}</h1>\n{}<div class=\"answers\">\n{urgent}{routine}</div>\n{}\
        {}</section>\n",
        escaped(&heading(outcome)),
        paragraph(&format!("Simulated: {}", what_was_run(outcome))),
        paragraph(&burden(outcome)),
        settings::changed(outcome),
    )
}

/// Where it is and what the run is called.
fn heading(outcome: &Outcome) -> String {
    let districts: BTreeSet<&str> =
        outcome.villages.iter().map(|village| village.district.as_str()).collect();
    let place = match districts.len() {
        0 => return outcome.name.clone(),
        1..4 => districts.into_iter().collect::<Vec<_>>().join(", "),
        many => format!("{many} districts"),
    };
    if place == outcome.name { place } else { format!("{place}: {}", outcome.name) }
}

/// One sentence that names everything a run is known by.
pub(super) fn what_was_run(outcome: &Outcome) -> String {
    let number = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
    format!(
        "{}, {}, {}, {}. Strategy {}, {} fidelity, seed {}, log {}.",
        count(number(outcome.villages.len()), "village"),
        count(number(outcome.phones.len()), "phone"),
        count(number(outcome.hubs.len()), "hub"),
        count(outcome.days, "day"),
        outcome.strategy,
        outcome.fidelity,
        outcome.seed,
        outcome.log_hash.get(..16).unwrap_or(&outcome.log_hash),
    )
}

fn card(outcome: &Outcome, (kind, delivery): (&str, &Delivery)) -> String {
    let heading = if kind == "urgent" {
        "A red alert (a visit with a danger sign)"
    } else {
        "A routine record"
    };
    let mut text = format!("<div class=\"answer {kind}\"><h2>{heading}</h2>\n");
    if delivery.written == 0 {
        text.push_str("<p>None was written in this run.</p></div>\n");
        return text;
    }
    let survival = delivery.to_facility.survival();
    text.push_str("<dl>\n");
    for share in SHARES {
        let told = survival.reached(share).map_or_else(
            || format!("never in {}", count(outcome.days, "day")),
            |seconds| format!("within {}", Unit::Seconds.show(seconds)),
        );
        let who = if share == 50 { "half".to_owned() } else { format!("{share} of 100") };
        let _written = writeln!(text, "<dt>{who} reach a facility</dt><dd>{told}</dd>");
    }
    let never = Unit::Millionths.show(millionths(survival.never()));
    let _written = writeln!(
        text,
        "<dt>never, in {}</dt><dd>{}</dd></dl>",
        count(outcome.days, "day"),
        escaped(&never)
    );
    let told = format!(
        "At the hub of their health centre: {}. Of {} written, {} were at a facility when the run \
        ended{}.",
        at_hub(&delivery.to_hub),
        grouped(delivery.written),
        grouped(survival.happened()),
        waiting(&delivery.to_facility)
    );
    text.push_str(&paragraph(&told));
    text.push_str("</div>\n");
    text
}

fn at_hub(waits: &Waits) -> String {
    let survival = waits.survival();
    let told = SHARES.map(|share| match survival.reached(share) {
        Some(seconds) => format!("{share} % within {}", Unit::Seconds.show(seconds)),
        None => format!("{share} % never"),
    });
    let never = Unit::Millionths.show(millionths(survival.never()));
    format!("{}; never {never}", told.join(", "))
}

/// For how long what had not arrived at the end had been waiting then.
fn waiting(waits: &Waits) -> String {
    let all: u64 = waits.after.iter().map(|one| one.censored).sum();
    let mut passed = 0;
    let half = waits.after.iter().find(|one| {
        passed += one.censored;
        passed * 2 >= all
    });
    match half.filter(|_| all > 0) {
        None => String::new(),
        Some(half) => format!(
            "; half of the other {} had been written in the last {}",
            grouped(all),
            Unit::Seconds.show(half.seconds)
        ),
    }
}

/// What it costs the phones and hubs, in one sentence.
fn burden(outcome: &Outcome) -> String {
    let figures = outcome.figures();
    let of = |key: &str| figures.iter().find(|one| one.key == key).map(super::super::Figure::show);
    let mut told = Vec::new();
    if let (Some(half), Some(most)) =
        (of("phones.battery_a_day.median"), of("phones.battery_a_day.max"))
    {
        told.push(format!(
            "a phone spends {half} of its battery a day (half of all phones; the worst {most})"
        ));
    }
    if let (Some(half), Some(most)) = (of("phones.stored.median"), of("phones.stored.max")) {
        told.push(format!("stores {half} (the fullest {most})"));
    }
    if let Some(most) = of("hubs.stored.max") {
        told.push(format!("and the fullest hub {most}"));
    }
    let never = outcome.villages.iter().filter(|village| village.never_heard()).count();
    let bare = outcome.villages.iter().filter(|village| village.phones == 0).count();
    let number = |many: usize| count(u64::try_from(many).unwrap_or(u64::MAX), "village");
    let heard = match never {
        0 => "Every village with records was heard of".to_owned(),
        _ => format!("Of {} nothing ever reached their hub", number(never)),
    };
    let bare = match bare {
        0 => String::new(),
        _ => format!("; in {} nobody has a phone, and nothing is written", number(bare)),
    };
    format!("{heard}{bare}. For that, {}.", told.join(", "))
}
