//! Reading the tables of villages and facilities.

use std::collections::BTreeMap;

use super::{Area, Facility, Geography, Position, Village};

/// The type of facility that villages belong to.
const CENTRE: &str = "Health Centre";

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeographyError {
    /// It has no such column.
    #[error("the table of {table} has no column `{column}`; it needs {needs}")]
    Column {
        /// Villages or facilities.
        table: &'static str,
        /// Which.
        column: &'static str,
        /// All that it needs.
        needs: String,
    },
    /// A line that is not what it should be.
    #[error("table of {table}, line {line}: {what}")]
    Line {
        /// Villages or facilities.
        table: &'static str,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is nothing in it.
    #[error("there is no village in the table of villages")]
    NoVillage,
    /// Nothing that villages could belong to.
    #[error("there is no facility of type `{CENTRE}` in the table of facilities")]
    NoCentre,
}

/// A line: its number and the columns that were asked for.
type Row<const N: usize> = (usize, [String; N]);

impl Geography {
    /// Reads two tables of comma-separated values, each with a line of headings; columns are found
    /// by their names, others are ignored, lines that begin with `#` are comments.
    ///
    /// Villages: `village_id village cell_id cell sector_id sector district_id district lat lon
    /// population households`. Facilities: `facility_id name type lat lon`; those of type `Health
    /// Centre` are the ones that villages belong to.
    ///
    /// # Errors
    /// If a column is missing, a number is none, two villages have one id, or there is nothing.
    pub fn read(villages: &str, facilities: &str) -> Result<Self, GeographyError> {
        let columns = [
            "village_id",
            "village",
            "cell_id",
            "cell",
            "sector_id",
            "sector",
            "district_id",
            "district",
            "lat",
            "lon",
            "population",
            "households",
        ];
        let rows = rows("villages", villages, columns)?;
        let positions = positions(
            "villages",
            rows.iter().map(|(line, row)| {
                let [.., lat, lon, _, _] = row;
                (*line, lat.as_str(), lon.as_str())
            }),
        )?;
        let origin = middle(&positions).ok_or(GeographyError::NoVillage)?;
        let facilities = read_facilities(facilities, origin)?;
        let centres: Vec<usize> = (0..)
            .zip(&facilities)
            .filter(|(_, facility)| facility.kind.eq_ignore_ascii_case(CENTRE))
            .map(|(index, _)| index)
            .collect();
        let mut areas: [Areas; 3] = Default::default();
        let mut ids = BTreeMap::new();
        let mut all = Vec::with_capacity(rows.len());
        for ((line, row), position) in rows.into_iter().zip(positions) {
            let error = |what: String| GeographyError::Line { table: "villages", line, what };
            let [
                id,
                name,
                cell_id,
                cell,
                sector_id,
                sector,
                district_id,
                district,
                _,
                _,
                population,
                households,
            ] = row;
            if let Some(before) = ids.insert(id.clone(), line) {
                return Err(error(format!("the id {id} is that of line {before} too")));
            }
            let number = |name: &str, text: &str| {
                text.parse::<u32>().map_err(|_| error(format!("{name} is `{text}`, not a number")))
            };
            let (population, households) =
                (number("population", &population)?, number("households", &households)?);
            let at = position.project(origin);
            let near = |index: &usize| facilities.get(*index).map(|one| one.at.distance_m(at));
            let centre = centres.iter().min_by_key(|index| near(index));
            let centre = *centre.ok_or(GeographyError::NoCentre)?;
            let [cells, sectors, districts] = &mut areas;
            let (cell, sector) = (cells.place(cell_id, cell), sectors.place(sector_id, sector));
            let district = districts.place(district_id, district);
            all.push(Village {
                id,
                name,
                cell,
                sector,
                district,
                centre,
                position,
                at,
                population,
                households,
            });
        }
        let [cells, sectors, districts] = areas.map(|areas| areas.all);
        Ok(Self { villages: all, facilities, cells, sectors, districts })
    }
}

fn read_facilities(text: &str, origin: Position) -> Result<Vec<Facility>, GeographyError> {
    let rows = rows("facilities", text, ["facility_id", "name", "type", "lat", "lon"])?;
    let positions = positions(
        "facilities",
        rows.iter().map(|(line, row)| {
            let [.., lat, lon] = row;
            (*line, lat.as_str(), lon.as_str())
        }),
    )?;
    let of = |((_, [id, name, kind, ..]), position): (Row<5>, Position)| Facility {
        id,
        name,
        kind,
        position,
        at: position.project(origin),
    };
    Ok(rows.into_iter().zip(positions).map(of).collect())
}

/// Areas in the order in which they are first named.
#[derive(Default)]
struct Areas {
    all: Vec<Area>,
    places: BTreeMap<String, usize>,
}

impl Areas {
    fn place(&mut self, id: String, name: String) -> usize {
        let next = self.all.len();
        let place = *self.places.entry(id.clone()).or_insert(next);
        if place == next {
            self.all.push(Area { id, name });
        }
        place
    }
}

fn positions<'a>(
    table: &'static str,
    rows: impl Iterator<Item = (usize, &'a str, &'a str)>,
) -> Result<Vec<Position>, GeographyError> {
    let degrees = |line, text: &str, most: f64| match text.parse::<f64>() {
        Ok(degrees) if degrees.abs() <= most => Ok(degrees),
        _ => {
            let what = format!("`{text}` is not a number of degrees up to {most}");
            Err(GeographyError::Line { table, line, what })
        }
    };
    let position = |(line, latitude, longitude)| {
        Ok(Position {
            latitude: degrees(line, latitude, 90.0)?,
            longitude: degrees(line, longitude, 180.0)?,
        })
    };
    rows.map(position).collect()
}

/// Half way between the outermost.
fn middle(positions: &[Position]) -> Option<Position> {
    let half = |of: fn(&Position) -> f64| {
        let least = positions.iter().map(of).reduce(f64::min)?;
        let most = positions.iter().map(of).reduce(f64::max)?;
        Some(f64::midpoint(least, most))
    };
    Some(Position { latitude: half(|one| one.latitude)?, longitude: half(|one| one.longitude)? })
}

fn rows<const N: usize>(
    table: &'static str,
    text: &str,
    columns: [&'static str; N],
) -> Result<Vec<Row<N>>, GeographyError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let mut lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let head = lines.next().map(|(_, line)| fields(line)).unwrap_or_default();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let at = head.iter().position(|name| name == column);
        let needs = columns.join(", ");
        *place = at.ok_or(GeographyError::Column { table, column, needs })?;
    }
    let row = |(line, text): (usize, &str)| {
        let mut fields = fields(text);
        if fields.len() != head.len() {
            let what = format!("{} columns under {} headings", fields.len(), head.len());
            return Err(GeographyError::Line { table, line, what });
        }
        let field = |place| fields.get_mut(place).map(core::mem::take).unwrap_or_default();
        Ok((line, places.map(field)))
    };
    lines.map(row).collect()
}

/// What stands between the commas of a line; within double quotes a comma is part of it, and two
/// double quotes are one (RFC 4180, without line ends in a field).
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                put(&mut all, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            _ => put(&mut all, letter),
        }
    }
    for field in &mut all {
        let trimmed = field.trim();
        if trimmed.len() != field.len() {
            *field = trimmed.to_owned();
        }
    }
    all
}

fn put(fields: &mut [String], letter: char) {
    if let Some(field) = fields.last_mut() {
        field.push(letter);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const VILLAGES: &str = "\
# a comment
village_id,village,cell_id,cell,sector_id,sector,district_id,district,lat,lon,population,households,x
1,Gihanga,11,Akabahizi,1,Remera,A,West,-2.0,30.00,730,151,
2,Gihanga,11,Akabahizi,1,Remera,A,West,-2.0,30.01,600,120,
3,\"Up, \"\"there\"\"\",21,Akabahizi,2,Remera,B,East,-2.0,30.09,500,100,
4,Izuba,31,Kora,3,Mbogo,B,East,-2.0,30.10,400,90,
";

    const FACILITIES: &str = "\
facility_id,type,name,lat,lon
7,District Hospital,Near all,-2.0,30.05
8,Health Centre,Western,-2.0,30.001
9,Health Centre,Eastern,-2.0,30.099
";

    /// Four villages on the parallel: two in the west, two in the east.
    pub(crate) fn small() -> Geography {
        Geography::read(VILLAGES, FACILITIES).unwrap()
    }

    #[test]
    fn tables_are_read_and_every_village_belongs_to_its_nearest_centre() {
        let small = small();
        let centres: Vec<usize> = small.villages.iter().map(|one| one.centre).collect();
        assert_eq!(centres, [1, 1, 2, 2]);
        assert_eq!(small.centres(), [1, 2]);
        assert_eq!(small.villages[2].name, "Up, \"there\"");
        assert_eq!((small.villages[0].population, small.villages[3].households), (730, 90));
        // Cells of one name are two by their ids.
        assert_eq!(small.cells.len(), 3);
        assert_eq!(small.sectors[small.villages[3].sector].name, "Mbogo");
        // 0.01 degrees of the parallel of 2 degrees: 111,320 m * cos 2 deg / 100.
        let apart = small.villages[0].at.distance_m(small.villages[1].at);
        assert!((1_112..=1_113).contains(&apart), "{apart}");
        assert_eq!(small.neighbours(2), [[1, 2], [0, 2], [3, 1], [2, 1]]);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_with_its_place() {
        let villages = |from: &str, to: &str| {
            Geography::read(&VILLAGES.replace(from, to), FACILITIES).unwrap_err().to_string()
        };
        let told = villages("2,Gihanga", "1,Gihanga");
        assert!(told.contains("line 4") && told.contains("line 3"), "{told}");
        assert!(villages("30.09", "east").contains("line 5: `east`"));
        assert!(villages("-2.0,30.09", "-95,30.09").contains("degrees up to 90"));
        assert!(villages("600", "many").contains("population is `many`"));
        assert!(villages("600,", "").contains("12 columns under 13 headings"));
        assert!(villages("sector_id", "sectors").contains("no column `sector_id`; it needs"));
        assert_eq!(Geography::read("", FACILITIES).unwrap_err(), column());
        let none = FACILITIES.replace("Health Centre", "Health Post");
        assert_eq!(Geography::read(VILLAGES, &none), Err(GeographyError::NoCentre));
        let head = VILLAGES.lines().nth(1).unwrap();
        assert_eq!(Geography::read(head, FACILITIES), Err(GeographyError::NoVillage));
    }

    fn column() -> GeographyError {
        Geography::read("x", FACILITIES).unwrap_err()
    }
}
