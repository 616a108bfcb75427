//! Work beside the driver: heavy jobs of the node, the facility's directory, small files. Each on
//! a thread for blocking work, and no more of the heavy ones at once than phones have fast cores.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use huza_crdt::node::{Job, Product, Token};
use tokio::task::{JoinError, JoinSet};

use super::facility::Parcel;
use crate::{
    gateway::{Facility, FacilityError},
    home::Remembered,
};

/// Heavy jobs at once.
const JOBS_MAX: usize = 2;

/// Heavy jobs, waiting or under way, from which on the driver takes no more in. // guess
const JOBS_BUSY: usize = 256;

/// What came of some work.
#[derive(Debug)]
pub(super) enum Done {
    Job(Token, Product),
    /// The facility's directory, if it could be opened, and what a delivery gave.
    Facility(Option<Box<Facility>>, Result<Refused, FacilityError>),
    /// A small file was written, or not.
    Saved(std::io::Result<()>),
}

/// Resources refused by the facility, each with a code.
pub(super) type Refused = std::collections::BTreeMap<String, u16>;

/// Everyone at work.
#[derive(Debug, Default)]
pub(super) struct Crew {
    tasks: JoinSet<Done>,
    waiting: VecDeque<(Token, Job)>,
    running: usize,
}

impl Crew {
    /// Has a job of the node done.
    pub(super) fn job(&mut self, token: Token, job: Job) {
        self.waiting.push_back((token, job));
        self.next_jobs();
    }

    /// Has resources given to the facility.
    pub(super) fn deliver(
        &mut self,
        open: Option<Box<Facility>>,
        dir: PathBuf,
        parcels: Arc<Vec<Parcel>>,
    ) {
        self.tasks.spawn_blocking(move || {
            let mut facility = match open.map_or_else(|| Facility::open(&dir).map(Box::new), Ok) {
                Ok(facility) => facility,
                Err(error) => return Done::Facility(None, Err(error)),
            };
            let result = facility.deliver(parcels.iter().flat_map(|parcel| &parcel.resources));
            Done::Facility(Some(facility), result)
        });
    }

    /// Has the remembered addresses written.
    pub(super) fn save(&mut self, peers: Remembered, home: PathBuf) {
        self.tasks.spawn_blocking(move || Done::Saved(peers.save(&home)));
    }

    fn next_jobs(&mut self) {
        while self.running < JOBS_MAX {
            let Some((token, job)) = self.waiting.pop_front() else { break };
            self.running += 1;
            self.tasks.spawn_blocking(move || Done::Job(token, job.run()));
        }
    }

    /// The next thing done; never returns while nothing is under way.
    pub(super) async fn next(&mut self) -> Result<Done, JoinError> {
        let Some(done) = self.tasks.join_next().await else {
            return core::future::pending().await;
        };
        if matches!(done, Ok(Done::Job(..))) {
            self.running = self.running.saturating_sub(1);
            self.next_jobs();
        }
        done
    }

    pub(super) fn is_busy(&self) -> bool {
        self.waiting.len() + self.running >= JOBS_BUSY
    }

    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.waiting.is_empty()
    }
}
