//! Frames of the local door.

use std::io;

use huza_crdt::{
    codec,
    id::{hex, unhex},
    limits::IMPORT_BYTES_MAX,
    node::{Command, Reply},
    trust::approval::Welcome,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::{
    pipe::PipeReport,
    vault::{VaultCommand, VaultReply},
};

/// Longest frame, in bytes. // a file to import, whose quotation marks JSON doubles
pub(crate) const FRAME_BYTES_MAX: usize = 2 * IMPORT_BYTES_MAX + 65_536;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection failed.
    #[error("the connection with the daemon broke")]
    Io(#[from] io::Error),
    /// It is too long.
    #[error("a message of {0} bytes is too long; import smaller files")]
    TooLong(usize),
    /// It is not what was expected.
    #[error("the message cannot be read; use the same version of huza everywhere on this device")]
    Malformed(#[source] serde_json::Error),
}

/// A command as it is spelled on the socket. A welcome goes in its own encoding, which is the one
/// that its signatures are about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Spelled {
    Join(Join),
    Other(Command),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    command: JoinTag,
    welcome: String,
}

#[derive(Debug, Serialize, Deserialize)]
enum JoinTag {
    #[serde(rename = "join_sealed")]
    JoinSealed,
}

/// Spells a command.
pub(crate) fn of_command(command: Command) -> Result<Vec<u8>, FrameError> {
    let spelled = match command {
        Command::Join { welcome } => Spelled::Join(Join {
            command: JoinTag::JoinSealed,
            welcome: hex(&codec::encode(&welcome)),
        }),
        other => Spelled::Other(other),
    };
    serde_json::to_vec(&spelled).map_err(FrameError::Malformed)
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Wish {
    Node(Box<Command>),
    Vault(Box<VaultCommand>),
    Pipe,
}

/// Longest wish for the vault. // an answer for recovery and some secrets are about 5 kB
const VAULT_BYTES_MAX: usize = 65_536;

/// Only whether there is a key `vault` or `pipe`.
#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    vault: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    pipe: Option<PipeVersion>,
}

/// How the bytes of a pipe go over the socket: 1.
type PipeVersion = u8;

/// Reads what came in; the error is for its sender.
pub(crate) fn to_wish(bytes: &[u8]) -> Result<Wish, String> {
    let short = bytes.len() <= VAULT_BYTES_MAX;
    let probe = short.then(|| serde_json::from_slice::<Probe>(bytes).ok()).flatten();
    if probe.as_ref().is_some_and(|probe| probe.pipe == Some(1)) {
        return Ok(Wish::Pipe);
    }
    if probe.is_some_and(|probe| probe.vault.is_some()) {
        let command = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        return Ok(Wish::Vault(Box::new(command)));
    }
    to_command(bytes).map(|command| Wish::Node(Box::new(command)))
}

/// Spells a wish for the vault.
pub(crate) fn of_vault_command(command: &VaultCommand) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    serde_json::to_vec(command).map(Zeroizing::new).map_err(FrameError::Malformed)
}

/// Spells the wish for a pipe.
pub(crate) fn of_pipe() -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(&serde_json::json!({ "pipe": 1 })).map_err(FrameError::Malformed)
}

/// Spells the report of a pipe.
pub(crate) fn of_pipe_report(report: &PipeReport) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(report).map_err(FrameError::Malformed)
}

/// Reads the report of a pipe.
pub(crate) fn to_pipe_report(bytes: &[u8]) -> Result<PipeReport, FrameError> {
    serde_json::from_slice(bytes).map_err(FrameError::Malformed)
}

/// Spells the vault's reply.
pub(crate) fn of_vault_reply(reply: &VaultReply) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(reply).map_err(FrameError::Malformed)
}

/// Reads the vault's reply.
pub(crate) fn to_vault_reply(bytes: &[u8]) -> Result<VaultReply, FrameError> {
    serde_json::from_slice(bytes).map_err(FrameError::Malformed)
}

/// Reads a command; the error is for its sender.
fn to_command(bytes: &[u8]) -> Result<Command, String> {
    // Told apart first: an untagged enum could not say what is wrong with a command.
    if let Ok(join) = serde_json::from_slice::<Join>(bytes) {
        let welcome = unhex(&join.welcome).and_then(|bytes| codec::decode::<Welcome>(&bytes).ok());
        let welcome = welcome.ok_or_else(|| "the welcome in it is malformed".to_owned())?;
        return Ok(Command::Join { welcome });
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Spells a reply.
pub(crate) fn of_reply(reply: &Reply) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(reply).map_err(FrameError::Malformed)
}

/// Reads a reply.
pub(crate) fn to_reply(bytes: &[u8]) -> Result<Reply, FrameError> {
    serde_json::from_slice(bytes).map_err(FrameError::Malformed)
}

/// Reads one frame; `None` at the end of the stream. Memory grows with what really comes.
pub(crate) async fn read(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(bytes))
}

/// Writes one frame.
pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), FrameError> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= FRAME_BYTES_MAX)
        .ok_or(FrameError::TooLong(bytes.len()))?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(bytes).await?;
    Ok(to.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_that_is_cut_or_too_long_is_an_error() {
        let mut whole = Vec::new();
        write(&mut whole, b"{}").await.unwrap();
        assert_eq!(read(&mut whole.as_slice()).await.unwrap(), Some(b"{}".to_vec()));
        assert_eq!(read(&mut b"".as_slice()).await.unwrap(), None);
        assert!(matches!(read(&mut &whole[..5]).await, Err(FrameError::Io(_))));
        assert!(matches!(read(&mut [255_u8; 9].as_slice()).await, Err(FrameError::TooLong(_))));
    }

    /// JSON is no encoding that signatures are about; it must still bring all of it over.
    #[test]
    fn orders_and_welcomes_come_over_whole() {
        use huza_crdt::{
            crypto::{Entropy, SealingKey, SigningKey},
            node::Order,
            time::Stamp,
            trust::{
                Role,
                approval::{Approval, JoinRequest},
                paper::Programme,
            },
        };
        let mut entropy = Entropy::new([1; 32]);
        let villages = ["01".to_owned()];
        let mut programme = Programme::found("Test", &mut entropy);
        let mut centre = programme.certify_centre("HC", &villages, Stamp(1), &mut entropy).unwrap();
        let (key, sealing) = (SigningKey::from_seed([2; 32]), SealingKey::from_seed([2; 32]));
        let what = ("phone", false);
        let request = JoinRequest::new(&key, sealing.public(), what, Stamp(1), [3; 8]);
        let approval = Approval::of(Role::Worker, &villages);
        let welcome = centre.approve(&request, &approval, Stamp(1), &mut entropy).unwrap();
        let statements = welcome.statements.clone();
        let order = Order::Approve { request, approval };
        for command in [Command::Take { statements }, Command::Order(Box::new(order))] {
            let bytes = of_command(command.clone()).unwrap();
            assert_eq!(to_command(&bytes), Ok(command));
        }
        let certificate = welcome.open(&sealing).unwrap().certificate;
        let reply = Reply::Approved { certificate, welcome };
        assert_eq!(to_reply(&of_reply(&reply).unwrap()).unwrap(), reply);
    }

    #[test]
    fn commands_come_back_as_they_were_sent() {
        let command = Command::Status { records: true };
        let bytes = of_command(command.clone()).unwrap();
        assert_eq!(to_command(&bytes), Ok(command));
        let error = to_command(b"{\"command\":\"dance\"}").unwrap_err();
        assert!(error.contains("dance"), "{error}");
    }
}
