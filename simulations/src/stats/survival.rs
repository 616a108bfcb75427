//! How long something takes of which not all was seen to happen.
//!
//! The estimator is that of Kaplan and Meier (1958): whoever stops being watched without it having
//! happened counts as waiting up to then, and as nothing afterwards. So what had not arrived when a
//! run ended is neither left out nor taken for arrived. It assumes that who stops being watched is
//! like the others; in a run that is so as far as records written late fare like those written
//! early. There are no confidence bounds: those of Greenwood take subjects as independent, and
//! records that travel together are not. How far figures vary is told by several seeds.

/// Below this a share is taken for reached: products of fractions are not exact.
const ROUNDING: f64 = 1e-9;

/// The share that still waits, as it falls with the time waited.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survival {
    steps: Vec<Step>,
    subjects: u64,
    happened: u64,
    watched: u64,
}

/// From a time on, a share that still waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// In the unit of what was given.
    pub at: u64,
    /// From 0 to 1.
    pub waiting: f64,
}

impl Survival {
    /// Estimates from how many it happened to, and how many stopped being watched, after how long:
    /// `(time, happened, censored)`, ascending by time. Who stops being watched at a time is still
    /// counted among those to whom it could have happened then.
    #[must_use]
    pub fn estimate(after: impl IntoIterator<Item = (u64, u64, u64)> + Clone) -> Self {
        let subjects = after.clone().into_iter().map(|(_, happened, censored)| happened + censored);
        let mut all = Self { subjects: subjects.sum(), ..Self::default() };
        let (mut at_risk, mut waiting) = (all.subjects, 1.0);
        for (at, happened, censored) in after {
            if happened > 0 && at_risk > 0 {
                waiting *= share(at_risk.saturating_sub(happened), at_risk);
                all.steps.push(Step { at, waiting });
            }
            at_risk = at_risk.saturating_sub(happened + censored);
            all.happened += happened;
            all.watched = all.watched.max(at);
        }
        all
    }

    /// The times at which the share falls, ascending. Before the first, all wait.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many there are.
    #[must_use]
    pub const fn subjects(&self) -> u64 {
        self.subjects
    }

    /// To how many it happened.
    #[must_use]
    pub const fn happened(&self) -> u64 {
        self.happened
    }

    /// The longest that any was watched: nothing is known of later times.
    #[must_use]
    pub const fn watched(&self) -> u64 {
        self.watched
    }

    /// The share that still waits after `time`, from 0 to 1.
    #[must_use]
    pub fn waiting(&self, time: u64) -> f64 {
        let passed = self.steps.partition_point(|step| step.at <= time);
        let last = passed.checked_sub(1).and_then(|last| self.steps.get(last));
        last.map_or(1.0, |step| step.waiting)
    }

    /// The share that still waits after the longest time that any was watched.
    #[must_use]
    pub fn never(&self) -> f64 {
        self.waiting(self.watched)
    }

    /// The time by which it has happened to a share, in per cent; none if it never has to so many.
    #[must_use]
    pub fn reached(&self, per_cent: u64) -> Option<u64> {
        let left = 1.0 - share(per_cent, 100);
        let step = self.steps.iter().find(|step| step.waiting <= left + ROUNDING);
        step.map(|step| step.at)
    }

    /// The mean of the waits, each cut off at `until`: the area under the curve. What still waits
    /// counts with `until`, so two means compare only if that is the same.
    #[must_use]
    pub fn restricted_mean(&self, until: u64) -> f64 {
        let (mut area, mut from, mut waiting) = (0.0, 0, 1.0);
        for step in self.steps.iter().take_while(|step| step.at < until) {
            area += waiting * float(step.at - from);
            (from, waiting) = (step.at, step.waiting);
        }
        area + waiting * float(until - from)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    float(part) / float(whole)
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds are far below 2^53")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks of remission of children with leukaemia (Freireich et al. 1963, as in Cox and Oakes
    /// 1984): 21 with 6-mercaptopurine, of whom 12 had not relapsed when last seen, and 21 with a
    /// placebo.
    const TREATED: [(u64, u64, u64); 16] = [
        (6, 3, 1),
        (7, 1, 0),
        (9, 0, 1),
        (10, 1, 1),
        (11, 0, 1),
        (13, 1, 0),
        (16, 1, 0),
        (17, 0, 1),
        (19, 0, 1),
        (20, 0, 1),
        (22, 1, 0),
        (23, 1, 0),
        (25, 0, 1),
        (32, 0, 2),
        (34, 0, 1),
        (35, 0, 1),
    ];
    const PLACEBO: [(u64, u64, u64); 12] = [
        (1, 2, 0),
        (2, 2, 0),
        (3, 1, 0),
        (4, 2, 0),
        (5, 2, 0),
        (8, 4, 0),
        (11, 2, 0),
        (12, 2, 0),
        (15, 1, 0),
        (17, 1, 0),
        (22, 1, 0),
        (23, 1, 0),
    ];

    fn near(found: f64, published: f64, within: f64) {
        assert!((found - published).abs() <= within, "{found} instead of {published}");
    }

    #[test]
    fn the_leukaemia_trial_is_as_published() {
        let treated = Survival::estimate(TREATED);
        assert_eq!((treated.subjects(), treated.happened(), treated.watched()), (21, 9, 35));
        // Printed in every textbook: the share in remission after each relapse.
        let published = [
            (6, 0.857),
            (7, 0.807),
            (10, 0.753),
            (13, 0.690),
            (16, 0.627),
            (22, 0.538),
            (23, 0.448),
        ];
        assert_eq!(treated.steps().len(), published.len());
        for (week, remission) in published {
            near(treated.waiting(week), remission, 0.0005);
        }
        near(treated.waiting(5), 1.0, 0.0);
        near(treated.waiting(9), 0.807, 0.0005);
        near(treated.never(), 0.448, 0.0005);
        assert_eq!(treated.reached(50), Some(23), "published median");
        assert_eq!(treated.reached(90), None, "which nobody could know from this trial");
        // R's `survfit` prints 23.29 weeks up to week 35.
        near(treated.restricted_mean(35), 23.29, 0.005);
    }

    #[test]
    fn without_censoring_it_is_what_counting_gives() {
        let placebo = Survival::estimate(PLACEBO);
        near(placebo.waiting(8), 8.0 / 21.0, 1e-12);
        near(placebo.never(), 0.0, 0.0);
        assert_eq!(placebo.reached(50), Some(8), "published median");
        assert_eq!(placebo.reached(100), Some(23));
        near(placebo.restricted_mean(100), 182.0 / 21.0, 1e-12);
        // Every share of ten in a row, which products of fractions only nearly meet.
        let ten = Survival::estimate((1..=10).map(|time| (time, 1, 0)));
        for tens in 1..=10 {
            assert_eq!(ten.reached(tens * 10), Some(tens));
        }
    }

    #[test]
    fn who_was_watched_shortly_says_nothing_of_later_times() {
        // By hand: of four, one after 1; one unseen after 2; of the two left one after 3.
        let some = Survival::estimate([(1, 1, 0), (2, 0, 1), (3, 1, 0), (9, 0, 1)]);
        near(some.waiting(2), 0.75, 1e-12);
        near(some.waiting(3), 0.375, 1e-12);
        near(some.restricted_mean(9), 1.0 + 2.0 * 0.75 + 6.0 * 0.375, 1e-12);
        near(some.restricted_mean(2), 1.75, 1e-12);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let none = Survival::estimate([]);
        assert_eq!((none.subjects(), none.reached(50)), (0, None));
        near(none.never(), 1.0, 0.0);
        let censored = Survival::estimate([(5, 0, 3)]);
        assert_eq!((censored.happened(), censored.reached(1)), (0, None));
        near(censored.never(), 1.0, 0.0);
    }
}
