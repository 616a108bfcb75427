//! What the driver does at each wake-up, and how it carries out what the node wants.

use huza_crdt::{
    node::{CommandId, Event, Input, Output, PipeId, Reply, Token},
    store::StoreKind,
};

use super::{
    Driver, RunError, ShellEvent, Wake,
    crew::Done,
    facility::{Parcel, Trouble},
    locking::Waiting,
    names,
    stores::Answer,
};
use crate::{
    api::Request,
    net::{self, NetEvent},
};

impl Driver {
    pub(super) fn act(&mut self, wake: Wake) {
        match wake {
            Wake::Shutdown => self.begin_stop(),
            Wake::Store(Some(answer)) => self.store_answered(answer),
            Wake::Store(None) => self.fail(RunError::NoStore(StoreKind::Carrier)),
            Wake::Done(Ok(done)) => self.work_done(done),
            Wake::Done(Err(error)) => self.fail(RunError::Crashed(error)),
            Wake::Kept(Ok(kept)) => self.kept(kept),
            Wake::Kept(Err(error)) => self.fail(RunError::Crashed(error)),
            Wake::Due => {
                let now = self.clock.now().millis;
                self.ticked = now;
                self.facility.due(&mut self.crew, now);
                self.handle(Input::Tick);
            }
            Wake::Told => {}
            Wake::Command(Some(Request::Node { command, reply })) => {
                let id = CommandId(self.number());
                self.replies.insert(id, Waiting::Command(reply));
                self.handle(Input::Command { id, command });
            }
            Wake::Command(Some(Request::Vault { command, reply })) => self.vault(*command, reply),
            Wake::Command(Some(Request::Pipe { stream, dialer, binding, report })) => {
                // If it cannot be attached, whoever asked hears of it by the end of `report`.
                if let Ok(pipe) = self.net.attach(stream, dialer, binding) {
                    self.guests.attached(PipeId(pipe.0), report);
                }
            }
            Wake::Command(None) => self.fail(RunError::DoorStopped),
            Wake::Net(Some(event)) => self.net_event(event),
            Wake::Net(None) => {
                self.net_ended = true;
                if self.stopping.is_none() {
                    self.fail(RunError::NetStopped("it ended".to_owned()));
                }
            }
        }
    }

    pub(super) const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Ends the loop. Only the first reason counts: others follow from it.
    pub(super) fn fail(&mut self, why: RunError) {
        self.failure.get_or_insert(why);
    }

    fn store_answered(&mut self, answer: Answer) {
        self.stores.answered(&answer);
        match answer.result {
            Ok(inputs) => inputs.into_iter().for_each(|input| self.handle(input)),
            Err(source) => {
                let (store, why) = (answer.store, crate::error_chain(&source));
                self.handle(Input::StoreFailed { store, why });
                self.fail(RunError::Store { store, source });
            }
        }
    }

    fn work_done(&mut self, done: Done) {
        match done {
            Done::Job(token, product) => self.handle(Input::Done { token, product }),
            Done::Facility(facility, result) => {
                let now = self.clock.now();
                let now = (now.millis, now.stamp);
                match self.facility.done(&mut self.crew, now, facility, result) {
                    Ok(inputs) => inputs.into_iter().for_each(|input| self.handle(input)),
                    Err(Trouble { why, retry_ms }) => {
                        self.teller.tell(ShellEvent::FacilityFailed { why, retry_ms });
                    }
                }
            }
            Done::Saved(Ok(())) => {}
            Done::Saved(Err(error)) => {
                tracing::warn!(%error, "remembered addresses could not be saved");
            }
        }
    }

    fn net_event(&mut self, event: NetEvent) {
        if self.stopping.is_some() && !self.ready {
            return;
        }
        match event {
            NetEvent::PipeOpened { pipe, dialer, binding, remote_address } => {
                let pipe = PipeId(pipe.0);
                let dialled = dialer && !self.guests.contains(pipe);
                self.pipes.opened(pipe, dialled.then(|| remote_address.clone()));
                let address = remote_address;
                self.teller.tell(ShellEvent::PipeOpened { pipe: pipe.0, dialer, address });
                self.handle(Input::PipeOpened { pipe, dialer, binding });
            }
            NetEvent::Received { pipe, bytes, credit } => {
                self.handle(Input::Received { pipe: PipeId(pipe.0), bytes });
                drop(credit);
            }
            NetEvent::Sent { pipe, .. } => self.pipes.sent(&self.net, PipeId(pipe.0)),
            NetEvent::PipeClosed { pipe, why } => {
                let (pipe, why) = (PipeId(pipe.0), why.to_string());
                self.handle(Input::PipeClosed { pipe });
                self.pipes.closed(pipe);
                self.guests.closed(pipe, &why);
                self.teller.tell(ShellEvent::PipeClosed { pipe: pipe.0, why });
            }
            NetEvent::News { bytes, token } => {
                let number = Token(self.number());
                self.news.insert(number, token);
                self.handle(Input::News { token: number, bytes });
            }
            NetEvent::Stopped { why } => self.fail(RunError::NetStopped(why)),
            event => self.teller.tell_net(event),
        }
    }

    /// Gives one input to the node and carries out everything that it wants then.
    pub(super) fn handle(&mut self, input: Input) {
        tracing::trace!(input = names::of_input(&input), "node");
        self.node.handle(self.clock.now(), input);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.node.poll() {
            tracing::trace!(output = names::of_output(&output), "node");
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Load { token, range } => {
                let store = range.table.store();
                if !self.stores.load(token, range) {
                    self.fail(RunError::NoStore(store));
                }
            }
            Output::Persist { token, store, batch } => {
                if !self.stores.persist(token, store, batch) {
                    self.fail(RunError::NoStore(store));
                }
            }
            Output::Work { token, job } => self.crew.job(token, job),
            Output::Deliver { token, resources, known } => {
                self.facility.take(&mut self.crew, Parcel::new(token, resources, known));
            }
            Output::Send { pipe, bytes } => self.pipes.send(&self.net, pipe, bytes),
            Output::Close { pipe } => self.pipes.close(&self.net, pipe),
            Output::Reply { id, mut reply } => {
                // Only here it is known how the facility is reached.
                if let Reply::Gateway(status) = reply.as_mut() {
                    status.facility = Some(self.facility.state());
                }
                if let Some(caller) = self.replies.remove(&id) {
                    caller.answer(*reply);
                }
            }
            Output::Publish { bytes } => {
                if let Err(error) = self.net.publish(bytes) {
                    tracing::debug!(%error, "news were not published");
                }
            }
            Output::Links { wanted } => {
                if let Err(error) = self.net.links(wanted) {
                    tracing::debug!(%error, "other peers were not sought");
                }
            }
            Output::NewsValid { token, valid } => {
                if let Some(Err(error)) =
                    self.news.remove(&token).map(|token| self.net.validate(token, valid))
                {
                    tracing::debug!(%error, "news were not forwarded");
                }
            }
            Output::Event(event) => self.event(event),
            output @ (Output::Scrub { .. } | Output::CloseReader) => self.about_files(output),
        }
    }

    fn event(&mut self, event: Event) {
        if let (Some(http), Event::Changed { .. } | Event::ReaderClosed) = (&self.http, &event) {
            http.changed();
        }
        match &event {
            Event::Ready => {
                self.ready = true;
                self.teller.tell(ShellEvent::Started { process: std::process::id() });
            }
            Event::ContactComplete { pipe, .. } => {
                self.remember(*pipe);
                // A pipe that was brought here is for one exchange.
                if self.guests.note(&event) {
                    self.pipes.close(&self.net, *pipe);
                }
            }
            Event::Met { pipe, .. } => {
                if let Err(error) = self.net.admit(net::PipeId(pipe.0)) {
                    tracing::debug!(%error, "the news of a peer are not heard");
                }
                self.guests.note(&event);
            }
            event => {
                self.guests.note(event);
            }
        }
        self.teller.tell(ShellEvent::Node(event));
    }

    /// Notes the address at which a contact was completed.
    fn remember(&mut self, pipe: PipeId) {
        let (Some(peers), Some(address)) = (&mut self.peers, self.pipes.dialled(pipe)) else {
            return;
        };
        if peers.note(address, self.clock.now().stamp) {
            self.crew.save(peers.clone(), self.home.clone());
        }
    }
}
