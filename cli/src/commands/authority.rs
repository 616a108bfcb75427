//! `huza authority`: what a person with an authority device does.
//!
//! The folder is the authority's own, not a device's home. It holds two secrets: `root.huza`, the
//! root of the programme, needed only to certify further centres, and `centre.huza`, which approves
//! devices and counts what it has issued. The count is on the disk before a welcome leaves, so
//! that no number is ever used twice.

use std::fs::File;
use std::path::{Path, PathBuf};

use huza_crdt::crypto::Entropy;
use huza_crdt::trust::Role;
use huza_crdt::trust::authority::{Centre, IssueError, JoinRequest, Programme, Welcome};
use serde_json::json;

use crate::args::{AuthorityCommand, CreateArgs, IssueArgs};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::files::{self, Content, Pending};
use crate::time;

/// The authority's folder.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    folder: PathBuf,
}

/// Founds, or approves.
pub(crate) fn run(context: &Context, command: &AuthorityCommand) -> Result<(), Failure> {
    let folder = context.home.clone().ok_or_else(|| {
        Failure::new(Kind::Usage, "usage", "It is not said where the authority's files are")
            .hint("Say --home DIR; it is a folder of its own, not that of a device")
    })?;
    let authority = Authority { folder };
    match command {
        AuthorityCommand::Create(args) => create(context, &authority, args),
        AuthorityCommand::Issue(args) => issue(context, &authority, args),
    }
}

fn create(context: &Context, authority: &Authority, args: &CreateArgs) -> Result<(), Failure> {
    let programme = authority.found(&args.programme, &args.catchment, &args.village)?;
    let (root, centre) = (authority.root(), authority.centre());
    let text = format!(
        "Founded {} with health centre {} ({}).\n\
         {} is the root of everything: print it, lock the paper away, and take the file off this \
         device.\n\
         {} approves devices: keep it on this device, and nobody else's.",
        args.programme,
        args.catchment,
        crate::output::count(args.village.len(), "village"),
        root.display(),
        centre.display(),
    );
    let value = json!({
        "programme": programme,
        "name": args.programme,
        "catchment": args.catchment,
        "villages": args.village,
        "root_file": root,
        "centre_file": centre,
    });
    context.output.answer(&value, &text)
}

fn issue(context: &Context, authority: &Authority, args: &IssueArgs) -> Result<(), Failure> {
    let request: JoinRequest = files::read(Content::Request, &args.request)?;
    // The welcome's place first: a number is spent only if the answer can be written.
    let file = args.out.as_ref().map(|path| Pending::begin(path, false, false)).transpose()?;
    let role = Role::from(args.role);
    let welcome = authority.approve(&request, role, &args.village)?;
    let line = files::line(Content::Welcome, &welcome);
    let (label, name) = (&request.label, role.name());
    let text = if let (Some(mut file), Some(path)) = (file, &args.out) {
        file.append(line.as_bytes())?;
        file.publish()?;
        let path = path.display();
        format!("Approved {label} as {name}. Give it {path}; there, `huza join {path}`.")
    } else {
        line.clone()
    };
    let value = json!({
        "device": request.device.to_string(),
        "label": label,
        "role": name,
        "villages": args.village,
        "welcome": line.trim_end(),
    });
    context.output.answer(&value, &text)
}

impl Authority {
    /// The authority kept in `folder`.
    pub(crate) const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root.huza")
    }

    fn centre(&self) -> PathBuf {
        self.folder.join("centre.huza")
    }

    /// Founds a programme with one health centre; gives the programme's id.
    pub(crate) fn found(
        &self,
        name: &str,
        catchment: &str,
        villages: &[String],
    ) -> Result<String, Failure> {
        check_codes(catchment, villages)?;
        files::private_folder(&self.folder)?;
        let _lock = self.lock()?;
        for path in [self.root(), self.centre()] {
            if path.exists() {
                return Err(exists(&path));
            }
        }
        let mut entropy = entropy()?;
        let mut programme = Programme::found(name, &mut entropy);
        let centre = programme
            .certify_centre(catchment, villages, time::now(), &mut entropy)
            .map_err(|error| Failure::new(Kind::Input, "certificate", error.to_string()))?;
        files::write(Content::Root, &self.root(), &programme, false)?;
        files::write(Content::Centre, &self.centre(), &centre, false)?;
        Ok(programme.id().to_string())
    }

    /// Approves a device. What was issued is counted durably before this returns.
    pub(crate) fn approve(
        &self,
        request: &JoinRequest,
        role: Role,
        villages: &[String],
    ) -> Result<Welcome, Failure> {
        let path = self.centre();
        if !path.exists() {
            let message = format!("There is no authority in {}", self.folder.display());
            return Err(Failure::new(Kind::Home, "no_authority", message)
                .hint("Name its folder with --home, or found one with `huza authority create`"));
        }
        let _lock = self.lock()?;
        let mut centre: Centre = files::read(Content::Centre, &path)?;
        let welcome = centre
            .approve(request, role, villages, time::now(), &mut entropy()?)
            .map_err(|error| refused(&error, &centre))?;
        files::write(Content::Centre, &path, &centre, true)?;
        Ok(welcome)
    }

    /// Two commands at once would use one number twice.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(|error| Failure::file("write", &path, &error))?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => Failure::new(
                Kind::Busy,
                "authority_busy",
                format!("Another command is using the authority in {}", self.folder.display()),
            )
            .hint("Wait for it, then try again"),
            std::fs::TryLockError::Error(error) => Failure::file("lock", &path, &error),
        })?;
        Ok(file)
    }
}

fn check_codes(catchment: &str, villages: &[String]) -> Result<(), Failure> {
    let bad = |code: &&str| code.trim().is_empty() || code.contains('/');
    if let Some(code) =
        core::iter::once(catchment).chain(villages.iter().map(String::as_str)).find(bad)
    {
        let message = format!("{code:?} is no code of a place");
        return Err(
            Failure::new(Kind::Input, "code", message).hint("Give official codes, without a slash")
        );
    }
    Ok(())
}

fn exists(path: &Path) -> Failure {
    let message = format!("There is an authority already: {}", path.display());
    Failure::new(Kind::Home, "authority_exists", message)
        .hint("Name another folder with --home; nothing was changed")
}

fn refused(error: &IssueError, centre: &Centre) -> Failure {
    let hint = match error {
        IssueError::UnknownVillage(_) => {
            format!("Its villages are {}", centre.villages().join(", "))
        }
        IssueError::NoVillage => "Say --village CODE".to_owned(),
        _ => "Ask for a new request, made by `huza init` or `huza request`".to_owned(),
    };
    Failure::new(Kind::Input, "not_approved", error.to_string()).hint(hint)
}

fn entropy() -> Result<Entropy, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::new(Kind::Storage, "entropy", format!("The system gave no randomness: {error}"))
    })?;
    Ok(Entropy::new(seed))
}
