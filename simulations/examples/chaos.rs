//! Runs many seeds of the chaos core and prints those that break a law.
//!
//! `cargo run --release -p huza-simulations --example chaos -- --seeds 1000 --start 0`
//! `... -- --seed 17 --trace` prints the log of one seed.

use std::process::ExitCode;

use huza_simulations::{Options, chaos};

#[expect(clippy::print_stdout, reason = "a tool for the terminal")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let trace = args.iter().any(|arg| arg == "--trace");
    if let Some(seed) = number("--seed") {
        return one(seed, trace);
    }
    let start = number("--start").unwrap_or(0);
    let end = start + number("--seeds").unwrap_or(200);
    let summary = chaos::chaos(start..end, |seed, result| {
        if let Err(violation) = result {
            println!("{violation}");
            println!(
                "  replay: cargo run -p huza-simulations --example chaos -- --seed {seed} --trace"
            );
        }
    });
    println!("{summary}");
    if summary.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "a tool for the terminal")]
fn one(seed: u64, trace: bool) -> ExitCode {
    let mut options = Options::draw(seed);
    if trace {
        options = options.keep_log();
    }
    match chaos::run_with(options) {
        Ok(report) => {
            println!("{}{}", report.options, report.log.unwrap_or_default());
            println!("{:#?}\nlog {} ({} lines)", report.seen, report.log_hash, report.log_lines);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{}\n{violation}", violation.log);
            ExitCode::FAILURE
        }
    }
}
