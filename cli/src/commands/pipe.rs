//! `huza pipe`: one session over stdin and stdout.
//!
//! Stdout is the pipe, so what there is to tell goes to stderr: the report first, then, if the
//! session did not complete, the failure.

use core::convert::Infallible;
use std::io::{Read as _, Write as _, stdin, stdout};

use huza_crdt::session::Stats;
use huza_daemon::{Home, PipeOutcome, PipeReport, pipe};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, timeout};

use crate::commands::Context;
use crate::commands::run::{asked_to_end, telling::end};
use crate::error::{Failure, Kind};
use crate::output::{bytes, complain, count_wide};

/// Longest run of bytes that is read at once.
const CHUNK_BYTES: usize = 16_384;

/// Runs that may wait between a thread and the session.
const CHUNKS_QUEUED_MAX: usize = 4;

/// How long the last bytes may take to leave through stdout. // guess: what a slow link has buffered
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until both ends hold the same, stdin ends, or the user or the system ends it.
pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    if is_a_persons(stdout()) {
        let message = "What two devices exchange is not for a terminal";
        return Err(Failure::new(Kind::Usage, "terminal", message).hint(
            "Connect stdin and stdout to a line: `huza pipe < /dev/ttyUSB0 > /dev/ttyUSB0`, or run \
             it by ssh; `huza pipe --help` says more",
        ));
    }
    let home = Home::open(&context.home()?)?;
    let asked = asked_to_end()?;
    let (incoming, outgoing, gone) = standard_streams();
    let (to, from) = mpsc::channel(CHUNKS_QUEUED_MAX);
    // That we are asked to end is, for the session, the end of what comes in.
    let passing = async {
        let mut incoming = incoming;
        let pass = async {
            while let Some(bytes) = incoming.recv().await {
                if to.send(bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! { () = pass => {} () = asked => {} }
        drop(to);
        core::future::pending::<Infallible>().await
    };
    // Stdin may stay open when all is done.
    let report = tokio::select! {
        report = pipe(&home, from, outgoing) => report?,
        never = passing => match never {},
    };
    let _late = timeout(FAREWELL, gone).await;
    tell(context, &report);
    match report.outcome {
        PipeOutcome::Complete => Ok(()),
        PipeOutcome::Cut => {
            let message = format!("The exchange ended before its end: {}", report.why);
            Err(Failure::new(Kind::Incomplete, "pipe_cut", message)
                .hint("Run it again; it goes on from there"))
        }
        PipeOutcome::Refused => {
            let message = format!("The exchange was refused: {}", report.why);
            Err(Failure::new(Kind::Input, "pipe_refused", message)
                .hint("See that both ends are devices of one programme that are in good standing"))
        }
    }
}

/// Whether it is the terminal at which a person sits, and not, say, a serial line, which the system
/// calls a terminal too.
#[cfg(unix)]
fn is_a_persons(stream: impl std::os::fd::AsFd) -> bool {
    // Succeeds for the terminal that controls this process alone (POSIX).
    rustix::termios::tcgetpgrp(stream).is_ok()
}

#[cfg(not(unix))]
fn is_a_persons(stream: impl std::io::IsTerminal) -> bool {
    stream.is_terminal()
}

/// Stdin and stdout, each on a thread of its own: both may block for ever, and nothing must wait
/// for them at the end. The last value tells when all has been written.
fn standard_streams() -> (mpsc::Receiver<Vec<u8>>, mpsc::Sender<Vec<u8>>, oneshot::Receiver<()>) {
    let (came, incoming) = mpsc::channel(CHUNKS_QUEUED_MAX);
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(count) = stdin().read(&mut chunk)
            && let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty())
            && came.blocking_send(bytes.to_vec()).is_ok()
        {}
    });
    let (outgoing, mut goes) = mpsc::channel::<Vec<u8>>(CHUNKS_QUEUED_MAX);
    let (written, gone) = oneshot::channel();
    std::thread::spawn(move || {
        let mut stdout = stdout();
        while let Some(bytes) = goes.blocking_recv() {
            if stdout.write_all(&bytes).and_then(|()| stdout.flush()).is_err() {
                break;
            }
        }
        drop(written);
    });
    (incoming, outgoing, gone)
}

fn tell(context: &Context, report: &PipeReport) {
    let text = if context.output.json { json(report).to_string() } else { text(report) };
    complain(&format!("{text}\n"));
}

fn json(report: &PipeReport) -> Value {
    let Stats { bytes_sent, bytes_received, round_trips, millis, .. } = report.stats;
    json!({
        "outcome": report.outcome,
        "why": report.why,
        "peer": report.peer.map(|peer| json!({
            "certificate": peer.certificate.to_string(),
            "device": peer.device.to_string(),
            "role": peer.role,
        })),
        "gave": {
            "envelopes": report.stats.envelopes_sent,
            "statements": report.stats.statements_sent,
            "bytes": bytes_sent,
            "envelopes_withheld": report.stats.envelopes_withheld,
        },
        "took": {
            "envelopes": report.stats.envelopes_received,
            "statements": report.stats.statements_received,
            "bytes": bytes_received,
        },
        "round_trips": round_trips,
        "millis": millis,
    })
}

fn text(report: &PipeReport) -> String {
    let stats = report.stats;
    let side = |envelopes: u64, statements: u64, size: u64| {
        let envelopes = count_wide(envelopes, "envelope");
        format!("{envelopes}, {}, {}", count_wide(statements, "statement"), bytes(size))
    };
    let with = report.peer.map_or_else(
        || "nobody that could be known".to_owned(),
        |peer| format!("{} {}", peer.role.name(), peer.certificate.short()),
    );
    let how = match report.outcome {
        PipeOutcome::Complete => format!("both hold {}", end(&stats)),
        PipeOutcome::Cut => "cut".to_owned(),
        PipeOutcome::Refused => "refused".to_owned(),
    };
    format!(
        "With {with}\n  gave {}\n  took {}\n  {how} after {} ms",
        side(stats.envelopes_sent, stats.statements_sent, stats.bytes_sent),
        side(stats.envelopes_received, stats.statements_received, stats.bytes_received),
        stats.millis,
    )
}
