//! `xvs config`.

use std::path::PathBuf;
use std::process::ExitCode;

use adm::Director;
use anyhow::{Context, Result, anyhow};
use clap::Subcommand;

use crate::place;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write the running configuration where the daemon finds it at boot. Other than ipvsadm-save
    /// it keeps everything: thresholds and timeouts too
    Save {
        /// Where to; `-' is the standard output
        #[arg(default_value = crate::serve::options::RULES)]
        file: PathBuf,
    },
}

/// Does it.
pub fn main(command: &ConfigCommand) -> Result<ExitCode> {
    let ConfigCommand::Save { file } = command;
    let mut director = place::client()?;
    director
        .connect()
        .map_err(|error| anyhow!("{error}\nhint: {}", error.hint))?;
    let services = director.services()?;
    let timeouts = director.timeouts()?;
    let text = adm::save_everything(&services, &timeouts);
    if file.as_os_str() == "-" {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    crate::serve::state::write_atomically(file, text.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
