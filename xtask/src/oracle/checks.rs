//! `./x oracle check`: what must hold on Debian's kernel, tried in the machine.
//!
//! A check is a script in oracle/checks whose first line of comment says what holds. Its exit code says whether it
//! does.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{Program, cargo, root};
use crate::oracle::accelerator::Accelerator;
use crate::oracle::image::{self, Image};
use crate::oracle::machine::{self, Init, Job, Output};

/// What the static program is built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// How long a check may take. Where the processor is emulated, the kernel takes minutes to verify the
/// programs, and some checks load them several times.
const PATIENCE: Duration = Duration::from_secs(3600);
/// A line of a check that wants systemd as the machine's first process.
const BY_SYSTEMD: &str = "# init: systemd";

/// A check.
struct Check {
    script: PathBuf,
    name: String,
    holds: String,
    init: Init,
}

/// Runs the checks of these names, or all.
pub fn run(image: &Image, accelerator: Accelerator, names: &[String]) -> Result<ExitCode> {
    let checks = selected(all()?, names)?;
    let program = static_program()?;
    let logs = image::folder().join("logs");
    fs::create_dir_all(&logs).context("no folder for logs")?;
    println!("Linux {}", image.release()?);
    let mut failed = 0;
    for check in &checks {
        print!("{}: {} ... ", check.name, check.holds);
        std::io::stdout().flush()?;
        let began = Instant::now();
        let log = logs.join(format!("{}.log", check.name));
        let outcome = machine::run(image, accelerator, &check.job(&program), Output::File(&log));
        let took = began.elapsed().as_secs();
        match outcome {
            Ok(0) => println!("ok ({took} s)"),
            Ok(code) => println!("FAILED ({took} s, exit code {code})"),
            Err(ref error) => println!("FAILED ({took} s): {error:#}"),
        }
        if !matches!(outcome, Ok(0)) {
            failed += 1;
            print!("{}", fs::read_to_string(&log).unwrap_or_default());
        }
    }
    println!("{} passed, {failed} failed", checks.len() - failed);
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Check {
    fn read(script: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&script).with_context(|| script.display().to_string())?;
        let mut comments = text.lines().filter_map(|line| line.strip_prefix("# "));
        let holds = comments
            .next()
            .with_context(|| format!("{} does not say what holds", script.display()))?;
        let init = if text.lines().any(|line| line == BY_SYSTEMD) {
            Init::Systemd
        } else {
            Init::Script
        };
        Ok(Self {
            name: script
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            holds: holds.trim_end_matches('.').to_owned(),
            init,
            script,
        })
    }

    fn job(&self, program: &Path) -> Job {
        let beside = ["oracle/lib.sh", "packaging"].map(|file| root().join(file));
        Job {
            script: self.script.clone(),
            files: [program.to_owned()].into_iter().chain(beside).collect(),
            arguments: Vec::new(),
            out: None,
            patience: PATIENCE,
            init: self.init,
        }
    }
}

/// Every check, by name.
fn all() -> Result<Vec<Check>> {
    let folder = root().join("oracle/checks");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut scripts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sh"));
    scripts.sort_unstable();
    scripts.into_iter().map(Check::read).collect()
}

fn selected(checks: Vec<Check>, names: &[String]) -> Result<Vec<Check>> {
    if let Some(name) = names
        .iter()
        .find(|name| checks.iter().all(|check| check.name != **name))
    {
        let known: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        bail!("there is no check '{name}', but {}", known.join(", "));
    }
    let is_wanted = |check: &Check| names.is_empty() || names.contains(&check.name);
    Ok(checks.into_iter().filter(is_wanted).collect())
}

/// xvs as it would be released, but without need of a C library in the machine, which may have an older one than
/// this host.
pub fn static_program() -> Result<PathBuf> {
    let target = root().join("target/oracle");
    eprintln!("x: oracle: building xvs, optimized and static (minutes when it is the first time)");
    cargo("build --quiet --release --package xvs --config profile.release.strip=true --target")
        .args([TARGET, "--target-dir"])
        .args([&target])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .run()?;
    let program = target.join(TARGET).join("release/xvs");
    // Linked to nothing, it can be checked here already.
    Program::new(&program).args(["--version"]).output()?;
    Ok(program)
}
