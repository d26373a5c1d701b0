//! `./x oracle`: a virtual machine with the kernel's own IPVS, to ask it what it does and to try xvs on Debian's
//! kernel. See oracle/README.md.

mod accelerator;
mod checks;
mod image;
mod machine;
mod measure;
mod options;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::cargo;
use crate::oracle::accelerator::Accelerator;
use crate::oracle::image::Image;
use crate::oracle::machine::Output;
use crate::oracle::options::Options;

/// Builds the machine, runs a script in it, runs the checks, measures, or plays random cases to both directors.
pub fn main(words: &[String]) -> Result<ExitCode> {
    let (verb, words) = words
        .split_first()
        .map_or(("", words), |(verb, rest)| (verb.as_str(), rest));
    if verb == "diff" {
        cargo("run --quiet --package xvs-differential --")
            .args(words)
            .run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(words)?;
    match verb {
        "build" => {
            let image = Image::build(&options.kernel, options.fresh)?;
            accelerator::choose(&image)?;
            println!("The oracle's machine is ready: Linux {}", image.release()?);
            Ok(ExitCode::SUCCESS)
        }
        "run" => {
            let image = Image::build(&options.kernel, false)?;
            let accelerator = if options.sleepless {
                Accelerator::Sleepless
            } else {
                accelerator::choose(&image)?
            };
            let code = machine::run(&image, accelerator, &options.job()?, Output::Ours)?;
            Ok(ExitCode::from(code))
        }
        "check" => {
            let image = Image::build(&options.kernel, false)?;
            checks::run(&image, accelerator::choose(&image)?, &options.operands)
        }
        "measure" => measure::run(&Image::build(&options.kernel, false)?),
        _ => bail!(
            "./x oracle build, ./x oracle run SCRIPT, ./x oracle check, ./x oracle measure, or ./x oracle diff\nhint: oracle/README.md explains them"
        ),
    }
}
