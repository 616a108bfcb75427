//! Law: nothing but hello and chain is said to a peer that has not said hello, and nothing else
//! ever to a stranger.

use huza_crdt::session::frame::Frame;

use crate::violation::{Broken, Law};

/// Whether a node may say `frame` to its peer.
pub(crate) fn may_be_said(frame: &Frame, stranger: bool, hello_heard: bool) -> Result<(), Broken> {
    let harmless = matches!(frame, Frame::Hello(_) | Frame::WantChain { .. } | Frame::Chain(_));
    if harmless || (hello_heard && !stranger) {
        return Ok(());
    }
    let whom = if stranger { "a stranger" } else { "a peer that has not said hello" };
    Err(Broken::new(Law::StrangersLearnNothing, format!("{} was said to {whom}", frame.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_speaks_too_early_is_found() {
        let totals = Frame::Totals { statements: 1, envelopes: 1 };
        assert!(may_be_said(&totals, false, true).is_ok());
        assert!(may_be_said(&Frame::WantChain { known: Vec::new() }, true, false).is_ok());
        for (stranger, hello_heard) in [(false, false), (true, false), (true, true)] {
            let broken = may_be_said(&totals, stranger, hello_heard).unwrap_err();
            assert_eq!(broken.law, Law::StrangersLearnNothing);
        }
    }
}
