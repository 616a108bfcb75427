//! HTTP with one FHIR server: one request at a time, its answer whole.

use std::{fs, path::Path, sync::Arc, time::Duration};

use data_encoding::BASE64;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use super::super::{FacilityError, ServerSetting};

/// Until a connection has to be there. // guess: a satellite link, and a handshake on it
const CONNECT: Duration = Duration::from_secs(15);

/// Until an answer has to be there, whole. // guess: a transaction on a slow server
const ANSWER: Duration = Duration::from_secs(60);

/// Longest answer that is read, in bytes. // as many resources as are read at once, none of them huge
const ANSWER_BYTES_MAX: u64 = 134_217_728;

/// Seconds to stay away at most, whatever the server says. // guess: an hour
const RETRY_AFTER_MAX: u64 = 3_600;

/// The way to one server.
pub(super) struct Http {
    agent: Agent,
    base: String,
    authorization: Option<Zeroizing<String>>,
}

huza_crdt::debug_shows!(struct Http { base });

/// What the server answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: String,
}

impl Http {
    /// Reads the files that `setting` names. They are read again when this is made again.
    pub(super) fn open(setting: &ServerSetting) -> Result<Self, FacilityError> {
        let mut authorization = None;
        if let Some(path) = &setting.token_file {
            let token = secret(path, "token")?;
            authorization = Some(Zeroizing::new(format!("Bearer {}", token.as_str())));
        }
        if let (Some(user), Some(path)) = (&setting.user, &setting.password_file) {
            let pair = Zeroizing::new(format!("{user}:{}", secret(path, "password")?.as_str()));
            let pair64 = Zeroizing::new(BASE64.encode(pair.as_bytes()));
            authorization = Some(Zeroizing::new(format!("Basic {}", pair64.as_str())));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        if let Some(path) = &setting.ca_file {
            tls = tls.root_certs(RootCerts::from(certificates(path)?));
        }
        if let (Some(chain), Some(key)) = (&setting.certificate_file, &setting.key_file) {
            let (chain, pem) = (certificates(chain)?, read(key)?);
            let none = |_| FacilityError::Secret { path: key.clone(), what: "private key in PEM" };
            let key = PrivateKey::from_pem(pem.as_bytes()).map_err(none)?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            // Elsewhere is another server, which may be anybody's.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("huza/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .build();
        let base = setting.url.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.new_agent(), base, authorization })
    }

    /// The base of the server, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Posts a Bundle to the base.
    pub(super) fn post(&self, bundle: &str) -> Result<Answered, FacilityError> {
        const FHIR: &str = "application/fhir+json";
        let mut request = self.agent.post(&self.base);
        request = request.header("content-type", FHIR).header("accept", FHIR);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.as_str());
        }
        let unreachable = |error: ureq::Error| FacilityError::Unreachable(Box::new(error));
        let mut answer = request.send(bundle).map_err(unreachable)?;
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        Ok(Answered {
            status: answer.status().as_u16(),
            retry_after: retry_after.map(|seconds: u64| seconds.min(RETRY_AFTER_MAX)),
            body: body.map_err(unreachable)?,
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, FacilityError> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(FacilityError::of(path))
}

/// The first line of a file.
fn secret(path: &Path, what: &'static str) -> Result<Zeroizing<String>, FacilityError> {
    let text = read(path)?;
    let line = text.lines().next().unwrap_or_default().trim();
    let fits = !line.is_empty() && line.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    fits.then(|| Zeroizing::new(line.to_owned()))
        .ok_or_else(|| FacilityError::Secret { path: path.to_owned(), what })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, FacilityError> {
    let pem = read(path)?;
    let all = parse_pem(pem.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let all: Vec<_> = all.collect();
    let none = FacilityError::Secret { path: path.to_owned(), what: "certificate in PEM" };
    if all.is_empty() { Err(none) } else { Ok(all) }
}
