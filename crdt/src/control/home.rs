//! What a device keeps for ever: all else it only borrows, to carry it.

use std::collections::BTreeSet;

use super::Lane;
use super::body::Opening;
use crate::id::{CatchmentTag, CertId, DeviceKey};
use crate::trust::{AreaScope, directory_area};

/// Whose envelopes a device keeps, all of them and for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// Everybody's.
    programme: bool,
    /// Those of the health centres in which it works or of which it was granted a key, and those of
    /// the directory.
    catchments: BTreeSet<CatchmentTag>,
    /// Its own, wherever it wrote them.
    device: Option<DeviceKey>,
}

impl Home {
    /// Of who keeps everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { programme: true, ..Self::default() }
    }

    /// Whether it keeps what is written in a log.
    #[must_use]
    pub fn keeps(&self, opening: &Opening) -> bool {
        self.keeps_all_of(&opening.area.catchment()) || self.device == Some(opening.device)
    }

    /// Whether it keeps all that is written in a catchment.
    #[must_use]
    pub fn keeps_all_of(&self, catchment: &CatchmentTag) -> bool {
        self.programme || self.catchments.contains(catchment)
    }
}

impl Lane {
    /// What the device of a certificate keeps.
    #[must_use]
    pub fn home(&self, id: &CertId) -> Home {
        let mut home = Home::default();
        home.catchments.insert(directory_area().catchment());
        let Some(certificate) = self.certificate(id) else { return home };
        home.device = Some(certificate.device);
        let granted = self.grants_to(*id).map(|(_, grant)| &grant.opens);
        for scope in certificate.areas.iter().chain(granted) {
            match scope {
                AreaScope::Programme => home.programme = true,
                AreaScope::Catchment(catchment) => _ = home.catchments.insert(*catchment),
                AreaScope::Area(area) => _ = home.catchments.insert(area.catchment()),
            }
        }
        home
    }
}
