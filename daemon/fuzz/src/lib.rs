//! What the fuzz target does, in a form that a test of the stable compiler can run too
//! (`daemon/tests/fuzz_smoke.rs`): whatever comes over a pipe ends its handshake or its messages,
//! and nothing is heard that the other end did not say.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: it must fail loudly"
)]

#[path = "../../src/net/noise.rs"]
mod noise;

use noise::Noise;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex, split,
};
use tokio::runtime;

/// More than all that a run sends.
const ROOM: usize = 1 << 20;

/// Bytes that the end which initiates, and the other, say in a handshake.
const SHAKEN: [usize; 2] = [28 + 2 + 32 + 2 + 64, 28 + 2 + 96];

/// Where in them the nonce is.
const NONCE: core::ops::Range<usize> = 12..28;

/// What somebody does on the line (1 byte), and to what.
pub fn noise(bytes: &[u8]) {
    let Some((how, with)) = bytes.split_first() else { return };
    let run = async {
        match how % 3 {
            0 => strange(with).await,
            1 => shaken(with).await,
            _ => carried(with).await,
        }
    };
    runtime::Builder::new_current_thread().build().unwrap().block_on(run);
}

/// The other end sends any bytes, behind a beginning that is right.
async fn strange(with: &[u8]) {
    let (mut near, mut far) = duplex(ROOM);
    let beginning = [b"huza pipe 1\n".as_slice(), &[255; 16]].concat();
    let (right, rest) = with.split_first().unwrap_or((&0, &[]));
    let right = usize::from(*right) % (beginning.len() + 1);
    far.write_all(&[&beginning[..right], rest].concat()).await.unwrap();
    far.shutdown().await.unwrap();
    assert!(shake(&mut near).await.is_err(), "nobody has shaken hands");
}

/// Somebody on the line changes bytes of what the other end says in the handshake: where (1), how
/// (1), again and again.
async fn shaken(with: &[u8]) {
    let (mut near, near_line) = duplex(ROOM);
    let (mut far, far_line) = duplex(ROOM);
    let changes: Vec<(usize, u8)> =
        with.chunks_exact(2).map(|pair| (usize::from(pair[0]), pair[1])).collect();
    let (mut from_near, mut to_near) = split(near_line);
    let (mut from_far, mut to_far) = split(far_line);
    let one = async {
        let shaken = shake(&mut near).await;
        drop(near);
        shaken
    };
    let other = async {
        let shaken = shake(&mut far).await;
        drop(far);
        shaken
    };
    let there = forward(&mut from_near, &mut to_far, &[]);
    let back = forward(&mut from_far, &mut to_near, &changes);
    let all = async { tokio::join!(one, other, there, back) };
    let ended = tokio::select! { ended = all => Some(ended), () = idle() => None };
    let mut sum = [0_u8; 256];
    changes.iter().for_each(|(at, with)| sum[*at] ^= with);
    let Some((one, other, (), ())) = ended else {
        // With another nonce, each may hold the other for the one that begins. The caller's
        // patience ends that.
        assert!(sum[NONCE].iter().any(|with| *with != 0), "both wait for each other");
        return;
    };
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let said = SHAKEN[usize::from(one.dialer)];
            assert!(sum[..said].iter().all(|with| *with == 0), "a change was not noticed");
            assert!(one.binding == other.binding && one.dialer != other.dialer);
        }
        (Ok(one), Err(_)) => panic!("{one:?} shook hands with nobody"),
        (Err(_), _) => assert!(sum.iter().any(|with| *with != 0), "nothing was changed"),
    }
}

/// After a handshake, messages of the other end come changed, twice, not at all, in another order:
/// how many there are (1), then what is done (1), to which (1), where (1), with what (1).
async fn carried(with: &[u8]) {
    let (count, harms) = with.split_first().unwrap_or((&0, &[]));
    let said: Vec<u8> = (0..=*count).flat_map(|n| [n; 300]).collect();
    let (mut near, mut far) = duplex(ROOM);
    let (one, other) = tokio::join!(shake(&mut near), shake(&mut far));
    let (one, other) = (one.unwrap(), other.unwrap());
    let honest = messages(&other, &said).await;
    let mut coming = honest.clone();
    for harm in harms.chunks_exact(4).take(16) {
        let (which, with) = (usize::from(harm[1]) % coming.len(), harm[3]);
        let at = usize::from(harm[2]) % coming[which].len();
        match harm[0] % 6 {
            0 => coming[which][at] ^= with | 1,
            1 => coming[which].truncate(at.max(1)),
            2 => {
                let other = usize::from(with) % coming.len();
                coming.swap(which, other);
            }
            3 => coming.push(coming[which].clone()),
            4 => coming.insert(which, vec![with; at + 1]),
            _ if coming.len() > 1 => drop(coming.remove(which)),
            _ => {}
        }
    }
    let (plain, mut heard) = duplex(ROOM);
    let (mut answers, all) = (Vec::new(), coming.concat());
    heard.shutdown().await.unwrap();
    let ended = one.carry(&mut all.as_slice(), &mut answers, plain).await;
    let mut understood = Vec::new();
    heard.read_to_end(&mut understood).await.unwrap();
    assert!(said.starts_with(&understood), "it heard what nobody said");
    assert!(ended.is_err() || understood == said, "it took a cut for an end");
    assert!(ended.is_ok() || all != honest.concat(), "{ended:?}");
}

/// The messages in which one end says something and that it is done, each with its length in front.
async fn messages(noise: &Noise, said: &[u8]) -> Vec<Vec<u8>> {
    let (plain, mut speaker) = duplex(1_000);
    let (mut line, mut wire) = duplex(ROOM);
    let (mut silence, _held) = duplex(1);
    let speaking = async {
        speaker.write_all(said).await.unwrap();
        speaker.shutdown().await.unwrap();
    };
    let hearing = async {
        let mut messages = Vec::new();
        loop {
            let length = wire.read_u16().await.unwrap();
            let mut message = [length.to_be_bytes().as_slice(), &vec![0; length.into()]].concat();
            wire.read_exact(&mut message[2..]).await.unwrap();
            messages.push(message);
            if length == 16 {
                return messages;
            }
        }
    };
    let carrying = noise.carry(&mut silence, &mut line, plain);
    tokio::select! {
        both = async { tokio::join!(speaking, hearing) } => both.1,
        ended = carrying => panic!("{ended:?}"),
    }
}

/// Much longer than anything that goes on in memory goes on.
async fn idle() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

async fn shake(stream: &mut DuplexStream) -> Result<Noise, noise::NoiseError> {
    let (mut from, mut to) = split(stream);
    Noise::shake(&mut from, &mut to).await
}

/// Passes bytes on, changed where it says.
async fn forward(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    changes: &[(usize, u8)],
) {
    let (mut passed, mut chunk) = (0, [0; 64]);
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        for (at, with) in changes {
            if (passed..passed + count).contains(at) {
                chunk[at - passed] ^= with;
            }
        }
        passed += count;
        if to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
    // Whoever waits there for more hears that no more comes.
    drop(to.shutdown().await);
}
