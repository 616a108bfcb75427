//! Deliveries on their way to the facility: in order, those that wait together in one go, and
//! again after a failure, for ever: nothing is refused because a disk was full.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use huza_crdt::{
    node::{Input, Resource, Token},
    time::Millis,
};

use super::crew::{Crew, Refused};
use crate::gateway::{Facility, FacilityError};

/// Milliseconds before the first new attempt. // guess
const RETRY_MS_MIN: u64 = 1_000;

/// Milliseconds between attempts at most. // guess: somebody has to make room on a disk
const RETRY_MS_MAX: u64 = 60_000;

/// What one request of the node holds.
#[derive(Debug)]
pub(super) struct Parcel {
    token: Token,
    pub(super) resources: Vec<Resource>,
}

/// Why a delivery has to be made again, and when.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) why: String,
    pub(super) retry_ms: u64,
}

/// The desk at which deliveries wait.
#[derive(Debug)]
pub(super) struct Counter {
    dir: PathBuf,
    facility: Option<Box<Facility>>,
    waiting: VecDeque<Parcel>,
    under_way: Option<Arc<Vec<Parcel>>>,
    retry_at: Option<Millis>,
    retry_ms: u64,
}

impl Counter {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            facility: None,
            waiting: VecDeque::new(),
            under_way: None,
            retry_at: None,
            retry_ms: RETRY_MS_MIN,
        }
    }

    pub(super) fn take(&mut self, crew: &mut Crew, token: Token, resources: Vec<Resource>) {
        self.waiting.push_back(Parcel { token, resources });
        if self.retry_at.is_none() {
            self.go_on(crew);
        }
    }

    /// When to call [`Self::due`].
    pub(super) const fn deadline(&self) -> Option<Millis> {
        self.retry_at
    }

    pub(super) fn due(&mut self, crew: &mut Crew, now: Millis) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.go_on(crew);
        }
    }

    fn go_on(&mut self, crew: &mut Crew) {
        if self.under_way.is_some() || self.waiting.is_empty() {
            return;
        }
        let parcels = Arc::new(core::mem::take(&mut self.waiting).into());
        self.under_way = Some(Arc::clone(&parcels));
        crew.deliver(self.facility.take(), self.dir.clone(), parcels);
    }

    /// Takes the outcome: answers for the node, or what to tell the operator.
    pub(super) fn done(
        &mut self,
        crew: &mut Crew,
        now: Millis,
        facility: Option<Box<Facility>>,
        result: Result<Refused, FacilityError>,
    ) -> Result<Vec<Input>, Trouble> {
        self.facility = facility;
        let parcels = self.under_way.take().and_then(Arc::into_inner).unwrap_or_default();
        match result {
            Ok(refused) => {
                self.retry_ms = RETRY_MS_MIN;
                self.go_on(crew);
                Ok(parcels.iter().map(|parcel| parcel.answer(&refused)).collect())
            }
            Err(error) => {
                for parcel in parcels.into_iter().rev() {
                    self.waiting.push_front(parcel);
                }
                let retry_ms = self.retry_ms;
                self.retry_at = Some(now.plus(retry_ms));
                self.retry_ms = (retry_ms * 2).min(RETRY_MS_MAX);
                Err(Trouble { why: crate::error_chain(&error), retry_ms })
            }
        }
    }
}

impl Parcel {
    fn answer(&self, refused: &Refused) -> Input {
        let keys = self.resources.iter().map(|resource| &resource.key);
        let refused = keys.filter_map(|key| Some((key.clone(), *refused.get(key)?))).collect();
        Input::Delivered { token: self.token, refused }
    }
}
