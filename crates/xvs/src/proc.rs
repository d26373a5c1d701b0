//! `xvs proc`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ::adm::proc::{ProcFile, print};
use anyhow::{Context, Result};
use clap::Args;

use crate::{output, place};

/// What to print, and where.
#[derive(Debug, Args)]
pub struct ProcOptions {
    /// The file to print
    #[arg(value_parser = file, required_unless_present = "into", conflicts_with = "into")]
    file: Option<ProcFile>,
    /// Write all files to DIRECTORY/net, for programs that can be told where /proc is
    ///
    /// Each is replaced whole, so that nobody reads half of one.
    #[arg(long, value_name = "DIRECTORY")]
    into: Option<PathBuf>,
    /// Write them again every so many seconds, until stopped
    #[arg(long, value_name = "SECONDS", requires = "into", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
}

fn file(text: &str) -> Result<ProcFile, String> {
    let name = text.strip_prefix("/proc/net/").unwrap_or(text);
    let mut files = ProcFile::ALL.into_iter();
    files.find(|file| file.name() == name).ok_or_else(|| {
        let names = ProcFile::ALL.map(ProcFile::name);
        format!("there are {}", names.join(", "))
    })
}

/// Prints or writes what is asked for.
pub fn main(options: &ProcOptions) -> Result<ExitCode> {
    let mut director = place::connected()?;
    if let Some(file) = options.file {
        output::print(|out| Ok(print(out, file, &mut director)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder: PathBuf = options.into.iter().map(|into| into.join("net")).collect();
    let shown = folder.display();
    fs::create_dir_all(&folder).with_context(|| format!("{shown} cannot be made"))?;
    loop {
        for file in ProcFile::ALL {
            replace(&folder, file, &mut director)
                .with_context(|| format!("{} in {shown}", file.name()))?;
        }
        let Some(seconds) = options.every else {
            return Ok(ExitCode::SUCCESS);
        };
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

/// Writes a file anew, and puts it where the old one is.
fn replace(folder: &Path, file: ProcFile, director: &mut api::Client) -> Result<()> {
    let path = folder.join(file.name());
    let new = folder.join(format!(".{}.new", file.name()));
    let mut out = BufWriter::new(File::create(&new)?);
    print(&mut out, file, director)?;
    out.flush()?;
    Ok(fs::rename(new, path)?)
}
