//! `./x oracle diff`: random cases through the kernel's IPVS and through xvs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Parser;
use differential::recorded::{self, Recorded};
use differential::{Case, Difference, Facts, World, case, compare, generate, oracle, shrink};

/// How often a case is made smaller.
const SHRINKS: usize = 8;
/// How long the machine may take for a case, in seconds, and to boot.
const PATIENCE: (usize, usize) = (20, 120);

/// Plays random cases to the kernel's IPVS, in the oracle's machine, and to xvs, and compares what both did.
#[derive(Parser)]
#[command(name = "./x oracle diff")]
struct Options {
    /// How many cases.
    #[arg(long, default_value_t = 100)]
    cases: usize,
    /// The seed of the first case; each case after it has the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Plays the cases of a file instead.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Keeps the cases that do not differ, with what the kernel showed, for a replay without it.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Shows differing cases as they are.
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("x: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many cases differ.
fn run(options: &Options) -> Result<usize> {
    let cases: Vec<Case> = match &options.file {
        Some(file) => {
            case::parse(&fs::read_to_string(file).with_context(|| file.display().to_string())?)?
        }
        None => (options.seed..)
            .take(options.cases)
            .map(generate::case)
            .collect(),
    };
    let kernel = ask(&cases)?;
    let differences = differences(&cases, &kernel);
    if let Some(file) = &options.record {
        record(file, &cases, &kernel, &differences)?;
    }
    for difference in &differences {
        let shrunk = if options.no_shrink {
            difference.clone()
        } else {
            smaller(difference.clone())?
        };
        println!("{shrunk}");
    }
    let names: Vec<&str> = differences
        .iter()
        .map(|difference| difference.case.name.as_str())
        .collect();
    println!(
        "{} cases, {} differ: {}",
        cases.len(),
        names.len(),
        names.join(" ")
    );
    Ok(differences.len())
}

/// What xvs does otherwise than the kernel. Cases that leave it in doubt are left out.
fn differences(cases: &[Case], kernel: &[Vec<Facts>]) -> Vec<Difference> {
    let pairs = cases.iter().zip(kernel);
    pairs
        .filter_map(|(case, kernel)| {
            let mut world = World::native();
            let xvs = world.play(case);
            compare(case, kernel, &xvs).filter(|_| !world.is_doubtful)
        })
        .collect()
}

/// Leaves out of a case what is not needed for it to differ.
fn smaller(mut difference: Difference) -> Result<Difference> {
    for _ in 0..SHRINKS {
        let candidates = shrink::candidates(&difference.case);
        let kernel = ask(&candidates)?;
        let found = differences(&candidates, &kernel)
            .into_iter()
            .min_by_key(|difference| difference.case.steps.len());
        match found {
            Some(mut found) if found.case.steps.len() < difference.case.steps.len() => {
                found.case.name.clone_from(&difference.case.name);
                difference = found;
            }
            _ => break,
        }
    }
    Ok(difference)
}

/// Lets the machine play cases.
fn ask(cases: &[Case]) -> Result<Vec<Vec<Facts>>> {
    let folder = tempfile::tempdir().context("cannot make a folder for the cases")?;
    let file = folder.path().join("cases");
    fs::write(&file, oracle::questions(cases)).context("cannot write the cases")?;
    let out = folder.path().join("out");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (a_case, boot) = PATIENCE;
    let status = Command::new(root.join("x"))
        .args(["oracle", "run", "--sleepless", "--timeout"])
        .arg((a_case * cases.len() + boot).to_string())
        .arg("--out")
        .arg(&out)
        .args(
            ["play.sh", "play.py", "network"]
                .map(|file| root.join("oracle/differential").join(file)),
        )
        .arg(&file)
        .current_dir(&root)
        .stdout(Stdio::inherit())
        .status()
        .context("./x does not start")?;
    if !status.success() {
        bail!("the machine did not play the cases: {status}");
    }
    let answers = fs::read_to_string(out.join("answers")).context("the machine left no answers")?;
    Ok(oracle::answers(cases, &answers)?)
}

fn record(
    file: &Path,
    cases: &[Case],
    kernel: &[Vec<Facts>],
    differences: &[Difference],
) -> Result<()> {
    let differs = |case: &Case| differences.iter().any(|other| other.case.name == case.name);
    let pairs = cases.iter().zip(kernel).filter(|(case, _)| !differs(case));
    let texts = pairs.map(|(case, kernel)| {
        recorded::write(&Recorded {
            case: case.clone(),
            kernel: kernel.clone(),
        })
    });
    let text: String = texts.collect();
    fs::write(file, text).with_context(|| file.display().to_string())
}
