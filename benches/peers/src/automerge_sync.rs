//! Automerge's own sync protocol, one document for each record, all documents at once: in each turn
//! a side says of every document what it has to say. In front of a message go the record's id (16
//! bytes) and the message's length (2): automerge itself names neither.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use automerge::sync::{Message, State, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ReadDoc};
use huza_simulations::standard::Entry;

use crate::workload::{Cost, DIFFERENCES, Workload, tell};

/// Bytes of id and length in front of a message.
const FRAME: u64 = 18;

/// A device's documents, by the change that registered the person.
pub type Docs = BTreeMap<usize, AutoCommit>;

/// What a device remembers of what another holds, document by document.
type Memory = BTreeMap<usize, State>;

pub fn run(work: &Workload) {
    let none = BTreeSet::new();
    let all: BTreeSet<usize> = (0..work.changes.len()).collect();
    let full = write(work, Docs::new(), |_| true);
    let strangers = |missing: &BTreeSet<usize>| {
        let mut b = write(work, Docs::new(), |at| !missing.contains(&at));
        let mut a = b.clone();
        a = write(work, a, |at| missing.contains(&at));
        let mut memory = Default::default();
        meet(&mut a, &mut b, &mut memory, None)
    };
    let (mut a, mut b, mut memory) = (full.clone(), full.clone(), Default::default());
    tell("automerge", work, "identical", &none, meet(&mut a, &mut b, &mut memory, None));
    memory = kept(&memory);
    tell("automerge", work, "repeat", &none, meet(&mut a, &mut b, &mut memory, None));
    drop((a, b, memory));
    for count in DIFFERENCES {
        for (kind, missing) in
            [("newest", work.newest(count)), ("scattered", work.scattered(count))]
        {
            tell("automerge", work, &format!("{kind}-{count}"), &missing, strangers(&missing));
        }
    }
    since(work);
    let mut b = Docs::new();
    let first = meet(&mut full.clone(), &mut b, &mut Default::default(), None);
    tell("automerge", work, "first", &all, first);
    drop(b);
    let (mut a, mut b, mut memory) = (full.clone(), Docs::new(), Default::default());
    let before = meet(&mut a, &mut b, &mut memory, Some(first.all() / 2));
    memory = kept(&memory);
    let cost = before.and(meet(&mut a, &mut b, &mut memory, None));
    tell("automerge", work, "cut", &all, cost);
    drop((full, a, b, memory));
    ferry(work);
}

/// They met when they were equal; since then one of them has written, again and again.
fn since(work: &Workload) {
    let (mut known, steps) = work.steps();
    let mut b = write(work, Docs::new(), |at| known.contains(&at));
    let (mut a, mut memory) = (b.clone(), Default::default());
    meet(&mut a, &mut b, &mut memory, None);
    for step in steps {
        a = write(work, a, |at| step.contains(&at));
        memory = kept(&memory);
        let cost = meet(&mut a, &mut b, &mut memory, None);
        tell("automerge", work, &format!("since-{}", step.len()), &step, cost);
        known.extend(step);
    }
}

/// A writes, meets B, and B meets C. All have met before.
fn ferry(work: &Workload) {
    let missing = work.newest(200);
    let mut b = write(work, Docs::new(), |at| !missing.contains(&at));
    let (mut a, mut c) = (b.clone(), b.clone());
    let (mut with_a, mut with_c) = (Default::default(), Default::default());
    meet(&mut a, &mut b, &mut with_a, None);
    meet(&mut b, &mut c, &mut with_c, None);
    a = write(work, a, |at| missing.contains(&at));
    let cost = meet(&mut a, &mut b, &mut kept(&with_a), None).and(meet(
        &mut b,
        &mut c,
        &mut kept(&with_c),
        None,
    ));
    assert_same(&mut a, &mut c);
    tell("automerge", work, "ferry-200", &missing, cost);
}

/// Writes the changes that are wanted, each as its author would.
pub fn write(work: &Workload, mut docs: Docs, wanted: impl Fn(usize) -> bool) -> Docs {
    for (at, used) in work.changes.iter().enumerate().filter(|(at, _)| wanted(*at)) {
        let doc = docs.entry(work.record(at)).or_default();
        let worker = work.worker(&used.change);
        let log = blake3::hash(&used.change.log.to_le_bytes());
        doc.set_actor(ActorId::from(&log.as_bytes()[..16]));
        match &used.change.entry {
            Entry::Person { fields } => {
                let person = doc.put_object(ROOT, "person", ObjType::Map).unwrap();
                doc.put_object(ROOT, "visits", ObjType::Map).unwrap();
                for (field, value) in fields {
                    doc.put(&person, field, value.as_str()).unwrap();
                }
                doc.put(&person, "worker", worker).unwrap();
            }
            Entry::Visit { form, occurred, answers, .. } => {
                let (_, visits) = doc.get(ROOT, "visits").unwrap().unwrap();
                let id = format!("{:08x}", used.index);
                let visit = doc.put_object(&visits, id, ObjType::Map).unwrap();
                doc.put(&visit, "form", *form).unwrap();
                doc.put(&visit, "occurred", occurred.0).unwrap();
                doc.put(&visit, "worker", worker).unwrap();
                for (field, value) in answers {
                    doc.put(&visit, field, value.as_str()).unwrap();
                }
            }
        }
        doc.commit_with(CommitOptions::default().with_time(used.change.at.0));
    }
    docs
}

/// What is left of the memories when a connection ends, as automerge encodes them for the disk.
fn kept(memory: &[Memory; 2]) -> [Memory; 2] {
    let kept = |memory: &Memory| {
        memory.iter().map(|(id, state)| (*id, State::decode(&state.encode()).unwrap())).collect()
    };
    memory.each_ref().map(kept)
}

/// A contact, cut after so many bytes if that is said.
fn meet(a: &mut Docs, b: &mut Docs, memory: &mut [Memory; 2], cut: Option<u64>) -> Cost {
    let start = Instant::now();
    let mut cost = Cost::default();
    let sides = [a, b];
    let mut idle = 0;
    for turn in 0.. {
        let from = turn % 2;
        let mut said = 0;
        let ids: Vec<usize> = sides[from].keys().copied().collect();
        for id in ids {
            let state = memory[from].entry(id).or_default();
            let doc = sides[from].get_mut(&id).unwrap();
            let Some(message) = doc.sync().generate_sync_message(state) else { continue };
            let bytes = message.encode();
            said += FRAME + bytes.len() as u64;
            if cut.is_some_and(|cut| cost.all() + said > cut) {
                cost.bytes[from] += said;
                cost.turns += 1;
                cost.millis = start.elapsed().as_millis();
                return cost;
            }
            let message = Message::decode(&bytes).unwrap();
            let doc = sides[1 - from].entry(id).or_default();
            let state = memory[1 - from].entry(id).or_default();
            doc.sync().receive_sync_message(state, message).unwrap();
        }
        cost.bytes[from] += said;
        cost.turns += u64::from(said > 0);
        idle = if said == 0 { idle + 1 } else { 0 };
        if idle == 2 {
            break;
        }
    }
    cost.millis = start.elapsed().as_millis();
    let [a, b] = sides;
    assert_same(a, b);
    cost
}

fn assert_same(a: &mut Docs, b: &mut Docs) {
    assert_eq!(a.len(), b.len());
    for ((_, a), (_, b)) in a.iter_mut().zip(b) {
        assert_eq!(a.get_heads(), b.get_heads());
    }
}
