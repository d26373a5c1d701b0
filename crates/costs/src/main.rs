//! What the test `instructions` counts: packets through the forwarding function, compiled natively.
//!
//! `xvs-costs` prints the names of the cases; `xvs-costs CASE` sends a case's packets.
#![forbid(unsafe_code)]

mod case;
mod frames;
mod site;
mod walk;

use std::env;
use std::process::ExitCode;

use crate::case::{CASES, PACKETS};

fn main() -> ExitCode {
    let Some(name) = env::args().nth(1) else {
        for case in CASES {
            println!("{PACKETS} {}", case.name);
        }
        return ExitCode::SUCCESS;
    };
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        eprintln!("there is no case '{name}'");
        return ExitCode::FAILURE;
    };
    case.run();
    ExitCode::SUCCESS
}
