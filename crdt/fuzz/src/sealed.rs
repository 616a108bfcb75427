//! Readers behind a seal: what a member who holds the keys can make another read.

use huza_crdt::codec;
use huza_crdt::control::{Grant, Lane, Rung, kind};
use huza_crdt::crypto::{Purpose, SealingKey, SigningKey, SymmetricKey};
use huza_crdt::envelope::{
    Content, Contents, Payload, Reissue, Seal, Stored, Unnumbered, Urgency, seal_reissues,
};
use huza_crdt::id::{AreaTag, CertId, EpochId, Hash, LogId};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello};
use huza_crdt::trust::approval::{Membership, open_grant};
use huza_crdt::trust::recovery::{self, RecoveryAnswer, RecoveryRequest};
use huza_crdt::trust::{
    AreaKey, AreaName, AreaScope, GrantContent, Issuer, Keyring, Predecessor, epoch_of, seal_rung,
    sealing_of,
};

const LOG: LogId = LogId([3; 32]);

fn key() -> SymmetricKey {
    SymmetricKey::from_bytes([2; 32])
}

fn author() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

/// The first byte says which reader; the rest is what it finds behind the seal.
pub fn sealed(bytes: &[u8]) {
    let Some((which, plain)) = bytes.split_first() else { return };
    match which % 12 {
        0 => contents(0, plain),
        1 => contents(1, plain),
        2 => contents(2, plain),
        3 => payload(plain),
        4 => reissue(plain),
        5 => grant(plain),
        6 => rungs(plain),
        7 => drop(codec::decode::<Membership>(plain)),
        8 => hello(plain),
        9 => chain(plain),
        10 => recovery_answer(plain),
        _ => packed(plain),
    }
}

/// An envelope whose author sealed exactly these bytes in this way, and signed for them.
fn contents(method: u8, plain: &[u8]) {
    let key = key();
    let epoch = epoch_of(&key);
    let context = [b"huza payload 1\0".as_slice(), &LOG.0, &epoch.0].concat();
    let Ok(packed) = huza_crdt::pack::pack(plain) else { return };
    let (body, salt) = match method {
        1 => {
            let salted = [[7; 32].as_slice(), &packed].concat();
            (sealing_of(&key).public().seal(&context, &salted, [4; 32]).unwrap(), [7; 32])
        }
        _ => {
            let context = if method == 2 { [context.as_slice(), &[2]].concat() } else { context };
            let body = key.seal(&context, &packed, [4; 32]);
            let salt = key.derive("huza items salt 1", b"").mac(&[&body[..24]]);
            (body, salt)
        }
    };
    let items_root = if method == 2 {
        root(&salt, plain)
    } else {
        let read = Payload::from_short(LOG, plain);
        read.map_or([0; 16], |payload| huza_crdt::envelope::items_root(&salt, &payload.items))
    };
    let payload = [&[method], body.as_slice()].concat();
    let one = Unnumbered { changes: 0, epoch, urgency: Urgency::Routine, items_root, payload };
    open(&one.number(&author(), LOG, 9, Hash([8; 32])));
}

/// What a re-issuing header signs for: see `hash_parts` of the core.
fn root(salt: &[u8; 32], plain: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("huza 2026 reissues root");
    for part in [salt.as_slice(), plain] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes().first_chunk().unwrap()
}

fn open(stored: &Stored) {
    let header = stored.wire.header(LOG, 9, stored.previous);
    let Content::Sealed(sealed) = &stored.wire.content else { panic!("sealed") };
    if let Ok(Contents::Reissued(all)) = Contents::open(&header, sealed, &key()) {
        for one in all {
            let _log = one.log();
            drop(one.items(author().public()));
        }
    }
}

/// A payload that a writer of this version would seal comes back as it was.
fn payload(plain: &[u8]) {
    if let Ok(payload) = Payload::from_short(LOG, plain) {
        assert_eq!(Payload::from_short(LOG, &payload.to_short(LOG)), Ok(payload));
    }
    let Ok(payload) = codec::decode::<Payload>(plain) else { return };
    let key = key();
    let outsider = Seal::Outsider(epoch_of(&key), sealing_of(&key).public());
    for seal in [Seal::Member(key.clone()), outsider] {
        let Ok(sealed) = payload.seal(LOG, &seal, Urgency::Urgent, [4; 32]) else { continue };
        let stored = sealed.number(&author(), LOG, 9, Hash([8; 32]));
        let header = stored.wire.header(LOG, 9, stored.previous);
        let Content::Sealed(sealed) = &stored.wire.content else { panic!("sealed") };
        assert_eq!(Payload::open(&header, sealed, &key), Ok(payload.clone()));
    }
}

/// What a hostile authority re-issues; nothing is taken that its author did not sign.
fn reissue(plain: &[u8]) {
    let Ok(mut all) = codec::decode::<Vec<Reissue>>(plain) else { return };
    for one in &mut all {
        // The fuzzer finds no signature: the author signs what the leaves come to, now and then.
        if one.first % 2 == 0 {
            one.signature = author().sign(Purpose::Envelope, &codec::encode(&one.header));
        }
    }
    if let Ok(sealed) = seal_reissues(&all, LOG, &key(), [4; 32]) {
        open(&sealed.number(&author(), LOG, 9, Hash([8; 32])));
    }
}

fn grant(plain: &[u8]) {
    let sealing = SealingKey::from_seed([5; 32]);
    let (to, epoch) = (CertId([6; 16]), EpochId([7; 16]));
    let context = [b"huza grant 1\0".as_slice(), &to.0, &epoch.0].concat();
    let sealed = sealing.public().seal(&context, plain, [4; 32]).unwrap();
    let grant = Grant { to, opens: AreaScope::Programme, epoch, sealed };
    let Ok(content) = open_grant(&grant, &sealing) else { return };
    assert_eq!(codec::encode(&content), plain);
    let mut keyring = Keyring::new(&key());
    keyring.add(content);
    let _areas = keyring.areas().count();
}

/// Rungs of an authority that lies in them; a keyring climbs down and comes to an end.
fn rungs(plain: &[u8]) {
    let root = author();
    let mut lane = Lane::new(root.public());
    let area = AreaTag([1; 16]);
    let opens = AreaScope::Area(area);
    let step = |n: u8| SymmetricKey::from_bytes([n % 8; 32]);
    for (number, pair) in plain.chunks(2).take(32).enumerate() {
        let [from, to] = pair else { continue };
        let earlier = Predecessor { key: step(*to), generation: u32::from(*to) << 24 };
        let rung: Rung = if to % 5 == 4 {
            let epoch = epoch_of(&step(*from));
            Rung { opens, epoch, sealed: plain.to_vec() }
        } else {
            seal_rung(opens, &step(*from), &[earlier], [*to; 32])
        };
        let scope = huza_crdt::control::Scope::Catchment(area.catchment());
        let place = (number as u64, Hash([0; 32]));
        let body = (kind::RUNG, codec::encode(&rung));
        let said =
            huza_crdt::control::Statement::sign(&root, Issuer::Programme, place, scope, body);
        lane.admit(said).unwrap();
    }
    let mut keyring = Keyring::new(&key());
    let name = AreaName { catchment: "HC1".to_owned(), village: "01".to_owned() };
    keyring.add(GrantContent::Area(AreaKey { area, name, key: step(0) }));
    keyring.climb_down(&lane);
    assert!(keyring.keys_of(area).count() <= 8);
}

fn channel() -> Channel {
    Channel { binding: [7; 32], dialer: true }
}

fn hello(plain: &[u8]) {
    let channel = channel();
    let context = [b"huza hello 1\0".as_slice(), &[7; 32], &[1]].concat();
    let sealed = Bytes(key().seal(&context, plain, [4; 32]));
    if let Some((hello, signature)) = channel.open_hello(&sealed, &key()) {
        assert_eq!(codec::encode(&(&hello, signature)), plain);
        let _proven = channel.proof(&hello, author().public(), signature).verify();
    }
    let hello = Hello {
        version: 1,
        certificate: CertId([1; 16]),
        digest: [2; 16],
        count: 3,
        room: 4,
        more: false,
    };
    let good = channel.seal_hello(&hello, &author(), &key(), [4; 32]);
    assert!(channel.open_hello(&good, &key()).is_some());
}

fn chain(plain: &[u8]) {
    let channel = channel();
    let context = [b"huza hello 1\0".as_slice(), &[7; 32], &[1]].concat();
    let grounds = [b"huza grounds 1\0".as_slice(), &context].concat();
    drop(channel.open_chain(&Bytes(key().seal(&context, plain, [4; 32])), &key()));
    let sealed = Bytes(key().seal(&grounds, plain, [4; 32]));
    if let Some(shown) = channel.open_grounds(&sealed, &key()) {
        assert!(shown.len() <= huza_crdt::limits::GROUNDS_MAX);
        let frame = Frame::Revoked(sealed);
        assert_eq!(Frame::from_bytes(&codec::encode(&frame)).unwrap(), frame);
    }
}

fn recovery_answer(plain: &[u8]) {
    let one_time = SealingKey::from_seed([5; 32]);
    if let Ok(answer) = codec::decode::<RecoveryAnswer>(plain) {
        drop(recovery::open(&answer, &one_time));
    }
    if let Ok(request) = codec::decode::<RecoveryRequest>(plain) {
        let answer = recovery::answer(&request, CertId([1; 16]), &one_time, [4; 32]);
        assert!(answer.is_err() || request.verify());
    }
}

/// What unpacks, packs and unpacks to the same.
fn packed(bytes: &[u8]) {
    if let Ok(plain) = huza_crdt::pack::unpack(bytes, 100_000) {
        let again = huza_crdt::pack::pack(&plain).unwrap();
        assert_eq!(huza_crdt::pack::unpack(&again, 100_000).unwrap(), plain);
    }
}
