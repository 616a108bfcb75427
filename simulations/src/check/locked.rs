//! Law: the store of a locked reader is neither read nor written, and what was pending when it was
//! locked is sealed.

use std::collections::BTreeSet;

use huza_crdt::store::StoreKind;

use crate::token::Token;
use crate::violation::{Broken, Law};

/// Whether a store may be used.
pub(crate) fn may_be_used(store: StoreKind, locked: bool, how: &str) -> Result<(), Broken> {
    if locked && store == StoreKind::Reader {
        return Err(Broken::new(Law::LockedIsShut, format!("the locked store is {how}")));
    }
    Ok(())
}

/// Whether everything that was written here is sealed.
pub(crate) fn all_sealed<'a>(
    mut written: impl Iterator<Item = &'a Token>,
    sealed: &BTreeSet<Token>,
) -> Result<(), Broken> {
    match written.find(|token| !sealed.contains(token)) {
        None => Ok(()),
        Some(token) => {
            let evidence = format!("{} was not sealed when it was locked", token.as_str());
            Err(Broken::new(Law::LockedIsShut, evidence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn a_node_that_uses_a_locked_store_is_found() {
        assert!(may_be_used(StoreKind::Reader, false, "read").is_ok());
        assert!(may_be_used(StoreKind::Carrier, true, "read").is_ok());
        let broken = may_be_used(StoreKind::Reader, true, "read").unwrap_err();
        assert_eq!(broken.law, Law::LockedIsShut);
    }

    #[test]
    fn a_node_that_locks_before_it_seals_is_found() {
        let token = Token::mint(1, &mut Draw::new(1, "locked"));
        let sealed = BTreeSet::from([token]);
        assert!(all_sealed([&token].into_iter(), &sealed).is_ok());
        assert!(all_sealed([&token].into_iter(), &BTreeSet::new()).is_err());
    }
}
