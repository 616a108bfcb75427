//! One pipe at work: a task that moves bytes between a stream and the two bounded queues.

use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use libp2p::PeerId;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    Credit, NetEvent, PipeEnd, PipeId,
    registry::{Queued, Registry},
};

/// Longest run of bytes in one [`NetEvent::Received`]. // guess
const CHUNK_BYTES: usize = 16_384;

/// Chunks that the consumer may hold of one pipe. // guess: one at work, some behind it
const CREDITS: usize = 4;

/// How long a closing pipe waits for the peer to take the last bytes and close too. // guess
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// What a pipe's task needs.
#[derive(Debug)]
pub(super) struct Pipe<S> {
    pub(super) id: PipeId,
    pub(super) stream: S,
    pub(super) opened: NetEvent,
    pub(super) queue: mpsc::Receiver<Queued>,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) registry: Arc<Registry>,
    /// Why the network closes it, if it does. Its sender goes with the connection.
    pub(super) verdict: watch::Receiver<Option<PipeEnd>>,
    pub(super) stall: Duration,
}

/// The value that both ends of a pipe between these transport identities compute. Ids are
/// multihashes, which carry their length, so no two pairs give the same bytes.
pub(super) fn binding(dialer: PeerId, listener: PeerId) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"huza pipe binding 1")
        .chain_update(dialer.to_bytes())
        .chain_update(listener.to_bytes())
        .finalize()
        .into()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    /// Runs the pipe from its opening event to its closing event.
    pub(super) async fn run(self) {
        let Self { id, mut stream, opened, queue, events, registry, verdict, stall } = self;
        if events.send(opened).await.is_err() {
            return;
        }
        // Whatever happens below, a pipe that opened also closes.
        let carried =
            AssertUnwindSafe(carry(id, &mut stream, queue, &events, stall)).catch_unwind();
        let why = tokio::select! {
            end = carried => end.unwrap_or_else(|_panic| PipeEnd::Lost("a bug here".into())),
            end = condemned(verdict) => end,
        };
        registry.close(id);
        let remote = why == PipeEnd::Remote;
        let closed = NetEvent::PipeClosed { pipe: id, why };
        // A peer that has closed its half waits for ours. Nobody to tell if the consumer is gone.
        let bid_farewell = async {
            if remote {
                drop(timeout(CLOSE_WAIT, stream.close()).await);
            }
        };
        drop(tokio::join!(events.send(closed), bid_farewell));
    }
}

async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    id: PipeId,
    stream: &mut S,
    queue: mpsc::Receiver<Queued>,
    events: &mpsc::Sender<NetEvent>,
    stall: Duration,
) -> PipeEnd {
    let (mut reader, mut writer) = stream.split();
    let written = tokio::select! {
        // The peer is done and reads no more; what we had queued is moot.
        end = read(id, &mut reader, events) => return end,
        written = write(id, &mut writer, queue, events, stall) => written,
    };
    if let Err(end) = written {
        return end;
    }
    // We are done. Ending the connection now could lose our last bytes on their way, so the peer
    // closes its half first.
    drop(timeout(CLOSE_WAIT, drain(&mut reader)).await);
    PipeEnd::Local
}

/// Waits for the network to end the pipe. A stream does not always notice that its connection is
/// gone (yamux 0.14, closed from our side).
async fn condemned(mut verdict: watch::Receiver<Option<PipeEnd>>) -> PipeEnd {
    if let Ok(verdict) = verdict.wait_for(Option::is_some).await {
        return verdict.clone().unwrap_or(PipeEnd::Stopped);
    }
    // The connection is gone. What has arrived may still be read.
    sleep(CLOSE_WAIT).await;
    PipeEnd::Lost("the connection has closed".to_owned())
}

async fn read(
    pipe: PipeId,
    reader: &mut (impl AsyncRead + Unpin),
    events: &mpsc::Sender<NetEvent>,
) -> PipeEnd {
    let credits = Arc::new(Semaphore::new(CREDITS));
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let Ok(permit) = Arc::clone(&credits).acquire_owned().await else {
            return PipeEnd::Stopped;
        };
        let count = match reader.read(&mut buffer).await {
            Ok(0) => return PipeEnd::Remote,
            Ok(count) => count,
            Err(error) => return lost(&error),
        };
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        let received = NetEvent::Received { pipe, bytes, credit: Credit::new(permit) };
        if events.send(received).await.is_err() {
            return PipeEnd::Stopped;
        }
    }
}

/// Writes what is queued until the queue is closed and empty, then closes the writing half.
async fn write(
    pipe: PipeId,
    writer: &mut (impl AsyncWrite + Unpin),
    mut queue: mpsc::Receiver<Queued>,
    events: &mpsc::Sender<NetEvent>,
    stall: Duration,
) -> Result<(), PipeEnd> {
    let mut unreported = 0;
    loop {
        // Reporting must never hold up the sending: the consumer may be waiting for room here.
        let queued = tokio::select! {
            biased;
            permit = events.reserve(), if unreported > 0 => {
                let permit = permit.map_err(|_gone| PipeEnd::Stopped)?;
                permit.send(NetEvent::Sent { pipe, bytes: std::mem::take(&mut unreported) });
                continue;
            }
            queued = queue.recv() => queued,
        };
        let Some(Queued { bytes, room }) = queued else { break };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let count = unstalled(stall, writer.write(rest)).await?;
            rest = rest.get(count..).filter(|_| count > 0).ok_or(PipeEnd::Remote)?;
        }
        if queue.is_empty() {
            unstalled(stall, writer.flush()).await?;
        }
        unreported += bytes.len();
        drop(room);
    }
    unstalled(stall, writer.flush()).await?;
    unstalled(stall, writer.close()).await
}

async fn unstalled<T>(
    stall: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, PipeEnd> {
    match timeout(stall, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(lost(&error)),
        Err(_elapsed) => Err(PipeEnd::Stalled),
    }
}

async fn drain(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1_024];
    while matches!(reader.read(&mut buffer).await, Ok(count) if count > 0) {}
}

fn lost(error: &io::Error) -> PipeEnd {
    PipeEnd::Lost(error.to_string())
}
