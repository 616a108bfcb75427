//! The nearest of many points, by sorting them into squares.

use std::collections::BTreeMap;

use super::Point;

/// Side of a square in metres. // guess: a village and a few neighbours
const SQUARE_M: i64 = 2_000;

/// For each point the `count` others nearest to it, the nearest first, the lower number first where
/// two are as near.
pub(super) fn each(points: &[Point], count: usize) -> Vec<Vec<usize>> {
    let mut squares: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
    for (index, point) in points.iter().enumerate() {
        squares.entry(square(*point)).or_default().push(index);
    }
    let wanted = count.min(points.len().saturating_sub(1));
    points.iter().enumerate().map(|(index, _)| of(points, &squares, index, wanted)).collect()
}

fn square(point: Point) -> (i64, i64) {
    (point.east_m.div_euclid(SQUARE_M), point.north_m.div_euclid(SQUARE_M))
}

fn of(
    points: &[Point],
    squares: &BTreeMap<(i64, i64), Vec<usize>>,
    index: usize,
    wanted: usize,
) -> Vec<usize> {
    let Some(from) = points.get(index).copied() else { return Vec::new() };
    let (east, north) = square(from);
    let mut found: Vec<(u64, usize)> = Vec::new();
    for side in 0_i64.. {
        // Whoever is in none of the squares up to here is at least that far away.
        let beyond = (SQUARE_M * (side - 1).max(0)).unsigned_abs();
        if found.len() >= wanted && last(&mut found, wanted) < beyond {
            break;
        }
        for column in east - side..=east + side {
            let rim = (column - east).abs() == side;
            let step = if rim { 1 } else { (2 * side).max(1) };
            let mut row = north - side;
            while row <= north + side {
                let here = squares.get(&(column, row)).into_iter().flatten();
                let here = here.filter(|other| **other != index);
                found.extend(
                    here.filter_map(|other| Some((from.distance_m(*points.get(*other)?), *other))),
                );
                row += step;
            }
        }
    }
    found.sort_unstable();
    found.into_iter().take(wanted).map(|(_, other)| other).collect()
}

/// How far the last of the `wanted` nearest is.
fn last(found: &mut [(u64, usize)], wanted: usize) -> u64 {
    found.sort_unstable();
    wanted.checked_sub(1).and_then(|last| found.get(last)).map_or(0, |(distance, _)| *distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn the_nearest_are_those_that_a_full_search_finds() {
        let mut draw = Draw::new(1, "points");
        let point = |draw: &mut Draw, side| Point {
            east_m: draw.below(side).cast_signed() - 15_000,
            north_m: draw.below(side).cast_signed() - 15_000,
        };
        let mut points: Vec<Point> = (0..200).map(|_| point(&mut draw, 30_000)).collect();
        // One far away, and two at one place.
        points.push(Point { east_m: 90_000, north_m: -70_000 });
        points.push(points[0]);
        for (index, near) in each(&points, 5).iter().enumerate() {
            let mut all: Vec<(u64, usize)> = (0..points.len())
                .filter(|other| *other != index)
                .map(|other| (points[index].distance_m(points[other]), other))
                .collect();
            all.sort_unstable();
            let all: Vec<usize> = all.into_iter().take(5).map(|(_, other)| other).collect();
            assert_eq!(*near, all, "{index}");
        }
    }

    #[test]
    fn of_few_there_are_few() {
        let points = [Point { east_m: 0, north_m: 0 }, Point { east_m: 50_000, north_m: 0 }];
        assert_eq!(each(&points, 5), [[1], [0]]);
        assert_eq!(each(&points[..1], 5), [[0_usize; 0]]);
    }
}
