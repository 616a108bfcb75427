//! The chaos core: a run from its seed to its report.
//!
//! A run has two phases. In the first, users write, devices meet, and everything goes wrong that
//! was drawn. In the second nothing goes wrong any more, all meet, and within a few rounds all
//! must hold the same and show it. Laws are checked all the time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use huza_crdt::id::LogId;
use huza_crdt::node::{Command, Reply};
use huza_crdt::session::Fault;
use huza_crdt::store::Table;
use huza_crdt::trust::Role;

use crate::audit::{Model, Place};
use crate::check::contact::Talk;
use crate::check::end::{self, Resources};
use crate::check::{erased, quarantine};
use crate::host::{Belonging, HostId, Nature};
use crate::options::Options;
use crate::programme::village_number;
use crate::report::{Report, Summary};
use crate::violation::{Broken, Law, Violation};
use crate::workload::Users;
use crate::world::World;

/// Rounds in which all meet, after which all must hold the same: the first brings everything
/// together, the second brings receipts home, the rest is reserve.
const ROUNDS_MAX: u64 = 8;

/// Longest time of a contact in the second phase. // guess: far above hello and transfer
const HEALED_CONTACT_MS_MAX: u64 = 180_000;

/// Time between all knowing and all writing: above what the law of keys allows for sealing.
const AFTERWORD_MS: u64 = 70_000;

/// How long a meeting goes on when both sides hold the same.
const LINGER_MS_MAX: u64 = 1_500;

/// Between rounds: receipts are signed, readers catch up, facilities answer.
const REST_MS: u64 = 30_000;

/// Of so many seeds one is run twice, to see that it gives one log.
const SEEDS_PER_REPETITION: u64 = 16;

/// Runs a seed.
///
/// # Errors
/// The first broken law.
pub fn run(seed: u64) -> Result<Report, Violation> {
    let options = Options::draw(seed);
    if seed.is_multiple_of(SEEDS_PER_REPETITION) { run_twice(options) } else { run_with(options) }
}

/// Runs a world with these options.
///
/// # Errors
/// The first broken law.
pub fn run_with(options: Options) -> Result<Report, Violation> {
    run_lap(options, 0)
}

/// Runs a world with these options, and once more: both logs have to be the same.
///
/// # Errors
/// The first broken law.
pub fn run_twice(options: Options) -> Result<Report, Violation> {
    let seed = options.seed;
    let mut report = run_lap(options.clone(), 0)?;
    let again = run_lap(Options { keep_log: false, ..options }, 1)?;
    *report.checked.entry(Law::Deterministic).or_default() += 1;
    if report.log_hash == again.log_hash {
        return Ok(report);
    }
    let hashes = (&report.log_hash, &again.log_hash);
    let lines = (report.log_lines, again.log_lines);
    let evidence = format!("two runs, two logs: {hashes:?} of {lines:?} lines");
    let (at_ms, host, log) =
        (report.virtual_ms, "world".to_owned(), report.log.unwrap_or_default());
    let log = format!("{}{log}", report.options);
    Err(Violation { seed, at_ms, host, law: Law::Deterministic, evidence, log })
}

fn run_lap(options: Options, lap: u64) -> Result<Report, Violation> {
    let header = options.to_string();
    let mut world = World::new(options, lap)?;
    let ended = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    let ended = ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Err(world.violated(None, &Broken::new(Law::NoPanic, text)))
    });
    let World { now, laws, ledger, trace, options, .. } = world;
    let (log_lines, hash) = (trace.lines(), trace.hash());
    let log = trace.into_text();
    match ended {
        Ok(()) => {
            let mut seen = laws.seen;
            seen.insert("writes acknowledged", ledger.acked());
            Ok(Report {
                checked: laws.checked,
                seed: options.seed,
                options: header,
                virtual_ms: now,
                log_lines,
                log_hash: huza_crdt::id::hex(&hash),
                log,
                seen,
                errors: ledger.errors,
            })
        }
        Err(violation) => {
            let log = format!("{header}{}", log.unwrap_or_default());
            Err(Violation { log, ..violation })
        }
    }
}

/// Runs seeds, on as many threads as there are processors, and tells of each as it ends.
pub fn chaos(
    seeds: Range<u64>,
    mut progress: impl FnMut(u64, &Result<Report, Violation>),
) -> Summary {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.start);
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || tell.send((seed, run(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (seed, result) in told {
            progress(seed, &result);
            summary.add(result);
        }
    });
    summary
}

/// The life of a world.
fn live(world: &mut World) -> Result<(), Violation> {
    populate(world)?;
    world.begin_sweeps();
    world.plan_chaos();
    world.chaos = true;
    world.run_until(world.now + world.options.chaos_ms)?;
    world.heal()?;
    if world.options.authorities > 0 {
        consolidate(world)?;
    }
    converge(world)?;
    judge(world)?;
    if world.options.authorities > 0 {
        afterword(world)?;
        converge(world)?;
        judge(world)?;
    }
    Ok(())
}

/// An authority that does not know every device when it makes a key anew leaves some without it,
/// and they without what is written under it. Once all have met, authority devices grant what is
/// missing by themselves.
fn consolidate(world: &mut World) -> Result<(), Violation> {
    let good = world.good();
    for _ in 0..3 {
        meet_all(world, &good)?;
        world.run_until(world.now + REST_MS)?;
    }
    // Erasures are carried out; then those of what had come meanwhile.
    for _ in 0..2 {
        world.run_until(world.now + world.options.erasure_delay_ms)?;
        meet_all(world, &good)?;
    }
    world.run_until(world.now + world.options.erasure_delay_ms + REST_MS)
}

/// Everybody good writes once more, now that all know who is shut out and which keys are new.
fn afterword(world: &mut World) -> Result<(), Violation> {
    turn_away(world)?;
    world.run_until(world.now + AFTERWORD_MS)?;
    let writers: Vec<HostId> = world
        .good()
        .into_iter()
        .filter(|id| world.hosts.get(id).is_some_and(|host| Users::write_on(&host.nature)))
        .collect();
    for id in writers {
        world.user(id)?;
    }
    world.run_until(world.now + REST_MS)
}

/// Whoever is shut out asks everybody, and learns it.
fn turn_away(world: &mut World) -> Result<(), Violation> {
    let good = world.good();
    let all = world.ids(|host| host.is_member() && host.exists);
    for id in all.into_iter().filter(|id| !good.contains(id)) {
        let Some(other) = world.draws.net.pick(&good).copied() else { return Ok(()) };
        let Some(pipe) = world.open(id, other)? else { continue };
        world.run_until(world.now + REST_MS)?;
        world.cut(pipe)?;
        world.run_until(world.now + REST_MS)?;
        let reply = world.ask(id, Command::Status { records: false })?;
        let Reply::Status(status) = reply else {
            return Err(world.unexpected(id, "status", &reply));
        };
        if status.revoked.is_none() {
            let evidence = "a revoked device met one that knows, and was not told";
            let broken = Broken::new(Law::RevokedGetNothing, evidence);
            return Err(world.violated(Some(id), &broken));
        }
        world.laws.count("revoked devices that learned it in the end", 1);
    }
    Ok(())
}

/// Founds the programme and enrols everybody.
fn populate(world: &mut World) -> Result<(), Violation> {
    let Options { catchments, villages, workers, relays, outsiders, authorities, .. } =
        world.options;
    let mut natures = Vec::new();
    for catchment in 0..catchments {
        let numbers: Vec<u64> = (0..villages).map(|v| village_number(catchment, v)).collect();
        let all: BTreeSet<u64> = numbers.iter().copied().collect();
        let member = |label: String, role, covers| Nature {
            label,
            belonging: Belonging::Member,
            role,
            catchment,
            covers,
        };
        for worker in 0..workers {
            let mut covers: BTreeSet<u64> =
                world.draws.keys.pick(&numbers).copied().into_iter().collect();
            if world.draws.keys.chance(250) {
                covers.extend(world.draws.keys.pick(&numbers));
            }
            natures.push(member(format!("worker{catchment}{worker}"), Role::Worker, covers));
        }
        natures.push(member(format!("hub{catchment}"), Role::Hub, all.clone()));
        natures.push(member(format!("gateway{catchment}"), Role::Gateway, all.clone()));
        for authority in 0..authorities {
            let label = format!("authority{catchment}{authority}");
            natures.push(member(label, Role::Authority, all.clone()));
        }
    }
    let more = |label: &str, belonging, role| Nature {
        label: label.to_owned(),
        belonging,
        role,
        catchment: 0,
        covers: BTreeSet::new(),
    };
    natures.extend((0..relays).map(|_| more("relay", Belonging::Member, Role::Relay)));
    if outsiders {
        natures.push(more("foreign", Belonging::Foreign, Role::Hub));
        natures.push(more("nobody", Belonging::Nobody, Role::Worker));
    }
    for (nature, id) in natures.into_iter().zip(1..) {
        let (role, catchment) = (nature.role, nature.catchment);
        world.add_host(HostId(id), nature)?;
        if role == Role::Authority {
            // So that new keys are granted to the auditor too.
            let statements = world.programmes.auditor.welcomes.get(&catchment).cloned();
            let taken = Command::Take { statements: statements.unwrap_or_default() };
            let reply = world.ask(HostId(id), taken)?;
            if !matches!(reply, Reply::Issued { .. }) {
                return Err(world.unexpected(HostId(id), "take", &reply));
            }
        }
    }
    if world.options.liars + world.options.versions > 0 {
        let insider = world.programmes.insider(world.draws.liars.bytes());
        world.insider = Some(insider.map_err(|broken| world.violated(None, &broken))?);
    }
    Ok(())
}

/// All members that are left meet until they hold the same.
fn converge(world: &mut World) -> Result<(), Violation> {
    let members = world.good();
    let mut last = None;
    for _ in 0..ROUNDS_MAX {
        meet_all(world, &members)?;
        world.run_until(world.now + REST_MS)?;
        world.rot();
        last = rested(world, &members)?;
        if last.is_none() && !world.overwrite()? {
            return Ok(());
        }
    }
    let Some((host, broken)) = last else { return Ok(()) };
    Err(world.violated(host, &broken))
}

/// One of them meets all others, twice; of several health centres one of each, since not everybody
/// carries what is another's.
fn meet_all(world: &mut World, members: &[HostId]) -> Result<(), Violation> {
    for catchment in 0..world.options.catchments {
        let of_it = |id: &HostId| {
            world.hosts.get(id).is_some_and(|host| host.nature.catchment == catchment)
        };
        let own: Vec<HostId> = members.iter().copied().filter(of_it).collect();
        if let Some(root) = world.draws.net.pick(&own).copied() {
            meet_one(world, root, members)?;
        }
    }
    Ok(())
}

fn meet_one(world: &mut World, root: HostId, members: &[HostId]) -> Result<(), Violation> {
    for _ in 0..2 {
        let mut others: Vec<HostId> = members.iter().copied().filter(|id| *id != root).collect();
        world.draws.net.shuffle(&mut others);
        for other in others {
            let calls = world.draws.net.chance(500);
            let (dialer, listener) = if calls { (other, root) } else { (root, other) };
            contact(world, dialer, listener)?;
        }
    }
    Ok(())
}

/// Two members meet, undisturbed, until both hold the same.
fn contact(world: &mut World, dialer: HostId, listener: HostId) -> Result<(), Violation> {
    let Some(pipe) = world.open(dialer, listener)? else {
        let broken = Broken::new(Law::Converges, "two members cannot meet");
        return Err(world.violated(Some(dialer), &broken));
    };
    let complete = |world: &World, host| {
        // It may have been closed since, as one of which nothing is to be expected.
        let ended_well = |talk: &Talk| !talk.ended || talk.fault.is_none();
        world.laws.talk(host, pipe).is_some_and(|talk| talk.complete && ended_well(talk))
    };
    // The two may have met by themselves meanwhile: then that contact goes on instead.
    let replaced = |world: &World, host| {
        world.laws.talk(host, pipe).is_some_and(|talk| talk.fault == Some(Fault::Duplicate))
    };
    let until = world.now + HEALED_CONTACT_MS_MAX;
    let done = world.run_while(until, |world| {
        let (one, other) = (complete(world, dialer), complete(world, listener));
        one && other || replaced(world, dialer) || replaced(world, listener)
    })?;
    if !done {
        let state = |host| {
            let talk = world.laws.talk(host, pipe);
            talk.map(|talk| (talk.complete, talk.ended, talk.heard_at, &talk.fault))
        };
        let evidence = format!(
            "an undisturbed contact on pipe {} does not complete: {:?} and {:?}",
            pipe.0,
            state(dialer),
            state(listener)
        );
        return Err(world.violated(Some(dialer), &Broken::new(Law::ContactEnds, evidence)));
    }
    let linger = world.draws.net.between(0, LINGER_MS_MAX);
    world.run_until(world.now + linger)?;
    world.cut(pipe)?;
    world.run_until(world.now + 10)
}

/// What is still missing.
fn rested(
    world: &mut World,
    members: &[HostId],
) -> Result<Option<(Option<HostId>, Broken)>, Violation> {
    let hosts = members.iter().filter_map(|id| world.hosts.get(id));
    let kept = hosts.map(|host| {
        let home = world.programmes.auditor.home(&host.nature);
        (host.name(), &host.disk.durable, home)
    });
    let disks: Vec<end::Kept<'_>> = kept.collect();
    if let Err(broken) = end::same_holdings(&disks) {
        return Ok(Some((None, broken)));
    }
    let certificates = members.iter().filter_map(|id| world.hosts.get(id)).map(|h| h.certificate);
    let devices = certificates.map(|one| world.programmes.auditor.device(one?));
    world.laws.weigh(Law::WithinQuota, disks.len() as u64);
    for (disk, own) in disks.iter().zip(devices) {
        end::within_quota(disk, own, world.options.carry_bytes)
            .map_err(|broken| world.violated(None, &broken))?;
    }
    let (judged, forked) = (!world.laws.revoked.is_empty(), world.laws.forks_expected);
    let lost = world.ledger.lost_in();
    for id in world.readers() {
        world.laws.weigh(Law::Converges, 1);
        let reply = world.ask(id, Command::Status { records: true })?;
        let Reply::Status(status) = reply else {
            return Err(world.unexpected(id, "status", &reply));
        };
        if let Err(broken) = end::at_rest(&status, (judged, forked), &lost) {
            return Ok(Some((Some(id), broken)));
        }
    }
    Ok(None)
}

/// Everybody holds the same: now the laws for the end.
fn judge(world: &mut World) -> Result<(), Violation> {
    let good = world.good();
    let quarantined = agree(world, &good)?;
    world.compare_readers()?;
    let places: BTreeSet<Place> = quarantined.keys().copied().collect();
    let mut model = Model::without(places.clone());
    let mut gone = BTreeSet::new();
    for host in good.iter().filter_map(|id| world.hosts.get(id)) {
        model.add(&world.programmes.auditor, &world.laws.tokens, &host.disk.durable);
        gone.extend(erased::named(&world.programmes.auditor, &host.disk.durable));
    }
    let erased = erased::canaries(&world.ledger, &gone);
    for host in good.iter().filter_map(|id| world.hosts.get(id)) {
        let with = (&world.programmes.auditor, &world.laws.tokens);
        erased::is_gone(&erased, with, &host.disk.durable)
            .map_err(|broken| world.violated(Some(host.id), &broken))?;
        world.laws.weigh(Law::ErasedIsGone, erased.len() as u64);
    }
    world.laws.count("records erased everywhere", gone.len() as u64);
    let unread = good.first().and_then(|id| world.hosts.get(id)).map(|host| {
        let statements = host.disk.durable.carrier.statements();
        statements.filter(|one| one.kind() == crate::forger::KIND_UNKNOWN).count()
    });
    world.laws.count("statements of an unknown kind that all carry", unread.unwrap_or(0) as u64);
    world.laws.count("envelopes quarantined in the end", places.len() as u64);
    let fates = end::Fates { good: &good, twins: &world.trust.twins, erased: &erased };
    let owed = world.ledger.entries.iter().filter(|(token, one)| fates.owes(token, one)).count();
    world.laws.weigh(Law::WrittenIsVisible, owed as u64);
    world.laws.weigh(Law::NothingSetAside, model.records().len() as u64);
    let lost = end::nothing_lost(&world.ledger, &model, &world.laws.tokens, &fates);
    lost.map_err(|broken| world.violated(None, &broken))?;
    for id in world.readers() {
        let shown = export(world, id)?;
        let Some(host) = world.hosts.get(&id) else { continue };
        if world.laws.forks_expected {
            // Of a forked log each holds its own.
            let apart = quarantine::on_disk(&host.disk.durable);
            model = Model::without(apart.into_keys().collect());
            model.add(&world.programmes.auditor, &world.laws.tokens, &host.disk.durable);
        }
        let expected = end::expected(&model, &host.nature, &world.programmes.auditor);
        let outside = world.ledger.written_outside_by(id);
        let waiting = host.disk.durable.rows(Table::Waiting).count();
        let filed = end::filed(&host.disk.durable, &world.ledger.lost_in());
        let apart = (&outside, &filed);
        end::shown_is_true(&expected, &shown, apart, &world.laws.tokens).map_err(|broken| {
            let evidence = format!("{} ({waiting} envelopes wait)", broken.evidence);
            world.violated(Some(id), &Broken { evidence, ..broken })
        })?;
        if host.nature.role == Role::Gateway {
            let empty = crate::facility::Facility::default();
            let facility = world.facilities.get(&id).unwrap_or(&empty);
            // What was taken back after it was delivered stays there.
            let lost = world.ledger.excuses() > 0 || !gone.is_empty();
            let lost = lost || !world.laws.revoked.is_empty() || world.laws.forks_expected;
            let due = end::without(&expected, &model);
            world.laws.weigh(Law::FacilityExact, due.len() as u64);
            end::facility_exact(&due, facility, lost)
                .map_err(|broken| world.violated(Some(id), &broken))?;
        }
        world.laws.count("resources shown in the end", expected.len() as u64);
        world.laws.weigh(Law::ShownIsTrue, expected.len() as u64);
    }
    Ok(())
}

/// What all good nodes say is quarantined.
fn agree(world: &mut World, good: &[HostId]) -> Result<quarantine::Quarantined, Violation> {
    let mut all = quarantine::Quarantined::new();
    for id in good {
        let reply = world.ask(*id, Command::Status { records: false })?;
        let Reply::Status(status) = reply else {
            return Err(world.unexpected(*id, "status", &reply));
        };
        let Some(host) = world.hosts.get(id) else { continue };
        // What leads to a cut-off in a log that is only carried may have been let go.
        let openings = host.disk.durable.carrier.openings();
        let kept: BTreeSet<LogId> = openings
            .filter(|(_, one)| world.programmes.auditor.is_home(&host.nature, one.area))
            .map(|(log, _)| log)
            .collect();
        let mut expected = quarantine::on_disk(&host.disk.durable);
        expected.retain(|(log, _), _| kept.contains(log));
        let mut says = status.quarantined;
        says.retain(|one| kept.contains(&one.log));
        quarantine::agreed(&expected, &says)
            .map_err(|broken| world.violated(Some(*id), &broken))?;
        world.laws.weigh(Law::QuarantineAgreed, 1);
        all.extend(expected);
    }
    Ok(all)
}

/// Everything a reader shows.
fn export(world: &mut World, id: HostId) -> Result<Resources, Violation> {
    let mut all = Resources::new();
    let mut after = None;
    loop {
        let reply = world.ask(id, Command::Export { after })?;
        let Reply::Exported { resources, next } = reply else {
            return Err(world.unexpected(id, "export", &reply));
        };
        all.extend(resources.into_iter().map(|resource| (resource.key, resource.text)));
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
