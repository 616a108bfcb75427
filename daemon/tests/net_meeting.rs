//! How peers find each other over real sockets: dialling, dialling at once, gossip, mDNS.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::{
    net::{TcpListener, UdpSocket},
    time::{Duration, Instant},
};

use huza_daemon::net::{NetConfig, NetEvent};
use tokio::{task::JoinSet, time::sleep};

mod net_support;
use net_support::{Peer, QUIC, TCP, config};

/// A port that is free now for TCP and UDP alike.
fn free_port() -> u16 {
    for _ in 0..50 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_peer_is_dialled_until_it_is_there_and_again_when_it_returns() {
    let port = free_port();
    let mut phone =
        Peer::start(NetConfig { dial: vec![format!("127.0.0.1:{port}")], ..config(&[]) });
    // By TCP nobody answers at once; by QUIC that takes the handshake's five seconds.
    let failed = |event| match event {
        NetEvent::DialFailed { address, why, retry } => Ok((address, why, retry)),
        other => Err(Box::new(other)),
    };
    let (address, why, retry) = phone.await_map(failed).await;
    assert!(address.contains(&port.to_string()) && retry.is_some(), "{address} {why}");
    for _ in 0..2 {
        let listen = format!("/ip4/127.0.0.1/tcp/{port}");
        let (mut hub, _) = Peer::listening(config(&[&listen])).await;
        let at_phone = phone.opened().await;
        assert_eq!(hub.opened().await.binding, at_phone.binding);
        assert!(at_phone.remote_address.contains("tcp"), "QUIC failed, TCP was tried");
        hub.net.stop().unwrap();
        assert_eq!(phone.closed().await.0, at_phone.pipe);
        while hub.events.recv().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_address_is_tried_by_quic_first_and_connects_once() {
    let port = free_port();
    let listen =
        [format!("/ip4/127.0.0.1/udp/{port}/quic-v1"), format!("/ip4/127.0.0.1/tcp/{port}")];
    let mut hub = Peer::start(config(&[&listen[0], &listen[1]]));
    hub.listens().await;
    hub.listens().await;
    // All of these are one place.
    let mut dial = listen.to_vec();
    dial.insert(0, format!("127.0.0.1:{port}"));
    let mut phone = Peer::start(NetConfig { dial, ..config(&[]) });
    phone.net.dial(&listen[1]).unwrap();
    let (_, at_phone) = phone.settle(1, Duration::from_secs(3)).await;
    assert_eq!(at_phone.len(), 1);
    assert!(at_phone[0].remote_address.contains("quic"));
    assert_eq!(hub.settle(1, Duration::from_secs(1)).await.1.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dials_itself_gives_up_quietly() {
    let port = free_port();
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    let mut peer = Peer::start(NetConfig { dial: vec![listen.clone()], ..config(&[&listen]) });
    while let Some(event) = peer.next_within(Duration::from_secs(1)).await {
        assert!(matches!(event, NetEvent::Listening { .. }), "{event:?}");
    }
}

/// Both dial each other at the same moment, many times over: one pipe remains, and it works.
async fn dialling_at_once_leaves_one_pipe(listen: &'static str, rounds: usize) {
    let mut meetings = JoinSet::new();
    for _ in 0..rounds {
        meetings.spawn(meet(listen));
    }
    let crossed = meetings.join_all().await.into_iter().filter(|crossed| *crossed).count();
    println!("{crossed} of {rounds} meetings opened more than one pipe for a moment");
}

/// One such meeting; whether somebody saw more than one pipe.
async fn meet(listen: &str) -> bool {
    let (mut a, address_a) = Peer::listening(config(&[listen])).await;
    let (mut b, address_b) = Peer::listening(config(&[listen])).await;
    a.net.dial(&address_b).unwrap();
    b.net.dial(&address_a).unwrap();
    let quiet = Duration::from_secs(2);
    let ((seen_a, at_a), (seen_b, at_b)) = tokio::join!(a.settle(1, quiet), b.settle(1, quiet));
    assert_eq!((at_a.len(), at_b.len()), (1, 1));
    assert_eq!(at_a[0].binding, at_b[0].binding);
    assert_ne!(at_a[0].dialer, at_b[0].dialer);
    a.net.try_send(at_a[0].pipe, b"hello".to_vec()).unwrap();
    assert_eq!(b.read(at_b[0].pipe, 5).await, b"hello");
    seen_a > 1 || seen_b > 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialling_at_once_leaves_one_pipe_by_tcp() {
    dialling_at_once_leaves_one_pipe(TCP, 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialling_at_once_leaves_one_pipe_by_quic() {
    dialling_at_once_leaves_one_pipe(QUIC, 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_travel_only_past_those_who_validated_them() {
    let gossip =
        |dial: Vec<String>, listen: &[&str]| NetConfig { gossip: true, dial, ..config(listen) };
    let (mut b, address) = Peer::listening(gossip(vec![], &[TCP])).await;
    let mut a = Peer::start(gossip(vec![address.clone()], &[]));
    let mut c = Peer::start(gossip(vec![address], &[]));
    let (from_a, from_c) = (a.opened().await.binding, c.opened().await);
    let (first, second) = (b.opened().await, b.opened().await);
    let of_a = if first.binding == from_a { first.pipe } else { second.pipe };
    let good = b"log 7 has grown".to_vec();
    let silent = |event: Option<NetEvent>| !matches!(event, Some(NetEvent::News { .. }));
    for _ in 0..10 {
        a.net.publish(b"who am I?".to_vec()).unwrap();
        assert!(silent(b.next_within(Duration::from_millis(200)).await), "not admitted yet");
    }
    b.net.admit(of_a).unwrap();
    c.net.admit(from_c.pipe).unwrap();
    // Subscriptions take a moment; until then publishing reaches nobody and is no error.
    let token = loop {
        a.net.publish(good.clone()).unwrap();
        if let Some(NetEvent::News { bytes, token }) =
            b.next_within(Duration::from_millis(200)).await
        {
            assert_eq!(bytes, good);
            break token;
        }
    };
    assert!(silent(c.next_within(Duration::from_millis(2_500)).await), "not validated yet");
    b.net.validate(token, true).unwrap();
    let (bytes, _) = c.news().await;
    assert_eq!(bytes, good);

    let bad = b"forged".to_vec();
    a.net.publish(bad.clone()).unwrap();
    let (bytes, token) = b.news().await;
    assert_eq!(bytes, bad);
    b.net.validate(token, false).unwrap();
    let until = Instant::now() + Duration::from_millis(2_500);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        assert!(silent(c.next_within(left).await), "rejected and yet forwarded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_find_each_other_by_mdns() {
    // mDNS leaves loopback alone, so this one uses whatever interface there is.
    let config = || NetConfig {
        mdns: true,
        ..config(&["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"])
    };
    let mut a = Peer::start(config());
    sleep(Duration::from_millis(200)).await;
    let mut b = Peer::start(config());
    let until = Instant::now() + Duration::from_secs(12);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match a.next_within(left).await {
            Some(NetEvent::PipeOpened { binding, .. }) => {
                assert_eq!(b.opened().await.binding, binding);
                assert_eq!(a.settle(0, Duration::from_secs(3)).await.0, 0, "no second pipe");
                println!("found by mDNS");
                return;
            }
            Some(NetEvent::DiscoveryFailed { why }) => println!("mDNS: {why}"),
            _ => {}
        }
    }
    println!("SKIPPED: multicast does not work on this machine, nobody was found by mDNS");
}
