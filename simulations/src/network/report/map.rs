//! Where villages are and how far their hubs are behind.

use core::fmt::Write as _;

use super::super::outcome::{Outcome, Village};
use super::super::outlines::Outlines;
use super::super::units::{Unit, count, grouped};
use super::page::{at, data, escaped, paragraph, section as part};
use crate::stats::Distribution;

const DAY_S: u64 = 86_400;

/// How far behind (seconds, at most), how it is called, and its colour: from light to dark, so that
/// it is told apart without hues (after `ColorBrewer`'s YlGnBu, which is safe for the colour-blind).
const CLASSES: [(u64, &str, &str); 6] = [
    (DAY_S, "up to 1 day", "#a8dba0"),
    (2 * DAY_S, "1 to 2 days", "#66c2a5"),
    (4 * DAY_S, "2 to 4 days", "#35a5c0"),
    (7 * DAY_S, "4 to 7 days", "#2b77b5"),
    (14 * DAY_S, "7 to 14 days", "#253f94"),
    (u64::MAX, "more than 14 days", "#1a0f4f"),
];

/// Villages of which nothing reached the hub; in another hue and another shape.
const NEVER: &str = "#d1380b";

const WIDTH: f64 = 1_000.0;

/// Kilometres of a degree of latitude, to a hundredth: for the bar of the scale.
const DEGREE_KM: f64 = 110.57;

/// Degrees to the picture.
#[derive(Debug, Clone, Copy)]
struct Projection {
    west: f64,
    north: f64,
    /// How much narrower a degree of longitude is than one of latitude.
    narrow: f64,
    /// Of the picture, for one degree of latitude.
    scale: f64,
    height: f64,
}

impl Projection {
    /// Of the smallest picture that holds all villages and hubs, with some room.
    fn of(outcome: &Outcome) -> Option<Self> {
        let villages = outcome.villages.iter().map(|one| one.position);
        let places: Vec<[f64; 2]> =
            villages.chain(outcome.hubs.iter().map(|one| one.position)).map(degrees).collect();
        let range = |side: fn(&[f64; 2]) -> f64| {
            let from = places.iter().map(side).fold(f64::INFINITY, f64::min);
            (from, places.iter().map(side).fold(f64::NEG_INFINITY, f64::max))
        };
        let ((south, north), (west, east)) = (range(|at| at[0]), range(|at| at[1]));
        if places.is_empty() {
            return None;
        }
        let narrow = f64::midpoint(south, north).to_radians().cos().max(0.01);
        let room = (0.05 * (north - south).max((east - west) * narrow)).max(0.005);
        let (north, south) = (north + room, south - room);
        let (west, east) = (west - room / narrow, east + room / narrow);
        let scale = WIDTH / ((east - west) * narrow);
        Some(Self { west, north, narrow, scale, height: (north - south) * scale })
    }

    fn point(self, [north, east]: [f64; 2]) -> (f64, f64) {
        ((east - self.west) * self.narrow * self.scale, (self.north - north) * self.scale)
    }
}

/// From millionths.
#[expect(clippy::cast_precision_loss, reason = "a place on earth is far below 2^53")]
fn degrees(position: [i64; 2]) -> [f64; 2] {
    position.map(|millionths| millionths as f64 / 1e6)
}

/// The map with its legend.
pub(super) fn section(outcome: &Outcome, outlines: Option<&Outlines>) -> String {
    let Some(projection) = Projection::of(outcome) else { return String::new() };
    let intro = "Each dot is a village; its colour says how long, in the mean, its hub waits for what \
        is written there. What a clinician at the health centre sees of the village is that old.";
    let (borders, names) =
        outlines.map(|outlines| borders(outlines, projection)).unwrap_or_default();
    let credit = outlines.map_or("", |outlines| &outlines.attribution);
    let body = format!(
        "{}{}{}<figure class=\"map\"><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
        aria-label=\"Map of villages by how far their hubs are behind\">\n{borders}{}{}{names}{}</svg>\n\
        <figcaption>{}</figcaption></figure>\n{}",
        paragraph(intro),
        behind(outcome),
        legend(outcome),
        at(projection.height),
        dots(outcome, projection),
        hubs(outcome, projection),
        scale_bar(projection),
        escaped(credit),
        data("dots", &told(outcome, projection)),
    );
    part("map", "Where the centre is behind", &body)
}

/// For how many villages the hub is how far behind, in a sentence.
fn behind(outcome: &Outcome) -> String {
    let all = Distribution::new(outcome.villages.iter().filter_map(|one| one.behind_seconds));
    let (Some(half), Some(most), Some(worst)) = (all.quantile(50), all.quantile(90), all.max())
    else {
        return String::new();
    };
    paragraph(&format!(
        "For half of the villages that is at most {}, for 90 % at most {}, for the worst {}.",
        Unit::Seconds.show(half),
        Unit::Seconds.show(most),
        Unit::Seconds.show(worst)
    ))
}

/// Which class a village is in: its place in [`CLASSES`].
fn class(village: &Village) -> Option<usize> {
    let behind = village.behind_seconds.filter(|_| !village.never_heard())?;
    CLASSES.iter().position(|(most, ..)| behind <= *most)
}

fn legend(outcome: &Outcome) -> String {
    let mut text = "<div class=\"legend\">\n".to_owned();
    let count = |is: &dyn Fn(&Village) -> bool| {
        let some = outcome.villages.iter().filter(|village| is(village)).count();
        grouped(u64::try_from(some).unwrap_or(u64::MAX))
    };
    for (place, (_, name, colour)) in CLASSES.into_iter().enumerate() {
        let some = count(&|village| class(village) == Some(place));
        let _written = writeln!(
            text,
            "<span><i class=\"key\" style=\"background:{colour}\"></i>{name} ({some})</span>"
        );
    }
    let shapes = [
        (
            format!("stroke=\"{NEVER}\" stroke-width=\"3\" d=\"M3 3L13 13M3 13L13 3\""),
            format!("never heard of ({})", count(&Village::never_heard)),
        ),
        (
            "fill=\"none\" stroke=\"#7c868e\" stroke-width=\"2\" d=\"M8 3a5 5 0 1 0 .01 0z\""
                .to_owned(),
            format!("nobody has a phone ({})", count(&|village| village.phones == 0)),
        ),
        (
            "fill=\"#fff\" stroke=\"#111\" stroke-width=\"2\" d=\"M3 3H13V13H3Z\"".to_owned(),
            "hub with internet".to_owned(),
        ),
        (
            "fill=\"#111\" stroke=\"#111\" stroke-width=\"2\" d=\"M3 3H13V13H3Z\"".to_owned(),
            "hub that never has internet".to_owned(),
        ),
    ];
    for (shape, name) in shapes {
        let _written = writeln!(
            text,
            "<span><svg viewBox=\"0 0 16 16\" style=\"display:inline;width:1em;height:1em\">\
            <path {shape}/></svg> {name}</span>"
        );
    }
    text.push_str("</div>\n");
    text
}

/// The borders, and the names, which go on top.
fn borders(outlines: &Outlines, projection: Projection) -> (String, String) {
    let mut text = String::new();
    let inside =
        |(x, y): (f64, f64)| (0.0..=WIDTH).contains(&x) && (0.0..=projection.height).contains(&y);
    let point = |[east, north]: &[f64; 2]| projection.point([*north, *east]);
    text.push_str("<g fill=\"#eef0ee\" stroke=\"#a9b0b5\" stroke-width=\"1.2\">\n");
    let mut names = String::new();
    for area in &outlines.areas {
        let points: Vec<Vec<(f64, f64)>> =
            area.rings.iter().map(|ring| ring.iter().map(point).collect()).collect();
        if !overlaps(&points, projection) {
            continue;
        }
        let mut path = String::new();
        for ring in &points {
            for (index, (x, y)) in ring.iter().enumerate() {
                let _written =
                    write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, at(*x), at(*y));
            }
            path.push('Z');
        }
        let _written = writeln!(text, "<path d=\"{path}\"/>");
        if let Some((x, y)) = points.first().and_then(|ring| middle(ring)).filter(|at| inside(*at))
        {
            let _written = writeln!(
                names,
                "<text class=\"area\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                at(x),
                at(y),
                escaped(&area.name)
            );
        }
    }
    text.push_str("</g>\n");
    (text, names)
}

/// Whether the box around an area is seen at all.
fn overlaps(rings: &[Vec<(f64, f64)>], projection: Projection) -> bool {
    let all = || rings.iter().flatten();
    let [left, right] = [f64::min as fn(f64, f64) -> f64, f64::max]
        .map(|far| all().map(|at| at.0).reduce(far).unwrap_or(f64::NAN));
    let [top, bottom] = [f64::min as fn(f64, f64) -> f64, f64::max]
        .map(|far| all().map(|at| at.1).reduce(far).unwrap_or(f64::NAN));
    left <= WIDTH && right >= 0.0 && top <= projection.height && bottom >= 0.0
}

/// The centre of gravity of a ring.
fn middle(ring: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
    for (one, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let cross = one.0 * next.1 - next.0 * one.1;
        area += cross;
        x += (one.0 + next.0) * cross;
        y += (one.1 + next.1) * cross;
    }
    (area.abs() > f64::EPSILON).then(|| (x / (3.0 * area), y / (3.0 * area)))
}

/// How large a dot is: so that villages of this density do not hide each other.
fn radius(villages: usize, projection: Projection) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "villages of a country")]
    let each = WIDTH * projection.height / villages.max(1) as f64;
    (each.sqrt() * 0.3).clamp(2.4, 9.0)
}

/// A path of dots for each class, those that are worst on top.
fn dots(outcome: &Outcome, projection: Projection) -> String {
    let radius = radius(outcome.villages.len(), projection);
    let place = |village: &Village| projection.point(degrees(village.position));
    let mut rings = String::new();
    let mut classes = CLASSES.map(|_| String::new());
    let mut crosses = String::new();
    for village in &outcome.villages {
        let (x, y) = place(village);
        if village.never_heard() {
            let far = radius;
            let (left, right) = (at(x - far), at(x + far));
            let (top, bottom) = (at(y - far), at(y + far));
            let _written =
                write!(crosses, "M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}");
        } else if let Some(path) = class(village).and_then(|class| classes.get_mut(class)) {
            let _written = write!(path, "M{} {}h0", at(x), at(y));
        } else {
            let far = at(radius * 0.8);
            let _written =
                write!(rings, "M{} {}a{far} {far} 0 1 0 .01 0z", at(x), at(y - radius * 0.8));
        }
    }
    let mut text =
        format!("<path fill=\"none\" stroke=\"#7c868e\" stroke-width=\"1\" d=\"{rings}\"/>\n");
    for (path, (_, _, colour)) in classes.iter().zip(CLASSES) {
        let _written = writeln!(
            text,
            "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-linecap=\"round\" \
            d=\"{path}\"/>",
            at(radius * 2.0)
        );
    }
    let _written = writeln!(
        text,
        "<path fill=\"none\" stroke=\"{NEVER}\" stroke-width=\"{}\" d=\"{crosses}\"/>",
        at(radius * 0.6)
    );
    text
}

fn hubs(outcome: &Outcome, projection: Projection) -> String {
    let side = (radius(outcome.villages.len(), projection) * 1.7).max(5.0);
    let mut text = String::new();
    for hub in &outcome.hubs {
        let (x, y) = projection.point(degrees(hub.position));
        let fill = if hub.internet { "#fff" } else { "#111" };
        let _written = writeln!(
            text,
            "<rect x=\"{}\" y=\"{}\" width=\"{2}\" height=\"{2}\" fill=\"{fill}\" stroke=\"#111\" \
            stroke-width=\"1.5\"><title>{3}</title></rect>",
            at(x - side / 2.0),
            at(y - side / 2.0),
            at(side),
            escaped(&hub.name)
        );
    }
    text
}

/// Some round number of kilometres that is easily seen.
fn scale_bar(projection: Projection) -> String {
    let pixels = |km: f64| km / DEGREE_KM * projection.scale;
    let fits = |km: &&f64| (90.0..=250.0).contains(&pixels(**km));
    let Some(km) = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0].iter().find(fits) else {
        return String::new();
    };
    let (left, down) = (20.0, projection.height - 20.0);
    format!(
        "<path class=\"axis\" style=\"stroke-width:2\" d=\"M{0} {1}H{2}\"/>\
        <text x=\"{0}\" y=\"{3}\">{km} km</text>\n",
        at(left),
        at(down),
        at(left + pixels(*km)),
        at(down - 6.0)
    )
}

/// What the script shows of each village: where it is, and lines.
fn told(outcome: &Outcome, projection: Projection) -> serde_json::Value {
    let tenths = |coordinate: f64| at(coordinate).parse::<f64>().unwrap_or_default();
    let village = |village: &Village| {
        let (x, y) = projection.point(degrees(village.position));
        let hub = outcome.hubs.get(village.hub).map_or("", |hub| &hub.name);
        let behind = match village.behind_seconds {
            _ if village.phones == 0 => "nobody has a phone".to_owned(),
            _ if village.never_heard() => "nothing ever reached the hub".to_owned(),
            Some(behind) => format!("{} behind", Unit::Seconds.show(behind)),
            None => "nothing was written".to_owned(),
        };
        let name = format!("{} ({})", village.name, village.sector);
        let hub = format!("{}, hub {hub}", count(village.phones, "phone"));
        serde_json::json!([tenths(x), tenths(y), name, behind, hub])
    };
    outcome.villages.iter().map(village).collect()
}
