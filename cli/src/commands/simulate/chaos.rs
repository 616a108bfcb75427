//! `huza simulate chaos`: worlds in which everything goes wrong, and which laws held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use huza_simulations::{Law, Options, Report, Summary, Violation, chaos};
use serde_json::{Value, json};

use crate::args::ChaosArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};

/// Runs seeds, or one.
pub(super) fn run(context: &Context, args: &ChaosArgs) -> Result<(), Failure> {
    match args.seed {
        Some(seed) => one(context, seed, args.trace),
        None => many(context, args.start, args.seeds),
    }
}

fn many(context: &Context, start: u64, seeds: u64) -> Result<(), Failure> {
    let (began, mut done, mut broke) = (Instant::now(), 0, 0);
    let summary = chaos::chaos(start..start.saturating_add(seeds), |_, result| {
        done += 1;
        if let Err(violation) = result {
            broke += 1;
            context.output.progress("");
            context.output.note(&format!("{violation}\n  {}", violation.replay()));
        }
        let left = left(began.elapsed(), done, seeds).as_secs();
        let text = format!("{done} of {seeds} seeds, {broke} broke a law, {left} s left");
        context.output.progress(&text);
    });
    context.output.progress("");
    let millis = began.elapsed().as_millis();
    let Summary { runs, violations, checked, seen, errors, .. } = &summary;
    let value = json!({
        "start": start,
        "runs": runs,
        "violations": violations.iter().map(told).collect::<Vec<_>>(),
        "laws": laws(checked),
        "seen": seen,
        "errors": errors,
        "millis": millis,
    });
    context.output.answer(&value, &format!("{summary}{millis} ms"))?;
    match violations.first() {
        None => Ok(()),
        Some(first) => {
            let what = format!("{} of {runs} seeds broke a law", violations.len());
            Err(failure(what, first))
        }
    }
}

/// The time that is left, if what is left goes as what is done.
fn left(elapsed: Duration, done: u64, of: u64) -> Duration {
    let ratio = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
    elapsed.saturating_mul(ratio(of.saturating_sub(done))) / ratio(done.max(1))
}

fn one(context: &Context, seed: u64, trace: bool) -> Result<(), Failure> {
    let options = Options::draw(seed);
    let result = chaos::run_twice(if trace { options.keep_log() } else { options });
    let log = match &result {
        Ok(Report { options, log, .. }) => {
            log.as_ref().map(|log| format!("{options}{log}")).unwrap_or_default()
        }
        Err(violation) if trace => violation.log.clone(),
        Err(_) => String::new(),
    };
    match result {
        Ok(report) => {
            let Report { checked, seen, errors, log_hash, log_lines, virtual_ms, .. } = &report;
            let value = json!({
                "seed": seed,
                "violations": [],
                "laws": laws(checked),
                "seen": seen,
                "errors": errors,
                "virtual_ms": virtual_ms,
                "log": Some(log.as_str()).filter(|_| trace),
                "log_hash": log_hash,
                "log_lines": log_lines,
            });
            let hash = format!("log {log_hash} ({log_lines} lines)");
            context.output.answer(&value, &format!("{log}{}{hash}", Summary::of(Ok(report))))
        }
        Err(violation) => {
            let value = json!({
                "seed": seed,
                "violations": [told(&violation)],
                "log": Some(log.as_str()).filter(|_| trace),
            });
            context.output.answer(&value, &format!("{log}{violation}"))?;
            Err(failure(format!("seed {seed} broke a law"), &violation))
        }
    }
}

fn failure(what: String, first: &Violation) -> Failure {
    let message = format!("{what}: {}", first.law);
    Failure::new(Kind::Unexpected, "law_broken", message)
        .hint(format!("`{}` runs it again", first.replay()))
}

fn told(violation: &Violation) -> Value {
    let Violation { seed, at_ms, host, law, evidence, .. } = violation;
    json!({
        "seed": seed,
        "at_ms": at_ms,
        "host": host,
        "law": law.to_string(),
        "evidence": evidence,
        "replay": violation.replay(),
    })
}

/// Every law with how often it had something to look at.
fn laws(checked: &BTreeMap<Law, u64>) -> BTreeMap<String, u64> {
    let of = |law: &Law| checked.get(law).copied().unwrap_or_default();
    Law::ALL.iter().map(|law| (law.to_string(), of(law))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        let left = |done, of| left(Duration::from_secs(10), done, of).as_secs();
        assert_eq!(left(10, 30), 20);
        assert_eq!(left(0, 5), 50);
        assert_eq!(left(5, 5), 0);
    }

    #[test]
    fn a_broken_law_fails_with_the_command_that_replays_it() {
        let law = Law::HeldForEver;
        let (host, evidence, log) = ("hub0.1".to_owned(), "it is gone".to_owned(), String::new());
        let violation = Violation { seed: 17, at_ms: 5, host, law, evidence, log };
        let failure = failure("1 of 3 seeds broke a law".to_owned(), &violation);
        assert_eq!(failure.kind.exit_code(), 1);
        assert!(failure.message.contains("what is held stays held"));
        assert!(failure.hint.contains("huza simulate chaos --seed 17 --trace"));
        assert_eq!(told(&violation)["evidence"], "it is gone");
    }
}
