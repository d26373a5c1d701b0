//! `ipvsadm`, `ipvsadm-save` and `ipvsadm-restore`.

use std::io;
use std::process::ExitCode;

use adm::{Program, Streams};

use crate::cli::AdmWords;
use crate::names::SystemNames;
use crate::place;

/// `xvs adm`.
pub fn command(words: AdmWords) -> ExitCode {
    let args: Vec<String> = std::iter::once("ipvsadm".to_owned())
        .chain(words.words)
        .collect();
    main(Program::Ipvsadm, &args)
}

/// One of the three programs, with its arguments; the first is its name.
pub fn main(program: Program, args: &[String]) -> ExitCode {
    let mut director = match place::client() {
        Ok(director) => director,
        Err(error) => {
            eprintln!("xvs: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let streams = Streams {
        input: &mut io::stdin().lock(),
        output: &mut io::stdout().lock(),
        errors: &mut io::stderr().lock(),
    };
    ExitCode::from(adm::run(
        program,
        args,
        streams,
        &mut director,
        &SystemNames::new(),
    ))
}
