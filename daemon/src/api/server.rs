//! Serving the local door.

use std::{io, path::Path, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, select};
use huza_crdt::node::{CommandError, Reply};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};
use zeroize::Zeroizing;

use super::{
    ApiError, CONNECTIONS_MAX, PIPES_MAX, Request, Stream,
    frame::{self, FrameError, Wish},
    socket::Listener,
};
use crate::pipe;

/// Milliseconds that replies under way get when the daemon stops. // guess
const FAREWELL_MS: u64 = 1_000;

/// Milliseconds to wait after connections cannot be accepted, such as for want of descriptors.
const ACCEPT_PAUSE_MS: u64 = 100;

/// The open door. Dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    task: JoinSet<()>,
}

impl Server {
    /// Opens the door of the home at `home`; commands go into `requests`.
    pub(crate) fn start(home: &Path, requests: mpsc::Sender<Request>) -> Result<Self, ApiError> {
        let listener = Listener::bind(home)?;
        let (stop, stopped) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, requests, stopped));
        Ok(Self { stop, task })
    }

    /// Closes the door, once replies that are ready have gone out.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.task.join_next().await.is_some() {} };
        // Whoever is slower is cut off when the tasks are dropped.
        let _late = tokio::time::timeout(Duration::from_millis(FAREWELL_MS), ended).await;
    }
}

async fn serve(
    listener: Listener,
    requests: mpsc::Sender<Request>,
    stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let pipes = Arc::new(Semaphore::new(PIPES_MAX));
    let mut connections = JoinSet::new();
    let mut stop = stopped.clone();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let seat = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((seat, listener.accept().await?))
        };
        match select(pin!(next), pin!(told(&mut stop))).await {
            Either::Left((Ok((seat, stream)), _)) => {
                let talk = talk(stream, requests.clone(), Arc::clone(&pipes), stopped.clone());
                connections.spawn(async move {
                    if let Err(error) = talk.await {
                        tracing::debug!(%error, "a local connection ended");
                    }
                    drop(seat);
                });
            }
            Either::Left((Err(error), _)) => {
                tracing::warn!(%error, "a local connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
            Either::Right(_) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the daemon stops.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // The other end going away means the same.
    let _stop = stopped.wait_for(|stop| *stop).await;
}

/// Serves one connection, until it ends or the daemon stops.
async fn talk(
    mut stream: Stream,
    requests: mpsc::Sender<Request>,
    pipes: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), FrameError> {
    loop {
        let read = match select(pin!(frame::read(&mut stream)), pin!(told(&mut stopped))).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => return Ok(()),
        };
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            Err(error @ FrameError::TooLong(_)) => {
                let reply = refusal("too_long", &error.to_string(), "split what is imported");
                return frame::write(&mut stream, &frame::of_reply(&reply)?).await;
            }
            Err(error) => return Err(error),
        };
        match answer(bytes, &requests).await? {
            Answer::Reply(reply) => frame::write(&mut stream, &reply).await?,
            Answer::Pipe => {
                let Ok(_room) = pipes.try_acquire() else {
                    return pipe::refuse(&mut stream).await;
                };
                return pipe::serve(&mut stream, &requests, stopped).await;
            }
        }
    }
}

/// What a wish leads to.
enum Answer {
    Reply(Vec<u8>),
    Pipe,
}

/// Reads and spells long messages on another thread, so that they hold up nobody.
async fn answer(bytes: Vec<u8>, requests: &mpsc::Sender<Request>) -> Result<Answer, FrameError> {
    let read = tokio::task::spawn_blocking(move || {
        // It may hold a secret.
        let bytes = Zeroizing::new(bytes);
        frame::to_wish(&bytes)
    });
    let reply = match read.await.map_err(io::Error::other)? {
        Ok(Wish::Node(command)) => {
            let (reply, answered) = oneshot::channel();
            // If nobody takes the request, nobody answers it either.
            let _sent = requests.send(Request::Node { command, reply }).await;
            answered.await.unwrap_or_else(|_gone| stopping())
        }
        Ok(Wish::Vault(command)) => {
            let (reply, answered) = oneshot::channel();
            let _sent = requests.send(Request::Vault { command, reply }).await;
            match answered.await {
                Ok(reply) => return frame::of_vault_reply(&reply).map(Answer::Reply),
                Err(_gone) => stopping(),
            }
        }
        Ok(Wish::Pipe) => return Ok(Answer::Pipe),
        Err(why) => {
            let message = format!("the command cannot be read: {why}");
            refusal("malformed", &message, "use the same version of huza for it and the daemon")
        }
    };
    let spelled = tokio::task::spawn_blocking(move || frame::of_reply(&reply));
    spelled.await.map_err(io::Error::other)?.map(Answer::Reply)
}

fn stopping() -> Reply {
    let message = "the daemon on this home is stopping";
    refusal("stopping", message, "run the command again once it has stopped")
}

fn refusal(code: &str, message: &str, hint: &str) -> Reply {
    Reply::Error(CommandError {
        code: code.to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    })
}
