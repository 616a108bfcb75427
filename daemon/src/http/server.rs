//! Serving: connections, and the door that every request passes before its handler.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{Either, select};
use hyper::{
    Request as Received, Response, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

use super::{
    apps::Apps,
    door,
    limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIME, Rates, STREAMS_MAX},
    reply::Body,
    routes::{self, Route},
    setting::HttpTable,
};
use crate::api::Request;

/// Milliseconds that answers under way get when the daemon stops. // guess
const FAREWELL_MS: u64 = 1_000;

/// Milliseconds to wait after connections cannot be accepted, such as for want of descriptors.
const ACCEPT_PAUSE_MS: u64 = 100;

/// What every request needs.
pub(super) struct Shared {
    pub(super) apps: Apps,
    pub(super) setting: HttpTable,
    pub(super) routes: Vec<Route>,
    pub(super) rates: Rates,
    pub(super) requests: mpsc::Sender<Request>,
    /// Turns whenever records have changed.
    pub(super) changed: watch::Receiver<u64>,
    pub(super) stopped: watch::Receiver<bool>,
    /// Seats for those who follow changes.
    pub(super) streams: Arc<Semaphore>,
}

/// The door for other programs. Dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct HttpServer {
    /// Where it listens, with the real port.
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    changes: watch::Sender<u64>,
    task: JoinSet<()>,
}

impl HttpServer {
    /// Opens the door of the home at `home`; commands go into `requests`.
    pub(crate) async fn start(
        home: &Path,
        setting: HttpTable,
        requests: mpsc::Sender<Request>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(&setting.listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let (changes, changed) = watch::channel(0);
        let shared = Shared {
            apps: Apps::of(home),
            rates: Rates::new(setting.requests_per_second),
            setting,
            routes: routes::all(),
            requests,
            changed,
            stopped,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        };
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::new(shared)));
        Ok(Self { address, stop, changes, task })
    }

    /// Records have changed, or the reader was locked: who follows looks.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Closes the door, once answers that are ready have gone out.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.task.join_next().await.is_some() {} };
        // Whoever is slower is cut off when the tasks are dropped.
        let _late = tokio::time::timeout(Duration::from_millis(FAREWELL_MS), ended).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stopped = shared.stopped.clone();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let seat = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((seat, listener.accept().await?))
        };
        match select(pin!(next), pin!(told(&mut stopped))).await {
            Either::Left((Ok((seat, (stream, _))), _)) => {
                let talk = talk(stream, Arc::clone(&shared));
                connections.spawn(async move {
                    if let Err(error) = talk.await {
                        tracing::debug!(%error, "a connection of an app ended");
                    }
                    drop(seat);
                });
            }
            Either::Left((Err(error), _)) => {
                tracing::warn!(%error, "a connection of an app could not be accepted");
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
async fn talk(stream: TcpStream, shared: Arc<Shared>) -> Result<(), hyper::Error> {
    let mut stopped = shared.stopped.clone();
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let stopped = pin!(told(&mut stopped));
    if let Either::Left((ended, _)) = select(connection.as_mut(), stopped).await {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Answers one request, and notes who asked for what: names of routes only, nothing of what they say.
async fn answer(
    request: Received<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, hyper::http::Error> {
    let begun = Instant::now();
    let method = request.method().clone();
    let (passed, answer) = door::pass(request, shared).await;
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (app, route) = (passed.app.as_deref(), passed.route);
    match &answer {
        Ok(answer) => {
            tracing::debug!(app, %method, route, status = answer.status, millis, "app");
        }
        Err(problem) => {
            let status = problem.status();
            tracing::info!(app, %method, route, status, code = problem.code, millis, "app");
        }
    }
    passed.respond(answer)
}
