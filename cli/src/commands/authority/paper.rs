//! Keys on paper: the programme's, a district's, a health centre's. They found, they make the
//! first authority device, and they step in when all authority devices are lost.
//!
//! ```text
//! words for people
//! HUZA-PAPER-1:  codec of (salt, cost of Argon2id, sealed)   see crate::files for the spelling
//! sealed         XChaCha20-Poly1305 under Argon2id(passphrase, salt) over the key; the salt and
//!                the cost are bound to it
//! ```
//!
//! A paper counts what it has signed, so that no number is used twice: its file is replaced,
//! durably, before anything that it signed leaves.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use huza_crdt::codec;
use huza_crdt::control::{Statement, kind};
use huza_crdt::crypto::{Entropy, SymmetricKey};
use huza_crdt::id::CertId;
use huza_crdt::node::{Command, Reply};
use huza_crdt::trust::approval::{Approval, IssueError, JoinRequest, Welcome};
use huza_crdt::trust::paper::{Centre, District, Programme};
use huza_crdt::trust::{Certificate, Role};
use huza_daemon::InitOptions;
use huza_daemon::time;
use huza_daemon::vault::{Cost, NewSecret, Unlock, VaultCommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{
    CreateArgs, PaperApproveArgs, PaperArgs, PaperCentreArgs, PaperCommand, PaperPublishArgs,
    PaperRevokeArgs,
};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::files::{self, Content, Pending};
use crate::shell::Device;
use crate::{output, secrets};

const CONTEXT: &[u8] = b"huza paper 1";

/// A key that belongs on paper.
#[derive(Serialize, Deserialize)]
enum Office {
    Programme(Programme),
    /// With its name.
    District(String, District),
    Centre(Centre),
}

huza_crdt::debug_shows!(
    enum Office {
        Programme,
        District,
        Centre,
    }
);

/// What stands on paper.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    salt: [u8; 16],
    cost: Cost,
    sealed: Vec<u8>,
}

/// A paper that was opened: its key, its file, and what seals it again.
#[derive(Debug)]
struct Paper {
    office: Office,
    path: PathBuf,
    passphrase: Passphrase,
}

struct Passphrase(Zeroizing<String>);

huza_crdt::debug_shows!(
    struct Passphrase {}
);

/// Decides with a paper.
pub(super) fn run(context: &Context, command: PaperCommand) -> Result<(), Failure> {
    match command {
        PaperCommand::Approve(args) => approve(context, &args),
        PaperCommand::Revoke(args) => revoke(context, &args),
        PaperCommand::Centre(args) => centre(context, &args),
        PaperCommand::Publish(args) => publish(context, &args),
    }
}

/// What is founded together.
pub(crate) struct Founded {
    pub(crate) programme: Programme,
    pub(crate) district: Option<District>,
    pub(crate) centre: Centre,
}

huza_crdt::debug_shows!(
    struct Founded {}
);

/// Founds a programme with one health centre, below a district of these catchments if there are
/// any.
pub(crate) fn found(
    name: &str,
    (catchment, villages): (&str, &[String]),
    district: &[String],
    entropy: &mut Entropy,
) -> Result<Founded, Failure> {
    let codes = district.iter().chain(villages).map(String::as_str);
    check_codes(codes.chain([catchment]))?;
    let now = time::now();
    let mut programme = Programme::found(name, entropy);
    let mut below = None;
    let centre = if district.is_empty() {
        programme.certify_centre(catchment, villages, now, entropy).map_err(IssueError::from)
    } else {
        let made = programme.certify_district(district, now, entropy);
        made.and_then(|district| {
            let district = below.insert(district);
            district.certify_centre(catchment, villages, now, entropy)
        })
    };
    let centre = centre.map_err(|error| refused(&error, None))?;
    Ok(Founded { programme, district: below, centre })
}

/// Founds, and makes the first authority device.
pub(super) async fn create(context: &Context, args: &CreateArgs) -> Result<(), Failure> {
    let home = context.home.clone().ok_or_else(|| {
        Failure::new(Kind::Usage, "usage", "It is not said where the authority device is")
            .hint("Say --home DIR; it is made there")
    })?;
    let mut entropy = entropy()?;
    let villages = (args.catchment.as_str(), args.village.as_slice());
    let Founded { programme, district, mut centre } =
        found(&args.programme, villages, &args.district_catchment, &mut entropy)?;
    files::private_folder(&args.paper)?;
    let place = |name: String| Paper::place(&args.paper.join(name));
    let (root, root_file) = place("programme.txt".to_owned())?;
    let (centre_path, centre_file) = place(format!("centre-{}.txt", args.catchment))?;
    let district_place = args.district.as_ref().map(|_| place("district.txt".to_owned()));
    let district_place = district_place.transpose()?;
    let passphrase = Passphrase(secrets::new_of_paper(args.paper_passphrase_file.as_deref())?);
    let secret = context.secrets.new_secret(&args.secret, true)?;
    let worker = context.secrets.new_worker();
    let options = InitOptions {
        label: args.label.clone(),
        reader: true,
        worker: worker.clone(),
        secret: secret.clone(),
    };
    let request = Device::create(&home, &options)?;
    let mut approval = Approval::of(Role::Authority, &[]);
    approval.workers.push(worker.clone());
    let welcome = centre.approve(&request, &approval, time::now(), &mut entropy);
    let welcome = welcome.map_err(|error| refused(&error, Some(&centre)))?;
    let id = programme.id();
    let mut papers = vec![root.clone()];
    Paper { office: Office::Programme(programme), path: root, passphrase: passphrase.again() }
        .write(root_file)?;
    if let (Some(district), Some((path, file)), Some(name)) =
        (district, district_place, &args.district)
    {
        papers.push(path.clone());
        let office = Office::District(name.clone(), district);
        Paper { office, path, passphrase: passphrase.again() }.write(file)?;
    }
    papers.push(centre_path.clone());
    Paper { office: Office::Centre(centre), path: centre_path, passphrase }.write(centre_file)?;
    let mut device = Device::open(&home).await?;
    let unlock = Unlock { worker: Some(worker), secret: text_of(&secret) };
    device.vault(VaultCommand::Unlock(unlock)).await?;
    let joined = device.call(Command::Join { welcome }).await?;
    device.close().await?;
    if !matches!(joined, Reply::Joined { .. }) {
        return Err(Failure::answer("join"));
    }
    let listed: Vec<String> = papers.iter().map(|path| format!("  {}", path.display())).collect();
    let home = home.display();
    let text = format!(
        "Founded {} with health centre {} ({}). {home} is its first authority device.{}\n\n\
         These keys belong on paper:\n{}\n\
         Print them, lock the paper away, keep the passphrase elsewhere, and take the files off \
         this device.\n\n\
         Next: a second authority device, so that the loss of one stops nothing. There:\n  \
         huza init --label \"authority 2\"\nand here, with its request:\n  \
         huza authority issue --home {home} --request - --role authority",
        args.programme,
        args.catchment,
        output::count(args.village.len(), "village"),
        crate::commands::device::protection(&secret),
        listed.join("\n"),
    );
    let value = json!({
        "programme": id.to_string(),
        "name": args.programme,
        "catchment": args.catchment,
        "villages": args.village,
        "district": args.district,
        "device": request.device.to_string(),
        "papers": papers,
    });
    context.output.answer(&value, &text)
}

/// The secret itself, to unlock what was just made with it.
fn text_of(new: &NewSecret) -> huza_daemon::vault::Secret {
    match new {
        NewSecret::Passphrase(secret) | NewSecret::Pin(secret) => secret.clone(),
        NewSecret::Open => huza_daemon::vault::Secret::new(String::new()),
    }
}

fn approve(context: &Context, args: &PaperApproveArgs) -> Result<(), Failure> {
    args.approve.check()?;
    let request: JoinRequest = files::read(Content::Request, &args.approve.request)?;
    let file = Pending::begin(&args.out, false, false)?;
    let mut paper = Paper::open(&args.paper)?;
    let Office::Centre(centre) = &mut paper.office else {
        let message = "Only a health centre's key approves devices";
        return Err(Failure::new(Kind::Input, "wrong_paper", message).hint("Give its paper"));
    };
    let approval = args.approve.approval();
    let welcome = centre
        .approve(&request, &approval, time::now(), &mut entropy()?)
        .map_err(|error| refused(&error, Some(centre)))?;
    paper.replace()?;
    let certificate = certificate_of(&welcome);
    let line = files::line(Content::Welcome, &welcome);
    print_again(context, &paper);
    let place = (Some(file), Some(args.out.as_path()));
    super::answer(context, (&request, &approval, certificate), place, &line)
}

/// The device's own certificate: the last one in the welcome, behind its chain.
fn certificate_of(welcome: &Welcome) -> CertId {
    let mut newest_first = welcome.statements.iter().rev();
    let own = newest_first.find(|one| one.kind() == kind::CERTIFICATE);
    own.map_or(CertId([0; 16]), |one| Certificate::id(one.body()))
}

fn revoke(context: &Context, args: &PaperRevokeArgs) -> Result<(), Failure> {
    let certificate = CertId::from_hex(&args.certificate).ok_or_else(|| {
        let message = format!("{} is no certificate's id", args.certificate);
        Failure::new(Kind::Input, "certificate", message)
            .hint("`huza devices --json` lists them in full")
    })?;
    let mut file = Pending::begin(&args.out, false, false)?;
    let mut paper = Paper::open(&args.paper)?;
    let reason = args.reason.into();
    let statement = match &mut paper.office {
        Office::Programme(programme) => programme.revoke(certificate, reason),
        Office::District(_, district) => district.revoke(certificate, reason),
        Office::Centre(centre) => centre.revoke(certificate, reason),
    };
    paper.replace()?;
    let statements: Vec<Statement> = vec![statement];
    let line = files::line(Content::Statements, &statements);
    file.append(line.as_bytes())?;
    file.publish()?;
    print_again(context, &paper);
    let out = args.out.display();
    let text = format!(
        "Certificate {} is shut out, and with it what it approved \
         and ordered: whoever it had erased is shown again where something is still held; have them \
         erased again.\nNext: bring {out} to any \
         device of the programme, the hub best, and there: huza take {out}",
        certificate.short(),
    );
    let value = json!({ "certificate": certificate.to_string(), "statements": line.trim_end() });
    context.output.answer(&value, &text)
}

fn publish(context: &Context, args: &PaperPublishArgs) -> Result<(), Failure> {
    let text = super::form_text(&args.publish)?;
    let mut file = Pending::begin(&args.out, false, false)?;
    let mut paper = Paper::open(&args.paper)?;
    let statements = match &mut paper.office {
        Office::Programme(programme) => programme.publish(&text),
        Office::District(_, district) => district.publish(&text),
        Office::Centre(centre) => centre.publish(&text),
    };
    let statements: Vec<Statement> = statements.ok_or_else(|| {
        let message = "This form is too long to travel, even when it is packed";
        Failure::new(Kind::Input, "form_too_long", message)
            .hint("Shorten it; nothing was published")
    })?;
    paper.replace()?;
    let line = files::line(Content::Statements, &statements);
    file.append(line.as_bytes())?;
    file.publish()?;
    print_again(context, &paper);
    let out = args.out.display();
    let text = format!(
        "The form is signed.\nNext: bring {out} to any device of the programme, the hub best, and \
         there: huza take {out}"
    );
    context.output.answer(&json!({ "statements": line.trim_end() }), &text)
}

fn centre(context: &Context, args: &PaperCentreArgs) -> Result<(), Failure> {
    check_codes(args.village.iter().map(String::as_str).chain([args.catchment.as_str()]))?;
    let (path, file) = Paper::place(&args.out)?;
    let mut paper = Paper::open(&args.paper)?;
    let (code, villages, now) = (&args.catchment, &args.village, time::now());
    let mut entropy = entropy()?;
    let made = match &mut paper.office {
        Office::Programme(programme) => {
            programme.certify_centre(code, villages, now, &mut entropy).map_err(IssueError::from)
        }
        Office::District(_, district) => district.certify_centre(code, villages, now, &mut entropy),
        Office::Centre(_) => {
            let message = "A health centre's key certifies no other health centre";
            return Err(Failure::new(Kind::Input, "wrong_paper", message)
                .hint("Give the paper of the programme or of the district"));
        }
    };
    let made = made.map_err(|error| refused(&error, None))?;
    paper.replace()?;
    let office = Office::Centre(made);
    Paper { office, path, passphrase: paper.passphrase.again() }.write(file)?;
    print_again(context, &paper);
    let out = args.out.display();
    let text = format!(
        "Made the key of health centre {code} ({}), sealed under the same passphrase: {out}\n\
         Next: its first authority device. There: huza init --label authority\nand here, with its \
         request:\n  huza authority paper approve --paper {out} --request - --role authority \
         --out welcome.txt",
        output::count(villages.len(), "village"),
    );
    context.output.answer(
        &json!({ "catchment": code, "villages": villages, "paper": out.to_string() }),
        &text,
    )
}

fn print_again(context: &Context, paper: &Paper) {
    context.output.note(&format!(
        "{} has changed, because it counts what it signs: print it again, and destroy the old \
         print.",
        paper.path.display()
    ));
}

impl Passphrase {
    fn again(&self) -> Self {
        Self(self.0.clone())
    }

    fn key(&self, salt: &[u8; 16], cost: Cost) -> Option<SymmetricKey> {
        let mut out = Zeroizing::new([0; 32]);
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(out.len())).ok()?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, out.as_mut_slice())
            .ok()?;
        Some(SymmetricKey::from_bytes(*out))
    }
}

fn bound(salt: &[u8; 16], cost: Cost) -> Vec<u8> {
    [CONTEXT, &codec::encode(&(salt, cost))].concat()
}

impl Sealed {
    fn seal(office: &Office, passphrase: &Passphrase) -> Result<Self, Failure> {
        let mut entropy = entropy()?;
        let (salt, cost) = (entropy.draw(), Cost::DEFAULT);
        let key = passphrase.key(&salt, cost).ok_or_else(no_memory)?;
        let plain = Zeroizing::new(codec::encode(office));
        let sealed = key.seal(&bound(&salt, cost), &plain, entropy.draw());
        Ok(Self { salt, cost, sealed })
    }

    fn open(&self, passphrase: &Passphrase) -> Result<Office, Failure> {
        let most = Cost::MAX;
        let fair = self.cost.memory_kib <= most.memory_kib
            && self.cost.passes <= most.passes
            && self.cost.lanes <= most.lanes;
        let damaged = || {
            Failure::new(Kind::Input, "paper", "The paper is damaged")
                .hint("Type or scan it again from the print")
        };
        if !fair {
            return Err(damaged());
        }
        let key = passphrase.key(&self.salt, self.cost).ok_or_else(no_memory)?;
        let plain = key.open(&bound(&self.salt, self.cost), &self.sealed).map_err(|_unopened| {
            Failure::new(Kind::Input, "wrong_secret", "The passphrase does not open this paper")
                .hint("Try again; nothing was signed")
        })?;
        codec::decode(&plain).map_err(|_malformed| damaged())
    }
}

fn no_memory() -> Failure {
    Failure::new(Kind::Storage, "memory", "There is not enough memory to try the passphrase")
        .hint("Close other programs")
}

impl Paper {
    fn open(args: &PaperArgs) -> Result<Self, Failure> {
        let sealed: Sealed = files::read(Content::Paper, &args.paper)?;
        let passphrase = Passphrase(secrets::of_paper(args.paper_passphrase_file.as_deref())?);
        let office = sealed.open(&passphrase)?;
        Ok(Self { office, path: args.paper.clone(), passphrase })
    }

    /// Where a new paper will be, so that a wrong place is told before anything is made.
    fn place(path: &Path) -> Result<(PathBuf, Pending), Failure> {
        Ok((path.to_owned(), Pending::begin(path, true, false)?))
    }

    fn write(&self, mut file: Pending) -> Result<(), Failure> {
        file.append(self.print()?.as_bytes())?;
        file.publish()
    }

    /// Puts it in its own place again, with its new count.
    fn replace(&self) -> Result<(), Failure> {
        self.write(Pending::begin(&self.path, true, true)?)
    }

    fn print(&self) -> Result<String, Failure> {
        let (name, can) = match &self.office {
            Office::Programme(programme) => (
                format!("programme {}", programme.name()),
                "certify districts and health centres, and shut out any device",
            ),
            Office::District(name, _) => (
                format!("district {name}"),
                "certify its health centres, and shut out their devices",
            ),
            Office::Centre(centre) => (
                format!("health centre {} of {}", centre.catchment(), centre.programme()),
                "approve devices, authority devices too, and shut them out",
            ),
        };
        let sealed = Sealed::seal(&self.office, &self.passphrase)?;
        Ok(format!(
            "huza: the key of {name}, as of {}.\n\
             With its passphrase it can {can}.\n\
             Keep it on paper, locked away; keep the passphrase elsewhere. It counts what it signs:\n\
             after each use print it again and destroy the old print.\n\n{}",
            time::now(),
            files::lines(Content::Paper, &sealed),
        ))
    }
}

fn check_codes<'a>(mut codes: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let bad = |code: &&str| code.trim().is_empty() || code.contains('/');
    if let Some(code) = codes.find(bad) {
        let message = format!("{code:?} is no code of a place");
        return Err(
            Failure::new(Kind::Input, "code", message).hint("Give official codes, without a slash")
        );
    }
    Ok(())
}

fn refused(error: &IssueError, centre: Option<&Centre>) -> Failure {
    let hint = match (error, centre) {
        (IssueError::UnknownVillage(_), Some(centre)) => {
            format!("Its villages are {}", centre.villages().join(", "))
        }
        (IssueError::UnknownCatchment(_), _) => {
            "Name it with --district-catchment too, or give another district's paper".to_owned()
        }
        (IssueError::NoVillage, _) => "Say --village CODE".to_owned(),
        (IssueError::WholeCatchment, _) => "Leave --village out".to_owned(),
        (IssueError::Stale { .. }, _) => {
            "Make a new request with `huza request`, or see that both clocks are right".to_owned()
        }
        _ => "Ask for a new request, made by `huza request`".to_owned(),
    };
    Failure::new(Kind::Input, "not_approved", error.to_string()).hint(hint)
}

/// From the operating system.
pub(crate) fn entropy() -> Result<Entropy, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::new(Kind::Storage, "entropy", format!("The system gave no randomness: {error}"))
            .hint("Without it no key is safe; mend the system")
    })?;
    Ok(Entropy::new(seed))
}
