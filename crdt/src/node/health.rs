//! What a device can say of its own health. The shell adds what only it can see: disks, files,
//! addresses.

use super::Node;
use super::api::{Finding, Level};
use crate::trust::{AreaScope, Role};

/// Seconds before its end at which a certificate is spoken of. // guess: time for two monthly
/// meetings
const ENDING_SECONDS: i64 = 60 * 86_400;

/// Seconds by which a clock may differ from programme time before it is doubted: behind it at all
/// is doubtful, since programme time only lags. // guess
const CLOCK_BEHIND_SECONDS: i64 = 86_400;

fn finding(code: &str, level: Level, message: String, advice: &str) -> Finding {
    Finding { code: code.to_owned(), level, message, advice: advice.to_owned() }
}

/// `1 village`, `2 villages`.
fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

impl Node {
    /// Looks at certificate, keys, clock and what waits.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.carrier.identity.is_none() {
            let message = "this home has no keys".to_owned();
            return vec![finding("no_identity", Level::Bad, message, "run `huza init`")];
        }
        if self.carrier.membership.is_none() {
            let message = "this device has not joined a programme".to_owned();
            let advice = "show its request to the health centre: `huza request --qr`";
            return vec![finding("not_joined", Level::Bad, message, advice)];
        }
        self.find_in_certificate(&mut found);
        self.find_in_keys(&mut found);
        self.find_waiting(&mut found);
        found
    }

    fn find_in_certificate(&self, found: &mut Vec<Finding>) {
        if let Some(reason) = self.own_revocation() {
            let message = format!("this device is shut out: {reason:?}").to_lowercase();
            let advice = "bring it to the health centre; what is written here is kept";
            found.push(finding("revoked", Level::Bad, message, advice));
        } else if self.is_shut_out() {
            let message = "the authority that approved this device was shut out".to_owned();
            let advice = "have it approved anew: `huza request --qr`";
            found.push(finding("void", Level::Bad, message, advice));
        } else {
            let role = self.role().map_or("nothing", Role::name);
            let message = format!("its certificate as {role} is trusted");
            found.push(finding("certificate", Level::Good, message, ""));
        }
        let time = self.carrier.lane.as_ref().and_then(crate::control::Lane::programme_time);
        let (Some(time), Some(certificate)) = (time, self.carrier.certificate()) else { return };
        let left = certificate.expires.0 - time.0.max(self.now.stamp.0);
        if left < ENDING_SECONDS {
            let message = format!("its certificate ends on {}", certificate.expires);
            let advice = "have it approved anew at the next meeting; nothing stops meanwhile";
            found.push(finding("ending", Level::Doubtful, message, advice));
        }
        let clock = self.now.stamp;
        if clock.0 < time.0 - CLOCK_BEHIND_SECONDS {
            let message = format!("its clock says {clock}, authorities signed {time} already");
            found.push(finding("clock", Level::Doubtful, message, "set the clock"));
        } else {
            let message = format!("its clock is not behind programme time ({time})");
            found.push(finding("clock", Level::Good, message, ""));
        }
    }

    fn find_in_keys(&self, found: &mut Vec<Finding>) {
        let (Some(lane), Some(certificate)) = (&self.carrier.lane, self.carrier.certificate())
        else {
            return;
        };
        let Some(reader) = &self.reader else {
            if self.has_reader {
                let message = "its reader is locked; it carries, and reads nothing".to_owned();
                found.push(finding("locked", Level::Doubtful, message, "run `huza unlock`"));
            }
            return;
        };
        if reader.audit_broken {
            let message = "its audit trail is not the one that was written".to_owned();
            let advice = "keep both files as they are and tell the programme";
            found.push(finding("audit", Level::Bad, message, advice));
        }
        let villages = certificate.areas.iter().filter_map(|area| match area {
            AreaScope::Area(area) => Some(*area),
            AreaScope::Catchment(_) | AreaScope::Programme => None,
        });
        let missing = villages.filter(|area| {
            let held = reader.keyring.writing_key(lane, *area);
            let newest = lane.writing_keys(*area).first().map(|key| key.epoch);
            newest != held.as_ref().map(crate::trust::epoch_of)
        });
        match missing.count() {
            0 => {
                let message = format!(
                    "it holds the keys of {}",
                    count(reader.keyring.areas().count() as u64, "area")
                );
                found.push(finding("keys", Level::Good, message, ""));
            }
            lacking => {
                let lacking = count(lacking as u64, "village");
                let message = format!("it lacks the newest key of {lacking}");
                let advice = "meet the hub or an authority device";
                found.push(finding("keys", Level::Doubtful, message, advice));
            }
        }
        let unclean = reader.keyring.areas().filter(|(area, _)| {
            let newest = lane.writing_keys(*area).into_iter().next();
            newest.is_some_and(|key| !lane.is_clean(&key))
        });
        let unclean = unclean.count();
        if unclean > 0 {
            let unclean = count(unclean as u64, "village");
            let message = format!("a shut-out device holds the newest key of {unclean}");
            let advice = "an authority device should run `huza authority rotate`";
            found.push(finding("exposed", Level::Bad, message, advice));
        }
    }

    fn find_waiting(&self, found: &mut Vec<Finding>) {
        if self.must_roll {
            let message = "this home is a copy or a backup; nothing of it is numbered yet";
            let advice = "run `huza unlock`: then it begins anew, and nothing is lost";
            found.push(finding("copy", Level::Doubtful, message.to_owned(), advice));
        }
        let quarantined: u64 = self
            .quarantined()
            .iter()
            .flat_map(|log| &log.runs)
            .filter(|(_, _, rejected)| !rejected)
            .map(|(from, to, _)| to - from + 1)
            .sum();
        if quarantined > 0 {
            let envelopes = count(quarantined, "envelope");
            let message = format!("held back: {envelopes} of shut-out devices");
            let advice = "an authority device should look at them: `huza authority quarantine`";
            found.push(finding("quarantine", Level::Doubtful, message, advice));
        }
        if let Some((orders, left)) = self.waiting_erasures() {
            let hours = left.0.div_ceil(3_600_000);
            let (orders, hours) = (count(orders as u64, "order"), count(hours, "hour"));
            let envelopes = count(self.carrier.doomed() as u64, "envelope");
            let message = format!(
                "waiting to be carried out: {orders} to erase, about {envelopes} here; the next in \
                 {hours}"
            );
            let advice = "if they are not wanted, shut out the authority device that gave them \
                          before then, from another one";
            found.push(finding("erasures", Level::Doubtful, message, advice));
        }
        let forks = self.carrier.lane.as_ref().map_or(0, crate::control::Lane::forks);
        if forks > 0 {
            let message =
                format!("proven to be forked, and frozen: {}", count(forks as u64, "log"));
            let advice = "find the copied device; what it wrote comes again";
            found.push(finding("forks", Level::Doubtful, message, advice));
        }
    }
}
