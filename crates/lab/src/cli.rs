//! `xvs lab`: arguments, and what each command does.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand};

use crate::capture_command::{self, CaptureArgs};
use crate::check::{SEGMENTS, list};
use crate::definition::Lab;
use crate::diagram::Diagram;
use crate::error::LabError;
use crate::interrupt::{Gate, Gated};
use crate::lifecycle::{self, Hook, Offloads, Options, Running};
use crate::netns::{self, Namespace};
use crate::notation::Words;
use crate::process::Tools;
use crate::run_command::{self, RunArgs};
use crate::state::{self, Purpose};
use crate::{demo, http_server, library, lock};

/// Names another `xvs` than the running program, for the director and the web servers.
const XVS_BIN: &str = "XVS_BIN";

/// Labs: networks of namespaces in which virtual servers are tried, shown and explained.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// List the labs and say which are up
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring a lab up and leave it up
    Up(UpArgs),
    /// Bring labs up, walk through their steps, compare with what is expected, take them down
    Run(RunArgs),
    /// Take a lab down, and whatever a crashed run has left of it
    Down {
        /// Name of the lab
        lab: String,
    },
    /// Run a command on a host of a lab that is up
    Exec(ExecArgs),
    /// Run a shell on a host of a lab that is up
    Shell {
        /// Name of the lab
        lab: String,
        /// Host of the lab
        host: String,
    },
    /// Show what is on a host's wires as it comes, or write it to a file
    Capture(CaptureArgs),
    /// Draw which host is on which segment
    Diagram(DiagramArgs),
    /// Show VS/NAT by weight from the first command to the last, with one connection's way
    Demo {
        /// Where the director takes packets
        #[arg(long, value_enum, default_value_t)]
        hook: Hook,
    },
    /// Serve pages that say who sends them: what real servers of the labs run
    Http {
        /// Who the server says it is
        #[arg(long)]
        name: String,
        /// Address and port to listen on
        #[arg(long, default_value = "0.0.0.0:80")]
        listen: SocketAddr,
        /// Be told clients by the PROXY protocol, and say whom
        #[arg(long)]
        proxy: bool,
    },
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Name of a lab, or path of a lab file
    lab: String,
    /// The same lab with IPv6 addresses
    #[arg(long)]
    ipv6: bool,
    /// Where the director takes packets
    #[arg(long, value_enum, default_value_t)]
    hook: Hook,
    /// What the hosts' interfaces leave to hardware
    #[arg(long, value_enum, default_value_t)]
    offloads: Offloads,
}

/// Arguments of `diagram`.
#[derive(Debug, Args)]
pub struct DiagramArgs {
    /// Name of a lab, or path of a lab file
    lab: String,
    /// The same lab with IPv6 addresses
    #[arg(long)]
    ipv6: bool,
    /// As an SVG picture
    #[arg(long, conflicts_with = "json")]
    svg: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Name of the lab
    lab: String,
    /// Host of the lab
    host: String,
    /// Command and arguments; `ipvsadm` and `xvs` are this program
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Does what a command says. The exit code says whether what was found is as expected.
pub fn main(command: LabCommand) -> Result<ExitCode, LabError> {
    match perform(command) {
        // Whoever read our output has seen enough, as in `xvs lab run .. | head`.
        Err(LabError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::FAILURE)
        }
        other => other,
    }
}

fn perform(command: LabCommand) -> Result<ExitCode, LabError> {
    let tools = Tools::new(own_program()?);
    match command {
        LabCommand::List { json } => list_labs(json),
        LabCommand::Up(args) => up(&args, tools),
        LabCommand::Run(args) => run_command::run(&args, &tools),
        LabCommand::Down { lab } => down(&lab, &tools),
        LabCommand::Exec(args) => exec(&args, &tools),
        LabCommand::Shell { lab, host } => shell(&lab, &host),
        LabCommand::Capture(args) => capture(&args),
        LabCommand::Diagram(args) => diagram(&args),
        LabCommand::Demo { hook } => {
            let lab = library::find(demo::LAB, false)?;
            let gate = gate(std::slice::from_ref(&lab), &tools)?;
            let offloads = Offloads::System;
            let options = Options {
                hook,
                offloads,
                tools,
            };
            demo::demo(
                &lab,
                &options,
                &gate,
                &mut Gated::new(gate.clone(), io::stdout()),
            )?;
            Ok(ExitCode::SUCCESS)
        }
        LabCommand::Http {
            name,
            listen,
            proxy,
        } => {
            http_server::serve(&name, listen, proxy)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn own_program() -> Result<PathBuf, LabError> {
    if let Some(path) = std::env::var_os(XVS_BIN) {
        return Ok(path.into());
    }
    std::env::current_exe().map_err(|source| LabError::Program {
        program: "xvs".to_owned(),
        source,
    })
}

/// A gate that is shut by Ctrl-C and the like, after which whichever of the labs is up is removed.
pub(crate) fn gate(labs: &[Lab], tools: &Tools) -> Result<Gate, LabError> {
    let gate = Gate::default();
    let names: Vec<String> = labs.iter().map(|lab| lab.name.clone()).collect();
    let tools = tools.clone();
    gate.shut_on_signals(move || {
        for name in names.iter().filter(|name| lock::is_own(name)) {
            let end = match lifecycle::demolish(name, &tools) {
                Ok(()) => format!("interrupted; lab {name} is removed"),
                Err(error) => format!("interrupted; {error}"),
            };
            lock::abandon(name);
            // Without a place to say it, there is nobody to hear it.
            let _ = writeln!(io::stderr(), "{end}");
        }
    })?;
    Ok(gate)
}

fn up(args: &UpArgs, tools: Tools) -> Result<ExitCode, LabError> {
    let lab = library::find(&args.lab, args.ipv6)?;
    let gate = gate(std::slice::from_ref(&lab), &tools)?;
    let mut out = Gated::new(gate.clone(), io::stdout());
    let options = Options {
        hook: args.hook,
        offloads: args.offloads,
        tools,
    };
    let running = Running::up(&lab, &options, &gate)?;
    running.set_up(&mut out)?;
    let hosts: Vec<&str> = lab.hosts.iter().map(|host| host.name.as_str()).collect();
    writeln!(out, "lab {} is up, with {}", lab.name, list(&hosts)).map_err(LabError::Output)?;
    writeln!(
        out,
        "look around: xvs lab exec {} {} COMMAND",
        lab.name, hosts[0]
    )
    .map_err(LabError::Output)?;
    writeln!(out, "take it down: xvs lab down {}", lab.name).map_err(LabError::Output)?;
    running.keep()?;
    Ok(ExitCode::SUCCESS)
}

fn down(name: &str, tools: &Tools) -> Result<ExitCode, LabError> {
    let name = name_of(name)?;
    let was_there = lifecycle::down(&name, tools)?;
    let said = if was_there {
        "is removed"
    } else {
        "was not up"
    };
    writeln!(io::stdout(), "lab {name} {said}").map_err(LabError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// A lab file's lab, or the name as it is: a lab can be taken down when its file is gone.
fn name_of(name: &str) -> Result<String, LabError> {
    if name.contains('/') || name.ends_with(".toml") {
        return Ok(library::find(name, false)?.name);
    }
    if state::read(name).is_none() && netns::of_lab(name).is_empty() {
        library::find(name, false)?;
    }
    Ok(name.to_owned())
}

fn exec(args: &ExecArgs, tools: &Tools) -> Result<ExitCode, LabError> {
    let namespace = namespace_of(&name_of(&args.lab)?, &args.host)?;
    let words = Words::new(args.command.clone()).expect("clap wants a command of one word or more");
    become_command(&namespace, Command::new("ip"), &tools.resolve(&words))
}

/// A shell on a host, in which the program is found by its names.
fn shell(lab: &str, host: &str) -> Result<ExitCode, LabError> {
    let lab = name_of(lab)?;
    let namespace = namespace_of(&lab, host)?;
    let programs = state::programs(&lab, &own_program()?)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let mut command = Command::new("ip");
    command
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("PS1", format!("{lab} {host} # "));
    let mut argv = vec![shell];
    if argv[0].ends_with("bash") {
        // Its own files would set another prompt.
        argv.push("--norc".to_owned());
    }
    become_command(&namespace, command, &argv)
}

/// Becomes a command on a host. Returns only where that fails.
fn become_command(
    namespace: &Namespace,
    mut ip: Command,
    argv: &[String],
) -> Result<ExitCode, LabError> {
    let source = ip
        .args(["netns", "exec", namespace.name()])
        .args(argv)
        .exec();
    Err(LabError::Program {
        program: format!("ip netns exec {}", namespace.name()),
        source,
    })
}

/// The namespace of a host of a lab that is up.
fn namespace_of(lab: &str, host: &str) -> Result<Namespace, LabError> {
    let namespace = Namespace::of(lab, host);
    if namespace.exists() {
        return Ok(namespace);
    }
    let hosts = netns::of_lab(lab);
    let known: Vec<&str> = hosts
        .iter()
        .map(Namespace::host)
        .filter(|host| *host != SEGMENTS)
        .collect();
    let lab = lab.to_owned();
    Err(match known.as_slice() {
        [] => LabError::NotUp { lab },
        known => LabError::UnknownHost {
            lab,
            host: host.to_owned(),
            known: list(known),
        },
    })
}

fn capture(args: &CaptureArgs) -> Result<ExitCode, LabError> {
    let lab = library::find(&args.lab, false)?;
    namespace_of(&lab.name, &args.host)?;
    let host = lab.hosts.iter().find(|host| host.name == args.host);
    let host = host.ok_or_else(|| {
        let known: Vec<&str> = lab.hosts.iter().map(|host| host.name.as_str()).collect();
        LabError::UnknownHost {
            lab: lab.name.clone(),
            host: args.host.clone(),
            known: list(&known),
        }
    })?;
    capture_command::run(args, &lab, host)
}

fn diagram(args: &DiagramArgs) -> Result<ExitCode, LabError> {
    let diagram = Diagram::of(&library::find(&args.lab, args.ipv6)?);
    let text = if args.json {
        let json = serde_json::to_string_pretty(&diagram);
        json.map_err(|error| LabError::Output(error.into()))? + "\n"
    } else if args.svg {
        diagram.svg()
    } else {
        diagram.text()
    };
    write!(io::stdout(), "{text}").map_err(LabError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn list_labs(json: bool) -> Result<ExitCode, LabError> {
    let mut rows: Vec<(String, String)> = library::built_in()?
        .into_iter()
        .map(|lab| (lab.name, lab.title))
        .collect();
    for name in state::remembered() {
        if !rows.iter().any(|(known, _)| *known == name) {
            rows.push((name, "from a file of your own".to_owned()));
        }
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, title)| (status(&name), name, title))
        .collect();
    let text = if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(status, name, title)| serde_json::json!({ "lab": name, "title": title, "status": status }))
            .collect();
        serde_json::to_string_pretty(&rows).map_err(|error| LabError::Output(error.into()))?
    } else {
        rows.iter()
            .map(|(status, name, title)| format!("{name:<24}{status:<10}{title}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    writeln!(io::stdout(), "{text}").map_err(LabError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// What state a lab is in, in a word or two.
fn status(lab: &str) -> &'static str {
    match state::read(lab).map(|state| state.purpose) {
        _ if lock::is_held(lab) => "in use",
        Some(Purpose::Stay) => "up",
        Some(Purpose::Run) => "crashed",
        None if !netns::of_lab(lab).is_empty() => "crashed",
        None => "-",
    }
}
