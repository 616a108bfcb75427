//! What changed, by a cursor: as JSON, or as server-sent events that go on while it changes.

use std::{collections::VecDeque, sync::Arc};

use futures::{StreamExt as _, stream};
use huza_crdt::node::{ChangeCursor, ChangedRecord, Command, Reply};
use hyper::header::{self, HeaderName};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Duration, timeout},
};

use super::{
    apps::App,
    call::{Answer, Call, Content},
    problem::Problem,
    server::Shared,
};

/// Entries of one answer, if nothing else is wanted, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// How long a stream says nothing at most, so that both ends notice when the other is gone.
const SILENCE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn changes(call: Call) -> Result<Answer, Problem> {
    call.only(&["after", "limit"])?;
    let limit = call.number("limit", PAGE, PAGE_MAX)?;
    let cursor = |name: &str, text: &str| -> Result<ChangeCursor, Problem> {
        text.parse().map_err(|()| Problem::parameter(name, "a cursor of an earlier answer"))
    };
    let after = call.text("after").map(|text| cursor("after", text)).transpose()?;
    // Of a stream that goes on, this is the later one.
    let last = call.header(&LAST_EVENT_ID);
    let last = last.map(|text| cursor("Last-Event-ID", text)).transpose()?;
    let after = last.or(after);
    let accept = call.header(&header::ACCEPT).unwrap_or_default();
    let streams = accept.split(',').any(|kind| kind.trim().starts_with("text/event-stream"));
    let page = page(&call.shared, after, limit.max(1)).await?;
    if streams { follow(&call, after.is_some(), page) } else { Ok(Answer::ok(&page.json())) }
}

/// A part of the list.
struct Page {
    changes: Vec<ChangedRecord>,
    next: ChangeCursor,
    more: bool,
}

async fn page(shared: &Shared, after: Option<ChangeCursor>, limit: usize) -> Result<Page, Problem> {
    match shared.ask(Command::Changes { after, limit }).await? {
        Reply::Changes { changes, next, more } => Ok(Page { changes, next, more }),
        _ => Err(Problem::odd()),
    }
}

impl Page {
    fn json(&self) -> Value {
        let changes: Vec<Value> = self.changes.iter().map(of_change).collect();
        json!({ "changes": changes, "cursor": self.next.to_string(), "more": self.more })
    }
}

fn of_change(one: &ChangedRecord) -> Value {
    json!({
        "record": one.record.to_string(),
        "gone": one.gone,
        "cursor": one.cursor.to_string(),
    })
}

/// A stream that is open.
struct Following {
    shared: Arc<Shared>,
    app: App,
    changed: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    /// Events that are ready to be told.
    ready: VecDeque<String>,
    next: ChangeCursor,
    ended: bool,
    _seat: OwnedSemaphorePermit,
}

/// Tells a first page, and then whatever changes.
fn follow(call: &Call, resumed: bool, first: Page) -> Result<Answer, Problem> {
    let seat = Arc::clone(&call.shared.streams).try_acquire_owned().map_err(|_full| {
        let hint = "close a stream, or ask without following";
        Problem::new("too_many_streams", "too many streams are open already", hint)
    })?;
    let mut following = Following {
        shared: Arc::clone(&call.shared),
        app: call.app.clone(),
        changed: call.shared.changed.clone(),
        stopped: call.shared.stopped.clone(),
        ready: VecDeque::new(),
        next: first.next,
        ended: false,
        _seat: seat,
    };
    if !resumed {
        // From here on: kept by whoever is cut off before anything has changed.
        let cursor = first.next.to_string();
        following.ready.push_back(event("ready", Some(&cursor), &json!({ "cursor": cursor })));
    }
    following.take(&first);
    let events = stream::unfold(following, |mut following| async move {
        following.next_event().await.map(|event| (event, following))
    });
    let content = Content::Events(events.boxed());
    Ok(Answer { status: 200, headers: Vec::new(), content })
}

impl Following {
    fn take(&mut self, page: &Page) {
        self.next = page.next;
        let told = |one: &ChangedRecord| {
            let cursor = one.cursor.to_string();
            event("change", Some(&cursor), &of_change(one))
        };
        self.ready.extend(page.changes.iter().map(told));
    }

    /// The next thing to tell; nothing when the stream is over.
    async fn next_event(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended || *self.stopped.borrow() {
                return None;
            }
            if !self.shared.apps.has(&self.app) {
                return Some(self.end("unauthorized"));
            }
            self.changed.borrow_and_update();
            match page(&self.shared, Some(self.next), PAGE).await {
                Ok(page) if !page.changes.is_empty() => {
                    self.take(&page);
                    continue;
                }
                Ok(_) => {}
                Err(problem) => return Some(self.end(problem.code)),
            }
            let woken = async {
                tokio::select! {
                    _ = self.changed.changed() => {}
                    _ = self.stopped.wait_for(|stop| *stop) => {}
                }
            };
            if timeout(SILENCE, woken).await.is_err() {
                return Some(":\n\n".to_owned());
            }
        }
    }

    /// The last event: why there are no more.
    fn end(&mut self, code: &str) -> String {
        self.ended = true;
        event("end", None, &json!({ "code": code }))
    }
}

fn event(name: &str, id: Option<&str>, data: &Value) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n")
}
