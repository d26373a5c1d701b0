//! Running other programs: what runs is said, and what fails is an error that names it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program to run in the project's root, with its output going where ours goes.
pub struct Program(Command);

/// The cargo that runs this program, with arguments that are split at spaces.
pub fn cargo(arguments: &str) -> Program {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Program::new(cargo).args(arguments.split_whitespace())
}

/// The folder of the project.
pub fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder
        .parent()
        .expect("xtask lies in the project's root")
        .to_owned()
}

impl Program {
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.current_dir(root());
        // Which package xtask is says nothing to what it starts, and would make cargo build things again.
        for (name, _) in env::vars_os() {
            if is_about_xtask(&name) {
                command.env_remove(name);
            }
        }
        Self(command)
    }

    pub fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.0.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// The folder to run in, relative to the project's root.
    pub fn folder(mut self, folder: &str) -> Self {
        self.0.current_dir(root().join(folder));
        self
    }

    /// Runs it to its end; anything but success is an error.
    pub fn run(mut self) -> Result<()> {
        let status = self
            .0
            .status()
            .with_context(|| format!("{} does not start", self.line()))?;
        if !status.success() {
            bail!("{}: {status}", self.line());
        }
        Ok(())
    }

    /// Runs it to its end and returns what it printed.
    pub fn output(mut self) -> Result<String> {
        let output = self
            .0
            .output()
            .with_context(|| format!("{} does not start", self.line()))?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                self.line(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).with_context(|| self.line())
    }

    /// The command as one would type it.
    pub fn line(&self) -> String {
        let program = Path::new(self.0.get_program())
            .file_name()
            .unwrap_or_default();
        let words = std::iter::once(program).chain(self.0.get_args());
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn is_about_xtask(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_CRATE_")
    })
}
