//! `xvs man` and `xvs completion`: made of what the command lines and the files are defined by.

pub mod file;
pub mod ipvsadm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{cli, output};

/// What to complete, and where.
#[derive(Debug, Args)]
pub struct CompletionOptions {
    /// The shell
    shell: Shell,
    /// The program whose words are completed
    #[arg(value_enum, default_value_t)]
    program: Program,
}

/// A program with options of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// This one
    #[default]
    Xvs,
    /// ipvsadm
    Ipvsadm,
}

/// Which pages, and where they go.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// The page: xvs, that of one of its commands as in xvs-serve, ipvsadm, or xvs.conf
    #[arg(default_value = "xvs")]
    page: String,
    /// Write all pages here: xvs.1, xvs-serve.1 and so on, xvs.conf.5, ipvsadm.8
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "page")]
    into: Option<PathBuf>,
}

/// Prints what makes a shell complete a program's words.
pub fn completion(options: &CompletionOptions) -> Result<ExitCode> {
    let text = completion_text(options.program, options.shell);
    output::print(|out| Ok(out.write_all(&text)?))?;
    Ok(ExitCode::SUCCESS)
}

/// What makes a shell complete a program's words.
pub fn completion_text(program: Program, shell: Shell) -> Vec<u8> {
    let (name, mut definition) = match program {
        Program::Xvs => ("xvs", cli::definition()),
        Program::Ipvsadm => ("ipvsadm", ipvsadm::definition()),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition, name, &mut text);
    text
}

/// Prints a page, or writes all of them.
pub fn print_or_write(options: &ManOptions) -> Result<ExitCode> {
    let pages = pages()?;
    if let Some(folder) = &options.into {
        write(&pages, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |page: &&Page| page.name == options.page;
    let Some(page) = pages.iter().find(wanted) else {
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        bail!(
            "there is no page `{}'\nhint: {}",
            options.page,
            names.join(", ")
        );
    };
    output::print(|out| Ok(out.write_all(&page.text)?))?;
    Ok(ExitCode::SUCCESS)
}

/// A page of the manual.
pub struct Page {
    /// What it is asked for by.
    pub name: String,
    /// The manual's section.
    pub section: u8,
    /// The page, for roff.
    pub text: Vec<u8>,
}

impl Page {
    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// Every page.
///
/// # Errors
/// When one cannot be put together.
pub fn pages() -> Result<Vec<Page>> {
    let mut command = cli::definition().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    commands(&command, &mut pages)?;
    pages.push(file::page()?);
    pages.extend(ipvsadm::pages()?);
    Ok(pages)
}

/// The pages of a command and of those below it.
fn commands(command: &clap::Command, pages: &mut Vec<Page>) -> Result<()> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render(&mut text)?;
    let file = man.get_filename();
    let name = file.strip_suffix(".1").unwrap_or(&file).to_owned();
    let section = 1;
    pages.push(Page {
        name,
        section,
        text,
    });
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    for below in below {
        commands(below, pages)?;
    }
    Ok(())
}

fn write(pages: &[Page], folder: &Path) -> Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("{shown} cannot be made"))?;
    for page in pages {
        fs::write(folder.join(page.file()), &page.text)
            .with_context(|| format!("manual pages cannot be written to {shown}"))?;
    }
    Ok(())
}
