//! Sessions: opening, proving, comparing, ending.

use std::sync::Arc;

use super::api::{Event, Output, PipeId};
use super::judge::grounds;
use super::state::{Met, Task};
use super::{Node, compare};
use crate::control::{Home, Statement, kind};
use crate::crypto::{Signature, Signed};
use crate::holdings::{Claims, Digests, Spans};
use crate::id::{CertId, DeviceKey, LogId};
use crate::limits::{
    DOUBTERS_MAX, EARLY_BYTES_MAX, FRAME_BYTES_MAX, HELLO_BYTES_MAX, ROOM_UNIT_BYTES, SESSIONS_MAX,
    SILENCE_MS_MAX, WAITING_BYTES_MAX,
};
use crate::session::frame::{Bytes, Channel, Frame, Hello, VERSION, take_frame_within};
use crate::session::{Comparing, Fault, Known, Peer, Phase, Session};
use crate::trust::directory_area;

/// Milliseconds within which two sessions with one device count as a dial from both sides at
/// once: then both ends keep the same one. // guess: slower than any handshake we bear
const SIMULTANEOUS_MS: u64 = 5_000;

impl Node {
    pub(super) fn pipe_opened(&mut self, pipe: PipeId, dialer: bool, binding: [u8; 32]) {
        let channel = Channel { binding, dialer };
        let (digests, claims) = (self.digests(), self.claims());
        let digest = digests.all();
        let (room, more) = (self.room_told(), self.has_unsaid());
        let hello = self.carrier.membership.as_ref().zip(self.carrier.identity.as_ref());
        let Some((membership, identity)) = hello.filter(|_| self.sessions.len() < SESSIONS_MAX)
        else {
            self.fx.outputs.push_back(Output::Close { pipe });
            return;
        };
        let mut session = Session::new(channel, self.now.millis, claims);
        (session.digest, session.digests) = (digest, digests);
        session.more.0 = more;
        let count = compare::count(&session.at_hello);
        let certificate = membership.certificate;
        let hello = Hello { version: VERSION, certificate, digest, count, room, more };
        let entropy = self.entropy.draw();
        let sealed = channel.seal_hello(&hello, &identity.key(), &membership.member, entropy);
        self.sessions.insert(pipe, session);
        self.say(pipe, &Frame::Hello(sealed));
    }

    pub(super) fn pipe_closed(&mut self, pipe: PipeId) {
        self.end_session(pipe, None);
    }

    /// Sends a frame.
    pub(super) fn say(&mut self, pipe: PipeId, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let bytes = frame.to_pipe();
        session.sent(bytes.len());
        self.fx.outputs.push_back(Output::Send { pipe, bytes });
    }

    pub(super) fn received(&mut self, pipe: PipeId, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.hear(bytes.len(), self.now.millis);
        session.buffer.extend(bytes);
        if session.unproven.is_some() && self.early_bytes() > EARLY_BYTES_MAX {
            self.fault(pipe, Fault::OutOfTurn("bytes before a proof".to_owned()));
        }
        self.hear_buffered(pipe);
    }

    /// Hears every whole frame that has come, unless this side is calculating: then they wait.
    pub(super) fn hear_buffered(&mut self, pipe: PipeId) {
        while let Some(session) = self.sessions.get_mut(&pipe) {
            if matches!(session.comparing, Comparing::Busy) {
                if session.buffer.len() > WAITING_BYTES_MAX {
                    self.fault(pipe, Fault::OutOfTurn("more than it may".to_owned()));
                }
                return;
            }
            let most = match session.phase {
                Phase::Hello if session.unproven.is_none() => HELLO_BYTES_MAX,
                _ => FRAME_BYTES_MAX,
            };
            let frame = match take_frame_within(&mut session.buffer, most) {
                Ok(Some(bytes)) => Frame::from_bytes(&bytes),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let heard = frame.map_err(Fault::from).and_then(|frame| self.hear(pipe, frame));
            if let Err(fault) = heard {
                self.fault(pipe, fault);
            }
        }
    }

    /// Bytes that are kept for those who know the members' key and have not proven who they are.
    fn early_bytes(&self) -> usize {
        let unproven = self.sessions.values().filter(|session| session.unproven.is_some());
        unproven.map(|session| session.early_bytes + session.buffer.len()).sum()
    }

    /// Has the carrier write down what peers acknowledged, unless another write does it anyway.
    fn remember_taken(&mut self) {
        let carrier = &self.carrier;
        let changed = !carrier.taken_changed.is_empty() || !carrier.met_changed.is_empty();
        if changed && carrier.tasks.is_empty() {
            self.carrier.tasks.push_back(Task::Remember);
        }
    }

    /// Closes a session because of what its peer did.
    pub(super) fn fault(&mut self, pipe: PipeId, fault: Fault) {
        if self.sessions.contains_key(&pipe) {
            self.end_session(pipe, Some(fault));
            self.fx.outputs.push_back(Output::Close { pipe });
        }
    }

    /// Closes a session that is of no use now.
    pub(super) fn part(&mut self, pipe: PipeId) {
        self.end_session(pipe, None);
        self.fx.outputs.push_back(Output::Close { pipe });
    }

    fn end_session(&mut self, pipe: PipeId, fault: Option<Fault>) {
        let Some(mut session) = self.sessions.remove(&pipe) else { return };
        if session.stats.millis == 0 {
            session.stats.millis = self.now.millis.since(session.opened);
        }
        let (peer, stats, complete) = (session.peer, session.stats, session.complete);
        self.event(Event::ContactEnded { pipe, peer, stats, complete, fault });
        self.remember_taken();
    }

    pub(super) fn expire_sessions(&mut self) {
        let now = self.now.millis;
        let late = |session: &Session| session.deadline().is_some_and(|due| due <= now);
        let expired: Vec<PipeId> =
            self.sessions.iter().filter(|(_, one)| late(one)).map(|(pipe, _)| *pipe).collect();
        for pipe in expired {
            self.fault(pipe, Fault::Silent);
        }
    }

    fn hear(&mut self, pipe: PipeId, frame: Frame) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let phase = session.phase;
        let name = frame.name();
        match (phase, frame) {
            (Phase::Hello, Frame::Hello(sealed)) => self.hear_hello(pipe, &sealed),
            (_, Frame::WantChain { known }) => self.tell_chain(pipe, &known),
            (_, Frame::Revoked(sealed)) => self.hear_revoked(pipe, &sealed),
            (Phase::Hello, Frame::Chain(sealed)) => self.hear_chain(pipe, &sealed),
            (Phase::Hello, frame @ (Frame::Summary { .. } | Frame::Symbols(_) | Frame::Same))
                if session.unproven.is_some() =>
            {
                // It knows our certificate and went on; we still wait for its chain.
                session.early_bytes += frame.to_pipe().len() + size_of::<Frame>();
                session.early.push(frame);
                Ok(())
            }
            (Phase::Compare, Frame::Now { digest, count }) => {
                let Comparing::Acquainting { heard: heard @ None, .. } = &mut session.comparing
                else {
                    return Err(Fault::OutOfTurn(name.to_owned()));
                };
                *heard = Some((digest, count));
                self.acquainted(pipe);
                Ok(())
            }
            (Phase::Compare, Frame::Same) => self.hear_same(pipe),
            (Phase::Compare, Frame::Summary { statements, logs, last }) => {
                if let Comparing::Encoding { .. } | Comparing::Same { .. } = session.comparing {
                    // It did not find the difference, or does not know how we parted.
                    session.comparing = Comparing::Hearing;
                }
                if !matches!(session.comparing, Comparing::Hearing) {
                    return Err(Fault::OutOfTurn(name.to_owned()));
                }
                if !last && statements.is_empty() && logs.is_empty() {
                    return Err(Fault::Malformed("a part of a summary with nothing".to_owned()));
                }
                session.hear_summary(statements, logs)?;
                if last {
                    self.answer_all(pipe);
                }
                Ok(())
            }
            (Phase::Compare, Frame::Symbols(symbols)) => self.hear_symbols(pipe, symbols),
            (Phase::Compare, Frame::WantSymbols { to }) => self.hear_want(pipe, to),
            (Phase::Compare, Frame::Differ { logs, wanted, last }) => {
                self.hear_difference(pipe, logs, wanted, last)
            }
            (Phase::Transfer, Frame::Totals { statements, envelopes }) => {
                session.expected = (statements, envelopes);
                session.complete = false;
                Ok(())
            }
            (Phase::Transfer, Frame::Batch { number, statements, runs }) => {
                self.hear_batch(pipe, number, &statements, runs)
            }
            (Phase::Transfer, Frame::Ack { number }) => self.hear_ack(pipe, number),
            (Phase::Transfer, Frame::Refused { number, full, logs }) => {
                self.hear_refused(pipe, (number, full), &logs)
            }
            (Phase::Transfer, Frame::End { digest, all }) => {
                session.end_received = Some(digest);
                session.all_received = all;
                Ok(())
            }
            _ => Err(Fault::OutOfTurn(name.to_owned())),
        }
    }

    fn hear_hello(&mut self, pipe: PipeId, sealed: &Bytes) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        if session.unproven.is_some() {
            return Err(Fault::OutOfTurn("hello".to_owned()));
        }
        let membership = self.carrier.membership.as_ref().ok_or(Fault::Unavailable)?;
        let from = session.channel.reversed();
        let (hello, signature) =
            from.open_hello(sealed, &membership.member).ok_or(Fault::NotAMember)?;
        if hello.version < VERSION {
            return Err(Fault::Version(hello.version));
        }
        session.room = u64::from(hello.room) * ROOM_UNIT_BYTES;
        session.more.1 = hello.more;
        session.unproven = Some((hello.clone(), signature));
        let lane = self.carrier.lane.as_ref().ok_or(Fault::Unavailable)?;
        match lane.certificate(&hello.certificate) {
            Some(certificate) => {
                let peer = Peer {
                    certificate: hello.certificate,
                    device: certificate.device,
                    role: certificate.role,
                };
                let grounds = grounds(lane, peer.certificate);
                session.home = lane.home(&peer.certificate);
                self.prove(pipe, peer, (&hello, signature), grounds)
            }
            None => {
                session.wanted_chain = true;
                let own = lane.links(membership.certificate);
                let known = own.into_iter().map(|(id, _)| id).collect();
                self.say(pipe, &Frame::WantChain { known });
                Ok(())
            }
        }
    }

    fn tell_chain(&mut self, pipe: PipeId, known: &[CertId]) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        if session.told_chain.is_some() {
            return Err(Fault::OutOfTurn("want-chain".to_owned()));
        }
        let channel = session.channel;
        let entropy = self.entropy.draw();
        let membership = self.carrier.membership.as_ref().ok_or(Fault::Unavailable)?;
        let lane = self.carrier.lane.as_ref().ok_or(Fault::Unavailable)?;
        let mut chain = lane.links(membership.certificate);
        chain.retain(|(id, _)| !known.contains(id));
        session.told_chain = Some(chain.iter().map(|(_, statement)| statement.id()).collect());
        let chain: Vec<Vec<u8>> =
            chain.into_iter().map(|(_, statement)| statement.to_bytes()).collect();
        let sealed = channel.seal_chain(&chain, &membership.member, entropy);
        self.say(pipe, &Frame::Chain(sealed));
        Ok(())
    }

    fn hear_chain(&mut self, pipe: PipeId, sealed: &Bytes) -> Result<(), Fault> {
        let Some(session) = self.sessions.get(&pipe) else { return Ok(()) };
        let Some((hello, signature)) = session.unproven.clone() else {
            return Err(Fault::OutOfTurn("chain".to_owned()));
        };
        let membership = self.carrier.membership.as_ref().ok_or(Fault::Unavailable)?;
        let from = session.channel.reversed();
        let chain = from.open_chain(sealed, &membership.member).ok_or(Fault::NotAMember)?;
        let bad = |why: &dyn core::fmt::Display| Fault::BadCertificate(why.to_string());
        let mut lane = self.carrier.lane.clone().ok_or(Fault::Unavailable)?;
        let mut statements = Vec::new();
        for bytes in chain {
            let statement = Statement::from_bytes(&bytes.0).map_err(|error| bad(&error))?;
            let signed = lane.candidates().add(&statement).map_err(|error| bad(&error))?;
            if statement.kind() != kind::CERTIFICATE || !signed.iter().all(Signed::verify) {
                return Err(bad(&"a signature in its chain does not hold"));
            }
            lane.admit(statement.clone()).map_err(|error| bad(&error))?;
            statements.push(statement);
        }
        let certificate = lane
            .certificate(&hello.certificate)
            .ok_or_else(|| bad(&"its chain does not lead to its certificate"))?;
        let peer = Peer {
            certificate: hello.certificate,
            device: certificate.device,
            role: certificate.role,
        };
        let grounds = grounds(&lane, peer.certificate);
        if let Some(session) = self.sessions.get_mut(&pipe) {
            session.home = lane.home(&peer.certificate);
            session.heard_chain = statements.iter().map(Statement::id).collect();
        }
        if grounds.is_none() {
            self.carrier.tasks.push_back(Task::Admit { statements, of: Some(pipe) });
        }
        self.prove(pipe, peer, (&hello, signature), grounds)
    }

    /// The peer's chain is durable here. If it asked for ours too, what both hold is compared as it
    /// is now.
    pub(super) fn admitted_chain(&mut self, pipe: PipeId) {
        let (digests, claims) = (self.digests(), self.claims());
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let Comparing::Acquainting { said, .. } = &mut session.comparing else { return };
        *said = true;
        let count = compare::count(&claims);
        let digest = digests.all();
        (session.digest, session.digests, session.at_hello) = (digest, digests, claims);
        self.say(pipe, &Frame::Now { digest, count });
        self.acquainted(pipe);
    }

    /// Begins to compare once both have said what they hold now.
    fn acquainted(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        if let Comparing::Acquainting { said: true, heard: Some((digest, count)) } =
            session.comparing
        {
            self.compare_with(pipe, digest, count);
        }
    }

    /// The peer's certificate is valid: does it hold the key? `grounds`: why it is shut out, if it
    /// is.
    fn prove(
        &mut self,
        pipe: PipeId,
        peer: Peer,
        (hello, signature): (&Hello, Signature),
        grounds: Option<Vec<Vec<u8>>>,
    ) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let proof = session.channel.reversed().proof(hello, peer.device, signature);
        if !proof.verify() {
            return Err(Fault::BadProof);
        }
        session.unproven = None;
        session.peer = Some(peer);
        if let Some(grounds) = grounds {
            self.turn_away(pipe, &grounds);
            return Ok(());
        }
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        session.phase = Phase::Compare;
        self.keep_one_session(pipe, &peer)?;
        self.event(Event::Met { pipe, peer });
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        if session.wanted_chain && session.told_chain.is_some() {
            session.comparing = Comparing::Acquainting { said: false, heard: None };
        } else {
            self.compare_with(pipe, hello.digest, hello.count);
        }
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let early = core::mem::take(&mut session.early);
        session.early_bytes = 0;
        early.into_iter().try_for_each(|frame| self.hear(pipe, frame))
    }

    /// The peer holds so much, of this digest: finds out what differs, if anything does.
    fn compare_with(&mut self, pipe: PipeId, digest: [u8; 16], count: u64) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let met = session.peer.and_then(|peer| {
            let met = self.carrier.met.get(&peer.device)?;
            let same = (met.ours, met.theirs, met.certificate)
                == (session.digest, digest, peer.certificate);
            let more_room = met.withheld > 0 && session.room > 0;
            (same && !more_room).then_some(met)
        });
        if session.digest == digest {
            self.nothing_new(pipe, digest);
        } else if let Some(met) = met {
            session.stats.envelopes_withheld = met.withheld;
            session.comparing = Comparing::Same { digest, count };
            self.say(pipe, &Frame::Same);
        } else {
            self.compare(pipe, count);
        }
    }

    /// Both hold what they held when they parted. `theirs`: the digest of what the peer holds.
    fn nothing_new(&mut self, pipe: PipeId, theirs: [u8; 16]) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.theirs = Known::same(Arc::clone(&session.at_hello));
        // Who has no more to say has said what its end would say.
        let digest = shared(&session.digests, &self.carrier.home, &session.home);
        session.end_sent = (!session.more.0).then_some(digest);
        session.end_received = (!session.more.1).then_some(digest);
        session.all_received = theirs;
        self.begin_transfer(pipe);
    }

    /// The peer knows how we parted.
    fn hear_same(&mut self, pipe: PipeId) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        match &session.comparing {
            Comparing::Same { digest, .. } => {
                let digest = *digest;
                self.nothing_new(pipe, digest);
            }
            // It waits for us to begin, and we for it.
            Comparing::Hearing => self.want_symbols(pipe, 0),
            Comparing::Decoding { symbols } if symbols.is_empty() => self.want_symbols(pipe, 0),
            // It will see that we do not.
            Comparing::Told | Comparing::Encoding { .. } => {}
            _ => return Err(Fault::OutOfTurn("same".to_owned())),
        }
        Ok(())
    }

    /// One session per device: the newest, or, if both sides dialled at once, the one with the
    /// lower binding, so that both ends keep the same.
    fn keep_one_session(&mut self, pipe: PipeId, peer: &Peer) -> Result<(), Fault> {
        let Some(new) = self.sessions.get(&pipe) else { return Ok(()) };
        let (opened, binding) = (new.opened, new.channel.binding);
        let same = |session: &Session| session.peer.is_some_and(|one| one.device == peer.device);
        let others: Vec<PipeId> = self
            .sessions
            .iter()
            .filter(|(other, session)| **other != pipe && same(session))
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            let Some(old) = self.sessions.get(&other) else { continue };
            let at_once = opened.since(old.opened) < SIMULTANEOUS_MS;
            if at_once && old.channel.binding < binding {
                return Err(Fault::Duplicate);
            }
            self.fault(other, Fault::Duplicate);
        }
        Ok(())
    }

    /// If a peer claims to hold more of a log of this incarnation than we do, we may be a copy:
    /// no seq is given until it has shown that, or failed to.
    pub(super) fn notice_own_past(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let theirs = &session.theirs;
        let beyond = self.carrier.own.values().any(|own| {
            let mine = self.carrier.holdings.logs.get(&own.row.log);
            let last = mine.and_then(|held| held.spans.last());
            theirs.spans(&own.row.log).and_then(Spans::last) > last
        });
        let Some(peer) = session.peer.filter(|_| beyond) else { return };
        let doubts = &mut self.carrier.doubts;
        if doubts.len() < DOUBTERS_MAX || doubts.contains_key(&peer.device) {
            let until = self.now.millis.plus(SILENCE_MS_MAX);
            session.doubt_until = Some(*doubts.entry(peer.device).or_insert(until));
        }
    }

    /// Whether some peer may still show that this device is a copy.
    pub(super) fn in_doubt(&self) -> bool {
        let now = self.now.millis;
        let doubts = |session: &Session| session.doubt_until.is_some_and(|until| until > now);
        self.sessions.values().any(doubts)
    }

    /// Digests of all that is told to be held.
    fn digests(&mut self) -> Arc<Digests> {
        let claims = self.claims();
        let lane = self.carrier.lane.as_ref();
        let area = |log: &LogId| lane.and_then(|lane| lane.opening(log)).map(|one| one.area);
        let catchment = |log: &LogId| area(log).unwrap_or(directory_area()).catchment();
        let make = || Arc::new(claims.digests(catchment));
        Arc::clone(self.carrier.digests.get_or_insert_with(make))
    }

    /// All that is told to be held, one copy for all sessions that begin with it: whoever opens pipes and
    /// proves nothing takes no memory in proportion to what is held here.
    pub(super) fn claims(&mut self) -> Arc<Claims> {
        let (holdings, lane) = (&self.carrier.holdings, &self.carrier.lane);
        let make = || {
            let mut claims = lane.as_ref().map(|l| Claims::of(holdings, l)).unwrap_or_default();
            // That we have written nothing is worth saying: a peer that holds something of a log
            // of ours shows that we are a copy.
            for own in self.carrier.own.values() {
                claims.logs.entry(own.row.log).or_default();
            }
            Arc::new(claims)
        };
        Arc::clone(self.carrier.claims.get_or_insert_with(make))
    }

    /// Says that all is said, and notices when both sides hold the same.
    pub(super) fn maybe_end(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get(&pipe) else { return };
        // Receipts for what came are signed when all that was announced is here, or their time has
        // come; not whenever the peer takes a breath.
        let early = self.carrier.receipts_at.is_some() && session.is_receiving();
        if !session.is_quiet() || session.complete || early || !self.is_quiet() {
            return;
        }
        let digests = self.digests();
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let digest = shared(&digests, &self.carrier.home, &session.home);
        let all = digests.all();
        if session.end_sent != Some(digest) {
            session.end_sent = Some(digest);
            self.say(pipe, &Frame::End { digest, all });
        }
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        if session.end_received == session.end_sent
            && let Some(peer) = session.peer
        {
            session.complete = true;
            let (theirs, withheld) = (session.all_received, session.stats.envelopes_withheld);
            let met = Met { ours: all, theirs, certificate: peer.certificate, withheld };
            let met = Some(met).filter(|met| met.ours != met.theirs && !session.left_out);
            self.remember_met(peer.device, met);
            let Some(session) = self.sessions.get_mut(&pipe) else { return };
            session.stats.millis = self.now.millis.since(session.opened);
            let stats = session.stats;
            if session.reported.replace(digest) != Some(digest) {
                self.event(Event::ContactComplete { pipe, peer, stats });
            }
            self.remember_taken();
        }
    }

    /// How a contact ended, if that is worth knowing at the next.
    fn remember_met(&mut self, device: DeviceKey, met: Option<Met>) {
        if self.carrier.met.get(&device).copied() == met {
            return;
        }
        match met {
            Some(met) => _ = self.carrier.met.insert(device, met),
            None => _ = self.carrier.met.remove(&device),
        }
        self.carrier.met_changed.insert(device);
    }

    /// Whether this device itself has nothing left that should travel in an open contact.
    fn is_quiet(&mut self) -> bool {
        if self.carrier.receipts_at.is_some() && !self.carrier.busy {
            // Sign what there is to sign now, rather than after the contact.
            self.carrier.receipts_at = None;
            self.carrier.tasks.push_back(Task::Receipts { of: None });
        }
        !self.has_unsaid()
    }

    /// Whether something is under way, or waits, that should travel in a contact.
    fn has_unsaid(&self) -> bool {
        let carrier = &self.carrier;
        carrier.busy
            || !carrier.tasks.is_empty()
            || carrier.receipts_at.is_some()
            || (!self.must_roll && carrier.own.values().any(|own| !own.outbox.is_empty()))
            || !self.all_sealed()
    }
}

/// Digest of what is held of all that two devices both keep. Whatever is new of that is offered in
/// every open session, so two nodes that both have nothing more to say, and nothing unacknowledged,
/// hold the same of it exactly if these digests are equal.
fn shared(digests: &Digests, one: &Home, other: &Home) -> [u8; 16] {
    digests.of(|tag| one.keeps_all_of(tag) && other.keeps_all_of(tag))
}
