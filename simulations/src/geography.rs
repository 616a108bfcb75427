//! Where people live and where health centres are: villages and facilities from tables, or a small
//! country drawn from a seed.
//!
//! Every village belongs to the health centre nearest to it in a straight line, of all in the
//! table: also to one across a border. Cells, sectors and districts are as the table says; names
//! repeat, so the ids are the keys. Positions are metres on a plane that touches the earth in the
//! middle of the table, which for a country of the size of Rwanda errs by less than one in a
//! thousand.
//!
//! Texts come in; this module opens no file.

mod near;
mod pick;
mod read;
mod synthetic;

use std::collections::BTreeSet;

pub use pick::PickError;
pub(crate) use pick::similar;
pub use read::GeographyError;

/// Villages and facilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Geography {
    /// In the order of the table.
    pub villages: Vec<Village>,
    /// Of every type, in the order of the table.
    pub facilities: Vec<Facility>,
    /// The smallest administrative areas above the village.
    pub cells: Vec<Area>,
    /// Groups of cells.
    pub sectors: Vec<Area>,
    /// Groups of sectors.
    pub districts: Vec<Area>,
}

/// One village.
#[derive(Debug, Clone, PartialEq)]
pub struct Village {
    /// Unique, as the table says.
    pub id: String,
    /// May repeat.
    pub name: String,
    /// Its place in [`Geography::cells`].
    pub cell: usize,
    /// Its place in [`Geography::sectors`].
    pub sector: usize,
    /// Its place in [`Geography::districts`].
    pub district: usize,
    /// Its nearest health centre: the place in [`Geography::facilities`].
    pub centre: usize,
    /// Its middle.
    pub position: Position,
    /// The same on the plane.
    pub at: Point,
    /// People; a weight rather than a census.
    pub population: u32,
    /// Households.
    pub households: u32,
}

/// A health facility.
#[derive(Debug, Clone, PartialEq)]
pub struct Facility {
    /// Unique, as the table says.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `Health Centre` or `District Hospital`.
    pub kind: String,
    /// Where it is.
    pub position: Position,
    /// The same on the plane.
    pub at: Point,
}

/// An administrative area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Unique, as the table says.
    pub id: String,
    /// May repeat.
    pub name: String,
}

/// Degrees, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// North of the equator.
    pub latitude: f64,
    /// East of Greenwich.
    pub longitude: f64,
}

/// Metres east and north of the middle of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// East.
    pub east_m: i64,
    /// North.
    pub north_m: i64,
}

/// Equatorial radius in metres and squared eccentricity of the ellipsoid of WGS 84.
const EQUATOR_M: f64 = 6_378_137.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_694_379_990_14;

impl Point {
    /// Metres in a straight line, rounded down.
    #[must_use]
    pub const fn distance_m(self, other: Self) -> u64 {
        let (east, north) =
            (self.east_m.abs_diff(other.east_m), self.north_m.abs_diff(other.north_m));
        (east.saturating_mul(east).saturating_add(north.saturating_mul(north))).isqrt()
    }
}

impl Position {
    /// On the plane that touches the earth at `origin`.
    fn project(self, origin: Self) -> Point {
        let (east_m, north_m) = origin.degree_m();
        Point {
            east_m: metres((self.longitude - origin.longitude) * east_m),
            north_m: metres((self.latitude - origin.latitude) * north_m),
        }
    }

    /// Metres of one degree east and north of here, by the radii of curvature of the ellipsoid.
    fn degree_m(self) -> (f64, f64) {
        let cosine = cosine(self.latitude);
        let flat = 1.0 - ECCENTRICITY_SQUARED * (1.0 - cosine * cosine);
        let east = EQUATOR_M / flat.sqrt();
        let north = east * (1.0 - ECCENTRICITY_SQUARED) / flat;
        ((east * cosine).to_radians(), north.to_radians())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place on earth is far below the bound")]
fn metres(metres: f64) -> i64 {
    metres.round() as i64
}

/// The cosine of degrees, by its series up to the tenth power: the same bits on every machine,
/// which the system's own does not promise. Up to 60 degrees it errs by less than one in a million.
fn cosine(degrees: f64) -> f64 {
    let square = degrees.to_radians() * degrees.to_radians();
    let terms = [90.0, 56.0, 30.0, 12.0, 2.0];
    terms.into_iter().fold(1.0, |sum, term| 1.0 - square / term * sum)
}

impl Geography {
    /// The centres that these villages belong to, in the order of [`Self::facilities`].
    #[must_use]
    pub fn centres(&self) -> Vec<usize> {
        let centres: BTreeSet<usize> = self.villages.iter().map(|village| village.centre).collect();
        centres.into_iter().collect()
    }

    /// For each village the `count` villages nearest to it, the nearest first; fewer if there are
    /// fewer.
    pub(crate) fn neighbours(&self, count: usize) -> Vec<Vec<usize>> {
        let points: Vec<Point> = self.villages.iter().map(|village| village.at).collect();
        near::each(&points, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_plane() {
        let at = |east_m, north_m| Point { east_m, north_m };
        assert_eq!(at(0, 0).distance_m(at(3_000, -4_000)), 5_000);
        assert_eq!(at(-1, -1).distance_m(at(-1, -1)), 0);
        assert_eq!(at(0, 0).distance_m(at(1, 1)), 1);
    }

    #[test]
    fn a_degree_is_as_long_as_it_should_be() {
        let position = |latitude, longitude| Position { latitude, longitude };
        // Published lengths of a degree of WGS 84, at the equator and at 60 degrees.
        for (latitude, east, north) in [(0.0, 111_320, 110_574), (-60.0, 55_800, 111_412)] {
            let origin = position(latitude, 30.0);
            let one = position(latitude + 1.0, 31.0).project(origin);
            assert!(one.east_m.abs_diff(east) <= 1, "{one:?}");
            assert!(one.north_m.abs_diff(north) <= 1, "{one:?}");
        }
    }

    #[test]
    fn the_series_is_the_cosine() {
        for degrees in [0.0, -2.0, 12.5, -45.0, 60.0] {
            let exact = f64::to_radians(degrees).cos();
            assert!((cosine(degrees) - exact).abs() < 1e-6, "{degrees}");
        }
    }
}
