//! `huza bench contact`: what it costs two devices to find out what one of them lacks, exactly.

use std::time::Instant;

use huza_simulations::standard::{Cost, News, Pair};
use serde_json::{Value, json};

use super::{described, floor, memory, odd, workload};
use crate::args::ContactArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::output;

/// Prepares, measures, reports.
#[expect(clippy::cast_precision_loss, reason = "bytes and changes are far below 2^52")]
pub(super) fn run(context: &Context, args: &ContactArgs) -> Result<(), Failure> {
    let size = workload(&args.sizes)?;
    let news = News { changes: args.new, scattered: args.scattered };
    let told = |village, villages| {
        context.output.note(&format!("village {village} of {villages} has written"));
    };
    let pair = Pair::new(size, args.sizes.per_envelope == 1, news, told);
    let mut pair = pair.ok_or_else(|| odd("a phone did not write"))?;
    let acquaintance = pair.contact();
    pair.news();
    let begun = Instant::now();
    let cost = pair.contact();
    let millis = begun.elapsed().as_secs_f64() * 1_000.0;
    let again = pair.contact();
    // What cannot be avoided: every signature is checked once.
    let floor_millis = floor::signatures(cost.signatures).as_secs_f64() * 1_000.0;
    let payload: u64 = cost.batch_bytes.iter().sum();
    let bytes_per_visit = (args.new > 0).then(|| payload as f64 / args.new as f64);
    let value = json!({
        "bench": "contact",
        "workload": described(size, args.sizes.per_envelope),
        "new": args.new,
        "scattered": args.scattered,
        "first_meeting": costs(&acquaintance),
        "contact": costs(&cost),
        "again": costs(&again),
        "bytes_each_way": cost.bytes,
        "round_trips": round_trips(cost.trips),
        "millis": millis,
        "floor_millis": floor_millis,
        "bytes_per_visit": bytes_per_visit,
        "rss_bytes": memory::of(std::process::id()),
    });
    let row = |name: &str, cost: &Cost| {
        let ways = |[there, back]: [u64; 2]| format!("{there} / {back}");
        let before = cost
            .trips_before
            .map_or_else(|| "-".to_owned(), |trips| round_trips(trips).to_string());
        vec![
            name.to_owned(),
            ways(beside(cost)),
            ways(cost.batch_bytes),
            before,
            round_trips(cost.trips).to_string(),
        ]
    };
    let table = output::table(
        &["", "bytes beside", "bytes of batches", "before", "round trips"],
        &[
            row("first meeting, the same", &acquaintance),
            row(&format!("{} new changes", args.new), &cost),
            row("nothing new", &again),
        ],
    );
    let text = format!(
        "Two carriers of {} changes in {} logs meet for the first time; then the one that dials gets\n\
         what is new, and they meet again and again.\n\
         Bytes there and back, of frames; round trips before the first batch leaves and in all.\n\n\
         {table}\n\nBoth ends calculated {millis:.1} ms; checking the signatures\n\
         alone takes {floor_millis:.1} ms.",
        size.changes, size.logs,
    );
    context.output.answer(&value, &text)
}

/// Bytes that are not of batches.
fn beside(cost: &Cost) -> [u64; 2] {
    let [there, back] = cost.bytes;
    let [batches_there, batches_back] = cost.batch_bytes;
    [there - batches_there, back - batches_back]
}

fn round_trips(trips: u32) -> f64 {
    f64::from(trips) / 2.0
}

fn costs(cost: &Cost) -> Value {
    json!({
        "bytes_each_way": cost.bytes,
        "batch_bytes_each_way": cost.batch_bytes,
        "beside_bytes_each_way": beside(cost),
        "round_trips": round_trips(cost.trips),
        "round_trips_before_data": cost.trips_before.map(round_trips),
    })
}
