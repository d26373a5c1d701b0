//! Telling the outside: commands and pipes, with keepalived's words.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::{chown, mkfifo};
use tokio::process::{self, Child};
use tracing::warn;
use vrrp::State;

use crate::error::Error;
use crate::plan::{Command, Fifo, Notify};

/// How long `notify_stop` may take: its host may be going down.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// About whom.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    Instance(&'a str),
    Group(&'a str),
}

impl About<'_> {
    const fn words(&self) -> (&'static str, &str) {
        match self {
            About::Instance(name) => ("INSTANCE", name),
            About::Group(name) => ("GROUP", name),
        }
    }
}

/// Pipes, which whoever listens may open and close at any time.
#[derive(Debug, Default)]
pub(crate) struct Fifos(Vec<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    pipe: File,
    made: bool,
    /// Ends with the pipe.
    _reader: Option<Child>,
}

impl Fifos {
    /// Opens pipes, and makes those that are not there.
    pub fn open(fifos: &[Fifo]) -> Result<Self, Error> {
        fifos
            .iter()
            .map(Open::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Writes `INSTANCE "VI_1" MASTER 100`. What nobody reads is lost.
    pub fn tell(&mut self, about: About<'_>, what: &str, priority: u8) {
        let (kind, name) = about.words();
        let line = format!("{kind} \"{name}\" {what} {priority}\n");
        for fifo in &mut self.0 {
            let _unread = fifo.pipe.write_all(line.as_bytes());
        }
    }
}

impl Open {
    fn new(fifo: &Fifo) -> Result<Self, Error> {
        let path = &fifo.path;
        let shown = path.display();
        let made = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(nix::errno::Errno::EEXIST) => false,
            Err(errno) => return Err(Error::system(format!("make the pipe {shown}"))(errno)),
        };
        if let Some((user, group)) = fifo.owner {
            chown(path, Some(user.into()), Some(group.into()))
                .map_err(Error::system(format!("give away the pipe {shown}")))?;
        }
        // Opened for both, so that it stays open while nobody reads.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        let pipe = pipe.map_err(Error::system(format!("open the pipe {shown}")))?;
        let reader = fifo
            .reader
            .as_ref()
            .map(|reader| prepared(reader, &[]).kill_on_drop(true).spawn());
        let reader = reader
            .transpose()
            .map_err(Error::system(format!("start what reads {shown}")))?;
        Ok(Self {
            path: path.clone(),
            pipe,
            made,
            _reader: reader,
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.made {
            let _already_gone = std::fs::remove_file(&self.path);
        }
    }
}

/// The word for a state in notifications.
pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Initialize => "STOP",
        State::Fault => "FAULT",
        State::Backup => "BACKUP",
        State::Master => "MASTER",
    }
}

/// Runs what is to be run when a state was entered: first what is for this state, then what is for any.
pub(crate) async fn entered(notify: &Notify, about: About<'_>, state: State, priority: u8) {
    let own = match state {
        State::Initialize => &notify.stop,
        State::Fault => &notify.fault,
        State::Backup => &notify.backup,
        State::Master => &notify.master,
    };
    let (kind, name) = about.words();
    let words = [kind, name, word(state), &priority.to_string()].map(str::to_owned);
    let commands = [
        own.as_ref().map(|own| (own, &[][..])),
        notify.any.as_ref().map(|any| (any, &words[..])),
    ];
    for (command, more) in commands.into_iter().flatten() {
        let Some(child) = start(command, more) else {
            continue;
        };
        if state == State::Initialize {
            wait_briefly(child).await;
        } else {
            reap(child);
        }
    }
}

/// Runs a command, and forgets it.
pub(crate) fn run(command: &Command) {
    if let Some(child) = start(command, &[]) {
        reap(child);
    }
}

/// The command, ready to be started.
pub(crate) fn prepared(command: &Command, more: &[String]) -> process::Command {
    let mut prepared = process::Command::new(&command.program);
    prepared
        .args(&command.arguments)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some((user, group)) = command.user {
        prepared.uid(user).gid(group);
    }
    prepared
}

fn start(command: &Command, more: &[String]) -> Option<Child> {
    let started = prepared(command, more).spawn();
    started
        .inspect_err(|error| warn!(%error, "{} cannot be run", command.program.display()))
        .ok()
}

fn reap(mut child: Child) {
    tokio::spawn(async move { child.wait().await });
}

async fn wait_briefly(mut child: Child) {
    let _still_running = tokio::time::timeout(LAST_WORDS, child.wait()).await;
}
