//! Pipes that are told of servers' events (`notify_fifo`, `lvs_notify_fifo`), and what reads them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result, anyhow};
use config::model::Fifo;
use health_host::{Owner, misc};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{chown, mkfifo};
use tokio::process::Child;
use tracing::debug;

/// A pipe that stays open, also while nobody reads.
pub struct Pipe {
    settings: Fifo,
    file: File,
    /// Ends with the pipe.
    reader: Option<Child>,
}

impl Pipe {
    /// Opens a pipe, made if it is not there, and starts what reads it.
    ///
    /// # Errors
    /// When it cannot be as it is wanted.
    pub fn open(settings: &Fifo, starts_reader: bool, owner: Option<&Owner>) -> Result<Self> {
        let path = settings.path.as_str();
        match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).context(format!("cannot make the pipe {path}")),
        }
        if let Some(user) = &settings.user {
            let own = Owner::named(user, settings.group.as_deref())
                .map_err(|why| anyhow!("the pipe {path}: {why}"))?;
            chown(path, Some(own.user.into()), Some(own.group.into()))
                .with_context(|| format!("cannot give away the pipe {path}"))?;
        }
        // Opened for both, so that what is written waits for a reader.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .with_context(|| format!("cannot open the pipe {path}"))?;
        let reader = settings.script.as_ref().filter(|_| starts_reader);
        let reader = reader.map(|script| {
            let mut command = misc::command(script, owner).map_err(anyhow::Error::msg)?;
            command.arg(path).spawn().map_err(anyhow::Error::from)
        });
        Ok(Self {
            settings: settings.clone(),
            file,
            reader: reader
                .transpose()
                .with_context(|| format!("cannot start what reads {path}"))?,
        })
    }

    /// Whether it is what these settings want.
    pub fn is(&self, settings: &Fifo, starts_reader: bool) -> bool {
        let has_reader = starts_reader && settings.script.is_some();
        self.settings == *settings && self.reader.is_some() == has_reader
    }

    /// Writes a line. A pipe that is full misses it.
    pub fn tell(&self, line: &str) {
        let written = (&self.file).write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written {
            debug!(path = self.settings.path, %error, "a notify FIFO is full");
        }
    }
}
