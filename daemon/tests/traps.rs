//! What goes wrong on networks as they are, with real swarms, daemons and sockets: a hotspot's owner
//! whom nobody sees, UDP that is dropped, a network that changes under a transfer, links that are cut
//! again and again, both ends sending while neither reads, peers that refuse our stream.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod driver_support;
mod net_support;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use driver_support::{
    Authority, Daemon, call, eventually, found, offline, options, person, written,
};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::poll_fn};
use huza_crdt::{
    node::{AreaRef, Command, Event, Reply, SessionStatus},
    trust::Role,
};
use huza_daemon::{
    RunOptions, ShellEvent,
    net::{NetConfig, NetEvent, PipeEnd, SendError},
};
use libp2p::{
    core::{
        Transport as _,
        muxing::{StreamMuxerBox, StreamMuxerExt as _},
        transport::{ListenerId, TransportEvent},
        upgrade,
    },
    identity::Keypair,
    noise, tcp, yamux,
};
use net_support::{Peer, QUIC, TCP, config, pattern};

/// A port that is free now for TCP and UDP alike on all of these addresses, and stays free: it is
/// below those that the system gives to whoever wants any.
fn free_port(addresses: &[&str]) -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let start = usize::try_from(std::process::id()).unwrap();
    for _ in 0..1_000 {
        let number = start * 37 + NEXT.fetch_add(1, Ordering::SeqCst);
        let port = u16::try_from(20_000 + number % 12_000).unwrap();
        let free = |address: &&str| {
            TcpListener::bind((*address, port)).is_ok() && UdpSocket::bind((*address, port)).is_ok()
        };
        if addresses.iter().all(free) {
            return port;
        }
    }
    panic!("no free port");
}

fn multiaddresses(host: &str, port: u16) -> [String; 2] {
    [format!("/ip4/{host}/udp/{port}/quic-v1"), format!("/ip4/{host}/tcp/{port}")]
}

/// `127.0.0.1:port` of the address of this transport.
fn socket(addresses: &[String], transport: &str) -> String {
    let address = addresses.iter().find(|address| address.contains(transport)).unwrap();
    format!("127.0.0.1:{}", address.split('/').nth(4).unwrap())
}

/// A line by TCP that can go bad.
struct Line {
    port: u16,
    /// Bytes that dialler and answerer have sent.
    carried: [Arc<AtomicU64>; 2],
    /// Bytes of the dialler after which each connection is cut.
    cut_after: Arc<AtomicU64>,
    /// Connections so far; those before the `deaf_below`th carry nothing any more, and stay open.
    connections: Arc<AtomicUsize>,
    deaf_below: Arc<AtomicUsize>,
    /// Whether nobody gets through any more.
    gone: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            carried: <[Arc<AtomicU64>; 2]>::default(),
            cut_after: Arc::new(AtomicU64::new(u64::MAX)),
            connections: Arc::default(),
            deaf_below: Arc::default(),
            gone: Arc::default(),
            open: Arc::default(),
        };
        let (carried, cut_after) = (line.carried.clone(), Arc::clone(&line.cut_after));
        let (connections, deaf) = (Arc::clone(&line.connections), Arc::clone(&line.deaf_below));
        let (gone, open) = (Arc::clone(&line.gone), Arc::clone(&line.open));
        std::thread::spawn(move || {
            for dialler in listener.incoming().map_while(Result::ok) {
                let Ok(answerer) = TcpStream::connect(&target) else { continue };
                let number = connections.fetch_add(1, Ordering::SeqCst);
                if gone.load(Ordering::SeqCst) {
                    continue;
                }
                let both = [dialler, answerer];
                open.lock().unwrap().extend(both.iter().map(|one| one.try_clone().unwrap()));
                let ends = [(0, 1), (1, 0)].map(|(from, to)| {
                    (both[from].try_clone().unwrap(), both[to].try_clone().unwrap())
                });
                for (way, (mut from, mut to)) in ends.into_iter().enumerate() {
                    let (carried, cut) = (Arc::clone(&carried[way]), Arc::clone(&cut_after));
                    let deaf = Arc::clone(&deaf);
                    std::thread::spawn(move || {
                        let (mut buffer, mut passed) = (vec![0; 4_096], 0_u64);
                        while let Ok(read @ 1..) = from.read(&mut buffer) {
                            if number < deaf.load(Ordering::SeqCst) {
                                continue;
                            }
                            let length = u64::try_from(read).unwrap();
                            passed += length;
                            let over = way == 0 && passed > cut.load(Ordering::SeqCst);
                            if over || to.write_all(&buffer[..read]).is_err() {
                                break;
                            }
                            carried.fetch_add(length, Ordering::SeqCst);
                        }
                        drop(from.shutdown(Shutdown::Both));
                        drop(to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        line
    }

    fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.port)
    }

    fn sent(&self) -> u64 {
        self.carried[0].load(Ordering::SeqCst)
    }

    /// Those who are connected hear nothing any more and are not told; who comes anew gets through.
    fn go_deaf(&self) {
        self.deaf_below.store(self.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Cuts all, for ever.
    fn go(&self) {
        self.gone.store(true, Ordering::SeqCst);
        for one in self.open.lock().unwrap().drain(..) {
            drop(one.shutdown(Shutdown::Both));
        }
    }
}

// The owner of the hotspot.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_a_hotspot_is_found_as_the_gateway() {
    // The network is loopback: its owner is .1, we are .2, and both use the same port.
    let port = free_port(&["127.0.0.1", "127.0.0.2"]);
    let dir = tempfile::tempdir().unwrap();
    let routes = dir.path().join("route");
    let spelled = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let (none, owner) = (spelled([0; 4]), spelled([127, 0, 0, 1]));
    let (network, mask) = (spelled([127, 0, 0, 0]), spelled([255, 0, 0, 0]));
    let table = format!(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
         lo\t{none}\t{owner}\t0003\t0\t0\t0\t{none}\n\
         lo\t{network}\t{none}\t0001\t0\t0\t0\t{mask}\n"
    );
    std::fs::write(&routes, table).unwrap();
    let (hub, phone) = (multiaddresses("127.0.0.1", port), multiaddresses("127.0.0.2", port));
    let mut hub = Peer::start(config(&[&hub[0], &hub[1]]));
    hub.listens().await;
    hub.listens().await;
    // Neither mDNS nor anybody to dial.
    let phone = NetConfig { routes: Some(routes), ..config(&[&phone[0], &phone[1]]) };
    let mut phone = Peer::start(phone);
    let opened = phone.opened().await;
    assert!(opened.dialer && opened.remote_address.contains("127.0.0.1"), "{opened:?}");
    assert_eq!(hub.opened().await.binding, opened.binding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_is_no_device_of_ours_is_no_news() {
    let port = free_port(&["127.0.0.1", "127.0.0.2"]);
    let dir = tempfile::tempdir().unwrap();
    let routes = dir.path().join("route");
    let spelled = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let (none, router) = (spelled([0; 4]), spelled([127, 0, 0, 1]));
    let (network, mask) = (spelled([127, 0, 0, 0]), spelled([255, 0, 0, 0]));
    let table =
        format!("lo {none} {router} 0003 0 0 0 {none}\nlo {network} {none} 0001 0 0 0 {mask}\n");
    std::fs::write(&routes, table).unwrap();
    let asked = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let listen = format!("/ip4/127.0.0.2/tcp/{port}");
    let mut phone = Peer::start(NetConfig { routes: Some(routes), ..config(&[&listen]) });
    // It is asked more than once, and hangs up each time.
    let times = tokio::task::spawn_blocking(move || asked.incoming().take(2).count());
    assert_eq!(times.await.unwrap(), 2);
    while let Ok(event) = phone.events.try_recv() {
        assert!(matches!(event, NetEvent::Listening { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_met_is_met_again_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let phone = authority.enrol(dir.path(), "phone", Role::Worker).await;
    let hub = Daemon::start(&hub, &[]).await;
    let mut first = Daemon::start(&phone, &hub.addresses).await;
    first.until(is_complete).await;
    first.stop().await;
    // Nobody is named, and nobody is found by mDNS.
    let mut again = Daemon::start(&phone, &[]).await;
    again.until(is_complete).await;
    again.stop().await;
    hub.stop().await;
}

// UDP.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_udp_is_dropped_tcp_connects() {
    let port = free_port(&["127.0.0.1"]);
    // What comes by UDP goes nowhere, and nobody says so.
    let hole = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let (mut hub, _) = Peer::listening(config(&[&multiaddresses("127.0.0.1", port)[1]])).await;
    let mut phone =
        Peer::start(NetConfig { dial: vec![format!("127.0.0.1:{port}")], ..config(&[]) });
    let mut tries = 0;
    let opened = loop {
        match phone.next().await {
            NetEvent::PipeOpened { pipe, remote_address, .. } => break (pipe, remote_address),
            NetEvent::DialFailed { .. } => tries += 1,
            _ => {}
        }
    };
    assert_eq!(tries, 0, "in the first round, beside QUIC");
    assert!(opened.1.contains("/tcp/"), "{}", opened.1);
    hole.set_nonblocking(true).unwrap();
    assert!(hole.recv(&mut [0; 2_000]).is_ok(), "QUIC was tried");
    phone.net.try_send(opened.0, b"hello".to_vec()).unwrap();
    let at_hub = hub.opened().await;
    assert_eq!(hub.read(at_hub.pipe, 5).await, b"hello");
}

// Both at once.

async fn sessions(daemon: &Daemon) -> Vec<SessionStatus> {
    match call(&daemon.home, Command::Peers).await {
        Reply::Peers { sessions } => sessions,
        other => panic!("{other:?}"),
    }
}

fn is_complete(event: &ShellEvent) -> bool {
    matches!(event, ShellEvent::Node(Event::ContactComplete { .. }))
}

/// The pipes that are open, each with whether we dialled, as the events so far tell.
fn open_pipes(daemon: &mut Daemon, open: &mut BTreeMap<u64, bool>) {
    while let Ok(event) = daemon.events.try_recv() {
        match event {
            ShellEvent::PipeOpened { pipe, dialer, .. } => drop(open.insert(pipe, dialer)),
            ShellEvent::PipeClosed { pipe, .. } => drop(open.remove(&pipe)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_that_dial_each_other_keep_one_session_the_same_at_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let mut homes = Vec::new();
    for name in ["one", "two"] {
        homes.push(authority.enrol(dir.path(), name, Role::Worker).await);
    }
    for round in 0..3 {
        // QUIC keeps a port for a moment after its connections have ended.
        let ports = [free_port(&["127.0.0.1"]), free_port(&["127.0.0.1"])];
        let start = |own: usize| {
            let listen = multiaddresses("127.0.0.1", ports[own]).to_vec();
            let dial = vec![format!("127.0.0.1:{}", ports[1 - own])];
            RunOptions { listen, dial, ..options() }
        };
        let name = format!("Aline{round}");
        let records = [
            written(offline(&homes[0], person(&name)).await),
            written(offline(&homes[1], person(&name)).await),
        ];
        let (mut one, mut two) = tokio::join!(
            Daemon::start_with(&homes[0], start(0)),
            Daemon::start_with(&homes[1], start(1)),
        );
        for home in &homes {
            eventually("both hold both", async || {
                let held = found(home, &name).await;
                records.iter().all(|record| held.contains(record))
            })
            .await;
        }
        let mut open = [BTreeMap::new(), BTreeMap::new()];
        for (daemon, open) in [&mut one, &mut two].into_iter().zip(&mut open) {
            for event in std::mem::take(&mut daemon.seen) {
                match event {
                    ShellEvent::PipeOpened { pipe, dialer, .. } => drop(open.insert(pipe, dialer)),
                    ShellEvent::PipeClosed { pipe, .. } => drop(open.remove(&pipe)),
                    _ => {}
                }
            }
        }
        let [at_one, at_two] = &mut open;
        eventually("one pipe, dialled by one of them", async || {
            open_pipes(&mut one, at_one);
            open_pipes(&mut two, at_two);
            let dialled = |open: &BTreeMap<u64, bool>| open.values().copied().next();
            at_one.len() == 1 && at_two.len() == 1 && dialled(at_one) != dialled(at_two)
        })
        .await;
        assert_eq!((sessions(&one).await.len(), sessions(&two).await.len()), (1, 1));
        one.stop().await;
        two.stop().await;
    }
}

// The network changes.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_to_another_network_dials_again_though_the_old_pipe_seems_open() {
    let (mut hub, address) = Peer::listening(config(&[TCP])).await;
    let line = Line::to(socket(&[address], "tcp"));
    let mut phone = Peer::start(NetConfig { dial: vec![line.address()], ..config(&[]) });
    let (before, at_hub) = (phone.opened().await, hub.opened().await);
    phone.net.try_send(before.pipe, b"before".to_vec()).unwrap();
    assert_eq!(hub.read(at_hub.pipe, 6).await, b"before");
    line.go_deaf();
    phone.net.network_changed().unwrap();
    let (after, at_hub) = (phone.opened().await, hub.opened().await);
    phone.net.try_send(after.pipe, b"after".to_vec()).unwrap();
    let heard = hub
        .await_map(|event| match event {
            NetEvent::Received { pipe, bytes, .. } if pipe == at_hub.pipe => Ok(bytes),
            other => Err(Box::new(other)),
        })
        .await;
    assert_eq!(heard, b"after");
    // The old one goes, wherever that is decided.
    let (closed, why) = phone.closed().await;
    assert_eq!(closed, before.pipe);
    assert!(matches!(why, PipeEnd::Replaced | PipeEnd::Lost(_) | PipeEnd::Remote), "{why:?}");
}

/// Persons with notes that no dictionary knows, all at once.
async fn long_notes(home: &std::path::Path, count: usize, bytes: usize) {
    let entries: Vec<String> = (0..count)
        .map(|number| {
            let noise = pattern(u64::try_from(number).unwrap() + 1, bytes / 2);
            let note: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
            format!(
                r#"{{"resource":{{"resourceType":"Patient","id":"p{number}","gender":"female",
                "name":[{{"family":"Uwase","given":["{note}"]}}]}}}}"#
            )
        })
        .collect();
    for entries in entries.chunks(10) {
        let entries = entries.join(",");
        let text =
            format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#);
        let import =
            Command::Import { area: AreaRef::Own, text, source: Some("clinic".to_owned()) };
        let reply = offline(home, import).await;
        assert!(matches!(reply, Reply::Imported { .. }), "{reply:?}");
    }
}

async fn envelopes(daemon: &Daemon) -> u64 {
    match call(&daemon.home, Command::Status { records: false }).await {
        Reply::Status(status) => status.envelopes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_goes_on_where_the_hub_has_another_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let phone = authority.enrol(dir.path(), "phone", Role::Worker).await;
    long_notes(&phone, 40, 16_000).await;
    let hub = Daemon::start(&hub, &[]).await;
    let target = socket(&hub.addresses, "tcp");
    let (old, new) = (Line::to(target.clone()), Line::to(target));
    // The old address ends in mid-transfer and does not come back.
    old.cut_after.store(200_000, Ordering::SeqCst);
    new.gone.store(true, Ordering::SeqCst);
    let mut phone = Daemon::start(&phone, &[old.address(), new.address()]).await;
    phone.until(|event| matches!(event, ShellEvent::PipeClosed { .. })).await;
    old.go();
    new.gone.store(false, Ordering::SeqCst);
    assert!(envelopes(&hub).await > 0, "what came before the cut is kept");
    phone.until(is_complete).await;
    eventually("all is there", async || found(&hub.home, "Uwase").await.len() == 40).await;
    // The second half alone came by the new address.
    assert!(new.sent() < 450_000, "{} bytes by the new address", new.sent());
    phone.stop().await;
    hub.stop().await;
}

// Cuts.

/// A link that breaks every 100 kB, as one of 20 kB a second that is cut every five seconds. Counted
/// and not timed, so that a slow machine changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_every_five_seconds_makes_progress_and_repeats_at_most_a_batch() {
    const CUT: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let phone = authority.enrol(dir.path(), "phone", Role::Worker).await;
    long_notes(&phone, 40, 16_000).await;
    let hub = Daemon::start(&hub, &[]).await;
    let line = Line::to(socket(&hub.addresses, "tcp"));
    line.cut_after.store(CUT, Ordering::SeqCst);
    let mut phone = Daemon::start(&phone, &[line.address()]).await;
    let mut cuts = 0_u64;
    loop {
        let event = phone.next_event().await;
        match event {
            ShellEvent::PipeClosed { .. } => {
                cuts += 1;
                assert!(cuts < 40, "no progress: {} envelopes at the hub", envelopes(&hub).await);
            }
            event if is_complete(&event) => break,
            _ => {}
        }
    }
    eventually("all is there", async || found(&hub.home, "Uwase").await.len() == 40).await;
    assert!(cuts >= 3, "{cuts} cuts only");
    let held = file_bytes(40, 16_000);
    let repeated = line.sent().saturating_sub(held);
    println!("{cuts} cuts, {} bytes for {held}: {repeated} more", line.sent());
    // Of each contact a batch may be lost on the way, and it begins with a handshake and a hello.
    let batch = u64::try_from(huza_crdt::limits::BATCH_BYTES_TARGET).unwrap();
    assert!(repeated <= cuts * (batch + 16_000 + 6_000), "{repeated} bytes more after {cuts} cuts");
    phone.stop().await;
    hub.stop().await;
}

/// What the notes of [`long_notes`] take at least: hexadecimal digits of noise do not compress below
/// half.
const fn file_bytes(count: u64, bytes: u64) -> u64 {
    count * bytes / 2
}

// Both windows full.

/// Takes nothing from `peer` and sends until it takes no more.
async fn fill(peer: &Peer, pipe: huza_daemon::net::PipeId) -> usize {
    let (mut taken, mut idle) = (0, 0);
    while idle < 20 {
        match peer.net.try_send(pipe, pattern(u64::try_from(taken).unwrap(), 10_000)) {
            Ok(()) => (taken, idle) = (taken + 10_000, 0),
            Err(SendError::Full(_)) => {
                idle += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(taken < 50_000_000, "no backpressure");
    }
    taken
}

/// Both send until neither can, and none of them reads; when they do, everything flows again.
async fn both_fill_their_windows(listen: &str) {
    let (mut a, address) = Peer::listening(config(&[listen])).await;
    let mut b = Peer::start(NetConfig { dial: vec![address], ..config(&[]) });
    let (at_a, at_b) = (a.opened().await, b.opened().await);
    let (from_a, from_b) = tokio::join!(fill(&a, at_a.pipe), fill(&b, at_b.pipe));
    assert!(from_a > 262_144 && from_b > 262_144, "{from_a} and {from_b} bytes fill nothing");
    let all = |count: usize| -> Vec<u8> {
        (0..count / 10_000)
            .flat_map(|n| pattern(u64::try_from(n * 10_000).unwrap(), 10_000))
            .collect()
    };
    let (got_a, got_b) = tokio::join!(a.read(at_a.pipe, from_b), b.read(at_b.pipe, from_a));
    assert!(got_a == all(from_b) && got_b == all(from_a));
    a.net.try_send(at_a.pipe, b"and on".to_vec()).unwrap();
    assert_eq!(b.read(at_b.pipe, 6).await, b"and on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_fill_their_windows_by_tcp_and_nothing_locks_up() {
    both_fill_their_windows(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_fill_their_windows_by_quic_and_nothing_locks_up() {
    both_fill_their_windows(QUIC).await;
}

// Our stream is used before the peer agrees to it.

/// Answers one connection as a program that speaks libp2p, and each of its streams with these bytes.
async fn answering(answer: &'static [u8]) -> String {
    let key = Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(upgrade::Version::V1)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux::Config::default())
        .map(|(_, muxer), _| StreamMuxerBox::new(muxer))
        .boxed();
    transport.listen_on(ListenerId::next(), TCP.parse().unwrap()).unwrap();
    let mut next = async move || {
        let mut transport = std::pin::Pin::new(&mut transport);
        let event = poll_fn(|context| transport.as_mut().poll(context)).await;
        (event, ())
    };
    let (address_in, address) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut address_in = Some(address_in);
        loop {
            match next().await.0 {
                TransportEvent::NewAddress { listen_addr, .. } => {
                    if let Some(tell) = address_in.take() {
                        drop(tell.send(listen_addr.to_string()));
                    }
                }
                TransportEvent::Incoming { upgrade, .. } => {
                    tokio::spawn(async move {
                        let mut muxer = upgrade.await.unwrap();
                        while let Ok(mut stream) =
                            poll_fn(|context| muxer.poll_inbound_unpin(context)).await
                        {
                            tokio::spawn(async move {
                                drop(stream.write_all(answer).await);
                                drop(stream.flush().await);
                                let mut buffer = [0; 1_024];
                                while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
                            });
                        }
                    });
                }
                _ => {}
            }
        }
    });
    address.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_refuses_our_stream_only_loses_its_pipe() {
    let cases: [(&[u8], bool); 5] = [
        (b"\x13/multistream/1.0.0\n\x03na\n", false),
        (b"\x13/multistream/1.0.0\n\x0b/ipfs/id/1\n", false),
        (b"\xff\xff\xff\xff", false),
        (b"\x05junk\n", false),
        // It never finishes its answer, and we give up.
        (b"\x13/multistream/", true),
    ];
    for (answer, give_up) in cases {
        let address = answering(answer).await;
        let dial = NetConfig { dial: vec![address], stall_ms_max: 1_000, ..config(&[]) };
        let mut phone = Peer::start(NetConfig { redial_ms_min: 60_000, ..dial });
        let opened = phone.opened().await;
        // Whether it is sent before or after the answer has come, nothing panics.
        for _ in 0..50 {
            drop(phone.net.try_send(opened.pipe, pattern(7, 1_000)));
        }
        if give_up {
            phone.net.close(opened.pipe);
        }
        let (pipe, why) = phone.closed().await;
        assert_eq!(pipe, opened.pipe);
        assert!(!why.to_string().contains("a bug"), "{why:?}");
        println!("{}: {why}", String::from_utf8_lossy(answer).escape_debug());
    }
}

#[test]
fn a_line_that_went_lets_nobody_through() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = Line::to(target.local_addr().unwrap().to_string());
    line.go();
    let mut dialler = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
    drop(dialler.write_all(b"hello"));
    let ended = dialler.read(&mut [0; 8]);
    assert!(
        matches!(&ended, Ok(0)) || ended.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset)
    );
}
