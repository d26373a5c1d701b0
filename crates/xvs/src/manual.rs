//! `xvs man` and `xvs completion`: made of the command line's definition.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{cli, output};

/// Prints what makes a shell complete the program's words.
pub fn completion(shell: Shell) -> Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "xvs", &mut text);
    print(&text)
}

/// Prints the manual page, or writes one for every command into a folder.
pub fn pages(into: Option<&Path>) -> Result<ExitCode> {
    let Some(folder) = into else {
        let mut text = Vec::new();
        Man::new(cli::definition()).render(&mut text)?;
        return print(&text);
    };
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("{shown} cannot be made"))?;
    clap_mangen::generate_to(cli::definition(), folder)
        .with_context(|| format!("manual pages cannot be written to {shown}"))?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &[u8]) -> Result<ExitCode> {
    output::print(|out| Ok(out.write_all(text)?))?;
    Ok(ExitCode::SUCCESS)
}
