//! `huza simulate ...`: networks that do not exist, or did once.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use huza_simulations::network::Strategy;
use huza_simulations::replay::Link;

/// `huza simulate ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// What would arrive in a scenario, when, and at what cost in bytes, battery and storage
    Run(SimulateRunArgs),
    /// Who would have held what, and when, had these contacts carried these messages
    Replay(ReplayArgs),
    /// Who meets whom in a scenario, by what it says of people, phones and links
    Contacts(ContactsArgs),
    /// Worlds in which everything goes wrong, each drawn from a seed, and whether any law breaks
    Chaos(ChaosArgs),
    /// A page about a run that was kept, which a browser shows without a network
    Report(SimulatedReportArgs),
    /// Runs that were kept side by side: what was set differently, and what came of it
    Compare(CompareArgs),
    /// A scenario file in which every setting stands with its default, its unit and its source
    Scenario,
}

/// `huza simulate chaos`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza simulate chaos --seeds 1000               seeds 0 to 999, on all processors\n  \
    huza simulate chaos --start 1000 --seeds 1000  the next thousand\n  \
    huza simulate chaos --seed 17 --trace          one seed again, with its log\n\n\
    Real nodes on simulated links, disks and clocks, that lose, cut, repeat, reorder, corrupt, crash, run\n\
    full, jump, are restored, lie, are shut out and erased, each as strongly as the seed draws it; then all\n\
    meet, and have to hold and show the same. Exits with 1 if a law broke."
)]
pub(crate) struct ChaosArgs {
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "seed")]
    pub(crate) start: u64,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "seed")]
    pub(crate) seeds: u64,
    /// Only this seed, twice, to see that it gives one log
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
    /// Print what was drawn and all that went into and came out of every node
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
}

/// `huza simulate contacts`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza simulate scenario > district.toml       every setting, as a comment\n  \
    huza simulate contacts district.toml         a small synthetic place, if it names none\n  \
    huza simulate contacts district.toml --villages villages.csv --facilities facilities.csv \\\n    \
    --set place.pick=Bugesera --set days=90 --set people.equipped=1 --out contacts.csv\n  \
    huza simulate replay --trace contacts.csv ...  messages along these contacts\n\n\
    Tables are comma-separated, with the columns `village_id village cell_id cell sector_id sector\n\
    district_id district lat lon population households` and `facility_id name type lat lon`, and may be\n\
    compressed with gzip. Nodes are numbered from 0: the phones, then the hubs."
)]
pub(crate) struct ContactsArgs {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// Where to write the contacts, as `START,END,A,B,KIND,LINK`, times in seconds
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Which scenario.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// The scenario file
    #[arg(value_name = "SCENARIO.toml")]
    pub(crate) file: PathBuf,
    /// A setting on top of the file, as `section.key=value`; again for more
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Table of villages, instead of the one that the scenario names
    #[arg(long, value_name = "FILE", requires = "facilities")]
    pub(crate) villages: Option<PathBuf>,
    /// Table of facilities, instead of the one that the scenario names
    #[arg(long, value_name = "FILE", requires = "villages")]
    pub(crate) facilities: Option<PathBuf>,
}

/// `huza simulate run`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza simulate run district.toml              a small synthetic place, if it names none\n  \
    huza simulate run district.toml --villages villages.csv --facilities facilities.csv \\\n    \
    --set place.pick=Bugesera --set days=90 --set people.equipped=1 --out bugesera\n  \
    huza simulate run district.toml --strategy own-phone   what relaying is worth\n  \
    huza simulate run district.toml --sweep people.equipped=0.3,0.5,1 --seeds 3 --out sweep\n\n\
    In --out are run.json, with all that came of it, report.html, a page about it, and villages.csv,\n\
    hubs.csv, phones.csv and waits.csv; of several runs, each in a directory of its own."
)]
pub(crate) struct SimulateRunArgs {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// How devices pass records on: own-phone (or direct, which is the same here), epidemic,
    /// spray-and-wait or spray-and-wait:COPIES, prophet, huza; again for more
    #[arg(long, value_name = "STRATEGY", default_value = "huza")]
    pub(crate) strategy: Vec<Strategy>,
    /// What devices are; real nodes know no other strategy than huza
    #[arg(long, value_enum, default_value_t = Fidelity::Sized)]
    pub(crate) fidelity: Fidelity,
    /// Runs with so many seeds, from that of the scenario on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Runs with each of these values of a setting
    #[arg(long, value_name = "KEY=A,B,C")]
    pub(crate) sweep: Option<String>,
    /// Outlines of districts for the map of the report, as GeoJSON
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) outlines: Option<PathBuf>,
    /// Directory to write what came of it to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// What the devices of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fidelity {
    /// A model of the protocol's rules, in which records are lengths: for whole countries
    Sized,
    /// Real nodes with real seals, signatures and merges: for hundreds of phones
    Full,
}

impl Fidelity {
    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sized => "sized",
            Self::Full => "full",
        }
    }
}

/// `huza simulate report`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza simulate report bugesera --outlines districts.geojson\n  \
    huza simulate report bugesera/run.json --out bugesera.html"
)]
pub(crate) struct SimulatedReportArgs {
    /// The directory of a run, or its `run.json`
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Outlines of districts for the map, as GeoJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) outlines: Option<PathBuf>,
    /// Where to write the page, instead of `report.html` beside the run
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza simulate compare`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza simulate compare own-phone huza --out compared.html\n  \
    huza simulate compare sweep                    all runs in the directories of `sweep`\n\n\
    Runs that differ by nothing but the seed are one column: of their figures the median is told,\n\
    and in brackets the lowest and the highest.")]
pub(crate) struct CompareArgs {
    /// Directories of runs, of sweeps, or files as `run.json`
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Where to write a page with the curves of all
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza simulate replay`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza simulate replay --trace rwp100.conn.txt.gz \\\n    \
    --messages unicast.msgs.txt --nodes 100 --end 43200 --link ideal --arrivals out.csv\n  \
    huza simulate replay ... --link one:250000     as the ONE simulator would\n  \
    huza simulate replay ... --link 250000         transfers that are resumed, as huza's are\n\n\
    Contacts: lines of `SECONDS CONN A B up|down` as the ONE writes them, or `START,END,A,B` in\n\
    seconds. Messages: lines of `SECONDS C ID FROM TO BYTES`. Both may be compressed with gzip. Every\n\
    node gives every message on to everybody it meets, and keeps all.")]
pub(crate) struct ReplayArgs {
    /// File of recorded contacts
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,
    /// File of messages
    #[arg(long, value_name = "FILE")]
    pub(crate) messages: PathBuf,
    /// How many nodes there are, numbered from 0
    #[arg(long, value_name = "N")]
    pub(crate) nodes: usize,
    /// When it ends; contacts that are open then end too
    #[arg(long, value_name = "SECONDS")]
    pub(crate) end: u64,
    /// What a contact carries: `ideal` everything in no time; `one` or `one:RATE` as the ONE does,
    /// whole messages one by one; RATE with transfers that are resumed. Bytes a second
    #[arg(long, value_name = "LINK", default_value = "ideal", value_parser = link)]
    pub(crate) link: LinkArg,
    /// With `one`: milliseconds between two of its steps
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) step: u64,
    /// With `one`: seed of the order in which its nodes act
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to write `message,node,arrival_ms`: each message's first arrival at each node
    #[arg(long, value_name = "FILE")]
    pub(crate) arrivals: Option<PathBuf>,
}

/// The ONE's own ideal link, bytes a second.
const ONE_IDEAL: u64 = 1_000_000_000;

/// What was said of the link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkArg {
    Ideal,
    One { rate: u64 },
    Resumed { rate: u64 },
}

impl ReplayArgs {
    /// The link that was asked for.
    pub(crate) const fn link(&self) -> Link {
        match self.link {
            LinkArg::Ideal => Link::Ideal,
            LinkArg::One { rate } => Link::One { rate, step_ms: self.step },
            LinkArg::Resumed { rate } => Link::Resumed { rate },
        }
    }
}

fn link(text: &str) -> Result<LinkArg, String> {
    let rate = |text: &str| match text.parse::<u64>() {
        Ok(rate) if rate > 0 => Ok(rate),
        _ => Err(format!(
            "`{text}` is no number of bytes a second; say ideal, one, one:RATE or RATE"
        )),
    };
    match text {
        "ideal" => Ok(LinkArg::Ideal),
        "one" => Ok(LinkArg::One { rate: ONE_IDEAL }),
        _ => match text.strip_prefix("one:") {
            Some(of_one) => Ok(LinkArg::One { rate: rate(of_one)? }),
            None => Ok(LinkArg::Resumed { rate: rate(text)? }),
        },
    }
}
