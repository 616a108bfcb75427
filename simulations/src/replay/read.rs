//! Reading recorded contacts and messages.

use std::collections::BTreeMap;

use super::{Contact, Message};

/// A line that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Milliseconds of seconds with up to three decimals; more are cut off.
fn millis(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    let millis: u64 = decimals.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(millis)
}

fn pair(a: &str, b: &str) -> Option<(usize, usize)> {
    let (a, b): (usize, usize) = (a.parse().ok()?, b.parse().ok()?);
    (a != b).then_some((a.min(b), a.max(b)))
}

/// Reads contacts: `SECONDS CONN A B up|down` as the ONE writes them, or intervals as
/// `START,END,A,B` in seconds, further columns ignored. Lines that begin with `#` are comments, and the
/// first other line may be a header. A contact that is still open ends at `end_ms`.
///
/// # Errors
/// If a line is neither.
pub fn contacts(text: &str, end_ms: u64) -> Result<Vec<Contact>, ReadError> {
    let mut open: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut all = Vec::new();
    let mut first = true;
    for (number, line) in lines(text) {
        let error = |what| ReadError { line: number, what };
        if let Some((from, to, nodes)) = interval(line) {
            if to < from {
                return Err(error("it ends before it begins"));
            }
            all.push(Contact { from_ms: from, to_ms: to.min(end_ms), nodes });
        } else if let Some((column, _)) = line.split_once(',') {
            // A header says what the columns are.
            if !first || millis(column.trim()).is_some() {
                return Err(error("not `START,END,A,B` with two nodes"));
            }
        } else {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [at, "CONN", a, b, state] = parts.as_slice() else {
                return Err(error("not `SECONDS CONN A B up|down`, nor `START,END,A,B`"));
            };
            let at = millis(at).ok_or(error("not a time in seconds"))?;
            let nodes = pair(a, b).ok_or(error("not two nodes"))?;
            match *state {
                "up" => drop(open.entry(nodes).or_insert(at)),
                "down" => {
                    let from = open.remove(&nodes).ok_or(error("down, and was not up"))?;
                    all.push(Contact { from_ms: from, to_ms: at, nodes });
                }
                _ => return Err(error("neither up nor down")),
            }
        }
        first = false;
    }
    all.extend(open.into_iter().map(|(nodes, from)| Contact {
        from_ms: from,
        to_ms: end_ms,
        nodes,
    }));
    all.sort_unstable();
    Ok(all)
}

fn interval(line: &str) -> Option<(u64, u64, (usize, usize))> {
    let mut columns = line.split(',').map(str::trim);
    let (from, to) = (millis(columns.next()?)?, millis(columns.next()?)?);
    Some((from, to, pair(columns.next()?, columns.next()?)?))
}

/// Reads messages: `SECONDS C ID FROM TO BYTES`, as the ONE does.
///
/// # Errors
/// If a line is something else.
pub fn messages(text: &str) -> Result<Vec<Message>, ReadError> {
    let mut all = Vec::new();
    for (line, text) in lines(text) {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let message = if let [at, "C", id, from, to, bytes] = parts.as_slice() {
            message([at, id, from, to, bytes])
        } else {
            None
        };
        let what = "not `SECONDS C ID FROM TO BYTES`";
        all.push(message.ok_or(ReadError { line, what })?);
    }
    Ok(all)
}

fn message([at, id, from, to, bytes]: [&str; 5]) -> Option<Message> {
    Some(Message {
        id: id.to_owned(),
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        at_ms: millis(at)?,
        bytes: bytes.parse().ok()?,
    })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_contacts_are_read() {
        let one = "1.00 CONN 3 2 up\n2.50 CONN 0 1 up\n4.25 CONN 2 3 down\n";
        let contact = |from_ms, to_ms, nodes| Contact { from_ms, to_ms, nodes };
        let read = [contact(1_000, 4_250, (2, 3)), contact(2_500, 9_000, (0, 1))];
        assert_eq!(contacts(one, 9_000).unwrap(), read);
        let intervals = "# a comment\nstart_s,end_s,node_a,node_b\n1,4.25,2,3\n2.5,9,1,0,more\n";
        assert_eq!(contacts(intervals, 100_000).unwrap(), read);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, line) in [
            ("1 CONN 2 2 up", 1),
            ("1 CONN 2 3 down", 1),
            ("1 CONN 2 3 up\n2 CONN 2 3 sideways", 2),
            ("start,end,a,b\n1,2,3\n", 2),
            ("5,2,1,3\n", 1),
            ("5,6,3,3\n", 1),
            ("what is this", 1),
        ] {
            assert_eq!(contacts(text, 10).unwrap_err().line, line, "{text}");
        }
        assert_eq!(messages("1 C M1 0 1 10\n2 C M2 0 1 -3").unwrap_err().line, 2);
        let read = messages("148.4 C U000 81 9 837530").unwrap();
        let message =
            Message { id: "U000".to_owned(), from: 81, to: 9, at_ms: 148_400, bytes: 837_530 };
        assert_eq!(read, [message]);
    }
}
