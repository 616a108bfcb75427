//! A member that says whatever a test wants: it holds a real certificate, and no Node.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file uses a part of it, and it fails loudly"
)]

use huza_crdt::codec;
use huza_crdt::control::{Opening, Scope, Statement, kind};
use huza_crdt::crypto::{SealingKey, SigningKey, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Stored, Urgency};
use huza_crdt::id::{AreaTag, Hash, Incarnation, LogId, RecordId};
use huza_crdt::node::{Input, PipeId};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, VERSION, take_frame};
use huza_crdt::trust::approval::{Approval, JoinRequest, Membership};
use huza_crdt::trust::{AreaScope, Certificate, Issuer, Role};

use super::common::{Host, TODAY, World};

pub struct RawPeer {
    pub key: SigningKey,
    pub membership: Membership,
    pub chain: Vec<Vec<u8>>,
    /// The first village of its certificate.
    pub area: AreaTag,
    pub version: u8,
    /// How many entries it says that it holds. With few, it tells them all; with many, the host
    /// does.
    pub count: u64,
    /// Whether it keeps its certificate chain to itself.
    pub hides_chain: bool,
    number: (u64, Hash),
    next_pipe: u64,
}

impl RawPeer {
    pub fn join(world: &mut World, seed: u8, role: Role, village: &str) -> Self {
        let (key, sealing) = (SigningKey::from_seed([seed; 32]), SealingKey::from_seed([seed; 32]));
        let request = JoinRequest::new(&key, sealing.public(), ("raw", false), TODAY, [seed; 8]);
        // These have the whole catchment.
        let villages = [village.to_owned()];
        let whole = matches!(role, Role::Authority | Role::Hub | Role::Gateway);
        let approval = Approval::of(role, if whole { &[] } else { &villages });
        let welcome = world.centre.approve(&request, &approval, TODAY, &mut world.entropy).unwrap();
        let membership = welcome.open(&sealing).unwrap();
        let certificates: Vec<_> =
            welcome.statements.iter().filter(|one| one.kind() == kind::CERTIFICATE).collect();
        let cose = certificates.last().unwrap().body();
        let (certificate, _) = Certificate::read(cose, |_| Some(key.public())).unwrap();
        let area = match certificate.areas[..] {
            [AreaScope::Area(area)] => area,
            [AreaScope::Catchment(tag)] => {
                let mut area = AreaTag([1; 16]);
                area.0[..8].copy_from_slice(&tag.0);
                area
            }
            _ => panic!("one village or all"),
        };
        let chain = certificates.iter().map(|one| one.to_bytes()).collect();
        Self {
            key,
            membership,
            chain,
            area,
            version: VERSION,
            count: 0,
            hides_chain: false,
            number: (0, Hash([0; 32])),
            next_pipe: 1_000 * u64::from(seed),
        }
    }

    /// The same member, as if nothing had been said since it joined.
    pub fn again(&self) -> Self {
        Self {
            key: SigningKey::from_seed(self.key.seed()),
            membership: self.membership.clone(),
            chain: self.chain.clone(),
            ..*self
        }
    }

    /// Opens a pipe to `host` and proves itself; the transfer may begin.
    pub fn meet(&mut self, host: &mut Host) -> PipeId {
        let pipe = self.hello(host);
        let last = Frame::Summary { statements: vec![], logs: vec![], last: true };
        self.say(host, pipe, &last);
        pipe
    }

    /// Opens a pipe to `host` and proves itself.
    pub fn hello(&mut self, host: &mut Host) -> PipeId {
        let pipe = PipeId(self.next_pipe);
        self.next_pipe += 1;
        let binding = [7; 32];
        host.handle(Input::PipeOpened { pipe, dialer: false, binding });
        let channel = Channel { binding, dialer: true };
        let certificate = self.membership.certificate;
        let hello = Hello {
            version: self.version,
            certificate,
            digest: [0; 16],
            count: self.count,
            room: 0,
            more: false,
        };
        let member = &self.membership.member;
        let sealed = channel.seal_hello(&hello, &self.key, member, [1; 32]);
        self.say(host, pipe, &Frame::Hello(sealed));
        let heard = Self::heard(host, pipe);
        let wanted = heard.iter().any(|frame| matches!(frame, Frame::WantChain { .. }));
        // What it said besides is still to be read by the test.
        host.sent.extend(heard.iter().map(|frame| (pipe, frame.to_pipe())));
        if wanted && !self.hides_chain {
            let sealed = channel.seal_chain(&self.chain, member, [2; 32]);
            self.say(host, pipe, &Frame::Chain(sealed));
        }
        pipe
    }

    pub fn say(&self, host: &mut Host, pipe: PipeId, frame: &Frame) {
        host.handle(Input::Received { pipe, bytes: frame.to_pipe() });
    }

    /// What the host has said on this pipe since.
    pub fn heard(host: &mut Host, pipe: PipeId) -> Vec<Frame> {
        let mut buffer = Vec::new();
        let said: Vec<_> = host.sent.drain(..).collect();
        for (to, bytes) in said {
            if to == pipe {
                buffer.extend(bytes);
            } else {
                host.sent.push_back((to, bytes));
            }
        }
        let mut frames = Vec::new();
        while let Some(bytes) = take_frame(&mut buffer).unwrap() {
            frames.push(Frame::from_bytes(&bytes).unwrap());
        }
        frames
    }

    /// The next statement of this member.
    pub fn statement(&mut self, scope: Scope, kind: u8, body: Vec<u8>) -> Statement {
        let issuer = Issuer::Certified(self.membership.certificate);
        let statement = Statement::sign(&self.key, issuer, self.number, scope, (kind, body));
        self.number = (self.number.0 + 1, statement.hash());
        statement
    }

    /// The opening of a log of this member in `area`.
    pub fn opening(&mut self, area: AreaTag, life: u8) -> Statement {
        let opening = Opening {
            device: self.key.public(),
            certificate: self.membership.certificate,
            area,
            incarnation: Incarnation([life; 16]),
        };
        let scope = Scope::Catchment(area.catchment());
        self.statement(scope, kind::OPENING, codec::encode(&opening))
    }

    /// An envelope of this member whose content nobody can read.
    pub fn envelope(&self, log: LogId, seq: u64, previous: Hash) -> Stored {
        self.envelope_of(log, seq, previous, (Urgency::Routine, vec![0; 8]))
    }

    /// The same, of this urgency and with this in place of a change.
    pub fn envelope_of(
        &self,
        log: LogId,
        seq: u64,
        previous: Hash,
        (urgency, change): (Urgency, Vec<u8>),
    ) -> Stored {
        let item = Item { record: RecordId([1; 16]), change, card: Vec::new() };
        let payload = Payload { origin: None, first: seq, items: vec![item] };
        let seal = Seal::Member(SymmetricKey::from_bytes([9; 32]));
        let sealed = payload.seal(log, &seal, urgency, [3; 32]).unwrap();
        sealed.number(&self.key, log, seq, previous)
    }
}

/// A batch of statements and of one envelope per run.
pub fn batch(number: u32, statements: &[&Statement], runs: &[(LogId, u64, &Stored)]) -> Frame {
    Frame::Batch {
        number,
        statements: statements.iter().map(|one| Bytes(one.to_bytes())).collect(),
        runs: runs
            .iter()
            .map(|(log, first, stored)| Run {
                log: *log,
                first: *first,
                previous: stored.previous,
                envelopes: vec![stored.wire.clone()],
            })
            .collect(),
    }
}
