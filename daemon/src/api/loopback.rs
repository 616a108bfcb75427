//! Where there are no Unix sockets: a port on loopback. `HOME/huza.port` holds its number and a
//! random word that each connection must begin with.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use huza_crdt::id::hex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::ApiError;
use crate::home::files;

pub(crate) type Stream = TcpStream;

const FILE: &str = "huza.port";
const WORD_BYTES: usize = 64;

/// The port; its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    word: String,
    path: PathBuf,
}

impl Listener {
    pub(crate) fn bind(home: &Path) -> Result<Self, ApiError> {
        let path = home.join(FILE);
        let failed = |source| ApiError::Bind { path: path.clone(), source };
        let mut word = [0; WORD_BYTES / 2];
        getrandom::fill(&mut word).map_err(|error| failed(error.into()))?;
        let word = hex(&word);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        files::replace(&path, format!("{port} {word}").as_bytes()).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        Ok(Self { listener, word, path })
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let (mut stream, _) = self.listener.accept().await?;
        let mut word = [0; WORD_BYTES];
        let read = stream.read_exact(&mut word);
        tokio::time::timeout(core::time::Duration::from_secs(1), read).await??;
        if word.as_slice() == self.word.as_bytes() {
            Ok(stream)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file left behind leads nowhere, which `connect` knows.
        let _removed = fs::remove_file(&self.path);
    }
}

/// Connects to the daemon of the home at `home`, if one listens.
pub(crate) async fn connect(home: &Path) -> io::Result<Option<Stream>> {
    let Ok(text) = fs::read_to_string(home.join(FILE)) else { return Ok(None) };
    let Some((port, word)) = text.split_once(' ') else { return Ok(None) };
    let Ok(port) = port.parse::<u16>() else { return Ok(None) };
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(mut stream) => {
            stream.write_all(word.as_bytes()).await?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Err(error) => Err(error),
    }
}
