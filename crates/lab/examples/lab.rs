//! The labs' command line alone, as a program: what `xvs lab` is.

use std::process::ExitCode;

use clap::Parser;

/// Labs of virtual servers, made of network namespaces.
#[derive(Debug, Parser)]
#[command(name = "lab")]
struct Arguments {
    #[command(subcommand)]
    command: Outer,
}

/// `lab lab http` is how the labs call themselves, as `xvs lab http`.
#[derive(Debug, clap::Subcommand)]
enum Outer {
    #[command(subcommand)]
    Lab(lab::cli::LabCommand),
}

fn main() -> ExitCode {
    let Outer::Lab(command) = Arguments::parse().command;
    match lab::cli::main(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
