//! Negentropy as an algorithm: the ids of changes, in the order of time. Nothing else is sent, so
//! its bytes are to be compared with what others spend on finding out what differs.

use std::collections::BTreeSet;
use std::time::Instant;

use negentropy::{Id, Negentropy, NegentropyStorageVector};

use crate::workload::{Cost, DIFFERENCES, Workload, tell};

pub fn run(work: &Workload) {
    let none = BTreeSet::new();
    tell("negentropy", work, "identical", &none, meet(work, &none));
    tell("negentropy", work, "repeat", &none, meet(work, &none));
    for count in DIFFERENCES {
        let newest = work.newest(count);
        tell("negentropy", work, &format!("newest-{count}"), &newest, meet(work, &newest));
        let scattered = work.scattered(count);
        tell("negentropy", work, &format!("scattered-{count}"), &scattered, meet(work, &scattered));
    }
}

fn meet(work: &Workload, missing: &BTreeSet<usize>) -> Cost {
    let start = Instant::now();
    let (have, lack) = (set(work, &BTreeSet::new()), set(work, missing));
    let (mut a, mut b) = (Negentropy::owned(have, 0).unwrap(), Negentropy::owned(lack, 0).unwrap());
    let (mut has, mut needs) = (Vec::new(), Vec::new());
    let mut cost = Cost::default();
    let mut query = Some(a.initiate().unwrap());
    while let Some(bytes) = query {
        cost.bytes[0] += bytes.len() as u64;
        let answer = b.reconcile(&bytes).unwrap();
        cost.bytes[1] += answer.len() as u64;
        cost.turns += 2;
        query = a.reconcile_with_ids(&answer, &mut has, &mut needs).unwrap();
    }
    assert_eq!((has.len(), needs.len()), (missing.len(), 0));
    cost.finding = cost.all();
    cost.millis = start.elapsed().as_millis();
    cost
}

fn set(work: &Workload, missing: &BTreeSet<usize>) -> NegentropyStorageVector {
    let mut set = NegentropyStorageVector::with_capacity(work.changes.len());
    for (at, used) in work.changes.iter().enumerate() {
        if missing.contains(&at) {
            continue;
        }
        let id = blake3::hash(&used.index.to_le_bytes());
        let time = u64::try_from(used.change.at.0).unwrap();
        set.insert(time, Id::from_byte_array(*id.as_bytes())).unwrap();
    }
    set.seal().unwrap();
    set
}
