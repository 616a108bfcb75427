//! Noise XX over any ordered stream of bytes: what a session needs where no libp2p is, such as on a
//! Bluetooth or serial link.
//!
//! ```text
//! each end, at once     "huza pipe 1" 0a (12) | nonce (16)
//! then                  length (2, big endian) | Noise message, again and again
//! ```
//!
//! - `Noise_XX_25519_ChaChaPoly_SHA256`, as libp2p has it. The end with the greater nonce
//!   initiates, so that neither has to be told which it is; the prologue is the first 12 bytes, the
//!   initiator's nonce, the other's.
//! - All keys are made for this one pipe and forgotten with it. They prove nobody: the hello of the
//!   session that runs inside does, and it is bound to [`Noise::binding`].
//! - A message with nothing in it says that its sender is done. A stream that ends without it was
//!   cut.
//!
//! What it deliberately does not do: look for the beginning in noise of a line, or mend anything.
//! Whatever is not exactly what is due ends it.

use std::{io, sync::LazyLock};

use sha2::{Digest as _, Sha256};
use snow::{
    HandshakeState, StatelessTransportState,
    params::{CipherChoice, DHChoice, HashChoice, NoiseParams},
    resolvers::{CryptoResolver, RingResolver},
    types::{Cipher, Dh, Hash, Random},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

const MAGIC: &[u8; 12] = b"huza pipe 1\n";

const NONCE_BYTES: usize = 16;

/// Lengths of the three messages of the handshake, whose payloads are empty. // Noise, rev. 34, 7.5
const HANDSHAKE: [usize; 3] = [32, 96, 64];

/// Bytes that a message adds to what is in it.
const TAG_BYTES: usize = 16;

/// Longest run of bytes that we put in one message; a peer may put up to 65,519.
/// // guess: less than a second of the slowest link, at an overhead of 0.1 %
const CHUNK_BYTES: usize = 16_384;

static PARAMS: LazyLock<Option<NoiseParams>> =
    LazyLock::new(|| "Noise_XX_25519_ChaChaPoly_SHA256".parse().ok());

/// Why a pipe has no handshake, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoiseError {
    /// What came first is not ours.
    #[error("what came is not from huza, or from another version of it")]
    Foreign,
    /// Our own bytes come back.
    #[error("the line sends back what it is sent; join two devices, not one with itself")]
    Echo,
    /// Of a length that is not due.
    #[error("a message of {0} bytes is not what is due here")]
    Length(usize),
    /// It was not made by the other end of this pipe, or came changed.
    #[error("a message does not hold what its sender put in it")]
    Forged,
    /// The handshake took too long.
    #[error("no handshake came in time")]
    Silent,
    /// The stream ended in the middle.
    #[error("it was cut")]
    Cut(#[source] io::Error),
    /// A fault of this program or its system.
    #[error("the handshake cannot be made here")]
    Unable,
}

impl NoiseError {
    /// Whether the peer is to blame, rather than the line.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Foreign | Self::Echo | Self::Length(_) | Self::Forged)
    }
}

impl From<io::Error> for NoiseError {
    fn from(error: io::Error) -> Self {
        Self::Cut(error)
    }
}

/// A pipe whose handshake is done.
#[derive(Debug)]
pub(crate) struct Noise {
    transport: StatelessTransportState,
    /// Whether this end initiated.
    pub(crate) dialer: bool,
    /// Hash over the whole handshake and so over both ends' keys: the same at both ends of this
    /// pipe, and at no other's.
    pub(crate) binding: [u8; 32],
}

impl Noise {
    /// Shakes hands.
    pub(crate) async fn shake(
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Self, NoiseError> {
        let mut ours = [0; NONCE_BYTES];
        getrandom::fill(&mut ours).map_err(|_entropy| NoiseError::Unable)?;
        to.write_all(&[MAGIC.as_slice(), &ours].concat()).await?;
        to.flush().await?;
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).await?;
        if magic != *MAGIC {
            return Err(NoiseError::Foreign);
        }
        let mut theirs = [0; NONCE_BYTES];
        from.read_exact(&mut theirs).await?;
        if ours == theirs {
            return Err(NoiseError::Echo);
        }
        let dialer = ours > theirs;
        let prologue = [MAGIC.as_slice(), &ours.max(theirs), &ours.min(theirs)].concat();
        let mut state = begin(dialer, &prologue).ok_or(NoiseError::Unable)?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        for (turn, length) in HANDSHAKE.into_iter().enumerate() {
            if (turn % 2 == 0) == dialer {
                let length = state.write_message(&[], &mut buffer);
                let length = length.map_err(|_state| NoiseError::Unable)?;
                send(to, buffer.get(..length).unwrap_or_default()).await?;
            } else {
                let message = receive(from, length..=length).await?;
                state.read_message(&message, &mut buffer).map_err(|_bad| NoiseError::Forged)?;
            }
        }
        let binding = Sha256::new()
            .chain_update(b"huza noise pipe binding 1")
            .chain_update(state.get_handshake_hash())
            .finalize()
            .into();
        let transport = state.into_stateless_transport_mode();
        let transport = transport.map_err(|_state| NoiseError::Unable)?;
        Ok(Self { transport, dialer, binding })
    }

    /// Carries bytes between the pipe and `plain`, both ways, until both ends have said that they
    /// are done.
    pub(crate) async fn carry(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        plain: impl AsyncRead + AsyncWrite,
    ) -> Result<(), NoiseError> {
        let (mut source, mut sink) = tokio::io::split(plain);
        let sealing = self.seal(&mut source, to);
        let opening = self.open(from, &mut sink);
        tokio::try_join!(sealing, opening).map(|_both| ())
    }

    async fn seal(
        &self,
        source: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), NoiseError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut message = vec![0; CHUNK_BYTES + TAG_BYTES];
        let mut number = 0;
        loop {
            let count = source.read(&mut chunk).await?;
            let plain = chunk.get(..count).unwrap_or_default();
            let sealed = self.transport.write_message(number, plain, &mut message);
            let length = sealed.map_err(|_spent| NoiseError::Unable)?;
            number += 1;
            send(to, message.get(..length).unwrap_or_default()).await?;
            if count == 0 {
                return Ok(());
            }
        }
    }

    async fn open(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), NoiseError> {
        let mut plain = vec![0; usize::from(u16::MAX)];
        let mut number = 0;
        loop {
            let message = receive(from, TAG_BYTES..=usize::from(u16::MAX)).await?;
            let opened = self.transport.read_message(number, &message, &mut plain);
            let length = opened.map_err(|_bad| NoiseError::Forged)?;
            number += 1;
            if length == 0 {
                sink.shutdown().await?;
                return Ok(());
            }
            sink.write_all(plain.get(..length).unwrap_or_default()).await?;
        }
    }
}

fn begin(dialer: bool, prologue: &[u8]) -> Option<HandshakeState> {
    let builder = || Some(snow::Builder::with_resolver(PARAMS.clone()?, Box::new(Resolver)));
    let secret = Zeroizing::new(builder()?.generate_keypair().ok()?.private);
    let builder = builder()?.prologue(prologue).ok()?.local_private_key(&secret).ok()?;
    if dialer { builder.build_initiator().ok() } else { builder.build_responder().ok() }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), NoiseError> {
    let length = u16::try_from(message.len()).map_err(|_long| NoiseError::Unable)?;
    to.write_all(&[length.to_be_bytes().as_slice(), message].concat()).await?;
    Ok(to.flush().await?)
}

async fn receive(
    from: &mut (impl AsyncRead + Unpin),
    lengths: core::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, NoiseError> {
    let length = usize::from(from.read_u16().await?);
    if !lengths.contains(&length) {
        return Err(NoiseError::Length(length));
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message).await?;
    Ok(message)
}

/// The primitives that libp2p's Noise runs on, so that no others come along.
struct Resolver;

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        RingResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(Keys::default()) as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// A pair of X25519 keys.
#[derive(Default)]
struct Keys {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Dh for Keys {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.secret.copy_from_slice(secret);
        self.public = x25519(*self.secret, X25519_BASEPOINT_BYTES);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(secret.as_mut())?;
        self.set(secret.as_ref());
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_ref()
    }

    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let theirs = theirs.first_chunk().ok_or(snow::Error::Dh)?;
        let shared = Zeroizing::new(x25519(*self.secret, *theirs));
        out.get_mut(..32).ok_or(snow::Error::Dh)?.copy_from_slice(shared.as_ref());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex, split};

    use super::*;

    async fn shaken(stream: &mut DuplexStream) -> Result<Noise, NoiseError> {
        let (mut from, mut to) = split(stream);
        Noise::shake(&mut from, &mut to).await
    }

    #[tokio::test]
    async fn both_ends_know_one_binding_and_one_dialler_and_no_other_pipe_has_them() {
        let mut bindings = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let (mut near, mut far) = duplex(64);
            let (near, far) = tokio::try_join!(shaken(&mut near), shaken(&mut far)).unwrap();
            assert_eq!(near.binding, far.binding);
            assert_ne!(near.dialer, far.dialer);
            bindings.insert(near.binding);
        }
        assert_eq!(bindings.len(), 8);
    }

    #[tokio::test]
    async fn bytes_come_over_whole_both_ways_and_an_end_is_told_from_a_cut() {
        for cut in [false, true] {
            let (mut near, mut far) = duplex(1_000);
            let (one, other) = tokio::try_join!(shaken(&mut near), shaken(&mut far)).unwrap();
            let (mut here, near_plain) = duplex(1_000);
            let (mut there, far_plain) = duplex(1_000);
            let said: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let sides = async {
                let ((mut from, mut to), (mut back, mut forth)) = (split(near), split(far));
                let near = one.carry(&mut from, &mut to, near_plain);
                let far = other.carry(&mut back, &mut forth, far_plain);
                tokio::join!(near, far)
            };
            let speech = async {
                let mut heard = vec![0; said.len()];
                let (written, read) =
                    tokio::join!(here.write_all(&said), there.read_exact(&mut heard));
                written.unwrap();
                read.unwrap();
                assert!(heard == said);
                if !cut {
                    here.shutdown().await.unwrap();
                }
                there.write_all(b"yes").await.unwrap();
                there.shutdown().await.unwrap();
                let mut answer = [0; 3];
                here.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"yes");
            };
            if cut {
                tokio::select! { _ = sides => panic!("nobody has ended it"), () = speech => {} }
            } else {
                let ((near, far), ()) = tokio::join!(sides, speech);
                near.unwrap();
                far.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_due_is_refused() {
        let hello = [MAGIC.as_slice(), &[255; NONCE_BYTES]].concat();
        let with = |rest: &[u8]| [hello.as_slice(), rest].concat();
        let cases = [
            (b"login: root\n\n\n".to_vec(), "not from huza"),
            (b"huza pipe 2\n".to_vec(), "another version"),
            (with(&[0, 0]), "0 bytes"),
            (with(&[255, 255]), "65535 bytes"),
            (with(&[0, 32]), "cut"),
            (hello[..20].to_vec(), "cut"),
        ];
        for (bytes, why) in cases {
            let (mut near, mut far) = duplex(4_096);
            far.write_all(&bytes).await.unwrap();
            far.shutdown().await.unwrap();
            let error = shaken(&mut near).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error} of {bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_line_that_echoes_is_no_peer() {
        let (mut near, far) = duplex(4_096);
        let (mut from, mut to) = split(far);
        let echo = tokio::io::copy(&mut from, &mut to);
        let error = tokio::select! { _ = echo => panic!(), shaken = shaken(&mut near) => shaken };
        assert!(matches!(error, Err(NoiseError::Echo)));
    }

    /// Whatever somebody on the line changes, swaps or leaves out, nothing that was not said is
    /// heard.
    #[tokio::test]
    async fn a_message_changed_on_the_way_ends_it() {
        let (mut near, mut far) = duplex(4_096);
        let (one, other) = tokio::try_join!(shaken(&mut near), shaken(&mut far)).unwrap();
        let mut wire = Vec::new();
        one.seal(&mut b"a visit".as_slice(), &mut wire).await.unwrap();
        for at in 2..wire.len() {
            let mut changed = wire.clone();
            changed[at] ^= 1;
            let mut heard = Vec::new();
            let end = other.open(&mut changed.as_slice(), &mut heard).await;
            assert!(end.is_err(), "at {at}");
            assert!(heard.is_empty() || at >= 25, "at {at}");
        }
        let (first, last) = wire.split_at(25);
        let swapped = [last, first].concat();
        assert!(other.open(&mut swapped.as_slice(), &mut Vec::new()).await.is_err());
        assert!(other.open(&mut &first[..], &mut Vec::new()).await.is_err(), "without its end");
    }
}
