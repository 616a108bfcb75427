//! A small country drawn from a seed, for those who have no tables.

use super::{Area, Facility, Geography, Point, Position, Village};
use crate::draw::Draw;

/// Share of the villages (of 1000) and the distance in metres to their health centre below which
/// they are: Rwanda's 14,814 villages and 486 centres, measured in a straight line. The two ends
/// are guesses.
const DISTANCES_M: [(u64, u64); 9] = [
    (0, 200),
    (50, 620),
    (250, 1_600),
    (500, 2_500),
    (750, 3_600),
    (900, 4_600),
    (950, 5_200),
    (990, 6_900),
    (1_000, 8_000),
];

/// Metres between two centres: so far apart that the nearest centre of a village is the one it was
/// drawn for. Real ones are nearer, and their catchments touch.
const APART_M: i64 = 16_100;

/// Villages of a cell: Rwanda's mean is 6.9.
const OF_A_CELL: usize = 7;

/// Households of a village: Rwanda's 5th and 95th percentile; and people of a household (8.69 M in
/// 1.90 M).
const HOUSEHOLDS: (u64, u64) = (71, 188);
const PEOPLE_PER_HOUSEHOLD_TENTHS: u64 = 46;

/// Where the middle of Rwanda is.
const ORIGIN: Position = Position { latitude: -2.0, longitude: 30.0 };

impl Geography {
    /// `catchments` health centres, each with `villages` villages (a number from the first to the
    /// second) at distances as in Rwanda, in a district `Synthetic`; each catchment is a sector,
    /// neighbouring villages form cells of seven.
    #[must_use]
    pub fn synthetic(seed: u64, catchments: u64, villages: [u64; 2]) -> Self {
        let [least, most] = villages;
        let mut all = Self {
            villages: Vec::new(),
            facilities: Vec::new(),
            cells: Vec::new(),
            sectors: Vec::new(),
            districts: vec![area("S", "Synthetic")],
        };
        let side = catchments.isqrt().max(1);
        for index in 0..catchments {
            let mut draw = Draw::of(seed, "synthetic catchment", &index.to_string(), 0);
            let middle = Point {
                east_m: (index % side).cast_signed() * APART_M,
                north_m: (index / side).cast_signed() * APART_M,
            };
            let number = index + 1;
            let centre = all.facilities.len();
            all.facilities.push(Facility {
                id: format!("C{number}"),
                name: format!("Centre {number}"),
                kind: "Health Centre".to_owned(),
                position: position(middle),
                at: middle,
            });
            all.sectors.push(area(&format!("S{number}"), &format!("Sector {number}")));
            let count = draw.between(least, most);
            let mut around: Vec<Point> = (0..count).map(|_| step(&mut draw)).collect();
            around.sort_by_key(|step| direction(*step));
            for (place, step) in around.into_iter().enumerate() {
                if place % OF_A_CELL == 0 {
                    let cell = all.cells.len() + 1;
                    all.cells.push(area(&format!("L{cell}"), &format!("Cell {cell}")));
                }
                let at = Point {
                    east_m: middle.east_m + step.east_m,
                    north_m: middle.north_m + step.north_m,
                };
                let households = draw.between(HOUSEHOLDS.0, HOUSEHOLDS.1);
                let people = households * PEOPLE_PER_HOUSEHOLD_TENTHS / 10;
                let id = format!("{number}-{:02}", place + 1);
                all.villages.push(Village {
                    name: format!("Village {id}"),
                    id,
                    cell: all.cells.len() - 1,
                    sector: all.sectors.len() - 1,
                    district: 0,
                    centre,
                    position: position(at),
                    at,
                    population: u32::try_from(people).unwrap_or(u32::MAX),
                    households: u32::try_from(households).unwrap_or(u32::MAX),
                });
            }
        }
        all
    }
}

fn area(id: &str, name: &str) -> Area {
    Area { id: id.to_owned(), name: name.to_owned() }
}

/// From a centre to one of its villages.
fn step(draw: &mut Draw) -> Point {
    let share = draw.below(1_000);
    let next = DISTANCES_M.iter().position(|(until, _)| share < *until).unwrap_or(1);
    let of = |index: usize| DISTANCES_M.get(index).copied().unwrap_or_default();
    let ((from, near), (until, far)) = (of(next - 1), of(next));
    let metres = near + (far - near) * (share - from) / (until - from).max(1);
    // A direction without sines: a point of a disc that is not too near to its middle.
    loop {
        let mut coordinate = || draw.below(2_001).cast_signed() - 1_000;
        let (east, north) = (coordinate(), coordinate());
        let length = (east * east + north * north).isqrt();
        if (100..=1_000).contains(&length) {
            let scaled = |coordinate: i64| coordinate * metres.cast_signed() / length;
            return Point { east_m: scaled(east), north_m: scaled(north) };
        }
    }
}

/// Grows as one turns from the east over the north: 1000 for each quarter.
fn direction(step: Point) -> i64 {
    let (east, north) = (step.east_m, step.north_m);
    let part = north * 1_000 / (east.abs() + north.abs()).max(1);
    match (east < 0, north < 0) {
        (true, _) => 2_000 - part,
        (false, false) => part,
        (false, true) => 4_000 + part,
    }
}

fn position(at: Point) -> Position {
    let (east_m, north_m) = ORIGIN.degree_m();
    #[expect(clippy::cast_precision_loss, reason = "a few kilometres")]
    let degrees = |metres: i64, degree_m: f64| metres as f64 / degree_m;
    Position {
        latitude: ORIGIN.latitude + degrees(at.north_m, north_m),
        longitude: ORIGIN.longitude + degrees(at.east_m, east_m),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_country_in_which_the_nearest_centre_is_the_own() {
        let country = Geography::synthetic(3, 10, [20, 40]);
        assert_eq!(country, Geography::synthetic(3, 10, [20, 40]));
        assert_ne!(country, Geography::synthetic(4, 10, [20, 40]));
        assert_eq!(country.centres().len(), 10);
        for village in &country.villages {
            let far = |index: usize| country.facilities[index].at.distance_m(village.at);
            let nearest = (0..10).min_by_key(|index| far(*index)).unwrap();
            assert_eq!(nearest, village.centre, "{}", village.id);
        }
    }

    #[test]
    fn distances_are_as_published() {
        let country = Geography::synthetic(1, 40, [100, 100]);
        let mut all: Vec<u64> = country
            .villages
            .iter()
            .map(|village| country.facilities[village.centre].at.distance_m(village.at))
            .collect();
        all.sort_unstable();
        for (share, metres) in DISTANCES_M.into_iter().skip(1).take(7) {
            let found = all[all.len() * usize::try_from(share).unwrap() / 1_000];
            assert!(found.abs_diff(metres) * 12 < metres, "{share}: {found} and {metres}");
        }
    }

    #[test]
    fn directions_turn_once_around() {
        let of = |east_m, north_m| direction(Point { east_m, north_m });
        let turn = [of(9, 0), of(5, 5), of(0, 9), of(-5, 5), of(-9, 0), of(-5, -5), of(0, -9)];
        assert!(turn.is_sorted() && turn.windows(2).all(|two| two[0] < two[1]), "{turn:?}");
        assert!(of(5, -5) > of(0, -9));
    }
}
