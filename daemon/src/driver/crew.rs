//! Work beside the driver: heavy jobs of the node, the facility, small files. Each on
//! a thread for blocking work, and no more of the heavy ones at once than phones have fast cores.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use huza_crdt::node::{Job, Product, Token};
use tokio::task::{JoinError, JoinSet};

use super::facility::Parcel;
use crate::{
    gateway::{Answers, Facility, FacilityError, FacilitySetting},
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
    /// The facility, if it could be opened, and what a delivery gave.
    Facility(Option<Box<Facility>>, Result<Answers, FacilityError>),
    /// A small file was written, or not.
    Saved(std::io::Result<()>),
}

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
        setting: Arc<FacilitySetting>,
        parcels: Arc<Vec<Parcel>>,
    ) {
        self.tasks.spawn_blocking(move || {
            let open = open.map_or_else(|| Facility::open(&setting).map(Box::new), Ok);
            let mut facility = match open {
                Ok(facility) => facility,
                Err(error) => return Done::Facility(None, Err(error)),
            };
            let mut answers = Answers::new();
            for parcel in parcels.iter() {
                match facility.deliver(&parcel.resources, &parcel.known) {
                    Ok(more) => answers.extend(more),
                    Err(error) => return Done::Facility(Some(facility), Err(error)),
                }
            }
            Done::Facility(Some(facility), Ok(answers))
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
