//! What the node has asked of its shell and waits for.
//!
//! Every request carries a token; what to do with the answer is kept here under that token. A
//! chain of requests reads as one function with the next step inside the one before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Node;
use super::api::{Answer, Event, Job, Outgoing, Output, Product, Token};
use crate::id::{Head, RecordId};
use crate::store::{Batch, Range, Row, StoreKind};

/// Parts of one heavy work that run side by side: as many as phones have fast cores.
pub(super) const PARTS: usize = 2;

type Then<T> = Box<dyn FnOnce(&mut Node, T) + Send>;

/// What waits under a token.
enum Waiting {
    /// A page of range `index` of a gather.
    Page {
        gather: u64,
        index: usize,
    },
    Persisted(StoreKind, Then<()>),
    Done(Then<Product>),
    /// Part `index` of a split.
    Part {
        split: u64,
        index: usize,
    },
    Delivered(Then<BTreeMap<String, Answer>>),
    Scrubbed(StoreKind, Then<()>),
}

/// Several ranges being read to their ends.
struct Gather {
    ranges: Vec<Range>,
    rows: Vec<Vec<Row>>,
    open: usize,
    /// Whether each range is read to its end, or one page of it is enough.
    whole: bool,
    then: Then<Vec<Vec<Row>>>,
}

/// Several parts of one work being done.
struct Split {
    products: Vec<Option<Product>>,
    open: usize,
    then: Then<Vec<Product>>,
}

/// Requests under way and outputs not yet taken.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) outputs: VecDeque<Output>,
    next: u64,
    waiting: BTreeMap<Token, Waiting>,
    gathers: BTreeMap<u64, Gather>,
    splits: BTreeMap<u64, Split>,
}

impl Effects {
    /// Whether something is asked of the reader's store and not answered yet.
    pub(super) fn reads_reader(&self) -> bool {
        self.waiting.values().any(|waiting| match waiting {
            Waiting::Page { gather, index } => {
                let range = self.gathers.get(gather).and_then(|one| one.ranges.get(*index));
                range.is_some_and(|range| range.table.store() == StoreKind::Reader)
            }
            Waiting::Persisted(store, _) | Waiting::Scrubbed(store, _) => {
                *store == StoreKind::Reader
            }
            Waiting::Done(_) | Waiting::Part { .. } | Waiting::Delivered(_) => false,
        })
    }

    /// What the facility answers from now on to earlier deliveries is not heard: the reader that gave
    /// them is locked, and the next one gives them again.
    pub(super) fn forget_deliveries(&mut self) {
        self.waiting.retain(|_, waiting| !matches!(waiting, Waiting::Delivered(_)));
    }

    fn token(&mut self, waiting: Waiting) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.waiting.insert(token, waiting);
        token
    }
}

impl Node {
    /// Reads all `ranges` to their ends, then goes on with their rows, in the same order.
    pub(super) fn gather(
        &mut self,
        ranges: Vec<Range>,
        then: impl FnOnce(&mut Self, Vec<Vec<Row>>) + Send + 'static,
    ) {
        self.read(ranges, true, then);
    }

    /// Reads one page of each of `ranges`, then goes on with their rows, in the same order.
    pub(super) fn pages(
        &mut self,
        ranges: Vec<Range>,
        then: impl FnOnce(&mut Self, Vec<Vec<Row>>) + Send + 'static,
    ) {
        self.read(ranges, false, then);
    }

    fn read(
        &mut self,
        ranges: Vec<Range>,
        whole: bool,
        then: impl FnOnce(&mut Self, Vec<Vec<Row>>) + Send + 'static,
    ) {
        if ranges.is_empty() {
            then(self, Vec::new());
            return;
        }
        let gather = self.fx.next;
        self.fx.next += 1;
        for (index, range) in ranges.iter().enumerate() {
            let token = self.fx.token(Waiting::Page { gather, index });
            self.fx.outputs.push_back(Output::Load { token, range: range.clone() });
        }
        let (rows, open) = (vec![Vec::new(); ranges.len()], ranges.len());
        self.fx.gathers.insert(gather, Gather { ranges, rows, open, whole, then: Box::new(then) });
    }

    /// Writes `batch`, then goes on.
    pub(super) fn persist(
        &mut self,
        store: StoreKind,
        mut batch: Batch,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let records = self.list_changed(&mut batch);
        let then: Then<()> = Box::new(move |node, ()| {
            if records > 0 {
                node.event(Event::Changed { records });
            }
            then(node);
        });
        let token = self.fx.token(Waiting::Persisted(store, then));
        self.fx.outputs.push_back(Output::Persist { token, store, batch });
    }

    /// Runs `run` elsewhere, then goes on with what it gave.
    pub(super) fn work<T: Send + 'static>(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        let then: Then<Product> = Box::new(move |node, product| {
            // A product of another type would be the shell mixing up two answers.
            if let Ok(value) = product.0.downcast::<T>() {
                then(node, *value);
            }
        });
        let token = self.fx.token(Waiting::Done(then));
        self.fx.outputs.push_back(Output::Work { token, job: Job::new(name, run) });
    }

    /// Runs `run` on each of `items` elsewhere, in [`PARTS`] parts side by side, then goes on with
    /// what that gave, in the same order.
    pub(super) fn work_each<S: Send + 'static, T: Send + 'static>(
        &mut self,
        name: &'static str,
        items: Vec<S>,
        run: fn(S) -> T,
        then: impl FnOnce(&mut Self, Vec<T>) + Send + 'static,
    ) {
        let size = items.len().div_ceil(PARTS).max(1);
        let mut items = items.into_iter();
        let parts = (0..PARTS).map(|_| items.by_ref().take(size).collect::<Vec<S>>());
        let parts: Vec<Vec<S>> = parts.filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            then(self, Vec::new());
            return;
        }
        let split = self.fx.next;
        self.fx.next += 1;
        let open = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            let token = self.fx.token(Waiting::Part { split, index });
            let job = Job::new(name, move || part.into_iter().map(run).collect::<Vec<T>>());
            self.fx.outputs.push_back(Output::Work { token, job });
        }
        let then: Then<Vec<Product>> = Box::new(move |node, products| {
            let whole = products.into_iter().filter_map(|one| one.0.downcast::<Vec<T>>().ok());
            then(node, whole.flat_map(|part| *part).collect());
        });
        let products = core::iter::repeat_with(|| None).take(open).collect();
        self.fx.splits.insert(split, Split { products, open, then });
    }

    fn answered_part(&mut self, split: u64, index: usize, product: Product) {
        let Some(parts) = self.fx.splits.get_mut(&split) else { return };
        if let Some(place) = parts.products.get_mut(index) {
            *place = Some(product);
        }
        parts.open -= 1;
        if parts.open == 0
            && let Some(done) = self.fx.splits.remove(&split)
        {
            (done.then)(self, done.products.into_iter().flatten().collect());
        }
    }

    /// Gives resources to the facility, then goes on with what it did not simply take.
    pub(super) fn deliver(
        &mut self,
        resources: Vec<Outgoing>,
        known: BTreeMap<RecordId, BTreeSet<Head>>,
        then: impl FnOnce(&mut Self, BTreeMap<String, Answer>) + Send + 'static,
    ) {
        let token = self.fx.token(Waiting::Delivered(Box::new(then)));
        self.fx.outputs.push_back(Output::Deliver { token, resources, known });
    }

    /// Has the shell make sure that what was deleted is nowhere in a store's file, then goes on.
    pub(super) fn scrub(
        &mut self,
        store: StoreKind,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let then: Then<()> = Box::new(move |node, ()| then(node));
        let token = self.fx.token(Waiting::Scrubbed(store, then));
        self.fx.outputs.push_back(Output::Scrub { token, store });
    }

    pub(super) fn answered_scrubbed(&mut self, token: Token) {
        if let Some(Waiting::Scrubbed(_, then)) = self.fx.waiting.remove(&token) {
            then(self, ());
        }
    }

    pub(super) fn answered_rows(&mut self, token: Token, rows: Vec<Row>) {
        let Some(Waiting::Page { gather: id, index }) = self.fx.waiting.remove(&token) else {
            return;
        };
        let Some(gather) = self.fx.gathers.get_mut(&id) else { return };
        let Some(range) = gather.ranges.get(index) else { return };
        let more = range.rest(&rows).filter(|_| gather.whole && range.rows_max > 1);
        if let Some(all) = gather.rows.get_mut(index) {
            all.extend(rows);
        }
        if let Some(range) = more {
            let token = self.fx.token(Waiting::Page { gather: id, index });
            self.fx.outputs.push_back(Output::Load { token, range });
            return;
        }
        gather.open -= 1;
        if gather.open == 0
            && let Some(done) = self.fx.gathers.remove(&id)
        {
            (done.then)(self, done.rows);
        }
    }

    pub(super) fn answered_persisted(&mut self, token: Token) {
        if let Some(Waiting::Persisted(_, then)) = self.fx.waiting.remove(&token) {
            then(self, ());
        }
    }

    pub(super) fn answered_done(&mut self, token: Token, product: Product) {
        match self.fx.waiting.remove(&token) {
            Some(Waiting::Done(then)) => then(self, product),
            Some(Waiting::Part { split, index }) => self.answered_part(split, index, product),
            _ => {}
        }
    }

    pub(super) fn answered_delivered(&mut self, token: Token, answers: BTreeMap<String, Answer>) {
        if let Some(Waiting::Delivered(then)) = self.fx.waiting.remove(&token) {
            then(self, answers);
        }
    }

    /// Forgets everything under way: a store failed.
    pub(super) fn abandon(&mut self) {
        self.fx.waiting.clear();
        self.fx.gathers.clear();
        self.fx.splits.clear();
    }
}
