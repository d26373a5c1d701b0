//! `xvs config`.

mod difference;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use adm::Director as _;
use anyhow::{Context, Result};
use clap::Subcommand;

use crate::keepalived::{self, FileOptions};
use crate::rules::Rules;
use crate::serve::options::RULES;
use crate::settings::explained;
use crate::{output, place};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write the running configuration where the daemon finds it at boot. Other than ipvsadm-save
    /// it keeps everything: thresholds, timeouts and settings too
    Save {
        /// Where to; `-' is the standard output
        #[arg(default_value = RULES)]
        file: PathBuf,
    },
    /// Make the director be as a file says that `xvs config save' or ipvsadm-save wrote, in place of
    /// what it is
    Restore {
        /// Where from; `-' is the standard input
        #[arg(default_value = RULES)]
        file: PathBuf,
    },
    /// Show what a configuration file in keepalived's language means, with all defaults
    Show {
        #[command(flatten)]
        file: FileOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a reload would change, were a file the daemon's configuration. Nothing is changed
    Diff {
        /// A configuration file in keepalived's language; without it, the daemon's own
        file: Option<PathBuf>,
        /// What `@' conditions and ${_INSTANCE} name, instead of what the daemon was told
        #[arg(short = 'i', long, value_name = "ID")]
        config_id: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub fn main(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Save { file } => save(&mut director()?, file)?,
        ConfigCommand::Restore { file } => restore(&mut director()?, file)?,
        ConfigCommand::Diff {
            file,
            config_id,
            json,
        } => difference::main(file.as_deref(), config_id.clone(), *json)?,
        ConfigCommand::Show { file, json } => return keepalived::show(file, *json),
    }
    Ok(ExitCode::SUCCESS)
}

fn director() -> Result<api::Client> {
    let mut director = place::client()?;
    director
        .connect()
        .map_err(|error| explained(error.into()))?;
    Ok(director)
}

fn save(director: &mut api::Client, file: &Path) -> Result<()> {
    let text = Rules::text_of(director).map_err(explained)?;
    if file.as_os_str() == "-" {
        return output::text(text);
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    crate::serve::state::write_atomically(file, text.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}

fn restore(director: &mut api::Client, file: &Path) -> Result<()> {
    let name = || format!("cannot restore {}", file.display());
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    }
    .with_context(name)?;
    let rules = Rules::read(&text).with_context(name)?;
    rules.carry_out(director).with_context(name)
}
