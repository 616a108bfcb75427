//! What is on the air: mDNS as everybody on the network hears it, the bytes of contacts over TCP
//! and QUIC as a recorder between the two sees them, and what a stranger is offered.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod driver_support;
#[path = "../../crdt/tests/needles/mod.rs"]
mod needles;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use driver_support::{Authority, Daemon, PATIENCE, call, offline, options, person, written};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::poll_fn};
use huza_crdt::node::{Command, Event, Reply, Status};
use huza_crdt::trust::Role;
use huza_daemon::{RunOptions, ShellEvent};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::{Endpoint, Transport as _, transport::DialOpts, transport::PortUse, upgrade};
use libp2p::{Multiaddr, PeerId, identity::Keypair, noise, tcp, yamux};
use needles::Needles;
use tokio::sync::mpsc;

const MDNS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);
const LABEL: &str = "simu ya Kanariya";
const HUB_LABEL: &str = "seva ya kituo";
const GIVEN: &str = "Kanariyaimwe";

/// A phone that has recorded a person, a hub, and what must not be heard of them.
struct Lab {
    dir: tempfile::TempDir,
    needles: Needles,
}

impl Lab {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut authority = Authority::found();
        let mut needles = Needles::default();
        for (label, role) in [(LABEL, Role::Worker), (HUB_LABEL, Role::Hub)] {
            let home = authority.enrol(dir.path(), label, role).await;
            let Reply::Status(status) = offline(&home, Command::Status { records: false }).await
            else {
                panic!("no status")
            };
            identities(&status, &mut needles);
        }
        let kept = serde_json::to_value(authority.centre()).unwrap();
        for secret in ["member", "seed"] {
            let bytes = kept["office"][secret].clone();
            let bytes: Vec<u8> = serde_json::from_value(bytes).unwrap();
            needles.secret(secret, &bytes);
        }
        let lab = Self { dir, needles };
        lab.write_down().await
    }

    /// Records a person, so that there is a log.
    async fn write_down(mut self) -> Self {
        let home = self.phone();
        let record = written(offline(&home, person(GIVEN)).await);
        offline(&home, Command::Seal).await;
        let Reply::Shown { record: shown } = offline(&home, Command::Show { record }).await else {
            panic!("not shown")
        };
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let origin = find(&shown, "origin").expect("a value names its origin");
        let (log, _) = origin.split_once('/').unwrap();
        self.needles.secret("log id", huza_crdt::id::LogId::from_hex(log).unwrap().as_bytes());
        self.needles.text("name", GIVEN);
        self
    }

    fn phone(&self) -> PathBuf {
        self.dir.path().join(LABEL)
    }

    fn hub(&self) -> PathBuf {
        self.dir.path().join(HUB_LABEL)
    }

    fn silent(&self, heard: &[u8]) {
        assert_eq!(self.needles.found_in_bytes(heard), Vec::<String>::new());
    }
}

fn identities(status: &Status, needles: &mut Needles) {
    needles.text("label", &status.label);
    needles.secret("device key", status.device.unwrap().as_bytes());
    needles.secret("certificate id", status.certificate.unwrap().as_bytes());
    needles.secret("programme id", status.programme.unwrap().as_bytes());
    for (_, area) in &status.areas {
        needles.secret("area tag", area.as_bytes());
        needles.secret("village's part of it", &[&area.as_bytes()[8..], &[0]].concat());
    }
}

/// The first text under `name`, anywhere.
fn find<'a>(json: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    if let Some(found) = json.get(name).and_then(|it| it.as_str()) {
        return Some(found);
    }
    match json {
        serde_json::Value::Object(members) => members.values().find_map(|it| find(it, name)),
        serde_json::Value::Array(items) => items.iter().find_map(|it| find(it, name)),
        _ => None,
    }
}

type Recording = Arc<Mutex<Vec<u8>>>;

/// A line to `target` that writes down what passes, each way.
fn recording_line(target: String) -> (u16, [Recording; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = [Recording::default(), Recording::default()];
    let ways = heard.clone();
    std::thread::spawn(move || {
        for dialler in listener.incoming().map_while(Result::ok) {
            let Ok(answerer) = TcpStream::connect(&target) else { break };
            let back = (answerer.try_clone().unwrap(), dialler.try_clone().unwrap());
            for ((from, to), way) in [(dialler, answerer), back].into_iter().zip(ways.clone()) {
                std::thread::spawn(move || pass(from, to, &way));
            }
        }
    });
    (port, heard)
}

fn pass(mut from: TcpStream, mut to: TcpStream, heard: &Recording) {
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        heard.lock().unwrap().extend(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Whoever waits for more learns that there is none.
    let _closed = to.shutdown(std::net::Shutdown::Both);
}

/// The same for datagrams, of one dialler.
fn recording_datagrams(target: SocketAddr) -> (u16, Recording) {
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = near.local_addr().unwrap().port();
    let heard = Recording::default();
    let dialler = Arc::new(Mutex::new(None));
    let (from, to, whose) = (near.try_clone().unwrap(), far.try_clone().unwrap(), dialler.clone());
    let way = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((read, source)) = from.recv_from(&mut buffer) {
            *whose.lock().unwrap() = Some(source);
            way.lock().unwrap().extend(&buffer[..read]);
            drop(to.send_to(&buffer[..read], target));
        }
    });
    let way = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((read, _)) = far.recv_from(&mut buffer) {
            way.lock().unwrap().extend(&buffer[..read]);
            if let Some(source) = *dialler.lock().unwrap() {
                drop(near.send_to(&buffer[..read], source));
            }
        }
    });
    (port, heard)
}

/// Ip and port of the first address of a transport.
fn socket(daemon: &Daemon, transport: &str) -> SocketAddr {
    let address = daemon.addresses.iter().find(|one| one.contains(transport)).expect("listens");
    let mut parts = address.split('/').skip(2);
    let (ip, port) = (parts.next().unwrap(), parts.nth(1).unwrap());
    SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
}

fn is_complete(event: &ShellEvent) -> bool {
    matches!(event, ShellEvent::Node(Event::ContactComplete { .. }))
}

/// A whole contact over an address that leads to the hub.
async fn contact(lab: &Lab, mut hub: Daemon, address: String) {
    let mut phone = Daemon::start(&lab.phone(), &[address]).await;
    phone.until(is_complete).await;
    hub.until(is_complete).await;
    let found = call(&lab.hub(), Command::Find { query: GIVEN.to_owned(), limit: 9 }).await;
    assert!(matches!(found, Reply::Found { records } if records.len() == 1), "it has travelled");
    phone.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_over_tcp_tells_a_listener_nothing() {
    let lab = Lab::new().await;
    let hub = Daemon::start(&lab.hub(), &[]).await;
    let (port, heard) = recording_line(socket(&hub, "tcp").to_string());
    contact(&lab, hub, format!("/ip4/127.0.0.1/tcp/{port}")).await;
    for way in heard {
        let heard = way.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&heard);
        assert!(text.contains("/multistream/1.0.0") && text.contains("/noise"), "it is recorded");
        assert!(!text.contains("/ipfs/") && !text.contains("huza"), "no protocol of ours is named");
        lab.silent(&heard);
        println!("{} bytes heard", heard.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_over_quic_tells_a_listener_nothing() {
    let lab = Lab::new().await;
    let hub = Daemon::start(&lab.hub(), &[]).await;
    let (port, heard) = recording_datagrams(socket(&hub, "quic"));
    contact(&lab, hub, format!("/ip4/127.0.0.1/udp/{port}/quic-v1")).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.len() > 4_000, "a contact is recorded: {} bytes", heard.len());
    let text = String::from_utf8_lossy(&heard);
    assert!(!text.contains("/ipfs/") && !text.contains("huza"), "no protocol of ours is named");
    lab.silent(&heard);
    println!("{} bytes heard", heard.len());
}

/// The search would find each of these, if it were there.
#[tokio::test(flavor = "multi_thread")]
async fn the_search_finds_what_is_planted() {
    let lab = Lab::new().await;
    let Reply::Status(status) = offline(&lab.phone(), Command::Status { records: false }).await
    else {
        panic!("no status")
    };
    let device = status.device.unwrap();
    let leak = [b"..", device.as_bytes().as_slice(), LABEL.as_bytes()].concat();
    let found = lab.needles.found_in_bytes(&leak).join("\n");
    assert!(found.contains("device key") && found.contains("label"), "{found}");
    assert_eq!(lab.needles.found(&format!("x{device}")).len(), 1);
}

// mDNS.

/// The address by which others on the network see this machine.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing; only a route is chosen.
    socket.connect("192.0.2.254:9").ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    }
}

/// A socket that hears what everybody hears, beside those of the daemons.
fn everybodys_ear(own: Ipv4Addr) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5353)).into())?;
    socket.set_multicast_if_v4(&own)?;
    socket.set_multicast_loop_v4(true)?;
    socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &own)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket.into())
}

/// `_p2p._udp.local` as DNS spells it.
const SERVICE: &[u8] = b"\x04_p2p\x04_udp\x05local\x00";

/// "Who is there?", as libp2p asks.
fn query(id: u16) -> Vec<u8> {
    let header = [id, 0, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    [header.as_slice(), SERVICE, &[0, 12, 0, 1]].concat()
}

/// What one answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    id: u16,
    lifetime: u32,
    name: Vec<u8>,
    texts: Vec<String>,
}

impl Said {
    /// Reads an answer, strictly: what cannot be spelled again is not understood.
    fn read(packet: &[u8]) -> Option<Self> {
        let id = u16::from_be_bytes(packet.get(..2)?.try_into().ok()?);
        let count = u16::from_be_bytes(packet.get(10..12)?.try_into().ok()?);
        let rest = packet.get(12..)?.strip_prefix(SERVICE)?.get(4..)?;
        let lifetime = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(rest.get(4..6)?.try_into().ok()?));
        let (name, mut rest) = rest.get(6..)?.split_at_checked(length)?;
        let mut texts = Vec::new();
        for _ in 0..count {
            let record = rest.strip_prefix(name)?.get(8..)?;
            let length = usize::from(u16::from_be_bytes(record.get(..2)?.try_into().ok()?));
            let (text, behind) = record.get(2..)?.split_at_checked(length)?;
            texts.push(String::from_utf8(text.get(1..)?.to_vec()).ok()?);
            rest = behind;
        }
        let said = Self { id, lifetime, name: name.to_vec(), texts };
        (said.spell() == packet).then_some(said)
    }

    /// All that there is in an answer, from what it says.
    fn spell(&self) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let texts = u16::try_from(self.texts.len()).unwrap();
        let mut packet = [self.id, 0x8400, 0, 1, 0, texts].map(u16::to_be_bytes).concat();
        packet.extend(SERVICE);
        packet.extend([0, 12, 0, 1]);
        packet.extend(self.lifetime.to_be_bytes());
        packet.extend(length(self.name.len()));
        packet.extend(&self.name);
        for text in &self.texts {
            packet.extend(&self.name);
            packet.extend([0, 16, 0x80, 1]);
            packet.extend(self.lifetime.to_be_bytes());
            packet.extend(length(text.len() + 1));
            packet.push(u8::try_from(text.len()).unwrap());
            packet.extend(text.bytes());
        }
        packet
    }

    /// The transport identities that it names.
    fn peers(&self) -> Vec<&str> {
        self.texts.iter().filter_map(|text| Some(text.split_once("/p2p/")?.1)).collect()
    }
}

/// Asks until the daemon that listens on `ports` has answered. Everything heard comes too.
fn ask(ear: &UdpSocket, id: u16, ports: &[u16]) -> (Option<Said>, Vec<u8>) {
    let (mut heard, mut buffer) = (Vec::new(), [0; 9_000]);
    let until = Instant::now() + Duration::from_secs(10);
    let own = |said: &Said| {
        said.texts.iter().any(|text| ports.iter().any(|port| text.contains(&format!("/{port}"))))
    };
    while Instant::now() < until {
        drop(ear.send_to(&query(id), MDNS));
        while let Ok((read, _)) = ear.recv_from(&mut buffer) {
            heard.extend(&buffer[..read]);
            if let Some(said) = Said::read(&buffer[..read]).filter(own) {
                return (Some(said), heard);
            }
        }
    }
    (None, heard)
}

/// One start of a phone that announces itself: what it says, and all that was heard.
async fn announced(home: &Path, ear: UdpSocket, id: u16, own: Ipv4Addr) -> (Option<Said>, Vec<u8>) {
    let listen = vec![format!("/ip4/{own}/tcp/0"), format!("/ip4/{own}/udp/0/quic-v1")];
    let phone = RunOptions { listen, mdns: Some(true), ..options() };
    let phone = Daemon::start_with(home, phone).await;
    let ports = ["tcp", "quic"].map(|transport| socket(&phone, transport).port());
    let answer = tokio::task::spawn_blocking(move || ask(&ear, id, &ports)).await.unwrap();
    phone.stop().await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_tells_an_address_and_a_key_of_this_start_and_nothing_else() {
    let lab = Lab::new().await;
    let Some(own) = own_address() else {
        println!("SKIPPED: this machine has no network");
        return;
    };
    let mut starts = Vec::new();
    for id in [0x1111, 0x2222] {
        let ear = match everybodys_ear(own) {
            Ok(ear) => ear,
            Err(error) => return println!("SKIPPED: multicast cannot be heard here: {error}"),
        };
        let (said, heard) = announced(&lab.phone(), ear, id, own).await;
        lab.silent(&heard);
        let Some(said) = said else {
            println!("SKIPPED: nobody answers by multicast here; {} bytes heard", heard.len());
            return;
        };
        println!("{said:?}");
        starts.push(said);
    }
    let [one, other] = &starts[..] else { panic!("two starts") };
    // The packet is spelled from these parts, so there is nothing else in it: the asker's number,
    // a random name, and for each address a text.
    for said in [one, other] {
        assert!(said.lifetime <= 90, "seconds: {}", said.lifetime);
        let peers = said.peers();
        assert_eq!(peers.len(), said.texts.len(), "each text names the transport's key");
        for text in &said.texts {
            let address = text.strip_prefix("dnsaddr=/ip4/").expect("an address");
            let kept: Vec<&str> = address.split('/').collect();
            let constant = |part: &&&str| ["tcp", "udp", "quic-v1", "p2p"].contains(*part);
            let (told, protocols) = (kept.len(), kept.iter().filter(constant).count());
            assert_eq!(told - protocols, 3, "ip, port, key: {text}");
        }
    }
    assert_ne!(one.name, other.name, "the name is random");
    for peer in one.peers() {
        assert!(!other.peers().contains(&peer), "the key of a start is not the last one's");
    }
}

// What a stranger is offered.

/// Connects as any program that speaks libp2p could.
async fn stranger(address: SocketAddr) -> (PeerId, StreamMuxerBox) {
    let key = Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(upgrade::Version::V1)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    let address: Multiaddr =
        format!("/ip4/{}/tcp/{}", address.ip(), address.port()).parse().unwrap();
    let dial = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    transport.dial(address, dial).unwrap().await.unwrap()
}

/// A line of multistream-select: its length, its text, a newline.
fn line(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len() + 1).unwrap()], text.as_bytes(), b"\n"].concat()
}

/// All that comes, until nothing has for a moment.
async fn hear(stream: &mut SubstreamBox) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 4_096];
    let mut wait = PATIENCE;
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(wait, stream.read(&mut buffer)).await {
        heard.extend(&buffer[..read]);
        wait = Duration::from_secs(2);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_offered_no_identify_and_told_no_name() {
    let lab = Lab::new().await;
    let hub = Daemon::start(&lab.hub(), &[]).await;
    let (peer, mut muxer) = stranger(socket(&hub, "tcp")).await;
    println!("the hub is {peer} until it starts again");
    let mut asked = poll_fn(|context| {
        let _moved = muxer.poll_unpin(context);
        muxer.poll_outbound_unpin(context)
    })
    .await
    .unwrap();
    let (streams, mut opened) = mpsc::channel(16);
    let driving = tokio::spawn(async move {
        while let Ok(stream) = poll_fn(|context| muxer.poll_inbound_unpin(context)).await {
            if streams.send(stream).await.is_err() {
                break;
            }
        }
    });
    let wanted = ["/multistream/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "ls"];
    for text in wanted {
        asked.write_all(&line(text)).await.unwrap();
    }
    asked.flush().await.unwrap();
    let mut heard = hear(&mut asked).await;
    assert_eq!(heard.matches("na\n").count(), 2, "both are refused: {heard:?}");
    // What the hub itself wants of whoever is there.
    while let Ok(mut stream) = opened.try_recv() {
        stream.write_all(&line("/multistream/1.0.0")).await.unwrap();
        stream.flush().await.unwrap();
        heard += &hear(&mut stream).await;
    }
    println!("{heard:?}");
    assert!(heard.contains("/huza/session/1"), "the list of protocols was heard: {heard:?}");
    assert!(!heard.contains("/ipfs/id"), "{heard:?}");
    lab.silent(heard.as_bytes());
    driving.abort();
    hub.stop().await;
}
