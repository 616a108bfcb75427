//! Opening envelopes: what is inside, change by change, or why it cannot be filed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::IngestRow;
use crate::crypto::SymmetricKey;
use crate::envelope::{Contents, Header, Item, Payload, Reissue};
use crate::id::{AreaTag, DeviceKey, EpochId, LogId, Origin, RecordId};
use crate::record::unpack;

/// An envelope on its way to be filed.
pub(super) struct Incoming {
    pub(super) number: u64,
    pub(super) row: IngestRow,
    /// Whether it is held in its place no more, but beside the true history of its log.
    pub(super) displaced: bool,
    pub(super) area: AreaTag,
    pub(super) header: Header,
    pub(super) sealed: Vec<u8>,
    pub(super) key: SymmetricKey,
    /// The device of every log.
    pub(super) devices: Arc<BTreeMap<LogId, DeviceKey>>,
}

/// A change taken out of an envelope.
pub(super) struct Filed {
    pub(super) record: RecordId,
    /// The envelope in which its author signed for it.
    pub(super) signed: (LogId, u64),
    pub(super) origin: Origin,
    pub(super) raw: Vec<u8>,
    pub(super) card: Vec<u8>,
}

/// Why what is in an envelope cannot be filed.
pub(super) enum Unfit {
    /// It speaks of a log whose opening is not here yet.
    Unopened,
    /// It is not what it should be.
    Broken(String),
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// An envelope opened, or why not.
pub(super) struct Opened {
    pub(super) number: u64,
    pub(super) row: IngestRow,
    /// See [`Incoming`].
    pub(super) displaced: bool,
    pub(super) area: AreaTag,
    pub(super) epoch: EpochId,
    pub(super) changes: Result<Vec<Filed>, Unfit>,
}

/// Opens one envelope and takes its changes out.
pub(super) fn open(one: Incoming) -> Opened {
    let Incoming { number, row, displaced, area, header, sealed, key, devices } = one;
    let changes = Contents::open(&header, &sealed, &key)
        .map_err(|error| Unfit::Broken(error.to_string()))
        .and_then(|contents| match contents {
            Contents::Changes { payload, .. } => take_out(&header, payload, &devices),
            Contents::Reissued(all) => take_out_again(all, &devices),
        });
    Opened { number, row, displaced, area, epoch: header.epoch, changes }
}

/// The changes of a payload of this header.
pub(super) fn take_out(
    header: &Header,
    payload: Payload,
    devices: &BTreeMap<LogId, DeviceKey>,
) -> Result<Vec<Filed>, Unfit> {
    let log = payload.origin.unwrap_or(header.log);
    let items = (payload.first..).zip(payload.items).collect();
    unpack_all((header.log, header.seq), log, items, devices)
}

/// What is left of other envelopes.
fn take_out_again(
    reissues: Vec<Reissue>,
    devices: &BTreeMap<LogId, DeviceKey>,
) -> Result<Vec<Filed>, Unfit> {
    let mut filed = Vec::new();
    for reissue in reissues {
        let signed = (reissue.header.log, reissue.header.seq);
        let log = reissue.log();
        let author = devices.get(&signed.0).ok_or(Unfit::Unopened)?;
        let items = reissue.items(*author).map_err(|error| Unfit::Broken(error.to_string()))?;
        filed.extend(unpack_all(signed, log, items, devices)?);
    }
    Ok(filed)
}

fn unpack_all(
    signed: (LogId, u64),
    log: LogId,
    items: Vec<(u64, Item)>,
    devices: &BTreeMap<LogId, DeviceKey>,
) -> Result<Vec<Filed>, Unfit> {
    let author = devices.get(&log).ok_or(Unfit::Unopened)?;
    if log != signed.0 && devices.get(&signed.0) != Some(author) {
        return Err(Unfit::Broken("published again by another device than wrote it".to_owned()));
    }
    let filed = items.into_iter().map(|(counter, item)| {
        let origin = Origin { log, counter };
        let raw = unpack(origin, &item.change).map_err(|error| Unfit::Broken(error.to_string()))?;
        Ok(Filed { record: item.record, signed, origin, raw, card: item.card })
    });
    filed.collect()
}
