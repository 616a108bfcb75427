//! A world: hosts, links, users and facilities in virtual time.
//!
//! One queue, ordered by (time, who, sequence), holds all that is going to happen; [`World::step`]
//! takes the first. Everything drawn is drawn from the seed, so a world repeats itself exactly.

mod carry;
mod fault;
mod ferry;
mod life;
mod looks;
mod net;
mod planted;
mod trust;

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::{Command, CommandId, Input, PipeId, Reply, Token};
use huza_crdt::store::{Range, StoreKind};

use crate::check::Laws;
use crate::draw::Draw;
use crate::facility::Facility;
use crate::forger::{Breed, Forger};
use crate::host::{Host, HostId};
use crate::ledger::Ledger;
use crate::link::{Pipe, Side};
use crate::options::{Options, Planted};
use crate::programme::{Approved, Programmes};
use crate::trace::Trace;
use crate::violation::{Broken, Law, Violation};
use crate::workload::Users;

pub(crate) use fault::Fault;
use ferry::Ferries;
use trust::Trust;

/// Most events of one run. // guess: ten times what the largest world needs
const EVENTS_MAX: u64 = 1_500_000;

/// Most times a node may ask to be woken without time going on.
const IDLE_TICKS_MAX: u32 = 64;

/// Time between two looks at what is overdue.
const SWEEP_MS: u64 = 5_000;

/// Longest time a node may take to answer a command. // guess: a boot on the slowest disk
const ANSWER_MS_MAX: u64 = 120_000;

/// What can happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A host begins a run.
    Start(HostId),
    /// A node asked to be woken now.
    Wake(HostId, u32),
    /// An answer to a node, if it is still in that run.
    Hand(HostId, u32, Input),
    /// A load is served.
    Read(HostId, u32, Token, Range),
    /// Batches become durable.
    Flush(HostId, u32, StoreKind),
    /// Something arrives at an end of a pipe.
    Arrive(PipeId, Side),
    /// Two hosts come near each other, for so long.
    Meet(HostId, HostId, u64),
    /// They part.
    Part(PipeId),
    /// A device fills a bundle for another.
    Ferry(HostId, HostId),
    /// A bundle is read.
    Unload(HostId, Vec<u8>),
    /// A forged peer connects.
    Forge(HostId, Breed),
    /// A user does something.
    User(HostId),
    /// Something goes wrong.
    Fault(Fault),
    /// A look at what is overdue.
    Sweep,
}

/// The streams of choices.
#[derive(Debug)]
pub(crate) struct Draws {
    pub(crate) net: Draw,
    pub(crate) weather: Draw,
    pub(crate) disk: Draw,
    pub(crate) faults: Draw,
    pub(crate) keys: Draw,
    pub(crate) shadow: Draw,
    pub(crate) liars: Draw,
    /// When the laws look.
    pub(crate) looks: Draw,
}

impl Draws {
    /// Where forged peers of this breed draw.
    pub(crate) const fn of_forger(&mut self, breed: Breed) -> &mut Draw {
        match breed {
            Breed::Stranger => &mut self.faults,
            Breed::Liar | Breed::Version => &mut self.liars,
        }
    }
}

/// A world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u32, u64), Happening>,
    sequence: u64,
    events: u64,
    pub(crate) hosts: BTreeMap<HostId, Host>,
    pub(crate) pipes: BTreeMap<PipeId, Pipe>,
    pub(crate) forgers: BTreeMap<u32, (Breed, Forger)>,
    /// The device as which liars speak.
    pub(crate) insider: Option<Approved>,
    pub(crate) facilities: BTreeMap<HostId, Facility>,
    pub(crate) programmes: Programmes,
    pub(crate) users: Users,
    pub(crate) ledger: Ledger,
    pub(crate) laws: Laws,
    pub(crate) trust: Trust,
    ferries: Ferries,
    pub(crate) draws: Draws,
    pub(crate) trace: Trace,
    /// Answers to commands that somebody waits for.
    replies: BTreeMap<CommandId, Reply>,
    /// Questions about progress that are not answered.
    asked_progress: BTreeSet<CommandId>,
    /// What a planted bug is going to import.
    overwrites: Vec<(HostId, Command)>,
    next_pipe: u64,
    next_command: u64,
    /// Whether links and disks misbehave.
    pub(crate) chaos: bool,
}

impl World {
    /// A world of these options, with nobody in it.
    /// `lap`: how often this was run before, which must not matter.
    pub(crate) fn new(options: Options, lap: u64) -> Result<Self, Violation> {
        let seed = options.seed;
        let uneven = options.planted == Some(Planted::Undetermined);
        let mut keys = Draw::new(seed, "keys");
        let programmes = Programmes::found(&options, &mut keys)
            .map_err(|broken| violation(seed, 0, "world", broken))?;
        let mut faults = Draw::new(seed, "faults");
        // Drawn for nothing now: the seeds that are known begin behind it.
        faults.below(6);
        Ok(Self {
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            events: 0,
            hosts: BTreeMap::new(),
            pipes: BTreeMap::new(),
            forgers: BTreeMap::new(),
            insider: None,
            facilities: BTreeMap::new(),
            programmes,
            users: Users::new(Draw::new(seed, "users")),
            ledger: Ledger::default(),
            laws: Laws::default(),
            trust: Trust::default(),
            ferries: Ferries::default(),
            draws: Draws {
                net: Draw::new(seed, "net"),
                weather: Draw::new(seed, "weather"),
                disk: Draw::new(if uneven { seed ^ lap } else { seed }, "disk"),
                faults,
                keys,
                shadow: Draw::new(seed, "shadow"),
                liars: Draw::new(seed, "lies"),
                looks: Draw::new(seed, "looks"),
            },
            trace: Trace::new(options.keep_log),
            replies: BTreeMap::new(),
            asked_progress: BTreeSet::new(),
            overwrites: Vec::new(),
            next_pipe: 0,
            next_command: 0,
            chaos: false,
            options,
        })
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, at: u64, happening: Happening) {
        let who = match &happening {
            Happening::Start(host)
            | Happening::Wake(host, _)
            | Happening::Hand(host, _, _)
            | Happening::Read(host, _, _, _)
            | Happening::Flush(host, _, _)
            | Happening::Meet(host, _, _)
            | Happening::Ferry(host, _)
            | Happening::Unload(host, _)
            | Happening::Forge(host, _)
            | Happening::User(host) => host.0,
            Happening::Arrive(_, _)
            | Happening::Part(_)
            | Happening::Fault(_)
            | Happening::Sweep => 0,
        };
        self.sequence += 1;
        self.queue.insert((at.max(self.now), who, self.sequence), happening);
    }

    /// Lets one thing happen; false if nothing is planned.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some(((at, _, _), happening)) = self.queue.pop_first() else { return Ok(false) };
        self.now = at;
        self.events += 1;
        if self.events > EVENTS_MAX {
            return Err(self.violated(None, &Broken::new(Law::Progress, "there is no end to it")));
        }
        self.happen(happening)?;
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Start(host) => self.start(host),
            Happening::Wake(host, run) => self.woken(host, run),
            Happening::Hand(host, run, input) => self.hand(host, run, input),
            Happening::Read(host, run, token, range) => {
                let Some(at) = self.hosts.get(&host) else { return Ok(()) };
                if at.run == run && at.is_running() {
                    self.check_lock(host, range.table.store(), "read")?;
                }
                let rows = self.read(host, &range);
                self.hand(host, run, Input::Loaded { token, rows })
            }
            Happening::Flush(host, run, store) => self.flush(host, run, store),
            Happening::Arrive(pipe, side) => self.arrive(pipe, side),
            Happening::Meet(dialer, listener, stay) => self.meet(dialer, listener, stay),
            Happening::Part(pipe) => self.cut(pipe),
            Happening::Ferry(from, to) => self.ferry(from, to),
            Happening::Unload(host, file) => self.unload(host, &file),
            Happening::Forge(host, breed) => self.forge(host, breed),
            Happening::User(host) => self.user(host),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Sweep => self.sweep(),
        }
    }

    /// Lets everything happen that is planned up to a time, and goes there.
    pub(crate) fn run_until(&mut self, at: u64) -> Result<(), Violation> {
        while self.queue.first_key_value().is_some_and(|((next, _, _), _)| *next <= at) {
            self.step()?;
        }
        self.now = self.now.max(at);
        Ok(())
    }

    /// Lets things happen until `done`, at most until a time. The result is whether it was done.
    pub(crate) fn run_while(
        &mut self,
        until: u64,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Violation> {
        loop {
            if done(self) {
                return Ok(true);
            }
            match self.queue.first_key_value() {
                Some(((next, _, _), _)) if *next <= until => self.step()?,
                Some(_) | None => {
                    self.now = self.now.max(until);
                    return Ok(false);
                }
            };
        }
    }

    /// Gives a node an input and carries out all that it wants of it.
    pub(crate) fn feed(&mut self, id: HostId, input: Input) -> Result<(), Violation> {
        self.panic_if_planted();
        let printed = self.laws.printed(&input);
        printed.map_err(|broken| self.violated(Some(id), &broken))?;
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        if !host.is_running() {
            return Ok(());
        }
        self.laws.weigh(Law::NoPanic, 1);
        self.trace.input(self.now, host.name(), &input);
        match &input {
            Input::Received { pipe, bytes } => self.laws.heard(id, *pipe, bytes, self.now),
            Input::PipeClosed { pipe } => self.laws.closed(id, *pipe, self.now),
            Input::Persisted { token } => self.laws.persisted(id, *token, self.now),
            _ => {}
        }
        let outputs = host.handle(self.now, input);
        for output in outputs {
            self.carry_out(id, output)?;
        }
        self.plan_wake(id);
        Ok(())
    }

    /// Gives a node an answer, unless it has been restarted since.
    fn hand(&mut self, id: HostId, run: u32, input: Input) -> Result<(), Violation> {
        let same = self.hosts.get(&id).is_some_and(|host| host.run == run && host.is_running());
        if same { self.feed(id, input) } else { Ok(()) }
    }

    /// Plans the node's next waking, if it wants another than is planned.
    pub(crate) fn plan_wake(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let Some(at) = host.deadline().map(|at| at.max(self.now)) else {
            host.wake = None;
            return;
        };
        if host.wake == Some(at) {
            return;
        }
        host.wake = Some(at);
        let run = host.run;
        self.plan(at, Happening::Wake(id, run));
    }

    fn woken(&mut self, id: HostId, run: u32) -> Result<(), Violation> {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        if host.run != run || host.wake != Some(now) {
            return Ok(());
        }
        host.wake = None;
        self.laws.weigh(Law::Progress, 1);
        self.feed(id, Input::Tick)?;
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        let stands_still = host.wake == Some(now);
        host.idle_ticks = if stands_still { host.idle_ticks + 1 } else { 0 };
        if host.idle_ticks > IDLE_TICKS_MAX {
            let broken = Broken::new(Law::Progress, "its deadline stands still");
            return Err(self.violated(Some(id), &broken));
        }
        Ok(())
    }

    /// Forgets all that was planned of faults, meetings and deeds.
    fn forget_plans(&mut self) {
        self.queue.retain(|_, happening| {
            !matches!(
                happening,
                Happening::Meet(..)
                    | Happening::Part(_)
                    | Happening::Ferry(..)
                    | Happening::Unload(..)
                    | Happening::Forge(..)
                    | Happening::User(_)
                    | Happening::Fault(_)
            )
        });
    }

    fn sweep(&mut self) -> Result<(), Violation> {
        self.plan(self.now + SWEEP_MS, Happening::Sweep);
        for id in self.ids(|host| host.is_member() && host.ready) {
            self.ask_progress(id)?;
        }
        self.laws.overdue(self.now).map_err(|(host, broken)| self.violated(Some(host), &broken))
    }

    /// Asks a node how far its contacts are; the answer is looked at when it comes.
    pub(crate) fn ask_progress(&mut self, host: HostId) -> Result<(), Violation> {
        let id = self.command_id();
        self.asked_progress.insert(id);
        self.feed(host, Input::Command { id, command: Box::new(Command::Peers) })
    }

    /// Numbers a command.
    pub(crate) fn command_id(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }

    /// Asks a node and lets things happen until it answers.
    pub(crate) fn ask(&mut self, host: HostId, command: Command) -> Result<Reply, Violation> {
        let id = self.command_id();
        let name = format!("{command:?}");
        self.feed(host, Input::Command { id, command: Box::new(command) })?;
        let until = self.now + ANSWER_MS_MAX;
        self.run_while(until, |world| world.replies.contains_key(&id))?;
        self.laws.weigh(Law::Progress, 1);
        self.replies.remove(&id).ok_or_else(|| {
            let broken = Broken::new(Law::Progress, format!("no answer to {name}"));
            self.violated(Some(host), &broken)
        })
    }

    /// A broken law, with its place in this run.
    pub(crate) fn violated(&self, host: Option<HostId>, broken: &Broken) -> Violation {
        let host = host.and_then(|id| self.hosts.get(&id));
        let name = host.map_or("world", Host::name);
        violation(self.options.seed, self.now, name, broken.clone())
    }
}

fn violation(seed: u64, at_ms: u64, host: &str, broken: Broken) -> Violation {
    let Broken { law, evidence } = broken;
    Violation { seed, at_ms, host: host.to_owned(), law, evidence, log: String::new() }
}
