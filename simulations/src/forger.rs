//! Forged peers: they connect, say something that no member says, and hope for data.

use huza_crdt::codec;
use huza_crdt::crypto::{SigningKey, SymmetricKey};
use huza_crdt::envelope::Stored;
use huza_crdt::holdings::Span;
use huza_crdt::id::{CertId, Hash, LogId};
use huza_crdt::session::difference::{ShortId, Symbol};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, VERSION};
use huza_crdt::store::Table;

use crate::audit::place_of;
use crate::draw::Draw;
use crate::host::Host;
use crate::programme::Outcast;

/// What a forged peer could get hold of.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Of its pipe.
    pub(crate) binding: [u8; 32],
    /// The key that every member holds.
    pub(crate) member: SymmetricKey,
    /// What members said on another pipe.
    pub(crate) recorded: Vec<u8>,
    /// The certificate of a member.
    pub(crate) stolen: Option<CertId>,
    /// A device of another programme, with its key.
    pub(crate) outcast: Outcast,
}

/// How it goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says nothing.
    Silent,
    /// Says random bytes.
    Random,
    /// Announces a frame that is too large.
    Huge,
    /// Says what members said before.
    Replay,
    /// Has the member key, and no certificate at all.
    LeakedKey,
    /// Has the member key, and a good certificate of another programme.
    Outcast,
    /// Has the member key, and shows a member's certificate without its key.
    StolenCertificate,
    /// Skips the hello.
    OutOfTurn,
}

const KINDS: [Kind; 8] = [
    Kind::Silent,
    Kind::Random,
    Kind::Huge,
    Kind::Replay,
    Kind::LeakedKey,
    Kind::Outcast,
    Kind::StolenCertificate,
    Kind::OutOfTurn,
];

/// A forged peer.
#[derive(Debug)]
pub(crate) struct Forger {
    kind: Kind,
    context: Context,
    key: SigningKey,
    /// How often it will answer what it hears.
    patience: u64,
}

impl Forger {
    /// Draws one. The second result is what it is, for the log.
    pub(crate) fn draw(context: Context, draw: &mut Draw) -> (Self, String) {
        let kind = draw.pick_or(&KINDS, Kind::Silent);
        let key = match kind {
            Kind::Outcast => context.outcast.key.clone(),
            _ => SigningKey::from_seed(draw.bytes()),
        };
        let patience = draw.between(1, 5);
        (Self { kind, context, key, patience }, format!("{kind:?}"))
    }

    const fn channel(&self) -> Channel {
        Channel { binding: self.context.binding, dialer: true }
    }

    fn hello(&self, certificate: CertId, draw: &mut Draw) -> Vec<u8> {
        let (digest, count) = (draw.bytes(), draw.below(1_000));
        let hello =
            Hello { version: VERSION, certificate, digest, count, room: u32::MAX, more: false };
        let sealed =
            self.channel().seal_hello(&hello, &self.key, &self.context.member, draw.bytes());
        Frame::Hello(sealed).to_pipe()
    }

    fn chain(&self, chain: &[Vec<u8>], draw: &mut Draw) -> Vec<u8> {
        let sealed = self.channel().seal_chain(chain, &self.context.member, draw.bytes());
        Frame::Chain(sealed).to_pipe()
    }

    /// What it says first.
    pub(crate) fn first_words(&self, draw: &mut Draw) -> Vec<u8> {
        match self.kind {
            Kind::Silent => Vec::new(),
            Kind::Random => {
                let length = draw.between(1, 4_000);
                draw.blob(length)
            }
            Kind::Huge => [u32::MAX.to_le_bytes().to_vec(), draw.blob(100)].concat(),
            Kind::Replay => self.context.recorded.clone(),
            Kind::LeakedKey => self.hello(CertId(draw.bytes()), draw),
            Kind::Outcast => self.hello(self.context.outcast.certificate, draw),
            Kind::StolenCertificate => {
                let stolen = self.context.stolen.unwrap_or(CertId([0; 16]));
                self.hello(stolen, draw)
            }
            Kind::OutOfTurn => wants(draw),
        }
    }

    /// What it answers.
    pub(crate) fn hear(&mut self, _bytes: &[u8], draw: &mut Draw) -> Vec<u8> {
        let Some(patience) = self.patience.checked_sub(1) else { return Vec::new() };
        self.patience = patience;
        match self.kind {
            Kind::Silent | Kind::Huge | Kind::Replay => Vec::new(),
            Kind::Random => {
                let length = draw.below(300);
                draw.blob(length)
            }
            Kind::LeakedKey => {
                let nonsense = [draw.blob(200)];
                [self.chain(&nonsense, draw), wants(draw)].concat()
            }
            Kind::Outcast => {
                let chain = self.context.outcast.chain.clone();
                [self.chain(&chain, draw), wants(draw)].concat()
            }
            Kind::StolenCertificate | Kind::OutOfTurn => wants(draw),
        }
    }
}

/// Frames that a proven peer would say to get data.
fn wants(draw: &mut Draw) -> Vec<u8> {
    let span = Span { from: 0, to: draw.below(9), end: Hash(draw.bytes()) };
    let all = [
        Frame::WantChain { known: Vec::new() },
        Frame::Summary {
            statements: Vec::new(),
            logs: vec![(LogId(draw.bytes()), vec![span])],
            last: true,
        },
        Frame::WantSymbols { to: 128 },
        Frame::Symbols((0..32).map(|_| Symbol(draw.bytes())).collect()),
        Frame::Differ { logs: Vec::new(), wanted: vec![ShortId(draw.bytes())], last: true },
        Frame::Totals { statements: 0, envelopes: 0 },
        Frame::Batch { number: 0, statements: vec![Bytes(draw.blob(80))], runs: Vec::new() },
        Frame::Ack { number: 0 },
        Frame::End { digest: draw.bytes(), all: draw.bytes() },
    ];
    let from = usize::try_from(draw.below(all.len() as u64)).unwrap_or_default();
    all.iter().skip(from).flat_map(Frame::to_pipe).collect()
}

/// What a shell would send that serves whoever connects: every envelope on the disk, in frames.
pub(crate) fn everything_held(host: &Host) -> Vec<Vec<u8>> {
    let rows = host.disk.durable.rows(Table::Envelopes);
    let runs = rows.iter().filter_map(|(key, value)| {
        let (log, first) = place_of(key)?;
        let stored: Stored = codec::decode(value).ok()?;
        Some(Run { log, first, previous: stored.previous, envelopes: vec![stored.wire] })
    });
    runs.zip(0..)
        .map(|(run, number)| Frame::Batch { number, statements: Vec::new(), runs: vec![run] })
        .map(|frame| frame.to_pipe())
        .collect()
}
