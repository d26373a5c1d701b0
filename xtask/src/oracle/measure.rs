//! `./x oracle measure`: what a packet costs xvs and the kernel's own directors, in instructions.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::command::root;
use crate::oracle::accelerator::Accelerator;
use crate::oracle::checks;
use crate::oracle::image::Image;
use crate::oracle::machine::{self, Init, Job, Output};

/// The kernel verifies the programs twice, and one emulated processor does everything.
const PATIENCE: Duration = Duration::from_secs(7200);

/// Runs the script that measures; what it prints is a table.
pub fn run(image: &Image) -> Result<ExitCode> {
    let beside = ["cost/send.py", "cost/drop.py", "lib.sh"];
    let beside = beside.map(|file| root().join("oracle").join(file));
    let job = Job {
        script: root().join("oracle/cost/measure.sh"),
        files: [checks::static_program()?]
            .into_iter()
            .chain(beside)
            .collect(),
        arguments: Vec::new(),
        out: None,
        patience: PATIENCE,
        init: Init::Script,
    };
    // Only this machine's clock counts instructions.
    let code = machine::run(image, Accelerator::Sleepless, &job, Output::Ours)?;
    Ok(ExitCode::from(code))
}
