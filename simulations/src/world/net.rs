//! Links: who meets whom, and what becomes of bytes.

use huza_crdt::id::LogId;
use huza_crdt::node::{Input, PipeId};
use huza_crdt::session::frame::Frame;

use super::{Happening, World};
use crate::check::contact::Talk;
use crate::forger::{Breed, Forger};
use crate::host::{Belonging, Host, HostId};
use crate::link::{Arrival, Dirt, Parcel, Pipe, Quality, Side, Who};
use crate::options::Planted;
use crate::violation::Violation;

/// Longest time until an end learns that the other device is gone.
const GONE_MS_MAX: u64 = 120_000;

/// Arrivals in 1000 after which a node is asked how far its contacts are.
const LOOKS_PER_MILLE: u64 = 20;

/// Most envelopes that a lying member brings.
const LIES_MAX: usize = 6;

/// How many chunks in 1000 meet something on a dirty link.
const DIRT: [u64; 3] = [5, 50, 300];

/// Most bytes after which a link is cut or stalls.
const CUT_BYTES_MAX: u64 = 20_000;

impl World {
    /// What the next link is like.
    fn draw_quality(&mut self) -> Quality {
        let (options, draw) = (&self.options, &mut self.draws.net);
        let mut quality = Quality {
            latency_ms: draw.between(0, options.latency_ms_max),
            bytes_per_ms: draw.between(options.rate_min, options.rate_min * 10),
            cut_after: None,
            stall_after: None,
            dirt: Dirt::default(),
        };
        if self.chaos {
            let limit = |draw: &mut crate::draw::Draw| Some(1 + draw.delay(CUT_BYTES_MAX));
            if draw.chance(options.cut_per_mille) {
                quality.cut_after = limit(draw);
            }
            if draw.chance(options.stall_per_mille) {
                quality.stall_after = limit(draw);
            }
            if draw.chance(options.dirty_per_mille) {
                let all = draw.pick_or(&DIRT, 50);
                quality.dirt = Dirt { lost: 0, corrupted: all, repeated: all, swapped: all };
            }
            let weather = &mut self.draws.weather;
            for (links, dirt) in [
                (options.lossy_per_mille, &mut quality.dirt.lost),
                (options.corrupting_per_mille, &mut quality.dirt.corrupted),
                (options.repeating_per_mille, &mut quality.dirt.repeated),
                (options.reordering_per_mille, &mut quality.dirt.swapped),
            ] {
                if weather.chance(links) {
                    *dirt = weather.pick_or(&DIRT, 50).max(*dirt);
                }
            }
        }
        quality
    }

    /// Two hosts meet, if both are running.
    pub(super) fn meet(
        &mut self,
        dialer: HostId,
        listener: HostId,
        stay: u64,
    ) -> Result<(), Violation> {
        let pipe = self.open(dialer, listener)?;
        let both = self.chaos && self.draws.net.chance(self.options.double_dial_per_mille);
        let other = if both { self.open(listener, dialer)? } else { None };
        for pipe in pipe.into_iter().chain(other) {
            self.plan(self.now + stay, Happening::Part(pipe));
        }
        Ok(())
    }

    /// Opens a pipe between two running hosts.
    pub(crate) fn open(
        &mut self,
        dialer: HostId,
        listener: HostId,
    ) -> Result<Option<PipeId>, Violation> {
        let who = |world: &Self, id: HostId| {
            let host = world.hosts.get(&id).filter(|host| host.is_running())?;
            Some((Who::Host(id, host.run), (host.nature.belonging, host.certificate)))
        };
        let (Some((a, of)), Some((b, to))) = (who(self, dialer), who(self, listener)) else {
            return Ok(None);
        };
        let id = self.add_pipe((a, b));
        let dirty = self.pipes.get(&id).is_some_and(|pipe| pipe.quality.dirt.is_any());
        let dirty = dirty && !self.has(Planted::SilentDirt);
        let strangers = of.0 != to.0;
        for (host, (belonging, _), (_, peer)) in [(dialer, of, to), (listener, to, of)] {
            if belonging == Belonging::Member {
                let talk = Talk { peer, ..Talk::new(strangers, dirty, self.now) };
                self.laws.opened(host, id, talk);
            }
        }
        self.tell_opened(id, Side::Dialer)?;
        self.tell_opened(id, Side::Listener)?;
        Ok(Some(id))
    }

    fn add_pipe(&mut self, ends: (Who, Who)) -> PipeId {
        self.next_pipe += 1;
        let id = PipeId(self.next_pipe);
        let binding = self.draws.net.bytes();
        let mut quality = self.draw_quality();
        if matches!(ends, (Who::Forger(_), _) | (_, Who::Forger(_))) {
            quality.dirt = Dirt::default();
        }
        if self.has(Planted::SilentDirt) {
            quality.dirt.corrupted = 1_000;
        }
        self.trace.note(self.now, "world", &format!("pipe {} {ends:?} {quality:?}", id.0));
        self.pipes.insert(id, Pipe::new(ends, binding, quality));
        id
    }

    fn tell_opened(&mut self, id: PipeId, side: Side) -> Result<(), Violation> {
        let Some(pipe) = self.pipes.get(&id) else { return Ok(()) };
        let (end, binding) = (pipe.end(side), pipe.binding);
        let Who::Host(host, _) = end.who else { return Ok(()) };
        if !end.open {
            return Ok(());
        }
        let dialer = side == Side::Dialer;
        self.feed(host, Input::PipeOpened { pipe: id, dialer, binding })
    }

    /// A forged peer connects to a host.
    pub(super) fn forge(&mut self, target: HostId, breed: Breed) -> Result<(), Violation> {
        let Some(run) = self.hosts.get(&target).filter(|h| h.is_running()).map(|h| h.run) else {
            return Ok(());
        };
        let number = u32::try_from(self.forgers.len()).unwrap_or_default();
        let id = self.add_pipe((Who::Forger(number), Who::Host(target, run)));
        let recorded = self.recorded(breed);
        let (logs, held) = self.lies(breed);
        let stolen = self.hosts.values().filter_map(|host| host.certificate).next_back();
        let Some(pipe) = self.pipes.get(&id) else { return Ok(()) };
        let context = crate::forger::Context {
            binding: pipe.binding,
            member: self.programmes.auditor.member.clone(),
            recorded,
            stolen,
            outcast: self.programmes.outcast.clone(),
            insider: self.insider.clone(),
            logs,
            held,
            number,
        };
        let draw = self.draws.of_forger(breed);
        let (forger, kind) = Forger::draw(context, breed, draw);
        let first = forger.first_words(draw);
        let stay = draw.between(1_000, 60_000);
        self.trace.note(self.now, "world", &format!("forger {number} {kind} on pipe {}", id.0));
        let refused = forger.is_refused();
        if breed != Breed::Stranger {
            let what = if breed == Breed::Liar { "lying peers" } else { "peers of other versions" };
            self.laws.count(what, 1);
        }
        self.forgers.insert(number, (breed, forger));
        // A member that lies may be accused of it.
        self.laws.opened(target, id, Talk::new(refused, !refused, self.now));
        self.tell_opened(id, Side::Listener)?;
        self.put(id, Side::Dialer, &first);
        self.plan(self.now + stay, Happening::Part(id));
        Ok(())
    }

    /// What a lying member could know: the logs that some device holds, and some of its envelopes.
    fn lies(&mut self, breed: Breed) -> (Vec<LogId>, Vec<Frame>) {
        if breed == Breed::Stranger {
            return (Vec::new(), Vec::new());
        }
        let members = self.ids(|host| host.is_member() && host.exists);
        let host = self.draws.liars.pick(&members).and_then(|id| self.hosts.get(id));
        let Some(host) = host else { return (Vec::new(), Vec::new()) };
        let mut held = crate::forger::everything_held(host);
        held.truncate(LIES_MAX);
        (host.disk.durable.carrier.openings().map(|(log, _)| log).collect(), held)
    }

    /// What was said in some earlier pipe, to be said again.
    fn recorded(&mut self, breed: Breed) -> Vec<u8> {
        let all: Vec<&Pipe> = self.pipes.values().filter(|pipe| !pipe.has_forger()).collect();
        let draw = self.draws.of_forger(breed);
        let Some(pipe) = draw.pick(&all) else { return Vec::new() };
        let side = draw.pick_or(&Side::BOTH, Side::Dialer);
        pipe.spoken_to(side).to_vec()
    }

    /// A node sends bytes.
    pub(super) fn send(&mut self, host: HostId, id: PipeId, bytes: &[u8]) {
        let Some(pipe) = self.pipes.get(&id) else { return };
        let Some(side) = pipe.side_of(host).filter(|side| pipe.end(*side).open) else { return };
        self.put(id, side, bytes);
    }

    fn put(&mut self, id: PipeId, from: Side, bytes: &[u8]) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let times = pipe.send(from, bytes, self.now, &mut self.draws.net);
        for at in times {
            self.plan(at, Happening::Arrive(id, from.other()));
        }
    }

    /// Something comes out of a pipe.
    pub(super) fn arrive(&mut self, id: PipeId, side: Side) -> Result<(), Violation> {
        let Some(pipe) = self.pipes.get_mut(&id) else { return Ok(()) };
        match pipe.arrive(side) {
            Arrival::Nothing => Ok(()),
            Arrival::Parcel(Parcel::Bytes(bytes)) => self.come(id, side, bytes),
            Arrival::LastBytes(bytes) => {
                self.come(id, side, bytes)?;
                self.cut(id)
            }
            Arrival::Parcel(Parcel::End) => self.tell_closed(id, side, 0),
        }
    }

    fn come(&mut self, id: PipeId, side: Side, bytes: Vec<u8>) -> Result<(), Violation> {
        let Some(pipe) = self.pipes.get(&id) else { return Ok(()) };
        let end = pipe.end(side);
        if !end.open || bytes.is_empty() {
            return Ok(());
        }
        match end.who {
            Who::Host(host, run) => {
                if pipe.has_forger() && self.has(Planted::ServeStrangers) {
                    self.serve_whoever_asks(host, id)?;
                }
                self.hand(host, run, Input::Received { pipe: id, bytes })?;
                self.serve_the_revoked(host, id)?;
                let here = |host: &Host| host.is_member() && host.ready;
                let here = self.hosts.get(&host).is_some_and(here);
                let asks = here && self.draws.looks.chance(LOOKS_PER_MILLE);
                if asks { self.ask_progress(host) } else { Ok(()) }
            }
            Who::Forger(number) => {
                let Some((breed, forger)) = self.forgers.get_mut(&number) else { return Ok(()) };
                let answer = forger.hear(&bytes, self.draws.of_forger(*breed));
                self.put(id, side, &answer);
                Ok(())
            }
        }
    }

    /// The shell sends what the disk holds, without asking the node.
    pub(super) fn serve_whoever_asks(&mut self, host: HostId, id: PipeId) -> Result<(), Violation> {
        let frames = self.hosts.get(&host).map(crate::forger::everything_held);
        for bytes in frames.into_iter().flatten().map(|frame| frame.to_pipe()) {
            self.check_said(host, id, &bytes)?;
            self.send(host, id, &bytes);
        }
        Ok(())
    }

    /// A node closes its end.
    pub(super) fn close(&mut self, host: HostId, id: PipeId) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let Some(side) = pipe.side_of(host) else { return };
        let end = pipe.end_mut(side);
        if !end.open {
            return;
        }
        end.open = false;
        let who = end.who;
        let at = pipe.send_end(side, self.now, 0);
        self.plan(at, Happening::Arrive(id, side.other()));
        if let (true, Who::Host(host, run)) = (self.options.echo_close, who) {
            let closed = Input::PipeClosed { pipe: id };
            self.plan(self.now, Happening::Hand(host, run, closed));
        }
    }

    /// The link is gone: both ends learn of it.
    pub(crate) fn cut(&mut self, id: PipeId) -> Result<(), Violation> {
        let Some(pipe) = self.pipes.get_mut(&id) else { return Ok(()) };
        pipe.clear();
        for side in Side::BOTH {
            let delay = if self.chaos { self.draws.net.delay(2_000) } else { 0 };
            self.tell_closed(id, side, delay)?;
        }
        Ok(())
    }

    fn tell_closed(&mut self, id: PipeId, side: Side, delay: u64) -> Result<(), Violation> {
        let Some(pipe) = self.pipes.get_mut(&id) else { return Ok(()) };
        let end = pipe.end_mut(side);
        if !core::mem::replace(&mut end.open, false) {
            return Ok(());
        }
        let Who::Host(host, run) = end.who else { return Ok(()) };
        let closed = Input::PipeClosed { pipe: id };
        self.plan(self.now + delay, Happening::Hand(host, run, closed));
        Ok(())
    }

    /// A host is gone: the ends of its pipes fall silent, and learn of it later.
    pub(super) fn hang_up(&mut self, host: HostId) {
        let ids: Vec<PipeId> = self.pipes.keys().copied().collect();
        for id in ids {
            let Some(pipe) = self.pipes.get_mut(&id).filter(|pipe| pipe.is_open()) else {
                continue;
            };
            let Some(side) = pipe.side_of(host).filter(|side| pipe.end(*side).open) else {
                continue;
            };
            pipe.end_mut(side).open = false;
            let delay = self.draws.net.delay(if self.chaos { GONE_MS_MAX } else { 0 });
            let at = pipe.send_end(side, self.now, delay);
            self.plan(at, Happening::Arrive(id, side.other()));
        }
    }

    /// The running hosts that have an open pipe with this one, and the latency to each.
    pub(super) fn neighbours(&self, host: HostId) -> Vec<(HostId, u64)> {
        let across = |pipe: &Pipe| {
            let side = pipe.side_of(host).filter(|side| pipe.end(*side).open)?;
            match pipe.end(side.other()) {
                end if !end.open => None,
                end => match end.who {
                    Who::Host(peer, _) => Some((peer, pipe.quality.latency_ms)),
                    Who::Forger(_) => None,
                },
            }
        };
        let running = |id: &HostId| self.hosts.get(id).is_some_and(Host::is_running);
        self.pipes.values().filter_map(across).filter(|(peer, _)| running(peer)).collect()
    }
}
