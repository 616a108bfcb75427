//! Deliveries on their way to the facility: in order, those that wait together in one go, and
//! again after a failure, for ever: nothing is refused because a disk was full or a server away.

use std::{collections::VecDeque, sync::Arc};

use huza_crdt::{
    node::{FacilityState, Input, Outgoing, Token},
    time::{Millis, Stamp},
};

use super::crew::Crew;
use crate::gateway::{Answers, Facility, FacilityError, FacilitySetting, Known};

/// Milliseconds before the first new attempt. // guess
const RETRY_MS_MIN: u64 = 1_000;

/// Milliseconds between attempts at most, if nobody asks for more. // guess: what an operator waits for
const RETRY_MS_MAX: u64 = 300_000;

/// What one request of the node holds.
#[derive(Debug)]
pub(super) struct Parcel {
    token: Token,
    pub(super) resources: Vec<Outgoing>,
    pub(super) known: Known,
}

impl Parcel {
    pub(super) const fn new(token: Token, resources: Vec<Outgoing>, known: Known) -> Self {
        Self { token, resources, known }
    }
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
    setting: Arc<FacilitySetting>,
    facility: Option<Box<Facility>>,
    waiting: VecDeque<Parcel>,
    under_way: Option<Arc<Vec<Parcel>>>,
    retry_at: Option<Millis>,
    retry_ms: u64,
    state: FacilityState,
}

impl Counter {
    pub(super) fn new(setting: FacilitySetting) -> Self {
        let place = setting.place();
        Self {
            setting: Arc::new(setting),
            facility: None,
            waiting: VecDeque::new(),
            under_way: None,
            retry_at: None,
            retry_ms: RETRY_MS_MIN,
            state: FacilityState { place, reachable: None, since: None, why: String::new() },
        }
    }

    pub(super) fn take(&mut self, crew: &mut Crew, parcel: Parcel) {
        self.waiting.push_back(parcel);
        if self.retry_at.is_none() {
            self.go_on(crew);
        }
    }

    /// How it goes.
    pub(super) fn state(&self) -> FacilityState {
        self.state.clone()
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
        crew.deliver(self.facility.take(), Arc::clone(&self.setting), parcels);
    }

    /// Takes the outcome: answers for the node, or what to tell the operator.
    pub(super) fn done(
        &mut self,
        crew: &mut Crew,
        (now, stamp): (Millis, Stamp),
        facility: Option<Box<Facility>>,
        result: Result<Answers, FacilityError>,
    ) -> Result<Vec<Input>, Trouble> {
        self.facility = facility;
        let parcels = self.under_way.take().and_then(Arc::into_inner).unwrap_or_default();
        if self.state.reachable != Some(result.is_ok()) {
            self.state.reachable = Some(result.is_ok());
            self.state.since = Some(stamp);
        }
        match result {
            Ok(answers) => {
                self.retry_ms = RETRY_MS_MIN;
                self.state.why.clear();
                self.go_on(crew);
                Ok(parcels.iter().map(|parcel| parcel.answer(&answers)).collect())
            }
            Err(error) => {
                for parcel in parcels.into_iter().rev() {
                    self.waiting.push_front(parcel);
                }
                let retry_ms = self.pause(&error);
                self.retry_at = Some(now.plus(retry_ms));
                // Files that say who we are may have been mended meanwhile.
                self.facility = self.facility.take().filter(|_| {
                    !matches!(error, FacilityError::Denied(_) | FacilityError::Unreachable(_))
                });
                let why = crate::error_chain(&error);
                self.state.why.clone_from(&why);
                Err(Trouble { why, retry_ms })
            }
        }
    }

    /// Milliseconds until the next attempt: twice as long each time, drawn from the upper half of
    /// that, so that gateways which lost one server do not come back together.
    fn pause(&mut self, error: &FacilityError) -> u64 {
        let asked = match error {
            FacilityError::Denied(_) => RETRY_MS_MAX,
            FacilityError::Busy { retry_after: Some(seconds), .. } => seconds * 1_000,
            _ => 0,
        };
        let longest = self.retry_ms;
        self.retry_ms = (longest * 2).min(RETRY_MS_MAX);
        let mut drawn = [0; 8];
        // Without entropy all wait for the longest.
        let drawn = match getrandom::fill(&mut drawn) {
            Ok(()) => u64::from_le_bytes(drawn) % (longest / 2 + 1),
            Err(_) => 0,
        };
        asked.max(longest - drawn)
    }
}

impl Parcel {
    fn answer(&self, answers: &Answers) -> Input {
        let keys = self.resources.iter().map(|resource| &resource.key);
        let answers = keys.filter_map(|key| Some((key.clone(), answers.get(key)?.clone())));
        Input::Delivered { token: self.token, answers: answers.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_heed_what_the_server_asks() {
        let mut counter = Counter::new(FacilitySetting::Directory("facility".into()));
        let away = FacilityError::Busy { status: 503, retry_after: None };
        let mut longest = RETRY_MS_MIN;
        for _ in 0..20 {
            let pause = counter.pause(&away);
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
            longest = (longest * 2).min(RETRY_MS_MAX);
        }
        let mut counter = Counter::new(FacilitySetting::Directory("facility".into()));
        let asked = FacilityError::Busy { status: 429, retry_after: Some(90) };
        assert_eq!(counter.pause(&asked), 90_000);
        assert_eq!(counter.pause(&FacilityError::Denied(401)), RETRY_MS_MAX);
    }
}
