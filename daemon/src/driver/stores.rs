//! The two stores, each on a thread of its own.
//!
//! A store does what it is asked in the order it was asked, so a load sees every batch that was
//! asked for before it. Batches that are waiting together share one commit, and are answered only
//! when it is durable. After a failure a store does nothing more.

use std::collections::VecDeque;

use huza_crdt::{
    node::{Input, Token},
    store::{Batch, Range, StoreKind},
};
use tokio::sync::mpsc;

use crate::{
    home::OpenStores,
    store::{Store, StoreError},
};

/// Jobs that a thread may have before it; more wait with the driver.
const JOBS_QUEUED_MAX: usize = 64;

/// Jobs of one store, waiting or under way, from which on the driver takes no more from the
/// network and from users. // guess: some per session of a monthly meeting
const JOBS_BUSY: usize = 512;

/// Writes after which a commit takes no further batch. // guess: keeps a commit below what a
/// person notices
const COMMIT_OPS_MAX: usize = 4_096;

/// Bytes of rows after which an answer takes no further load.
const ANSWER_BYTES_MAX: usize = 1_048_576;

/// Name of the thread of the reader's store.
const READER: &str = "huza-reader";

#[derive(Debug)]
enum Job {
    Load(Token, Range),
    Apply(Token, Batch),
    Scrub(Token),
}

/// What a store has done.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) store: StoreKind,
    /// How many jobs it answers.
    pub(super) jobs: usize,
    pub(super) result: Result<Vec<Input>, StoreError>,
}

/// The stores at work.
#[derive(Debug)]
pub(super) struct Stores {
    carrier: Desk,
    reader: Option<Desk>,
    /// For a reader that is opened later.
    answers: mpsc::WeakSender<Answer>,
}

/// The driver's side of one store.
#[derive(Debug)]
struct Desk {
    jobs: mpsc::Sender<Job>,
    waiting: VecDeque<Job>,
    /// Waiting or under way.
    open: usize,
    thread: std::thread::JoinHandle<()>,
}

impl Stores {
    /// Starts a thread for each store. What they do comes out of the second value.
    pub(super) fn start(stores: OpenStores) -> std::io::Result<(Self, mpsc::Receiver<Answer>)> {
        let (answers, out) = mpsc::channel(2 * JOBS_QUEUED_MAX);
        let carrier = Desk::start("huza-carrier", stores.carrier, answers.clone())?;
        let reader = stores.reader;
        let reader = reader.map(|store| Desk::start(READER, store, answers.clone())).transpose()?;
        Ok((Self { carrier, reader, answers: answers.downgrade() }, out))
    }

    /// Starts a thread for the reader's store, which must not have one.
    pub(super) fn open_reader(&mut self, store: Store) -> std::io::Result<()> {
        // The carrier's thread has one until it fails, and then nothing more is asked.
        let Some(answers) = self.answers.upgrade() else { return Ok(()) };
        self.reader = Some(Desk::start(READER, store, answers)?);
        Ok(())
    }

    /// Whether the reader's store is open.
    pub(super) const fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Has the thread of the reader's store finish what it has, and close the file. Its key goes
    /// with it.
    pub(super) fn close_reader(&mut self) -> Option<std::thread::JoinHandle<()>> {
        self.reader.take().map(|desk| desk.thread)
    }

    /// Asks for a file without deleted rows. `false` if there is no such store.
    pub(super) fn scrub(&mut self, token: Token, store: StoreKind) -> bool {
        self.ask(store, Job::Scrub(token))
    }

    /// Asks for a range. `false` if there is no such store.
    pub(super) fn load(&mut self, token: Token, range: Range) -> bool {
        self.ask(range.table.store(), Job::Load(token, range))
    }

    /// Asks for a batch to be made durable. `false` if there is no such store.
    pub(super) fn persist(&mut self, token: Token, store: StoreKind, batch: Batch) -> bool {
        self.ask(store, Job::Apply(token, batch))
    }

    fn ask(&mut self, store: StoreKind, job: Job) -> bool {
        let Some(desk) = self.desk(store) else { return false };
        desk.open += 1;
        desk.waiting.push_back(job);
        desk.hand_over();
        true
    }

    /// To be told of every answer.
    pub(super) fn answered(&mut self, answer: &Answer) {
        if let Some(desk) = self.desk(answer.store) {
            desk.open = desk.open.saturating_sub(answer.jobs);
            desk.hand_over();
        }
    }

    fn desk(&mut self, store: StoreKind) -> Option<&mut Desk> {
        match store {
            StoreKind::Carrier => Some(&mut self.carrier),
            StoreKind::Reader => self.reader.as_mut(),
        }
    }

    fn desks(&self) -> impl Iterator<Item = &Desk> {
        core::iter::once(&self.carrier).chain(self.reader.as_ref())
    }

    /// Whether a store has so much to do that nothing new should be taken in.
    pub(super) fn are_busy(&self) -> bool {
        self.desks().any(|desk| desk.open >= JOBS_BUSY)
    }

    /// Whether nothing is waiting or under way.
    pub(super) fn are_idle(&self) -> bool {
        self.desks().all(|desk| desk.open == 0)
    }

    /// Lets the threads finish what they have, and closes the files. Blocks until that is done.
    pub(super) fn close(self) {
        let desks = core::iter::once(self.carrier).chain(self.reader);
        let threads: Vec<_> = desks.map(|desk| desk.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a store panicked");
            }
        }
    }
}

impl Desk {
    fn start(name: &str, store: Store, answers: mpsc::Sender<Answer>) -> std::io::Result<Self> {
        let (jobs, todo) = mpsc::channel(JOBS_QUEUED_MAX);
        let builder = std::thread::Builder::new().name(name.to_owned());
        let thread = builder.spawn(move || work(store, todo, &answers))?;
        Ok(Self { jobs, waiting: VecDeque::new(), open: 0, thread })
    }

    fn hand_over(&mut self) {
        while let Some(job) = self.waiting.pop_front() {
            if let Err(refused) = self.jobs.try_send(job) {
                // Full: an answer will come and call again. Closed: the answer that says why is
                // on its way.
                self.waiting.push_front(refused.into_inner());
                break;
            }
        }
    }
}

/// Tells the driver if the thread of a store panics, or it would wait for ever.
struct Witness<'a>(StoreKind, &'a mpsc::Sender<Answer>);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let answer = Answer { store: self.0, jobs: 0, result: Err(StoreError::Poisoned) };
            // If the driver is gone, nobody waits.
            let _told = self.1.blocking_send(answer);
        }
    }
}

fn work(mut store: Store, mut todo: mpsc::Receiver<Job>, answers: &mpsc::Sender<Answer>) {
    let _witness = Witness(store.kind(), answers);
    let mut next = todo.blocking_recv();
    while let Some(job) = next.take() {
        let (jobs, result) = match job {
            Job::Load(token, range) => load((token, range), &store, &mut todo, &mut next),
            Job::Apply(token, batch) => {
                let (tokens, batch) = gather(token, batch, &mut todo, &mut next);
                let done = store.apply(&batch);
                let jobs = tokens.len();
                let inputs = |()| tokens.into_iter().map(|token| Input::Persisted { token });
                (jobs, done.map(|done| inputs(done).collect()))
            }
            Job::Scrub(token) => (1, store.scrub().map(|()| vec![Input::Scrubbed { token }])),
        };
        let failed = result.is_err();
        let answer = Answer { store: store.kind(), jobs, result };
        if answers.blocking_send(answer).is_err() || failed {
            break;
        }
        next = next.or_else(|| todo.blocking_recv());
    }
}

/// Reads a range, and those that wait right behind it: to be answered together costs less than to
/// wake the driver for each. What comes behind them goes to `next`.
fn load(
    first: (Token, Range),
    store: &Store,
    todo: &mut mpsc::Receiver<Job>,
    next: &mut Option<Job>,
) -> (usize, Result<Vec<Input>, StoreError>) {
    let mut inputs = Vec::new();
    let mut bytes = 0;
    let mut one = Some(first);
    while let Some((token, range)) = one.take() {
        let rows = match store.load(&range) {
            Ok(rows) => rows,
            Err(error) => return (inputs.len() + 1, Err(error)),
        };
        bytes += rows.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        inputs.push(Input::Loaded { token, rows });
        if bytes > ANSWER_BYTES_MAX {
            break;
        }
        match todo.try_recv() {
            Ok(Job::Load(token, range)) => one = Some((token, range)),
            Ok(other) => *next = Some(other),
            Err(_) => {}
        }
    }
    (inputs.len(), Ok(inputs))
}

/// Joins the batches that wait right behind one. What comes behind them goes to `next`.
fn gather(
    token: Token,
    mut batch: Batch,
    todo: &mut mpsc::Receiver<Job>,
    next: &mut Option<Job>,
) -> (Vec<Token>, Batch) {
    let mut tokens = vec![token];
    while batch.0.len() < COMMIT_OPS_MAX {
        match todo.try_recv() {
            Ok(Job::Apply(token, more)) => {
                tokens.push(token);
                batch.0.extend(more.0);
            }
            Ok(other) => {
                *next = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    (tokens, batch)
}

#[cfg(test)]
mod tests {
    use huza_crdt::store::Table;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn loads_see_what_was_asked_before_and_batches_share_commits() {
        let dir = tempfile::tempdir().unwrap();
        let carrier = Store::create(StoreKind::Carrier, &dir.path().join("c.redb")).unwrap();
        let (mut stores, mut out) = Stores::start(OpenStores { carrier, reader: None }).unwrap();
        assert!(!stores.persist(Token(0), StoreKind::Reader, Batch::default()));
        for round in 0..300_u64 {
            let mut batch = Batch::default();
            batch.put(Table::Ingest, round.to_be_bytes(), [1]);
            assert!(stores.persist(Token(round), StoreKind::Carrier, batch));
        }
        assert!(stores.load(Token(1_000), Range::all(Table::Ingest)));
        assert!(stores.persist(Token(1_001), StoreKind::Carrier, Batch::default()));
        let mut seen = Vec::new();
        let mut answers = 0;
        while !stores.are_idle() {
            let answer = out.recv().await.unwrap();
            stores.answered(&answer);
            answers += 1;
            for input in answer.result.unwrap() {
                match input {
                    Input::Persisted { token } => seen.push(token.0),
                    Input::Loaded { token, rows } => {
                        assert_eq!(rows.len(), 300);
                        seen.push(token.0);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let expected: Vec<u64> = (0..300).chain([1_000, 1_001]).collect();
        assert_eq!(seen, expected, "in the order asked");
        assert!(answers < 300, "{answers} commits for 301 batches");
        tokio::task::spawn_blocking(move || stores.close()).await.unwrap();
        Store::open(StoreKind::Carrier, &dir.path().join("c.redb")).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_comes_and_goes_and_a_scrub_takes_its_turn() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let carrier = Store::create(StoreKind::Carrier, &place("c.redb")).unwrap();
        let (mut stores, mut out) = Stores::start(OpenStores { carrier, reader: None }).unwrap();
        assert!(!stores.scrub(Token(0), StoreKind::Reader), "it is locked");
        for round in 0..2 {
            let path = place("r.redb");
            let reader = if round == 0 {
                Store::create(StoreKind::Reader, &path)
            } else {
                Store::open(StoreKind::Reader, &path)
            };
            stores.open_reader(reader.unwrap()).unwrap();
            let mut batch = Batch::default();
            batch.put(Table::Pending, [round], [1]);
            assert!(stores.persist(Token(1), StoreKind::Reader, batch));
            assert!(stores.scrub(Token(2), StoreKind::Reader));
            assert!(stores.load(Token(3), Range::all(Table::Pending)));
            let mut seen = Vec::new();
            while !stores.are_idle() {
                let answer = out.recv().await.unwrap();
                stores.answered(&answer);
                seen.extend(answer.result.unwrap());
            }
            assert!(matches!(
                seen.as_slice(),
                [
                    Input::Persisted { token: Token(1) },
                    Input::Scrubbed { token: Token(2) },
                    Input::Loaded { token: Token(3), rows },
                ] if rows.len() == usize::from(round) + 1
            ));
            let thread = stores.close_reader().unwrap();
            tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
            assert!(!stores.is_open());
        }
        tokio::task::spawn_blocking(move || stores.close()).await.unwrap();
    }
}
