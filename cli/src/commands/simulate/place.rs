//! Which scenario, and where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use huza_simulations::geography::Geography;
use huza_simulations::scenario::Scenario;
use serde_json::json;

use super::text;
use crate::args::ScenarioArgs;
use crate::error::{Failure, Kind};

/// The scenario with `more` settings on top, and all its settings as they are.
pub(super) fn scenario(
    args: &ScenarioArgs,
    more: &[String],
) -> Result<(Scenario, BTreeMap<String, String>), Failure> {
    let mut sets = [&args.set[..], more].concat();
    for (key, path) in [("villages", &args.villages), ("facilities", &args.facilities)] {
        if let Some(path) = path {
            let path =
                std::path::absolute(path).map_err(|error| Failure::file("read", path, &error))?;
            sets.push(format!("place.{key}={}", toml_text(&path)));
        }
    }
    let path = &args.file;
    Scenario::read(&text(path)?, &sets).map_err(|error| {
        Failure::new(Kind::Input, "scenario", format!("{}: {error}", path.display()))
            .hint("`huza simulate scenario` prints every setting with its default, unit and source")
    })
}

/// A path as a text of TOML.
fn toml_text(path: &Path) -> String {
    json!(path.display().to_string()).to_string()
}

/// The villages of the scenario; paths in it begin where it is.
pub(super) fn geography(scenario: &Scenario, args: &ScenarioArgs) -> Result<Geography, Failure> {
    let place = &scenario.place;
    if place.villages.is_empty() {
        let synthetic = &scenario.synthetic;
        return Ok(Geography::synthetic(scenario.seed, synthetic.catchments, synthetic.villages));
    }
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let (villages, facilities) = (path(&place.villages), path(&place.facilities));
    let failure = |code, message: String, hint| Failure::new(Kind::Input, code, message).hint(hint);
    let all = Geography::read(&text(&villages)?, &text(&facilities)?).map_err(|error| {
        let message = format!("{} and {}: {error}", villages.display(), facilities.display());
        failure("unreadable", message, "`huza simulate contacts --help` says what is in the tables")
    })?;
    all.pick(&place.pick).map_err(|error| {
        failure("place", error.to_string(), "`place.pick` takes names of districts and sectors")
    })
}
