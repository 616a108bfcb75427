//! How many records have arrived, by the time since they were written, as step curves.

use core::fmt::Write as _;

use super::super::figures::{SHARES, millionths, part as share_of, whole};
use super::super::outcome::Outcome;
use super::super::units::{Unit, count, grouped};
use super::page::{Cell, at, escaped, paragraph, section as part, table};
use crate::stats::Survival;

/// A curve: its name, its colour and how it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: String,
    /// As CSS has it.
    pub(super) colour: &'static str,
    /// As SVG has it; nothing for a solid line.
    pub(super) dashes: &'static str,
    pub(super) survival: Survival,
}

const URGENT: &str = "#b8430a";
const ROUTINE: &str = "#0a5ea8";

/// The two panels of a run, and the figures.
pub(super) fn section(outcome: &Outcome) -> String {
    let curve = |name: &str, colour, dashes, survival| Curve {
        name: name.to_owned(),
        colour,
        dashes,
        survival,
    };
    let panel = |urgent, routine| {
        vec![curve("urgent", URGENT, "", urgent), curve("routine", ROUTINE, "7 3", routine)]
    };
    let facility =
        panel(outcome.urgent.to_facility.survival(), outcome.routine.to_facility.survival());
    let hub = panel(outcome.urgent.to_hub.survival(), outcome.routine.to_hub.survival());
    let intro = format!(
        "Each step to the right on the time axis is a multiple, not a sum: hours on the left, days on \
        the right. What a curve lacks at its right end never arrived in {}.",
        count(outcome.days, "day")
    );
    let panels = [("At a facility", &facility), ("At the hub of the health centre", &hub)]
        .map(|(title, curves)| panel_of(title, curves, outcome.seconds()))
        .concat();
    let figures = [("at a facility", facility), ("at its hub", hub)].into_iter().flat_map(
        |(place, curves)| {
            curves.into_iter().filter(|one| one.survival.subjects() > 0).map(move |one| {
                let mut row = vec![Cell::text(&format!("{} record {place}", one.name))];
                row.extend(delivery_cells(&one.survival, outcome.seconds()));
                row
            })
        },
    );
    let body = format!(
        "{}<div class=\"panels\">{panels}</div>\n{}",
        paragraph(&intro),
        table(&DELIVERY_HEAD, &figures.collect::<Vec<_>>())
    );
    part("delivery", "How long records take", &body)
}

const DELIVERY_HEAD: [&str; 8] = [
    "",
    "written",
    "50 % within",
    "90 % within",
    "99 % within",
    "never",
    "not there at the end",
    "mean wait",
];

/// What [`DELIVERY_HEAD`] names, but the first.
fn delivery_cells(survival: &Survival, seconds: u64) -> Vec<Cell> {
    let mut cells = vec![Cell::count(survival.subjects())];
    cells.extend(SHARES.map(|share| Cell::Figure(Unit::Seconds, survival.reached(share), "never")));
    let waiting = survival.subjects() - survival.happened();
    cells.push(Cell::of(Unit::Millionths, millionths(survival.never())));
    let share = share_of(waiting, survival.subjects()).unwrap_or_default();
    let told = format!("{} ({})", grouped(waiting), Unit::Millionths.show(share));
    cells.push(Cell::Told(waiting, told));
    cells.push(Cell::of(Unit::Seconds, whole(survival.restricted_mean(seconds))));
    cells
}

/// A panel with its title and legend.
pub(super) fn panel_of(title: &str, curves: &[Curve], until_s: u64) -> String {
    let drawn: Vec<&Curve> = curves.iter().filter(|one| one.survival.subjects() > 0).collect();
    let legend: String = drawn
        .iter()
        .map(|one| {
            let style = if one.dashes.is_empty() { "solid" } else { "dashed" };
            format!(
                "<span><i class=\"stroke\" style=\"border-top-color:{};border-top-style:{style}\"></i>{}\
                </span>\n",
                one.colour,
                escaped(&one.name)
            )
        })
        .collect();
    format!(
        "<figure><h3>{}</h3>\n<div class=\"legend\">{legend}</div>\n{}</figure>\n",
        escaped(title),
        plot(title, &drawn, until_s)
    )
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 92.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// Where the time axis may begin and what is written under it.
const TICKS: [(u64, &str); 13] = [
    (3_600, "1 h"),
    (3 * 3_600, "3 h"),
    (6 * 3_600, "6 h"),
    (12 * 3_600, "12 h"),
    (86_400, "1 d"),
    (2 * 86_400, "2 d"),
    (4 * 86_400, "4 d"),
    (7 * 86_400, "7 d"),
    (14 * 86_400, "14 d"),
    (30 * 86_400, "30 d"),
    (60 * 86_400, "60 d"),
    (120 * 86_400, "120 d"),
    (365 * 86_400, "365 d"),
];

/// Pixels from one label of the time axis to the next, at least.
const APART: f64 = 26.0;

/// Times on the page.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from_s: u64,
    until_s: u64,
}

impl Axis {
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    fn x(self, seconds: u64) -> f64 {
        let log = |seconds: u64| (seconds.max(1) as f64).ln();
        let seconds = seconds.clamp(self.from_s, self.until_s);
        let share = (log(seconds) - log(self.from_s)) / (log(self.until_s) - log(self.from_s));
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

/// Of a share that has arrived.
fn y(arrived: f64) -> f64 {
    TOP + (1.0 - arrived) * (HEIGHT - TOP - BOTTOM)
}

fn plot(title: &str, curves: &[&Curve], until_s: u64) -> String {
    let axis = Axis { from_s: TICKS[0].0, until_s: until_s.max(2 * TICKS[0].0) };
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}: share of records that \
        arrived, by time since they were written\">\n",
        escaped(title)
    );
    grid(&mut text, axis);
    for curve in curves {
        let dashes = match curve.dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        let _written = writeln!(
            text,
            "<path class=\"curve\" stroke=\"{}\"{dashes} d=\"{}\"/>",
            curve.colour,
            steps(&curve.survival, axis)
        );
    }
    ends(&mut text, curves);
    text.push_str("</svg>\n");
    text
}

fn grid(text: &mut String, axis: Axis) {
    let right = at(WIDTH - RIGHT);
    for per_cent in [0_u32, 25, 50, 75, 90, 100] {
        let over = y(f64::from(per_cent) / 100.0);
        let _written = writeln!(
            text,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{0}\" y2=\"{0}\"/>\
            <text class=\"soft\" x=\"{1}\" y=\"{2}\" text-anchor=\"end\">{per_cent} %</text>",
            at(over),
            at(LEFT - 6.0),
            at(over + 4.0)
        );
    }
    let (bottom, labels) = (y(0.0), at(y(0.0) + 16.0));
    let end = axis.x(axis.until_s);
    let mut last = f64::MIN;
    for (seconds, label) in TICKS.into_iter().take_while(|(seconds, _)| *seconds <= axis.until_s) {
        let x = axis.x(seconds);
        let _written = writeln!(
            text,
            "<line class=\"grid\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>",
            at(x),
            at(TOP),
            at(bottom + 4.0)
        );
        if x - last >= APART {
            let _written = writeln!(
                text,
                "<text class=\"soft\" x=\"{}\" y=\"{labels}\" text-anchor=\"middle\">{label}</text>",
                at(x)
            );
            last = x;
        }
    }
    let _written = writeln!(
        text,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{0}\" y2=\"{0}\"/>\
        <text x=\"{1}\" y=\"{2}\" text-anchor=\"middle\">hours and days since the record was written\
        </text>",
        at(bottom),
        at((LEFT + end) / 2.0),
        at(HEIGHT - 8.0)
    );
}

/// The curve as a path; steps that are too small to be seen are drawn with the next one.
fn steps(survival: &Survival, axis: Axis) -> String {
    const VISIBLE: f64 = 0.7;
    let mut path = String::new();
    let from = 1.0 - survival.waiting(axis.from_s);
    let _written = write!(path, "M{} {}", at(LEFT), at(y(from)));
    let mut last = (LEFT, y(from));
    let after = survival.steps().iter().filter(|step| step.at > axis.from_s);
    for step in after.filter(|step| step.at <= axis.until_s) {
        let here = (axis.x(step.at), y(1.0 - step.waiting));
        if here.0 - last.0 >= VISIBLE || last.1 - here.1 >= VISIBLE {
            let _written = write!(path, "H{}V{}", at(here.0), at(here.1));
            last = here;
        }
    }
    let until = survival.watched().min(axis.until_s);
    let level = y(1.0 - survival.waiting(until));
    let _written = write!(path, "H{}V{}", at(axis.x(until)), at(level));
    path
}

/// What each curve comes to at its right end, and the gap to all.
fn ends(text: &mut String, curves: &[&Curve]) {
    const LINE: f64 = 14.0;
    let mut labels: Vec<(f64, &Curve)> =
        curves.iter().map(|one| (y(1.0 - one.survival.never()) + 4.0, *one)).collect();
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = TOP + 4.0;
    let x = WIDTH - RIGHT + 6.0;
    for (level, curve) in labels {
        let never = curve.survival.never();
        let down = level.max(free);
        free = down + LINE;
        if y(1.0 - never) - TOP > 3.0 {
            let _written = writeln!(
                text,
                "<line class=\"gap\" stroke=\"{0}\" x1=\"{1}\" x2=\"{1}\" y1=\"{2}\" y2=\"{3}\"/>",
                curve.colour,
                at(WIDTH - RIGHT + 1.5),
                at(TOP),
                at(y(1.0 - never))
            );
        }
        let told = Unit::Millionths.show(millionths(never));
        let told = if never > 0.0 { format!("{told} never") } else { "all".to_owned() };
        let _written = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" style=\"fill:{}\">{}</text>",
            at(x),
            at(down),
            curve.colour,
            escaped(&told)
        );
    }
}
