//! What a phone spends, stores and carries.

use core::fmt::Write as _;

use super::super::figures::part as share_of;
use super::super::outcome::{Outcome, Phone};
use super::super::units::{Unit, count};
use super::page::{Cell, at, escaped, paragraph, section as part, table};
use crate::stats::Distribution;

/// Distributions over all phones, and who carries for others.
pub(super) fn section(outcome: &Outcome) -> String {
    if outcome.phones.is_empty() {
        return part("phones", "Burden of the phones", &paragraph("Nobody has a phone."));
    }
    let of = |value: &dyn Fn(&Phone) -> u64| Distribution::new(outcome.phones.iter().map(value));
    let days = outcome.days.max(1);
    let battery = outcome.phones.iter().filter_map(|phone| outcome.battery_a_day(phone));
    let all = [
        ("battery a day", Unit::Millionths, Distribution::new(battery)),
        ("sent and received a day", Unit::Bytes, of(&|phone| outcome.traffic_a_day(phone))),
        ("carried for others a day", Unit::Bytes, of(&|phone| phone.carried / days)),
        ("stored at most", Unit::Bytes, of(&|phone| phone.stored_peak)),
        ("contacts in all", Unit::Count, of(&|phone| phone.contacts)),
    ];
    let all: Vec<_> = all.iter().filter(|(_, _, values)| values.max() > Some(0)).collect();
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .map(|(name, unit, values)| {
            let at_most = |share| Cell::Figure(*unit, values.quantile(share), "-");
            vec![Cell::text(name), at_most(10), at_most(50), at_most(90), at_most(99), at_most(100)]
        })
        .collect();
    let head = ["", "10 % at most", "half at most", "90 % at most", "99 % at most", "the most"];
    let pictures: String =
        all.iter().take(4).map(|(name, unit, values)| histogram(name, *unit, values)).collect();
    let body = format!(
        "{}<div class=\"panels\">{pictures}</div>\n{}{}",
        paragraph(&couriers(outcome)),
        table(&head, &rows),
        energy(outcome)
    );
    part("phones", "Burden of the phones", &body)
}

/// Who carries for others, in a sentence.
fn couriers(outcome: &Outcome) -> String {
    let carried = Distribution::new(outcome.phones.iter().map(|phone| phone.carried));
    let none = carried.ascending().iter().filter(|carried| **carried == 0).count();
    let number = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
    let mut told = count(number(outcome.phones.len()), "phone");
    match carried.held_by_largest(10) {
        None => told.push_str("; none carried anything for others."),
        Some(share) => {
            let _written = write!(
                told,
                "; {none} of them never passed on what others had written, and the busiest tenth \
                passed on {} of all that was.",
                Unit::Millionths.show(share * 10_000)
            );
        }
    }
    told
}

/// What the battery is spent on, over all phones.
fn energy(outcome: &Outcome) -> String {
    let sum = |of: fn(&Phone) -> u64| outcome.phones.iter().map(of).fold(0, u64::saturating_add);
    let parts = [
        ("looking for others", sum(|one| one.energy.discovery)),
        ("linked and exchanging", sum(|one| one.energy.link)),
        ("giving a hotspot", sum(|one| one.energy.host)),
        ("checking signatures", sum(|one| one.energy.verify)),
    ];
    let all = parts.iter().fold(0, |all, (_, joules)| joules.saturating_add(all));
    let told: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, joules)| {
            Some(format!("{name} {}", Unit::Millionths.show(share_of(joules, all)?)))
        })
        .collect();
    if told.is_empty() {
        return String::new();
    }
    paragraph(&format!("Where the energy goes, over all phones: {}.", told.join(", ")))
}

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 8.0;
const BASE: f64 = 118.0;
const TOP: f64 = 28.0;

/// How wide a label is at most.
const LABEL: f64 = 130.0;

/// Columns of a histogram, of equal width, up to what 99 % do not exceed; the last holds the rest.
const COLUMNS: u64 = 30;

fn histogram(name: &str, unit: Unit, values: &Distribution) -> String {
    let (Some(median), Some(p90), Some(p99), Some(most)) =
        (values.quantile(50), values.quantile(90), values.quantile(99), values.max())
    else {
        return String::new();
    };
    let step = (p99 / COLUMNS).max(1);
    let mut columns = vec![0_u32; usize::try_from(COLUMNS + 1).unwrap_or_default()];
    for value in values.ascending() {
        let column = usize::try_from((value / step).min(COLUMNS)).unwrap_or_default();
        if let Some(column) = columns.get_mut(column) {
            *column += 1;
        }
    }
    let highest = f64::from(columns.iter().copied().max().unwrap_or(1).max(1));
    #[expect(clippy::cast_precision_loss, reason = "thirty columns")]
    let wide = (WIDTH - 2.0 * LEFT) / (COLUMNS + 1) as f64;
    let mut text = format!(
        "<figure><h3>{}</h3>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}: how \
        many phones have how much\">\n",
        escaped(name),
        escaped(name)
    );
    for (index, column) in columns.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "thirty columns")]
        let x = LEFT + index as f64 * wide;
        let high = f64::from(*column) / highest * (BASE - TOP);
        let _written = writeln!(
            text,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#7fa8c9\"/>",
            at(x),
            at(BASE - high),
            at(wide - 1.5),
            at(high)
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "of thirty columns")]
    let x = |value: u64| LEFT + (value as f64 / step as f64).min(COLUMNS as f64 + 0.5) * wide;
    let mut marks = vec![(median, "half", TOP - 14.0), (p90, "90 %", TOP)];
    marks.retain(|(value, ..)| *value > 0);
    for (value, label, top) in marks {
        let anchor = if x(value) > WIDTH - LABEL { ("end", -4.0) } else { ("start", 4.0) };
        let _written = writeln!(
            text,
            "<line class=\"axis\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{BASE}\"/>\
            <text class=\"mark\" x=\"{2}\" y=\"{3}\" text-anchor=\"{4}\">{label} up to {5}</text>",
            at(x(value)),
            at(top - 8.0),
            at(x(value) + anchor.1),
            at(top),
            anchor.0,
            escaped(&unit.show(value))
        );
    }
    let _written = writeln!(
        text,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{0}\" y1=\"{BASE}\" y2=\"{BASE}\"/>\
        <text class=\"soft\" x=\"{LEFT}\" y=\"{1}\">0</text>\
        <text class=\"soft\" x=\"{0}\" y=\"{1}\" text-anchor=\"end\">{2} and more; the most {3}</text>\
        </svg></figure>",
        at(WIDTH - LEFT),
        at(BASE + 18.0),
        escaped(&unit.show(step * COLUMNS)),
        escaped(&unit.show(most))
    );
    text
}
