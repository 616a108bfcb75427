//! Where the facility is, as `facility` in `huza.toml` says.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A directory, or a FHIR server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FacilitySetting {
    /// The directory that receives `resources.ndjson`.
    Directory(PathBuf),
    /// A server.
    Server(ServerSetting),
}

/// A FHIR R4 server, and what this gateway shows to be let in. Secrets are in files of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSetting {
    /// The base of its REST interface.
    pub url: String,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// Name for basic authentication.
    pub user: Option<String>,
    /// File with the password that goes with `user`.
    pub password_file: Option<PathBuf>,
    /// PEM file with a client certificate, and those above it.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    pub key_file: Option<PathBuf>,
    /// PEM file with the authorities that may vouch for the server, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether it may be spoken to without encryption although it is on another machine.
    #[serde(default)]
    pub allow_http: bool,
}

impl FacilitySetting {
    /// What a command line says: a URL, or a directory.
    #[must_use]
    pub fn of_argument(argument: &Path) -> Self {
        match argument.to_str().filter(|text| is_url(text)) {
            Some(url) => Self::Server(ServerSetting { url: url.to_owned(), ..Default::default() }),
            None => Self::Directory(argument.to_owned()),
        }
    }

    /// With relative paths begun at `home`.
    #[must_use]
    pub fn at(self, home: &Path) -> Self {
        let join = |path: Option<PathBuf>| path.map(|path| home.join(path));
        match self {
            Self::Directory(path) => Self::Directory(home.join(path)),
            Self::Server(server) => Self::Server(ServerSetting {
                token_file: join(server.token_file),
                password_file: join(server.password_file),
                certificate_file: join(server.certificate_file),
                key_file: join(server.key_file),
                ca_file: join(server.ca_file),
                ..server
            }),
        }
    }

    /// Where it is, for people: says no secret.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Server(server) => server.url.clone(),
        }
    }

    /// What is wrong with it, if something is: what should be written instead.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Directory(path) if path.to_str().is_some_and(is_url) => {
                Some("a server as [facility] with url = \"https://...\"")
            }
            Self::Directory(_) => None,
            Self::Server(server) => server.problem(),
        }
    }
}

impl ServerSetting {
    fn problem(&self) -> Option<&'static str> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Some("url = \"https://...\", the base of a FHIR server");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() || !matches!(scheme, "http" | "https") {
            return Some("url = \"https://...\", the base of a FHIR server");
        }
        if authority.contains('@') || rest.contains(['?', '#']) {
            return Some("a url without user, password or query; those go into `user` and files");
        }
        if scheme == "http" && !self.allow_http && !is_loopback(authority) {
            return Some(
                "a url with https, or allow_http = true if the whole way to it is safe otherwise",
            );
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Some("`user` and `password_file` together");
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Some("`certificate_file` and `key_file` together");
        }
        (self.token_file.is_some() && self.user.is_some())
            .then_some("either `token_file` or `user`, which go into one header")
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> ServerSetting {
        ServerSetting { url: url.to_owned(), ..Default::default() }
    }

    #[test]
    fn what_would_go_in_the_clear_or_contradicts_itself_is_refused() {
        for url in ["https://x.example/fhir", "http://127.0.0.1:8092", "http://[::1]:1/fhir"] {
            assert_eq!(server(url).problem(), None, "{url}");
        }
        for url in ["x.example", "ftp://x", "https://", "https://a:b@x.example", "http://10.0.0.1"]
        {
            assert!(server(url).problem().is_some(), "{url}");
        }
        assert_eq!(ServerSetting { allow_http: true, ..server("http://10.0.0.1") }.problem(), None);
        let user = Some("a".to_owned());
        assert!(ServerSetting { user, ..server("https://x") }.problem().is_some());
        let key_file = Some("k".into());
        assert!(ServerSetting { key_file, ..server("https://x") }.problem().is_some());
    }
}
