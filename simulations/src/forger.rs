//! Forged peers: they connect and say something that no honest member says. Strangers hope for data;
//! liars are members, and a device of another version is one as well.

use huza_crdt::crypto::{SigningKey, SymmetricKey};
use huza_crdt::envelope::Stored;
use huza_crdt::holdings::Span;
use huza_crdt::id::{CertId, Hash, LogId};
use huza_crdt::session::difference::{ShortId, Symbol};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, VERSION};

use std::collections::VecDeque;

use huza_crdt::control::{Scope, Statement};
use huza_crdt::trust::Issuer;

use crate::check::frames::FrameReader;
use crate::draw::Draw;
use crate::host::Host;
use crate::programme::Approved;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breed {
    /// No member.
    Stranger,
    /// A member that lies.
    Liar,
    /// A member whose device speaks another version of the protocol.
    Version,
}

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
    pub(crate) outcast: Approved,
    /// A device of this programme, with its key.
    pub(crate) insider: Option<Approved>,
    /// Logs that some device holds.
    pub(crate) logs: Vec<LogId>,
    /// Its envelopes, as batches.
    pub(crate) held: Vec<Frame>,
    /// Tells it from other forged peers.
    pub(crate) number: u32,
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
    /// A member that acknowledges all and keeps nothing.
    Hoards,
    /// A member that claims to hold what it lacks.
    Boasts,
    /// A member that says once more what was said in an earlier contact.
    Stale,
    /// A member that alters what it brings.
    Alters,
    /// A member that speaks a version of the protocol which nobody speaks any more.
    Older,
    /// A member that speaks a later version too, and has statements of a kind that is not known yet.
    Newer,
    /// The same, and it says a frame that is not known yet to who does not speak that version.
    NewFrame,
}

const LIARS: [Kind; 4] = [Kind::Hoards, Kind::Boasts, Kind::Stale, Kind::Alters];

const VERSIONS: [Kind; 3] = [Kind::Older, Kind::Newer, Kind::NewFrame];

/// Statements that one liar brings, at most.
const BROUGHT_MAX: u64 = 3;

/// A kind of statement that this version does not know.
pub(crate) const KIND_UNKNOWN: u8 = 200;

/// A variant of frame that this version does not know.
const FRAME_UNKNOWN: u8 = 99;

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
    heard: FrameReader,
    /// A member's: what it will say, one batch after the other.
    todo: VecDeque<Vec<u8>>,
}

impl Forger {
    /// Draws one. The second result is what it is, for the log.
    pub(crate) fn draw(context: Context, breed: Breed, draw: &mut Draw) -> (Self, String) {
        let kinds: &[Kind] = match breed {
            Breed::Stranger => &KINDS,
            Breed::Liar => &LIARS,
            Breed::Version => &VERSIONS,
        };
        let kind = draw.pick_or(kinds, Kind::Silent);
        let key = match (kind, breed, &context.insider) {
            (Kind::Outcast, ..) => context.outcast.key.clone(),
            (_, Breed::Liar | Breed::Version, Some(insider)) => insider.key.clone(),
            _ => SigningKey::from_seed(draw.bytes()),
        };
        let patience = draw.between(1, 5);
        let (heard, todo) = (FrameReader::default(), VecDeque::new());
        (Self { kind, context, key, patience, heard, todo }, format!("{kind:?}"))
    }

    /// Whether a node has to refuse it as if it were no member.
    pub(crate) const fn is_refused(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Hoards | Kind::Boasts | Kind::Stale | Kind::Alters | Kind::Newer | Kind::NewFrame
        )
    }

    const fn channel(&self) -> Channel {
        Channel { binding: self.context.binding, dialer: true }
    }

    fn hello(&self, certificate: CertId, draw: &mut Draw) -> Vec<u8> {
        let (digest, count) = (draw.bytes(), draw.below(1_000));
        self.hello_of((VERSION, certificate), (digest, count), draw)
    }

    fn hello_of(
        &self,
        (version, certificate): (u8, CertId),
        (digest, count): ([u8; 16], u64),
        draw: &mut Draw,
    ) -> Vec<u8> {
        let hello = Hello { version, certificate, digest, count, room: u32::MAX, more: false };
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
            Kind::Hoards
            | Kind::Boasts
            | Kind::Stale
            | Kind::Alters
            | Kind::Older
            | Kind::Newer
            | Kind::NewFrame => {
                let certificate = self.context.insider.as_ref().map(|one| one.certificate);
                let version = match self.kind {
                    Kind::Older => 0,
                    Kind::Newer | Kind::NewFrame => VERSION + 1,
                    _ => VERSION,
                };
                // With nothing, it is the one that tells what it holds.
                let holds = (draw.bytes(), 0);
                self.hello_of((version, certificate.unwrap_or(CertId([0; 16]))), holds, draw)
            }
        }
    }

    /// What it answers.
    pub(crate) fn hear(&mut self, bytes: &[u8], draw: &mut Draw) -> Vec<u8> {
        if !self.is_refused() {
            let frames = self.heard.push(bytes);
            return frames.into_iter().flat_map(|frame| self.answer(&frame, draw)).collect();
        }
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
            Kind::StolenCertificate | Kind::OutOfTurn | Kind::Older => wants(draw),
            Kind::Hoards
            | Kind::Boasts
            | Kind::Stale
            | Kind::Alters
            | Kind::Newer
            | Kind::NewFrame => Vec::new(),
        }
    }

    /// What a member answers to a frame. It keeps nothing of what it hears, whatever it says.
    fn answer(&mut self, frame: &Frame, draw: &mut Draw) -> Vec<u8> {
        match frame {
            Frame::Hello(_) => {
                Frame::Summary { statements: Vec::new(), logs: self.claims(draw), last: true }
                    .to_pipe()
            }
            Frame::WantChain { .. } => {
                let chain = self.context.insider.as_ref().map(|one| one.chain.clone());
                self.chain(&chain.unwrap_or_default(), draw)
            }
            Frame::Differ { last: true, .. } => {
                self.todo = self.brings(draw);
                self.next()
            }
            Frame::Batch { number, .. } => Frame::Ack { number: *number }.to_pipe(),
            Frame::Ack { .. } => self.next(),
            Frame::End { digest, all } => match self.kind {
                // As if it held all of it.
                Kind::Boasts | Kind::Hoards => Frame::End { digest: *digest, all: *all }.to_pipe(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn next(&mut self) -> Vec<u8> {
        self.todo.pop_front().unwrap_or_default()
    }

    /// What it says that it holds.
    fn claims(&self, draw: &mut Draw) -> Vec<(LogId, Vec<Span>)> {
        let logs = self.context.logs.iter().filter(|_| self.kind == Kind::Boasts);
        let mut claims = Vec::new();
        for log in logs {
            if draw.chance(700) {
                let span = Span { from: 0, to: draw.below(40), end: Hash(draw.bytes()) };
                claims.push((*log, vec![span]));
            }
        }
        claims
    }

    /// What it says once both know what the other lacks, one batch after the other.
    fn brings(&self, draw: &mut Draw) -> VecDeque<Vec<u8>> {
        let totals = |statements, envelopes| Frame::Totals { statements, envelopes }.to_pipe();
        let mut said: VecDeque<Vec<u8>> = match self.kind {
            Kind::Stale => {
                let recorded = FrameReader::default().push(&self.context.recorded);
                let later = recorded.into_iter().filter(|frame| {
                    !matches!(frame, Frame::Hello(_) | Frame::Chain(_) | Frame::WantChain { .. })
                });
                VecDeque::from([later.flat_map(|frame| frame.to_pipe()).collect()])
            }
            Kind::Alters => {
                let mut held = self.context.held.clone();
                held.iter_mut().for_each(|frame| alter(frame, draw));
                held.iter().map(Frame::to_pipe).collect()
            }
            Kind::Newer => {
                let count = draw.between(1, BROUGHT_MAX);
                let statements = (0..count).map(|at| Bytes(self.unknown(at, draw).to_bytes()));
                let (number, statements) = (0, statements.collect());
                VecDeque::from([Frame::Batch { number, statements, runs: Vec::new() }.to_pipe()])
            }
            Kind::NewFrame => VecDeque::from([vec![1, 0, 0, 0, FRAME_UNKNOWN]]),
            _ => VecDeque::new(),
        };
        let first = match self.kind {
            Kind::Newer => Some(totals(BROUGHT_MAX, 0)),
            Kind::Alters => Some(totals(0, said.len() as u64)),
            _ => None,
        };
        if let (Some(first), Some(next)) = (first, said.front_mut()) {
            next.splice(0..0, first);
        }
        said
    }

    /// A statement that only a later version can read.
    fn unknown(&self, at: u64, draw: &mut Draw) -> Statement {
        let certificate = self.context.insider.as_ref().map(|one| one.certificate);
        let issuer = Issuer::Certified(certificate.unwrap_or(CertId([0; 16])));
        let number = u64::from(self.context.number) * BROUGHT_MAX + at;
        let length = draw.between(0, 200);
        let body = (KIND_UNKNOWN, draw.blob(length));
        Statement::sign(&self.key, issuer, (number, Hash([0; 32])), Scope::Programme, body)
    }
}

/// Changes one thing about what a batch brings; some batches stay as they are.
fn alter(frame: &mut Frame, draw: &mut Draw) {
    let Frame::Batch { runs, .. } = frame else { return };
    for run in runs {
        match draw.below(4) {
            0 => run.first += 1,
            1 => run.previous = Hash(draw.bytes()),
            2 => run.envelopes.iter_mut().for_each(|wire| wire.items_root = draw.bytes()),
            _ => {}
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
pub(crate) fn everything_held(host: &Host) -> Vec<Frame> {
    let runs = host.disk.durable.carrier.envelopes().map(|((log, first), one)| {
        let Stored { previous, wire } = one.stored.clone();
        Run { log, first, previous, envelopes: vec![wire] }
    });
    runs.zip(0..)
        .map(|(run, number)| Frame::Batch { number, statements: Vec::new(), runs: vec![run] })
        .collect()
}
