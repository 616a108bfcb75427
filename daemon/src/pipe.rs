//! A session over any pair of byte streams: the outer end of `huza pipe`.
//!
//! This process carries bytes and understands none of them. The handshake and the session are the
//! daemon's ([`crate::driver`]), which owns the stores and the device's key; so whoever can reach
//! the local door still cannot have a hello signed for a channel that the daemon does not end. Where
//! no daemon runs on the home, one without a network runs in this process for as long as the pipe
//! does.

use std::time::{Duration, Instant};

use huza_crdt::{
    limits::HELLO_MS_MAX,
    session::{Peer, Stats},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split},
    sync::{
        mpsc::{self, Receiver, Sender},
        oneshot, watch,
    },
    time::timeout,
};

use crate::{
    ClientError, Home, HomeError, RunError, RunOptions, ShellEvent,
    api::{
        self, Request,
        frame::{self, FrameError},
    },
    net::{Noise, NoiseError},
    run,
};

/// Longest run of bytes in one frame of the local door.
const CHUNK_BYTES: usize = 16_384;

/// How long to wait for another command that has the home. // as `Client` does
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// How long the last bytes get after the session has ended. // guess: a second of a slow link
const FAREWELL: Duration = Duration::from_secs(2);

/// How a session over a pipe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipeOutcome {
    /// Both ends held the same.
    Complete,
    /// It ended before. What was acknowledged is kept; the next one goes on from there.
    Cut,
    /// What came is not from a member in good standing, or breaks the protocol.
    Refused,
}

/// What a session over a pipe did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeReport {
    /// How it ended.
    pub outcome: PipeOutcome,
    /// Who, once proven.
    pub peer: Option<Peer>,
    /// What it took.
    pub stats: Stats,
    /// Why, unless it is complete.
    pub why: String,
}

/// Why there was no session to report of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// The daemon on the home cannot be reached, or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no daemon, and none could be run here.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs one session of the device at `home`, with the bytes that come in and go out here. Ends when
/// both ends hold the same, when `incoming` ends, or when nobody takes what goes out.
///
/// # Errors
/// If there could be no session at all. One that was cut or refused is a report.
pub async fn pipe(
    home: &Home,
    incoming: Receiver<Vec<u8>>,
    outgoing: Sender<Vec<u8>>,
) -> Result<PipeReport, PipeError> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(stream) = connect(home).await? {
            return Ok(forward(stream, incoming, outgoing).await?);
        }
        let (events, mut told) = mpsc::channel(64);
        let (stop, stopped) = oneshot::channel::<()>();
        let options = RunOptions { alone: true, ..RunOptions::default() };
        let daemon = tokio::spawn(run(home.clone(), options, events, stopped));
        let started = async {
            while let Some(event) = told.recv().await {
                if matches!(event, ShellEvent::Started { .. }) {
                    return true;
                }
            }
            false
        };
        if started.await {
            drop(told);
            let stream = connect(home).await?.ok_or(ClientError::Gone)?;
            let report = forward(stream, incoming, outgoing).await;
            drop(stop);
            daemon.await.map_err(RunError::Crashed)??;
            return Ok(report?);
        }
        match daemon.await.map_err(RunError::Crashed)? {
            Err(RunError::Home(HomeError::InUse { .. })) if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
            Ok(()) => return Err(ClientError::Gone.into()),
        }
    }
}

async fn connect(home: &Home) -> Result<Option<api::Stream>, ClientError> {
    let connected = api::connect(home.path()).await;
    connected.map_err(|source| ClientError::Connect { home: home.path().to_owned(), source })
}

/// Carries bytes to the daemon and back until it reports.
async fn forward(
    stream: api::Stream,
    mut incoming: Receiver<Vec<u8>>,
    outgoing: Sender<Vec<u8>>,
) -> Result<PipeReport, ClientError> {
    let (mut from, mut to) = split(stream);
    frame::write(&mut to, &frame::of_pipe()?).await?;
    let up = async {
        while let Some(bytes) = incoming.recv().await {
            frame::write(&mut to, &bytes).await?;
        }
        frame::write(&mut to, &[]).await
    };
    let down = async {
        let mut outgoing = Some(outgoing);
        loop {
            let bytes = frame::read(&mut from).await?.ok_or(ClientError::Gone)?;
            if bytes.is_empty() {
                break;
            }
            // Where nobody takes it any more, the session falls silent and says so.
            if let Some(taker) = &outgoing
                && taker.send(bytes).await.is_err()
            {
                outgoing = None;
            }
        }
        drop(outgoing);
        let report = frame::read(&mut from).await?.ok_or(ClientError::Gone)?;
        Ok::<_, ClientError>(frame::to_pipe_report(&report)?)
    };
    let mut down = core::pin::pin!(down);
    tokio::select! {
        report = &mut down => report,
        // That nothing more comes in, or can be passed on, is not the end: the report follows.
        _ended = up => down.await,
    }
}

/// Serves one pipe at the local door, from the wish for it to the report.
pub(crate) async fn serve(
    stream: &mut api::Stream,
    requests: &Sender<Request>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), FrameError> {
    let (near, far) = duplex(CHUNK_BYTES);
    let (mut from, mut to) = split(&mut *stream);
    let (mut back, mut forth) = split(near);
    let up = async {
        while let Some(bytes) = frame::read(&mut from).await?.filter(|bytes| !bytes.is_empty()) {
            forth.write_all(&bytes).await?;
        }
        forth.shutdown().await?;
        Ok::<_, FrameError>(())
    };
    let down = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = back.read(&mut chunk).await?;
            // With 0 bytes, this is the mark that no more follow.
            frame::write(&mut to, chunk.get(..count).unwrap_or_default()).await?;
            if count == 0 {
                return Ok::<_, FrameError>(());
            }
        }
    };
    let session = async {
        tokio::select! {
            report = session(far, requests) => report,
            _stop = stopped.wait_for(|stop| *stop) => cut("the daemon on this home is stopping"),
        }
    };
    // Whatever becomes of the way up, the way down carries all that the session has to say.
    let (report, downward) = tokio::select! {
        both = async { tokio::join!(session, down) } => both,
        () = async { drop(up.await); core::future::pending().await } => return Ok(()),
    };
    downward?;
    frame::write(&mut to, &frame::of_pipe_report(&report)?).await
}

/// Tells that there are too many already.
pub(crate) async fn refuse(stream: &mut api::Stream) -> Result<(), FrameError> {
    let report = cut("this device has as many pipes as it can serve; wait until one ends");
    frame::write(stream, &[]).await?;
    frame::write(stream, &frame::of_pipe_report(&report)?).await
}

/// Shakes hands, has the driver run the session, and puts together what is to be said of it.
async fn session(wire: DuplexStream, requests: &Sender<Request>) -> PipeReport {
    let (mut from, mut to) = split(wire);
    let shaking = timeout(Duration::from_millis(HELLO_MS_MAX), Noise::shake(&mut from, &mut to));
    let noise = match shaking.await.unwrap_or(Err(NoiseError::Silent)) {
        Ok(noise) => noise,
        Err(error) => return ended(&error, cut("")),
    };
    let (plain, stream) = duplex(CHUNK_BYTES);
    let (report, mut reported) = oneshot::channel();
    let (dialer, binding) = (noise.dialer, noise.binding);
    let _sent = requests.send(Request::Pipe { stream, dialer, binding, report }).await;
    let mut carried = core::pin::pin!(noise.carry(&mut from, &mut to, plain));
    let stopping = |_gone| cut("the daemon on this home is stopping");
    tokio::select! {
        report = &mut reported => {
            // The session is over; what it said last may still be on its way.
            let _late = timeout(FAREWELL, carried).await;
            report.unwrap_or_else(stopping)
        }
        carried = &mut carried => {
            let report = reported.await.unwrap_or_else(stopping);
            match carried {
                Err(error) => ended(&error, report),
                Ok(()) => report,
            }
        }
    }
}

/// What there is to report when the pipe ended like this.
fn ended(error: &NoiseError, report: PipeReport) -> PipeReport {
    match report.outcome {
        PipeOutcome::Cut => {
            let refused = error.is_refusal();
            let outcome = if refused { PipeOutcome::Refused } else { PipeOutcome::Cut };
            PipeReport { outcome, why: error.to_string(), ..report }
        }
        PipeOutcome::Complete | PipeOutcome::Refused => report,
    }
}

fn cut(why: &str) -> PipeReport {
    let why = why.to_owned();
    PipeReport { outcome: PipeOutcome::Cut, peer: None, stats: Stats::default(), why }
}
