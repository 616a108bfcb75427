//! Pipes over real sockets on loopback: equal bytes, equal bindings, backpressure, endings.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, time::Duration};

use huza_daemon::net::{Net, NetConfig, NetError, NetEvent, PipeEnd, PipeId, SendError};
use tokio::time::{sleep, timeout};

mod net_support;
use net_support::{Opened, PATIENCE, Peer, QUIC, TCP, config, pattern};

/// Two peers and their ends of one pipe, the dialler first.
async fn pair(listen: &str) -> (Peer, Opened, Peer, Opened) {
    let (mut listener, address) = Peer::listening(config(&[listen])).await;
    let mut dialer = Peer::start(NetConfig { dial: vec![address], ..config(&[]) });
    let (from, to) = (dialer.opened().await, listener.opened().await);
    (dialer, from, listener, to)
}

/// Sends `bytes` in messages of odd sizes while taking what comes in; gives what came in.
async fn exchange(peer: &mut Peer, pipe: PipeId, bytes: Vec<u8>, expect: usize) -> Vec<u8> {
    let sender = {
        let net = peer.net.clone();
        tokio::spawn(async move {
            let mut rest = bytes.as_slice();
            for size in [1, 70_000, 999, 300_000, 16_384].into_iter().cycle() {
                let (now, later) = rest.split_at(size.min(rest.len()));
                net.send(pipe, now.to_vec()).await.unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        })
    };
    let received = peer.read(pipe, expect).await;
    timeout(PATIENCE, sender).await.unwrap().unwrap();
    received
}

async fn five_megabytes_both_ways(listen: &str) {
    const COUNT: usize = 5_000_000;
    let (mut a, at_a, mut b, at_b) = pair(listen).await;
    let (sent_a, sent_b) = (pattern(1, COUNT), pattern(2, COUNT));
    let (got_a, got_b) = tokio::join!(
        exchange(&mut a, at_a.pipe, sent_a.clone(), COUNT),
        exchange(&mut b, at_b.pipe, sent_b.clone(), COUNT),
    );
    assert!(got_a == sent_b && got_b == sent_a);
    // Everything that was taken is also reported as sent, exactly once.
    for peer in [&mut a, &mut b] {
        let mut reported = 0;
        while reported < COUNT {
            reported += peer
                .await_map(|event| match event {
                    NetEvent::Sent { bytes, .. } => Ok(bytes),
                    other => Err(Box::new(other)),
                })
                .await;
        }
        assert_eq!(reported, COUNT);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_megabytes_both_ways_by_tcp() {
    five_megabytes_both_ways(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_megabytes_both_ways_by_quic() {
    five_megabytes_both_ways(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_know_the_same_binding_and_other_pairs_another() {
    let mut bindings = Vec::new();
    for listen in [TCP, QUIC] {
        let (_a, at_a, _b, at_b) = pair(listen).await;
        assert!(at_a.dialer && !at_b.dialer);
        assert_eq!(at_a.binding, at_b.binding);
        bindings.push(at_a.binding);
    }
    assert_ne!(bindings[0], bindings[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lasting_key_gives_a_lasting_binding() {
    let mut bindings = Vec::new();
    for _ in 0..2 {
        let hub = NetConfig { key: Some([7; 32]), ..config(&[TCP]) };
        let (mut hub, address) = Peer::listening(hub).await;
        let phone = NetConfig { key: Some([8; 32]), dial: vec![address], ..config(&[]) };
        let _phone = Peer::start(phone);
        bindings.push(hub.opened().await.binding);
    }
    assert_eq!(bindings[0], bindings[1]);
}

/// Sends without ever waiting until the pipe takes no more; gives the bytes it took.
async fn fill(peer: &Peer, pipe: PipeId) -> usize {
    let mut taken = 0;
    let mut idle = 0;
    while idle < 20 {
        match peer.net.try_send(pipe, vec![1; 10_000]) {
            Ok(()) => (taken, idle) = (taken + 10_000, 0),
            Err(SendError::Full(back)) => {
                assert_eq!(back.len(), 10_000);
                idle += 1;
                sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(taken < 50_000_000, "no backpressure");
    }
    taken
}

async fn who_does_not_take_chunks_slows_the_sender(listen: &str) {
    let (a, at_a, mut b, at_b) = pair(listen).await;
    // The receiver takes events but gives no credit back.
    let mut held = Vec::new();
    let mut got = 0;
    let taken = {
        let filling = fill(&a, at_a.pipe);
        tokio::pin!(filling);
        loop {
            tokio::select! {
                taken = &mut filling => break taken,
                (_, bytes, credit) = b.received() => {
                    got += bytes.len();
                    held.push(credit);
                }
            }
        }
    };
    assert!(held.len() <= 4, "{} chunks without credit", held.len());
    assert!(taken < 2_000_000, "{taken} bytes are under way to someone who does not read");
    // The other way is not affected, and neither is another pipe.
    b.net.try_send(at_b.pipe, b"still here".to_vec()).unwrap();
    let mut a = a;
    assert_eq!(a.read(at_a.pipe, 10).await, b"still here");
    // With the credits back, all of it arrives.
    held.clear();
    b.read(at_b.pipe, taken - got).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_chunks_slows_the_sender_by_tcp() {
    who_does_not_take_chunks_slows_the_sender(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_chunks_slows_the_sender_by_quic() {
    who_does_not_take_chunks_slows_the_sender(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_that_makes_no_progress_is_given_up() {
    let (mut listener, address) = Peer::listening(config(&[TCP])).await;
    let dialer = NetConfig { dial: vec![address], stall_ms_max: 1_000, ..config(&[]) };
    let mut dialer = Peer::start(dialer);
    let at_dialer = dialer.opened().await;
    let at_listener = listener.opened().await;
    fill(&dialer, at_dialer.pipe).await;
    assert_eq!(dialer.closed().await, (at_dialer.pipe, PipeEnd::Stalled));
    assert_eq!(dialer.net.try_send(at_dialer.pipe, vec![1]), Err(SendError::Closed));
    // The one who did not read gets what had arrived, and then the end.
    loop {
        match listener.next().await {
            NetEvent::PipeClosed { pipe, .. } => break assert_eq!(pipe, at_listener.pipe),
            NetEvent::Received { pipe, .. } => assert_eq!(pipe, at_listener.pipe),
            other => panic!("{other:?}"),
        }
    }
}

async fn closing_delivers_what_was_queued(listen: &str) {
    let (mut a, at_a, mut b, at_b) = pair(listen).await;
    let bytes = pattern(3, 200_000);
    a.net.try_send(at_a.pipe, bytes.clone()).unwrap();
    a.net.close(at_a.pipe);
    assert_eq!(a.net.try_send(at_a.pipe, vec![1]), Err(SendError::Closed));
    assert!(b.read(at_b.pipe, bytes.len()).await == bytes);
    assert_eq!(b.closed().await, (at_b.pipe, PipeEnd::Remote));
    assert_eq!(a.closed().await, (at_a.pipe, PipeEnd::Local));
    // A configured peer is dialled again.
    assert_ne!(a.opened().await.pipe, at_a.pipe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_delivers_what_was_queued_by_tcp() {
    closing_delivers_what_was_queued(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_delivers_what_was_queued_by_quic() {
    closing_delivers_what_was_queued(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_delivers_what_was_queued_and_ends_the_events() {
    let (mut a, at_a, mut b, at_b) = pair(QUIC).await;
    a.net.try_send(at_a.pipe, vec![5; 100_000]).unwrap();
    a.net.stop().unwrap();
    assert_eq!(b.read(at_b.pipe, 100_000).await, vec![5; 100_000]);
    assert_eq!(a.closed().await, (at_a.pipe, PipeEnd::Local));
    let rest = timeout(PATIENCE, async { while a.events.recv().await.is_some() {} }).await;
    rest.expect("the event channel ends");
    assert!(matches!(a.net.dial("127.0.0.1:9"), Err(NetError::Stopped)));
}

/// Runs a peer on a runtime of its own, which ends as abruptly as a process does.
async fn killing_the_peer_closes_the_pipe(listen: &str) {
    let (mut survivor, address) = Peer::listening(config(&[listen])).await;
    let victim =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let held = victim.block_on_start(NetConfig { dial: vec![address], ..config(&[]) });
    let opened = survivor.opened().await;
    victim.shutdown_background();
    let (pipe, why) = survivor.closed().await;
    assert_eq!(pipe, opened.pipe);
    assert!(matches!(why, PipeEnd::Remote | PipeEnd::Lost(_)), "{why:?}");
    drop(held);
}

trait Start {
    fn block_on_start(&self, config: NetConfig) -> (Net, tokio::sync::mpsc::Receiver<NetEvent>);
}

impl Start for tokio::runtime::Runtime {
    fn block_on_start(&self, config: NetConfig) -> (Net, tokio::sync::mpsc::Receiver<NetEvent>) {
        let _inside = self.enter();
        Net::start(config).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_peer_closes_the_pipe_by_tcp() {
    killing_the_peer_closes_the_pipe(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_peer_closes_the_pipe_by_quic() {
    killing_the_peer_closes_the_pipe(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_pipes_than_allowed_and_a_free_place_is_taken() {
    let (mut hub, address) = Peer::listening(NetConfig { pipes_max: 3, ..config(&[TCP]) }).await;
    let phones: Vec<Peer> = (0..6)
        .map(|_| Peer::start(NetConfig { dial: vec![address.clone()], ..config(&[]) }))
        .collect();
    let mut open: BTreeMap<PipeId, Opened> = BTreeMap::new();
    for _ in 0..3 {
        let opened = hub.opened().await;
        open.insert(opened.pipe, opened);
    }
    // Those turned away try again several times meanwhile.
    while let Some(event) = hub.next_within(Duration::from_secs(2)).await {
        assert!(!matches!(event, NetEvent::PipeOpened { .. }), "one too many");
    }
    let (first, _) = open.pop_first().unwrap();
    hub.net.close(first);
    assert_eq!(hub.closed().await, (first, PipeEnd::Local));
    open.insert(hub.opened().await.pipe, Opened::clone(open.values().next().unwrap()));
    assert_eq!(open.len(), 3);
    drop(phones);
}

/// The socket address in a multiaddress of loopback.
fn socket(address: &str) -> std::net::SocketAddr {
    let port = address.split('/').nth(4).unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_send_garbage_are_no_event() {
    use std::io::Write as _;
    let mut hub = Peer::start(config(&[TCP, QUIC]));
    let both = [hub.listens().await, hub.listens().await];
    let (tcp, quic) = both.iter().partition::<Vec<_>, _>(|address| address.contains("tcp"));
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let prefix = b"\x13/multistream/1.0.0\n".to_vec();
    for seed in 0..50 {
        let mut stream = std::net::TcpStream::connect(socket(tcp[0])).unwrap();
        let garbage = pattern(seed, 2_000);
        let bytes = if seed % 2 == 0 { garbage } else { [prefix.clone(), garbage].concat() };
        // The hub may have hung up already.
        drop(stream.write_all(&bytes));
        udp.send_to(&pattern(seed, 1_200), socket(quic[0])).unwrap();
    }
    assert!(hub.next_within(Duration::from_secs(1)).await.is_none());
    let mut phone = Peer::start(NetConfig { dial: vec![quic[0].clone()], ..config(&[]) });
    assert_eq!(phone.opened().await.binding, hub.opened().await.binding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_address_or_in_use_is_refused_in_clear_words() {
    let not = Net::start(NetConfig { dial: vec!["hub".into()], ..config(&[]) }).unwrap_err();
    assert!(not.to_string().contains("write it as 192.168.1.5:4001"), "{not}");
    assert!(matches!(
        Net::start(config(&["/ip4/127.0.0.1/udp/1"])).unwrap_err(),
        NetError::Address(_)
    ));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let in_use = Net::start(config(&[&format!("/ip4/127.0.0.1/tcp/{port}")])).unwrap_err();
    assert!(matches!(in_use, NetError::Listen { .. }), "{in_use}");
    // What was remembered by mistake does not keep us from starting.
    let (net, _events) =
        Net::start(NetConfig { remembered: vec!["?".into()], ..config(&[]) }).unwrap();
    assert!(net.dial("nobody").is_err());
    assert!(net.publish(vec![0; 4_096]).is_err());
    assert_eq!(net.try_send(PipeId(9), vec![1]), Err(SendError::Closed));
}
