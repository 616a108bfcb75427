//! How fast a revocation reaches the devices of one health centre, beside routine and urgent
//! records on their way to its hub.
//!
//! `cargo run --release -p huza-simulations --example revocation -- [--phones 100] [--seeds 5]`
//! `[--villages 30] [--colleagues 500] [--neighbours 30] [--visit-days 30] [--weekly 100]`
//! `[--days 90] [--trace FILE] [--json]`; rates are in 1000 days, see `revocation::Pattern`. A
//! trace is CSV, `start_s,end_s,node_a,node_b`, plain or `.gz`.

use std::process::{Command, ExitCode};

use huza_simulations::revocation::{Outcome, Pattern, SHARES, run};
use huza_simulations::stats::spread;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str, otherwise: u64| {
        value(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let size = |name: &str, otherwise: usize| {
        value(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let usual = Pattern::default();
    let trace = match value("--trace").map(|file| read(&file)) {
        None => Vec::new(),
        Some(Some(trace)) => trace,
        Some(None) => {
            eprintln!("the trace cannot be read");
            return ExitCode::FAILURE;
        }
    };
    let pattern = Pattern {
        phones: size("--phones", usual.phones),
        villages: size("--villages", usual.villages),
        colleagues_per_mille: number("--colleagues", usual.colleagues_per_mille),
        neighbours_per_mille: number("--neighbours", usual.neighbours_per_mille),
        visit_days: number("--visit-days", usual.visit_days),
        weekly_per_mille: number("--weekly", usual.weekly_per_mille),
        days: number("--days", usual.days),
        trace,
    };
    let outcomes: Vec<Outcome> =
        (0..number("--seeds", 5)).filter_map(|seed| run(&pattern, seed)).collect();
    let text = if args.iter().any(|arg| arg == "--json") {
        json(&pattern, &outcomes)
    } else {
        table(&pattern, &outcomes)
    };
    println!("{text}");
    if outcomes.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What is told of each outcome.
type Rows = [(&'static str, fn(&Outcome) -> &[Option<u64>; 3]); 3];

const ROWS: Rows = [
    ("devices know the revocation", |one| &one.known),
    ("routine records at the hub", |one| &one.routine),
    ("urgent records at the hub", |one| &one.urgent),
];

fn table(pattern: &Pattern, outcomes: &[Outcome]) -> String {
    let Pattern { phones, villages, trace, .. } = pattern;
    let mut text = format!(
        "{phones} phones in {villages} villages, {} seeds; colleagues of a village meet {} times \
         in 1000 days, with neighbours {}; to the hub every {} days, {} in 1000 weekly{}\n",
        outcomes.len(),
        pattern.colleagues_per_mille,
        pattern.neighbours_per_mille,
        pattern.visit_days,
        pattern.weekly_per_mille,
        if trace.is_empty() { "" } else { "; phones meet as in the trace" },
    );
    text.push_str("hours until             share   median     best    worst    never\n");
    for (what, of) in ROWS {
        for (index, share) in SHARES.iter().enumerate() {
            let figures: Vec<Option<u64>> =
                outcomes.iter().map(|one| of(one).get(index).copied().flatten()).collect();
            let told = spread(&figures).map_or_else(
                || "in no seed".to_owned(),
                |s| {
                    let median =
                        if s.median == u64::MAX { "-".to_owned() } else { s.median.to_string() };
                    format!("{median:>8} {:>8} {:>8} {:>8}", s.best, s.worst, s.never)
                },
            );
            text.push_str(&format!("{what:<28}{share:>3}% {told}\n"));
        }
    }
    let contacts: Vec<Option<u64>> = outcomes.iter().map(|one| Some(one.contacts)).collect();
    let bytes: Vec<Option<u64>> =
        outcomes.iter().map(|one| one.bytes.checked_div(one.contacts)).collect();
    if let (Some(contacts), Some(bytes)) = (spread(&contacts), spread(&bytes)) {
        text.push_str(&format!(
            "median contacts until all was known: {}; median bytes of a contact: {}\n",
            contacts.median, bytes.median
        ));
    }
    text
}

fn json(pattern: &Pattern, outcomes: &[Outcome]) -> String {
    let list = |figures: &[Option<u64>]| {
        let texts: Vec<String> = figures
            .iter()
            .map(|one| one.map_or_else(|| "null".to_owned(), |hours| hours.to_string()))
            .collect();
        format!("[{}]", texts.join(","))
    };
    let seeds: Vec<String> = outcomes
        .iter()
        .map(|one| {
            format!(
                "{{\"known\":{},\"routine\":{},\"urgent\":{},\"contacts\":{},\"bytes\":{}}}",
                list(&one.known),
                list(&one.routine),
                list(&one.urgent),
                one.contacts,
                one.bytes
            )
        })
        .collect();
    format!(
        "{{\"phones\":{},\"villages\":{},\"shares\":[50,90,99],\"unit\":\"hours\",\"seeds\":[{}]}}",
        pattern.phones,
        pattern.villages,
        seeds.join(",")
    )
}

/// Reads a trace.
fn read(file: &str) -> Option<Vec<(u64, usize, usize)>> {
    let bytes = if file.ends_with(".gz") {
        Command::new("gzip").args(["-dc", file]).output().ok()?.stdout
    } else {
        std::fs::read(file).ok()?
    };
    let text = String::from_utf8(bytes).ok()?;
    let lines = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let contact = |line: &str| {
        let mut fields = line.split(',');
        let start = fields.next()?.parse().ok()?;
        let (one, other) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((start, one, other))
    };
    let trace: Vec<_> = lines.filter_map(contact).collect();
    (!trace.is_empty()).then_some(trace)
}
