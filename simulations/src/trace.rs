//! The log of a run: one line per input and output of every node, in one fixed format.
//!
//! ```text
//! <virtual ms> <host>.<run> <in|out> <kind> <token or pipe or -> <bytes or rows> <hash>
//! ```
//!
//! The hash is of the content, so that two runs with equal logs did the same.

use core::fmt::Write as _;

use huza_crdt::codec;
use huza_crdt::node::{Input, Output};

/// A log. It always has a hash, and its text if that is wanted.
#[derive(Debug)]
pub(crate) struct Trace {
    text: Option<String>,
    line: String,
    lines: u64,
    hasher: blake3::Hasher,
}

/// What one line says of an input or output.
#[derive(Debug)]
struct Entry {
    kind: &'static str,
    subject: String,
    size: usize,
    content: [u8; 4],
}

impl Trace {
    /// An empty log that keeps its text, or only its hash.
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            text: keep.then(String::new),
            line: String::new(),
            lines: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Writes a line that is no input or output.
    pub(crate) fn note(&mut self, now: u64, who: &str, text: &str) {
        self.line.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{now:>9} {who} -- {text}");
        self.end_line();
    }

    /// Writes the line of an input.
    pub(crate) fn input(&mut self, now: u64, who: &str, input: &Input) {
        self.entry(now, who, "in ", &of_input(input));
    }

    /// Writes the line of an output.
    pub(crate) fn output(&mut self, now: u64, who: &str, output: &Output) {
        self.entry(now, who, "out", &of_output(output));
    }

    fn entry(&mut self, now: u64, who: &str, way: &str, entry: &Entry) {
        let Entry { kind, subject, size, content } = entry;
        self.line.clear();
        let hash = u32::from_be_bytes(*content);
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{now:>9} {who} {way} {kind} {subject} {size} {hash:08x}");
        self.end_line();
    }

    fn end_line(&mut self) {
        self.line.push('\n');
        self.lines += 1;
        self.hasher.update(self.line.as_bytes());
        if let Some(text) = &mut self.text {
            text.push_str(&self.line);
        }
    }

    /// How many lines it has.
    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    /// The hash over all lines.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// Its text, if that was kept.
    pub(crate) fn into_text(self) -> Option<String> {
        self.text
    }
}

fn entry(kind: &'static str, subject: impl ToString, size: usize, content: &[u8]) -> Entry {
    hashed(kind, subject, size, &blake3::hash(content))
}

fn hashed(kind: &'static str, subject: impl ToString, size: usize, hash: &blake3::Hash) -> Entry {
    let content = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    Entry { kind, subject: subject.to_string(), size, content }
}

/// With all that `Debug` would hide. What cannot be spelled counts as empty.
fn spelled(
    kind: &'static str,
    subject: impl ToString,
    text: Result<Vec<u8>, serde_json::Error>,
) -> Entry {
    let text = text.unwrap_or_default();
    entry(kind, subject, text.len(), &text)
}

fn debugged(kind: &'static str, subject: impl ToString, value: &impl core::fmt::Debug) -> Entry {
    let text = format!("{value:?}");
    entry(kind, subject, text.len(), text.as_bytes())
}

fn of_input(input: &Input) -> Entry {
    match input {
        Input::Tick => entry("tick", "-", 0, b""),
        Input::PipeOpened { pipe, dialer, binding } => {
            entry("pipe-opened", pipe.0, usize::from(*dialer), binding)
        }
        Input::Received { pipe, bytes } => entry("received", pipe.0, bytes.len(), bytes),
        Input::PipeClosed { pipe } => entry("pipe-closed", pipe.0, 0, b""),
        Input::Loaded { token, rows } => {
            let mut hasher = blake3::Hasher::new();
            for (key, value) in rows {
                hasher.update(key).update(value);
            }
            hashed("loaded", token.0, rows.len(), &hasher.finalize())
        }
        Input::Persisted { token } => entry("persisted", token.0, 0, b""),
        Input::StoreFailed { store, why } => debugged("store-failed", "-", &(store, why)),
        Input::Done { token, .. } => entry("done", token.0, 0, b""),
        Input::Delivered { token, answers } => {
            spelled("delivered", token.0, serde_json::to_vec(answers))
        }
        Input::Command { id, command } => spelled("command", id.0, serde_json::to_vec(command)),
        Input::ReaderOpened { worker } => entry("reader-opened", worker, 0, b""),
        Input::Scrubbed { token } => entry("scrubbed", token.0, 0, b""),
        Input::News { token, bytes } => entry("news", token.0, bytes.len(), bytes),
    }
}

fn of_output(output: &Output) -> Entry {
    match output {
        Output::Load { token, range } => spelled("load", token.0, serde_json::to_vec(range)),
        Output::Persist { token, store, batch } => {
            let bytes = codec::encode(batch);
            entry("persist", format_args!("{}:{store:?}", token.0), bytes.len(), &bytes)
        }
        Output::Work { token, job } => debugged("work", token.0, &job.name()),
        Output::Deliver { token, resources, known } => {
            entry("deliver", token.0, resources.len(), &codec::encode(&(resources, known)))
        }
        Output::CloseReader => entry("close-reader", "-", 0, b""),
        Output::Scrub { token, store } => debugged("scrub", token.0, store),
        Output::Send { pipe, bytes } => entry("send", pipe.0, bytes.len(), bytes),
        Output::Close { pipe } => entry("close", pipe.0, 0, b""),
        Output::Reply { id, reply } => spelled("reply", id.0, serde_json::to_vec(reply)),
        Output::Publish { bytes } => entry("publish", "-", bytes.len(), bytes),
        Output::NewsValid { token, valid } => {
            entry("news-valid", token.0, usize::from(*valid), b"")
        }
        Output::Links { wanted } => entry("links", "-", *wanted, b""),
        Output::Event(event) => {
            // Events say nothing personal, so the log shows them as they are.
            let text = format!("{event:?}");
            entry("event", text.replace(' ', ""), text.len(), text.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use huza_crdt::node::PipeId;

    #[test]
    fn a_line_tells_size_and_content() {
        let mut trace = Trace::new(true);
        let received = |bytes: &[u8]| Input::Received { pipe: PipeId(3), bytes: bytes.to_vec() };
        trace.input(5, "w1.0", &received(b"abc"));
        let first = trace.hash();
        trace.input(6, "w1.0", &received(b"abd"));
        assert_ne!(first, trace.hash());
        assert_eq!(trace.lines(), 2);
        let text = trace.into_text().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("        5 w1.0 in  received 3 3 "));
        assert_ne!(lines[0].rsplit(' ').next(), lines[1].rsplit(' ').next());
    }
}
