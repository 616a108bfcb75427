//! Attacks over real sockets on a whole daemon: strangers, members that lie, devices that were shut
//! out. Each is refused and reported, or bounded and survived, and the daemon serves on.
//! What a member may say is tested exactly in the core (`hostile_peer.rs`, `adversary.rs`).

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod driver_support;
mod net_support;

use std::{
    cell::Cell,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use driver_support::{
    Authority, Daemon, PATIENCE, call, eventually, found, offline, options, person, written,
};
use huza_crdt::{
    codec,
    control::{Opening, Scope, Statement, kind},
    crypto::{SealingKey, SigningKey, SymmetricKey},
    envelope::{Item, Payload, Seal, Urgency},
    id::{AreaTag, CertId, Hash, Incarnation, RecordId},
    limits::{HELLO_BYTES_MAX, HELLO_MS_MAX},
    node::{Command, Event, Reply, Status},
    session::{
        Fault,
        frame::{Bytes, Channel, Frame, Hello, Run, VERSION, take_frame},
    },
    time::Stamp,
    trust::{
        AreaScope, Certificate, Issuer, Role,
        approval::{JoinRequest, Membership},
    },
};
use huza_daemon::{
    RunOptions, ShellEvent,
    net::{NetConfig, NetEvent},
};
use net_support::{Opened, Peer, config};
use tokio::time::timeout;

/// A member with a real certificate and a program of its own.
struct Liar {
    key: SigningKey,
    membership: Membership,
    chain: Vec<Vec<u8>>,
    area: AreaTag,
    /// Whether the other end knows its certificate by now: then it wants no chain.
    known: Cell<bool>,
}

impl Liar {
    fn join(authority: &mut Authority, seed: u8) -> Self {
        let (key, sealing) = (SigningKey::from_seed([seed; 32]), SealingKey::from_seed([seed; 32]));
        let label = ("liar", false);
        let request = JoinRequest::new(&key, sealing.public(), label, Stamp(2), [seed; 8]);
        let welcome = authority.approve(&request, Role::Worker);
        let membership = welcome.open(&sealing).unwrap();
        let chain: Vec<&Statement> =
            welcome.statements.iter().filter(|one| one.kind() == kind::CERTIFICATE).collect();
        let cose = chain.last().unwrap().body();
        let (own, _) = Certificate::read(cose, |_| Some(key.public())).unwrap();
        let AreaScope::Area(area) = own.areas[0] else { panic!("one village") };
        let chain = chain.iter().map(|one| one.to_bytes()).collect();
        Self { key, membership, chain, area, known: Cell::new(false) }
    }

    /// Dials `address` and proves itself, as `certificate`; what the other end says is discarded.
    async fn dial(&self, address: &str, certificate: CertId) -> (Peer, Opened) {
        // Turned away, it does not come again by itself.
        let dial = vec![address.to_owned()];
        let mut peer = Peer::start(NetConfig { dial, redial_ms_min: 60_000, ..config(&[]) });
        let opened = peer.opened().await;
        let channel = Channel { binding: opened.binding, dialer: true };
        let hello = Hello {
            version: VERSION,
            certificate,
            digest: [0; 16],
            count: 0,
            room: 0,
            more: false,
        };
        let hello = channel.seal_hello(&hello, &self.key, &self.membership.member, [1; 32]);
        let chain = channel.seal_chain(&self.chain, &self.membership.member, [2; 32]);
        peer.net.send(opened.pipe, Frame::Hello(hello).to_pipe()).await.unwrap();
        if !self.known.replace(true) {
            drop(peer.net.send(opened.pipe, Frame::Chain(chain).to_pipe()).await);
        }
        (peer, opened)
    }

    async fn meet(&self, address: &str) -> (Peer, Opened) {
        let (peer, opened) = self.dial(address, self.membership.certificate).await;
        let last = Frame::Summary { statements: vec![], logs: vec![], last: true };
        // Of two contacts at once the other end may have closed this one by now.
        drop(peer.net.send(opened.pipe, last.to_pipe()).await);
        (peer, opened)
    }

    fn statement(&self, number: u64, kind: u8, body: Vec<u8>) -> Statement {
        let issuer = Issuer::Certified(self.membership.certificate);
        let scope = Scope::Catchment(self.area.catchment());
        Statement::sign(&self.key, issuer, (number, Hash([0; 32])), scope, (kind, body))
    }
}

/// Frames that a peer says until its pipe closes or nothing comes for `quiet`.
async fn heard(peer: &mut Peer, quiet: Duration) -> Vec<Frame> {
    let mut buffer = Vec::new();
    let mut frames = Vec::new();
    while let Some(event) = peer.next_within(quiet).await {
        match event {
            NetEvent::Received { bytes, .. } => buffer.extend(bytes),
            NetEvent::PipeClosed { .. } => break,
            _ => {}
        }
        while let Some(bytes) = take_frame(&mut buffer).unwrap() {
            frames.push(Frame::from_bytes(&bytes).unwrap());
        }
    }
    frames
}

async fn status(daemon: &Daemon) -> Status {
    match call(&daemon.home, Command::Status { records: false }).await {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

async fn sessions(daemon: &Daemon) -> usize {
    match call(&daemon.home, Command::Peers).await {
        Reply::Peers { sessions } => sessions.iter().filter(|one| one.peer.is_some()).count(),
        other => panic!("{other:?}"),
    }
}

/// The fault with which the daemon ended the next contact that it ended by one.
async fn fault(daemon: &mut Daemon) -> Fault {
    let ended = |event: &ShellEvent| {
        matches!(event, ShellEvent::Node(Event::ContactEnded { fault: Some(_), .. }))
    };
    match daemon.until(ended).await {
        ShellEvent::Node(Event::ContactEnded { fault: Some(fault), .. }) => fault,
        other => panic!("{other:?}"),
    }
}

/// The address that speaks this transport.
fn address(daemon: &Daemon, transport: &str) -> String {
    daemon.addresses.iter().find(|one| one.contains(transport)).unwrap().clone()
}

fn socket(address: &str) -> std::net::SocketAddr {
    format!("127.0.0.1:{}", address.split('/').nth(4).unwrap()).parse().unwrap()
}

/// A member still gets through.
async fn serves(authority: &mut Authority, dir: &std::path::Path, daemon: &Daemon, name: &str) {
    let home = authority.enrol(dir, name, Role::Worker).await;
    written(offline(&home, person("Aline")).await);
    let mut phone = Daemon::start(&home, &[address(daemon, "quic")]).await;
    let complete =
        |event: &ShellEvent| matches!(event, ShellEvent::Node(Event::ContactComplete { .. }));
    phone.until(complete).await;
    phone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_closed_with_a_report_and_told_a_hello_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let mut hub = Daemon::start(&home, &[]).await;
    let endless = [&u32::MAX.to_le_bytes()[..], &[1; 600]].concat();
    let long = u32::try_from(HELLO_BYTES_MAX + 1).unwrap();
    let long = [&long.to_le_bytes()[..], &[1; 600]].concat();
    let nonsense = Frame::Hello(Bytes(vec![5; 300])).to_pipe();
    let early = Frame::Summary { statements: vec![], logs: vec![], last: true }.to_pipe();
    let wanted = |fault: &Fault, number: usize| match number {
        0..=2 => matches!(fault, Fault::Malformed(_)),
        3 => *fault == Fault::NotAMember,
        _ => matches!(fault, Fault::OutOfTurn(_)),
    };
    let garbage = net_support::pattern(3, 5_000);
    for transport in ["tcp", "quic"] {
        let all = [endless.clone(), long.clone(), garbage.clone(), nonsense.clone(), early.clone()];
        for (number, bytes) in all.into_iter().enumerate() {
            let dial = vec![address(&hub, transport)];
            // One attempt each: a stranger that comes again is turned away again.
            let mut stranger =
                Peer::start(NetConfig { dial, redial_ms_min: 60_000, ..config(&[]) });
            let opened = stranger.opened().await;
            stranger.net.send(opened.pipe, bytes).await.unwrap();
            let said = heard(&mut stranger, PATIENCE).await;
            assert!(matches!(said.as_slice(), [Frame::Hello(_)]), "{said:?}");
            let why = fault(&mut hub).await;
            assert!(wanted(&why, number), "{transport} {number}: {why}");
        }
    }
    let after = status(&hub).await;
    assert_eq!(after.envelopes, 0);
    assert_eq!(sessions(&hub).await, 0);
    serves(&mut authority, dir.path(), &hub, "phone").await;
    hub.stop().await;
}

/// One byte a second, before anything is proven: the session ends when the hello is due. At the
/// same time another says nothing at all, and another stops in the middle of the handshake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drips_before_the_hello_is_given_its_time_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let mut hub = Daemon::start(&home, &[]).await;
    let begun = Instant::now();
    let mut half = TcpStream::connect(socket(&address(&hub, "tcp"))).unwrap();
    half.write_all(b"\x13/multistream/1.0.0\n").unwrap();
    let dial = vec![address(&hub, "tcp")];
    let slow = NetConfig { dial, redial_ms_min: 60_000, ..config(&[]) };
    let mut drip = Peer::start(slow.clone());
    let mut mute = Peer::start(slow);
    let (dripping, _mute) = (drip.opened().await, mute.opened().await);
    let net = drip.net.clone();
    let dripper = tokio::spawn(async move {
        let frame = Frame::Hello(Bytes(vec![5; 300])).to_pipe();
        for byte in frame {
            if net.send(dripping.pipe, vec![byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    for _ in 0..2 {
        assert_eq!(fault(&mut hub).await, Fault::Silent);
    }
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap();
    assert!(millis >= HELLO_MS_MAX - 2_000, "{millis} ms");
    dripper.abort();
    // The half handshake has been closed by then too.
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 4_096, "{} bytes said to half a handshake", rest.len());
    serves(&mut authority, dir.path(), &hub, "phone").await;
    hub.stop().await;
}

/// A member that drips keeps one session, however often it dials; the older ones close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_drips_holds_one_session_however_often_it_dials() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let hub = Daemon::start(&home, &[]).await;
    let liar = Liar::join(&mut authority, 9);
    let mut held = Vec::new();
    for number in 0..12 {
        let transport = if number % 2 == 0 { "tcp" } else { "quic" };
        let (peer, opened) = liar.meet(&address(&hub, transport)).await;
        // Half a frame that never ends.
        drop(peer.net.send(opened.pipe, vec![0, 0, 1]).await);
        held.push(peer);
    }
    driver_support::eventually("one session", async || sessions(&hub).await == 1).await;
    drop(held);
    serves(&mut authority, dir.path(), &hub, "phone").await;
    hub.stop().await;
}

/// A device that is shut out is told why, each time, in a few hundred bytes; nothing that it sends
/// is kept; and if it is one of ours, it dials ever more rarely.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_device_is_told_each_time_and_costs_little() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let mut hub = Daemon::start(&home, &[]).await;
    let liar = Liar::join(&mut authority, 9);
    let (peer, _) = liar.meet(&address(&hub, "tcp")).await;
    hub.until(|event| matches!(event, ShellEvent::Node(Event::Met { .. }))).await;
    drop(peer);
    let mut paper = authority.centre().clone();
    let revocation = paper.revoke(liar.membership.certificate, huza_crdt::control::Reason::Stolen);
    let taken = call(&hub.home, Command::Take { statements: vec![revocation] }).await;
    assert!(matches!(taken, Reply::Issued { .. }), "{taken:?}");
    let before = status(&hub).await;
    for _ in 0..10 {
        let (mut peer, opened) = liar.meet(&address(&hub, "tcp")).await;
        drop(peer.net.send(opened.pipe, vec![7; 200_000]).await);
        let said = heard(&mut peer, PATIENCE).await;
        assert!(matches!(said.as_slice(), [Frame::Hello(_), Frame::Revoked(_)]), "{said:?}");
        let bytes: usize = said.iter().map(|frame| frame.to_pipe().len()).sum();
        assert!(bytes < 2_000, "{bytes} bytes to tell it");
        let mut why = fault(&mut hub).await;
        if why == Fault::Duplicate {
            why = fault(&mut hub).await;
        }
        assert_eq!(why, Fault::Revoked);
    }
    let after = status(&hub).await;
    assert_eq!((after.envelopes, after.statements), (before.envelopes, before.statements));
    hub.stop().await;
}

/// Our own daemon on a revoked phone tries again with growing pauses, and says so to its user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_phone_backs_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub_home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let phone_home = authority.enrol(dir.path(), "phone", Role::Worker).await;
    let mut hub = Daemon::start(&hub_home, &[]).await;
    let Reply::Status(own) = offline(&phone_home, Command::Status { records: false }).await else {
        panic!("a status")
    };
    let dial = vec![address(&hub, "tcp")];
    let patient = RunOptions { dial, redial_ms_max: Some(60_000), ..options() };
    let phone = Daemon::start_with(&phone_home, patient).await;
    hub.until(|event| matches!(event, ShellEvent::Node(Event::ContactComplete { .. }))).await;
    let mut paper = authority.centre().clone();
    let certificate = own.certificate.unwrap();
    let revocation = paper.revoke(certificate, huza_crdt::control::Reason::Stolen);
    call(&hub.home, Command::Take { statements: vec![revocation] }).await;
    assert_eq!(fault(&mut hub).await, Fault::Revoked);
    let mut tried = 0;
    let until = Instant::now() + Duration::from_secs(10);
    while let Ok(event) =
        timeout(until.saturating_duration_since(Instant::now()), hub.events.recv()).await
    {
        if let ShellEvent::Node(Event::ContactEnded { fault: Some(why), .. }) = event.unwrap() {
            assert_eq!(why, Fault::Revoked);
            tried += 1;
        }
    }
    assert!(tried <= 5, "{tried} attempts in ten seconds");
    assert!(status(&phone).await.revoked.is_some(), "its user is told");
    phone.stop().await;
    hub.stop().await;
}

/// A member that floods is stopped where the session's rules are broken; what it may send, it
/// sends one batch at a time, and others are served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooding_member_is_slowed_and_the_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let mut hub = Daemon::start(&home, &[]).await;
    let liar = Liar::join(&mut authority, 9);
    // Batch upon batch without waiting for an answer.
    let (peer, opened) = liar.meet(&address(&hub, "tcp")).await;
    let mut number = 0;
    let frame = |number: u32| Frame::Batch {
        number,
        statements: vec![Bytes(liar.statement(u64::from(number), 200, vec![1; 4_000]).to_bytes())],
        runs: vec![],
    };
    while number < 2_000 && peer.net.send(opened.pipe, frame(number).to_pipe()).await.is_ok() {
        number += 1;
    }
    let why = fault(&mut hub).await;
    assert!(matches!(why, Fault::OutOfTurn(_)), "{why}");
    drop(peer);
    let flooded = status(&hub).await.statements;
    assert!(flooded < 1_200, "{flooded} statements");
    // A polite flood: as many envelopes as it likes, one batch after the other, while a phone
    // comes and is served.
    let (mut peer, opened) = liar.meet(&address(&hub, "tcp")).await;
    let body = Opening {
        device: liar.key.public(),
        certificate: liar.membership.certificate,
        area: liar.area,
        incarnation: Incarnation([1; 16]),
    };
    let opening = liar.statement(1 << 32, kind::OPENING, codec::encode(&body));
    let log = opening.log();
    let flood = tokio::spawn({
        let key = liar.key.clone();
        async move {
            let mut previous = Hash([0; 32]);
            for number in 0..200_u32 {
                let item =
                    Item { record: RecordId([1; 16]), change: vec![0; 20_000], card: vec![] };
                let payload = Payload { origin: None, first: u64::from(number), items: vec![item] };
                let seal = Seal::Member(SymmetricKey::from_bytes([9; 32]));
                let sealed = payload.seal(log, &seal, Urgency::Routine, [3; 32]).unwrap();
                let stored = sealed.number(&key, log, u64::from(number), previous);
                let first = u64::from(number);
                let run = Run { log, first, previous, envelopes: vec![stored.wire.clone()] };
                previous = stored.wire.header(log, first, previous).hash();
                let statements =
                    if number == 0 { vec![Bytes(opening.to_bytes())] } else { Vec::new() };
                let batch = Frame::Batch { number, statements, runs: vec![run] };
                if peer.net.send(opened.pipe, batch.to_pipe()).await.is_err() {
                    return number;
                }
                let acknowledged = |frames: &[Frame]| frames.contains(&Frame::Ack { number });
                let mut buffer = Vec::new();
                let mut frames = Vec::new();
                while !acknowledged(&frames) {
                    match peer.next().await {
                        NetEvent::Received { bytes, .. } => buffer.extend(bytes),
                        NetEvent::PipeClosed { .. } => return number,
                        _ => {}
                    }
                    while let Some(bytes) = take_frame(&mut buffer).unwrap() {
                        let frame = Frame::from_bytes(&bytes).unwrap();
                        if let Frame::Batch { number, .. } = &frame {
                            let ack = Frame::Ack { number: *number }.to_pipe();
                            drop(peer.net.try_send(opened.pipe, ack));
                        }
                        frames.push(frame);
                    }
                }
            }
            200
        }
    });
    serves(&mut authority, dir.path(), &hub, "phone").await;
    let sent = flood.await.unwrap();
    assert!(sent > 0, "a member may write");
    assert_eq!(found(&hub.home, "Aline").await.len(), 1, "and everybody else is read");
    hub.stop().await;
}

/// A stranger that subscribes to gossip hears what it cannot open, and nothing that it says is
/// passed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_gossips_learns_nothing_and_is_passed_on_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub_home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let phone_home = authority.enrol(dir.path(), "phone", Role::Worker).await;
    let hub = Daemon::start(&hub_home, &[]).await;
    let dial = vec![address(&hub, "tcp")];
    let gossip = |dial: Vec<String>| NetConfig { dial, gossip: true, ..config(&[]) };
    let mut talker = Peer::start(gossip(dial.clone()));
    let mut listener = Peer::start(gossip(dial.clone()));
    talker.opened().await;
    let heard = listener.opened().await.pipe;
    listener.net.admit(heard).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let planted = b"news of nobody, thirty bytes and more than that".to_vec();
    drop(talker.net.publish(planted.clone()));
    // A real change spreads by gossip meanwhile.
    let mut phone = Daemon::start(&phone_home, &dial).await;
    let complete =
        |event: &ShellEvent| matches!(event, ShellEvent::Node(Event::ContactComplete { .. }));
    phone.until(complete).await;
    written(call(&phone.home, person("Aline")).await);
    call(&phone.home, Command::Seal).await;
    eventually("the hub takes it", async || found(&hub.home, "Aline").await.len() == 1).await;
    let until = Instant::now() + Duration::from_secs(6);
    let mut news = Vec::new();
    while let Some(event) =
        listener.next_within(until.saturating_duration_since(Instant::now())).await
    {
        if let NetEvent::News { bytes, .. } = event {
            news.push(bytes);
        }
    }
    assert!(!news.contains(&planted), "passed on for a stranger");
    for bytes in news {
        // 40 bytes of log and seq at most, sealed: a nonce, a tag, and nothing in the clear.
        assert!(bytes.len() < 24 + 16 + 48, "{} bytes", bytes.len());
    }
    phone.stop().await;
    hub.stop().await;
}
