//! Addresses at which peers were met, in `peers.json` of a home: a hint for whom to call next time,
//! never more. A file that cannot be read is begun anew.

use std::{fs, io, path::Path};

use huza_crdt::time::Stamp;
use serde::{Deserialize, Serialize};

use super::files;

/// Most addresses kept. // guess: the phones that one worker meets in a month, twice
pub const REMEMBERED_MAX: usize = 64;

/// Seconds after which meeting at a known address is written down again. // guess: spares the card
const REFRESH_SECONDS: i64 = 3_600;

const FILE: &str = "peers.json";

/// Longest file that is read. // 64 addresses of 1 kB
const FILE_BYTES_MAX: u64 = 65_536;

/// The addresses, the latest met first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    peers: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    address: String,
    /// When a contact was last completed there, by our own clock.
    met: Stamp,
}

impl Remembered {
    pub(crate) fn load(home: &Path) -> Self {
        let path = home.join(FILE);
        let fits = fs::metadata(&path).is_ok_and(|found| found.len() <= FILE_BYTES_MAX);
        let text = fits.then(|| fs::read(&path).ok()).flatten().unwrap_or_default();
        let mut read: Self = serde_json::from_slice(&text).unwrap_or_default();
        read.peers.truncate(REMEMBERED_MAX);
        read
    }

    pub(crate) fn save(&self, home: &Path) -> io::Result<()> {
        files::replace(&home.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.peers.iter().map(|peer| peer.address.clone()).collect()
    }

    /// Notes that a contact was completed at `address`; says whether that is worth saving.
    pub(crate) fn note(&mut self, address: &str, met: Stamp) -> bool {
        // The transport's identity is new at every start, so it would only make the dial fail.
        let address = address.split("/p2p/").next().unwrap_or_default();
        if address.is_empty() {
            return false;
        }
        let known = self.peers.iter().position(|peer| peer.address == address);
        let fresh = known
            .and_then(|place| self.peers.get(place))
            .is_some_and(|peer| (0..REFRESH_SECONDS).contains(&met.0.saturating_sub(peer.met.0)));
        if fresh {
            return false;
        }
        self.peers.retain(|peer| peer.address != address);
        self.peers.insert(0, Entry { address: address.to_owned(), met });
        self.peers.truncate(REMEMBERED_MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_addresses_are_kept_without_the_transport_identity() {
        let dir = tempfile::tempdir().unwrap();
        let mut peers = Remembered::default();
        assert!(peers.note("/ip4/10.0.0.1/tcp/1/p2p/12D3Koo", Stamp(0)));
        assert!(!peers.note("/ip4/10.0.0.1/tcp/1/p2p/other", Stamp(5)), "known and fresh");
        assert!(peers.note("/ip4/10.0.0.1/tcp/1", Stamp(7_200)));
        for port in 0..REMEMBERED_MAX {
            assert!(peers.note(&format!("/ip4/10.0.0.2/tcp/{port}"), Stamp(8_000)));
        }
        peers.save(dir.path()).unwrap();
        let read = Remembered::load(dir.path());
        assert_eq!(read, peers);
        assert_eq!(read.addresses().len(), REMEMBERED_MAX);
        assert!(!read.addresses().contains(&"/ip4/10.0.0.1/tcp/1".to_owned()));
    }

    #[test]
    fn a_damaged_file_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"{\"peers\": [").unwrap();
        assert_eq!(Remembered::load(dir.path()), Remembered::default());
    }
}
