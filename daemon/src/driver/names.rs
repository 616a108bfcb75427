//! Names of inputs and outputs, for the log at its finest. Only names: what they carry may be
//! personal.

use huza_crdt::node::{Input, Output};

pub(super) const fn of_input(input: &Input) -> &'static str {
    match input {
        Input::Tick => "tick",
        Input::PipeOpened { .. } => "pipe_opened",
        Input::Received { .. } => "received",
        Input::PipeClosed { .. } => "pipe_closed",
        Input::Loaded { .. } => "loaded",
        Input::Persisted { .. } => "persisted",
        Input::StoreFailed { .. } => "store_failed",
        Input::Done { .. } => "done",
        Input::Delivered { .. } => "delivered",
        Input::Command { .. } => "command",
        Input::News { .. } => "news",
        Input::ReaderOpened { .. } => "reader_opened",
        Input::Scrubbed { .. } => "scrubbed",
    }
}

pub(super) const fn of_output(output: &Output) -> &'static str {
    match output {
        Output::Load { .. } => "load",
        Output::Persist { .. } => "persist",
        Output::Work { .. } => "work",
        Output::Deliver { .. } => "deliver",
        Output::Send { .. } => "send",
        Output::Close { .. } => "close",
        Output::Reply { .. } => "reply",
        Output::Publish { .. } => "publish",
        Output::NewsValid { .. } => "news_valid",
        Output::Links { .. } => "links",
        Output::Event(_) => "event",
        Output::Scrub { .. } => "scrub",
        Output::CloseReader => "close_reader",
    }
}
