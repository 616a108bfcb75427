//! Which place is which area: a table that the operator writes.

use std::path::Path;
use std::sync::Arc;

use huza_crdt::trust::AreaName;

use super::table::{Row, Table};
use crate::error::{Failure, Kind};

/// The levels of a place, the widest first: in the operator's table, and in E-Heza's.
const LEVELS: [(&str, &str); 5] = [
    ("province", "field_province"),
    ("district", "field_district"),
    ("sector", "field_sector"),
    ("cell", "field_cell"),
    ("village", "field_village"),
];

/// The table.
pub(super) struct Areas(Vec<(Arc<AreaName>, Place)>);

/// What stands at each level; none stands for any.
type Place = [Option<String>; 5];

impl Areas {
    /// Reads it. Nothing is imported by a table that is wrong anywhere.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |line: u64, why: &str| {
            let message = format!("{}, line {line}: {why}", path.display());
            Failure::new(Kind::Input, "areas", message)
                .hint("It has the columns area, province, district, sector, cell, village; nothing was imported")
        };
        let mut areas = Vec::new();
        let mut table = Table::open(path)?;
        while let Some((line, row)) = table.next() {
            let row = row.map_err(|why| wrong(line, &why))?;
            let text = row.need("area").map_err(|why| wrong(line, &why))?;
            let name: AreaName = text
                .parse()
                .map_err(|()| wrong(line, &format!("{text} is no area; write it as 0512/01")))?;
            let place = LEVELS.map(|(column, _)| row.get(column).map(str::to_lowercase));
            if place.iter().all(Option::is_none) {
                return Err(wrong(line, "it names no place"));
            }
            areas.push((Arc::new(name), place));
        }
        if areas.is_empty() {
            return Err(wrong(1, "there is no area in it"));
        }
        Ok(Self(areas))
    }

    /// The area in which somebody lives.
    pub(super) fn find(&self, row: &Row) -> Result<Arc<AreaName>, String> {
        let lives = LEVELS.map(|(_, column)| row.get(column).map(str::to_lowercase));
        let fits = |(_, place): &&(Arc<AreaName>, Place)| {
            let mut levels = place.iter().zip(&lives);
            levels.all(|(wanted, lives)| wanted.is_none() || wanted == lives)
        };
        if let Some((name, _)) = self.0.iter().find(fits) {
            return Ok(Arc::clone(name));
        }
        let place = LEVELS.iter().rev().filter_map(|(_, column)| row.get(column));
        let place: Vec<&str> = place.collect();
        Err(match place.as_slice() {
            [] => "no place is said where the person lives".to_owned(),
            place => format!("no area is said for {}", place.join(", ")),
        })
    }
}
