//! One program: the director's daemon, its command lines, and labs to try it in.
//!
//! Called as `ipvsadm`, `ipvsadm-save`, `ipvsadm-restore` or `keepalived` it is those.

#![forbid(unsafe_code)]

mod adm;
mod bench;
mod bfd;
mod cli;
mod config;
mod health_command;
mod install;
mod keepalived;
mod laddr;
mod list;
mod manual;
mod mark;
mod names;
mod output;
mod place;
mod proc;
mod realserver;
mod rules;
mod serve;
mod settings;
mod status;
mod trace;
mod vrrp;

use std::process::ExitCode;

use anyhow::Result;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    if let Some(program) = args
        .first()
        .and_then(|name| ::adm::Program::from_path(name))
    {
        return adm::main(program, &args);
    }
    let is_keepalived = args
        .first()
        .is_some_and(|name| keepalived::program::is_called(name));
    let ended = if is_keepalived {
        keepalived::program::main(&args)
    } else {
        run(cli::parse(args))
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xvs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: cli::Command) -> Result<ExitCode> {
    match command {
        cli::Command::Serve(options) => serve::main(*options),
        cli::Command::Adm(words) => Ok(adm::command(words)),
        cli::Command::List(options) => list::main(&options),
        cli::Command::Health { json } => health_command::main(json),
        cli::Command::Reload => health_command::reload(),
        cli::Command::Bfd { json } => bfd::main(json),
        cli::Command::Vrrp { json, watch } => vrrp::main(json, watch),
        cli::Command::Status { json } => status::main(json),
        cli::Command::Trace(options) => trace::main(&options),
        cli::Command::Set(options) => settings::main(&options),
        cli::Command::Mark(command) => mark::main(command),
        cli::Command::Laddr(command) => laddr::main(&command),
        cli::Command::Config(command) => config::main(&command),
        cli::Command::Check(options) => keepalived::check(&options),
        cli::Command::Proc(options) => proc::main(&options),
        cli::Command::Bench(options) => bench::main(&options),
        cli::Command::Realserver(options) => realserver::main(&options),
        cli::Command::Install(options) => install::main(&options),
        cli::Command::Completion(options) => manual::completion(&options),
        cli::Command::Man(options) => manual::print_or_write(&options),
        cli::Command::Lab(command) => Ok(lab::cli::main(command)?),
    }
}
