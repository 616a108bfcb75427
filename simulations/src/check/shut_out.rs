//! Law: a node that knows of a revocation gives the revoked device nothing but hello, chain, and
//! the grounds on which it is shut out. "Knows" means: it has been told that the revocation is
//! durable on its disk, or it read it there when it started.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{Revocation, Statement, kind};
use huza_crdt::id::CertId;
use huza_crdt::node::Token;
use huza_crdt::session::frame::Frame;
use huza_crdt::store::{Batch, Op, Table};

use crate::violation::{Broken, Law};

/// The statements that a batch puts on a disk.
pub(crate) fn statements(batch: &Batch) -> impl Iterator<Item = Statement> {
    batch.0.iter().filter_map(|op| match op {
        Op::Put { table: Table::Statements, value, .. } => Statement::from_bytes(value).ok(),
        Op::Put { .. } | Op::Delete { .. } => None,
    })
}

/// The certificate that a statement revokes.
pub(crate) fn revoked_by(statement: &Statement) -> Option<CertId> {
    if statement.kind() != kind::REVOCATION {
        return None;
    }
    let revocation: Revocation = codec::decode(statement.body()).ok()?;
    Some(revocation.certificate)
}

/// What one node knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Certificates that it knows to be revoked.
    pub(crate) revoked: BTreeSet<CertId>,
    /// Statements about keys and revocations, each with the time since when it knows them.
    pub(crate) learned: Vec<(u64, Statement)>,
    /// What is durable, and the node has not been told.
    untold: BTreeMap<Token, Vec<Statement>>,
}

impl Known {
    /// A batch became durable.
    pub(crate) fn durable(&mut self, token: Token, batch: &Batch) {
        let told = |one: &Statement| {
            [kind::REVOCATION, kind::GRANT, kind::PUBLISHED_KEY].contains(&one.kind())
        };
        let new: Vec<Statement> = statements(batch).filter(told).collect();
        if !new.is_empty() {
            self.untold.insert(token, new);
        }
    }

    /// The node is told so.
    pub(crate) fn told(&mut self, token: Token, now: u64) {
        for statement in self.untold.remove(&token).into_iter().flatten() {
            self.learn(statement, now);
        }
    }

    /// The node knows a statement from now on.
    pub(crate) fn learn(&mut self, statement: Statement, now: u64) {
        self.revoked.extend(revoked_by(&statement));
        self.learned.push((now, statement));
    }
}

/// Whether a frame may go to a peer that the speaker knows to be revoked.
pub(crate) fn may_be_said(frame: &Frame, revoked: bool) -> Result<(), Broken> {
    let harmless = matches!(
        frame,
        Frame::Hello(_) | Frame::WantChain { .. } | Frame::Chain(_) | Frame::Revoked(_)
    );
    if harmless || !revoked {
        return Ok(());
    }
    let evidence = format!("{} was said to a device known to be revoked", frame.name());
    Err(Broken::new(Law::RevokedGetNothing, evidence))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use huza_crdt::control::{Reason, Scope};
    use huza_crdt::crypto::SigningKey;
    use huza_crdt::id::Hash;
    use huza_crdt::session::frame::Bytes;
    use huza_crdt::trust::Issuer;

    pub(crate) fn said(number: u64, kind: u8, body: Vec<u8>) -> Statement {
        let key = SigningKey::from_seed([1; 32]);
        let issuer = Issuer::Certified(CertId([9; 16]));
        Statement::sign(&key, issuer, (number, Hash([0; 32])), Scope::Programme, (kind, body))
    }

    pub(crate) fn revocation(certificate: CertId) -> Statement {
        let reason = Reason::Stolen;
        let revoked = Revocation { certificate, reason, logs: vec![], statements: vec![] };
        said(0, kind::REVOCATION, codec::encode(&revoked))
    }

    #[test]
    fn a_node_that_serves_whom_it_knows_to_be_revoked_is_found() {
        let stolen = CertId([7; 16]);
        let mut batch = Batch::default();
        let statement = revocation(stolen);
        batch.put(Table::Statements, statement.id().0, statement.to_bytes());
        let mut known = Known::default();
        known.durable(Token(1), &batch);
        let ack = Frame::Ack { number: 1 };
        let says = |known: &Known| may_be_said(&ack, known.revoked.contains(&stolen));
        assert!(says(&known).is_ok(), "it has not been told");
        known.told(Token(1), 5);
        assert_eq!(says(&known).unwrap_err().law, Law::RevokedGetNothing);
        assert!(may_be_said(&Frame::Revoked(Bytes(vec![1])), true).is_ok());
        assert!(may_be_said(&Frame::WantChain { known: Vec::new() }, true).is_ok());
    }
}
