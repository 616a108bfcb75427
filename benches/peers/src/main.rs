//! The standard workload on huza and on its peers, every byte counted. One line of JSON for each
//! case; `README.md` says what the cases are.
//!
//! `huza-peers huza|automerge|samod|negentropy|workload [--seed N] [--records N] [--changes N]`

mod automerge_sync;
mod huza;
mod negentropy_sets;
mod samod_repos;
mod workload;

use workload::{Size, Workload};

/// Fewer changes than these do not hold the differences of all cases.
const LEAST: usize = 4_500;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, otherwise: u64| {
        let at = args.iter().position(|arg| arg == name);
        at.map_or(otherwise, |at| args[at + 1].parse().expect("a number"))
    };
    let size = Size {
        seed: number("--seed", 2026),
        records: number("--records", huza_simulations::standard::RECORDS),
        changes: number("--changes", huza_simulations::standard::CHANGES),
    };
    let work = Workload::new(size);
    assert!(work.changes.len() >= LEAST, "{} changes are too few", work.changes.len());
    match args.get(1).map(String::as_str) {
        Some("huza") => huza::run(&work),
        Some("automerge") => automerge_sync::run(&work),
        Some("samod") => samod_repos::run(&work),
        Some("negentropy") => negentropy_sets::run(&work),
        Some("workload") => work.print(),
        _ => {
            eprintln!("huza-peers huza|automerge|samod|negentropy|workload");
            std::process::exit(2);
        }
    }
}
