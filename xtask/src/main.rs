//! What `./x` does once everything it needs is there: one verb, one function.
#![forbid(unsafe_code)]

mod command;
mod lint;
mod map;
mod oracle;
mod text;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::cargo;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match run(&verb, &rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("x: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, rest: &[String]) -> Result<ExitCode> {
    match verb {
        // Its exit code is that of a script.
        "oracle" => return oracle::main(rest),
        "build" => cargo("build").args(rest).run(),
        "lint" => lint::all(),
        "test" => test(rest),
        // Not the release profile: the demo then uses what the tests have built, and the BPF
        // programs are optimized in either.
        "demo" => cargo("run --quiet --package xvs -- lab demo")
            .args(rest)
            .run(),
        "labs" => cargo("run --quiet --package xvs -- lab run --all")
            .args(rest)
            .run(),
        "bench" => {
            // The benchmark runs the program that lies beside it.
            cargo("build --quiet --release --package xvs --package xvs-bench").run()?;
            cargo("run --quiet --release --package xvs-bench --")
                .args(rest)
                .run()
        }
        _ => bail!("there is no verb '{verb}'; ./x help lists them"),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Runs every ring of tests, or what `rest` selects of them.
fn test(rest: &[String]) -> Result<()> {
    if rest.is_empty() {
        eprintln!(
            "x: unit and property tests, packets on the native host and through BPF_PROG_TEST_RUN, \
             real TCP in network namespaces"
        );
    }
    cargo("test --no-fail-fast").args(rest).run()
}
