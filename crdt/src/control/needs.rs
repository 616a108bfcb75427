//! What a receiver must have before it can check something.

use super::Lane;
use super::body::Body;
use super::statement::Statement;
use crate::id::{LogId, StatementId, truncated};
use crate::trust::Issuer;

impl Lane {
    /// The certificates and openings without which the envelopes of a log cannot be checked, each
    /// after those that it depends on.
    pub fn needed_by_log(&self, log: &LogId) -> Vec<StatementId> {
        let Some(opening) = self.opening(log) else { return Vec::new() };
        let chain = self.chain(opening.certificate).into_iter().map(Statement::id);
        chain.chain([StatementId(truncated(log.0))]).collect()
    }

    /// The same, of a statement that shuts somebody out, judges or erases.
    pub fn needed_by_statement(&self, statement: &Statement) -> Vec<StatementId> {
        let issuer = match statement.issuer() {
            Issuer::Programme => None,
            Issuer::Certified(issuer) => Some(issuer),
        };
        let (certificate, logs) = match Body::read(statement.kind(), statement.body()) {
            Ok(Body::Revocation(revocation)) => (Some(revocation.certificate), Vec::new()),
            Ok(Body::Admission(admission)) => (None, vec![admission.log]),
            Ok(Body::Erasure(erasure)) => {
                let gone = erasure.gone.iter().map(|(log, _)| *log);
                (None, gone.chain(erasure.reissue.map(|reissue| reissue.log)).collect())
            }
            _ => (None, Vec::new()),
        };
        let chains = issuer.into_iter().chain(certificate).flat_map(|one| self.chain(one));
        let logs = logs.iter().flat_map(|log| self.needed_by_log(log));
        chains.map(Statement::id).chain(logs).collect()
    }
}
