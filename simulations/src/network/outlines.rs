//! Outlines of districts, for maps.

use serde::Deserialize;
use serde_json::Value;

/// Borders and names, as a file of GeoJSON (RFC 7946) has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outlines {
    /// The areas that it draws.
    pub areas: Vec<Outline>,
    /// Whom to name beside the map.
    pub attribution: String,
}

/// One area.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its name, or nothing.
    pub name: String,
    /// Its borders, the outer and the inner ones: degrees east and north.
    pub rings: Vec<Vec<[f64; 2]>>,
}

/// Why outlines cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutlinesError {
    /// It is no GeoJSON with features.
    #[error("it is no feature collection of GeoJSON")]
    Form(#[source] serde_json::Error),
    /// An area's borders are none.
    #[error("feature {0} has no borders as polygons have them")]
    Borders(usize),
    /// A place that is not on earth.
    #[error("feature {0} has a point that is no longitude and latitude in degrees")]
    Degrees(usize),
}

#[derive(Deserialize)]
struct Collection {
    #[serde(default)]
    attribution: String,
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    properties: Option<Value>,
    geometry: Geometry,
}

#[derive(Deserialize)]
struct Geometry {
    #[serde(rename = "type")]
    kind: String,
    coordinates: Value,
}

impl Outlines {
    /// Reads a feature collection of polygons; names are taken from the property `name`, whom to
    /// name from the member `attribution`.
    ///
    /// # Errors
    /// If it is something else, or its points are not on earth.
    pub fn read(text: &str) -> Result<Self, OutlinesError> {
        let read: Collection = serde_json::from_str(text).map_err(OutlinesError::Form)?;
        let areas = read.features.into_iter().enumerate().map(|(index, feature)| {
            let name = feature.properties.as_ref().and_then(|all| all.get("name")?.as_str());
            let rings = rings(feature.geometry).ok_or(OutlinesError::Borders(index))?;
            let on_earth = |at: &[f64; 2]| at[0].abs() <= 180.0 && at[1].abs() <= 90.0;
            if !rings.iter().flatten().all(on_earth) {
                return Err(OutlinesError::Degrees(index));
            }
            Ok(Outline { name: name.unwrap_or_default().to_owned(), rings })
        });
        Ok(Self { areas: areas.collect::<Result<_, _>>()?, attribution: read.attribution })
    }
}

/// The rings of a polygon or of several. Heights, which points may have, are left out.
fn rings(geometry: Geometry) -> Option<Vec<Vec<[f64; 2]>>> {
    let polygons: Vec<Vec<Vec<Vec<f64>>>> = match geometry.kind.as_str() {
        "Polygon" => vec![serde_json::from_value(geometry.coordinates).ok()?],
        "MultiPolygon" => serde_json::from_value(geometry.coordinates).ok()?,
        _ => return None,
    };
    let point = |at: Vec<f64>| Some([*at.first()?, *at.get(1)?]);
    let ring = |ring: Vec<Vec<f64>>| ring.into_iter().map(point).collect();
    polygons.into_iter().flatten().map(ring).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_are_read_and_all_else_is_refused() {
        let ring = "[[30,-2],[30.5,-2,1500],[30,-1],[30,-2]]";
        let text = |kind: &str, coordinates: &str| {
            format!(
                "{{\"type\":\"FeatureCollection\",\"attribution\":\"(c) X\",\"features\":[\
                {{\"type\":\"Feature\",\"properties\":{{\"name\":\"A\"}},\"geometry\":\
                {{\"type\":\"{kind}\",\"coordinates\":{coordinates}}}}}]}}"
            )
        };
        let one = Outlines::read(&text("Polygon", &format!("[{ring}]"))).unwrap();
        assert_eq!((one.attribution.as_str(), one.areas[0].name.as_str()), ("(c) X", "A"));
        assert_eq!(one.areas[0].rings, [[[30.0, -2.0], [30.5, -2.0], [30.0, -1.0], [30.0, -2.0]]]);
        let many = Outlines::read(&text("MultiPolygon", &format!("[[{ring}],[{ring}]]"))).unwrap();
        assert_eq!(many.areas[0].rings.len(), 2);
        let refused = |text: &str| Outlines::read(text).unwrap_err().to_string();
        assert!(refused(&text("Point", "[30,-2]")).contains("no borders"));
        assert!(refused(&text("Polygon", "[[[30]]]")).contains("no borders"));
        assert!(refused(&text("Polygon", "[[[300,2]]]")).contains("degrees"));
        assert!(refused("[]").contains("GeoJSON"));
    }
}
