//! `xvs lab run`: one lab with all that is seen in it, or many, with a table of how they ended.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::cli::gate;
use crate::definition::Lab;
use crate::error::LabError;
use crate::interrupt::{Gate, Gated};
use crate::library;
use crate::lifecycle::{Hook, Offloads, Options, Running};
use crate::process::Tools;
use crate::report::Report;
use crate::run;
use crate::summary::{Run, Summary};

/// The hooks on which all labs run, unless told otherwise.
const BOTH: [Hook; 2] = [Hook::Xdp, Hook::Tc];

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Names of labs, or paths of lab files; of several, only a table of how they ended is printed
    #[arg(required_unless_present = "all", value_name = "LAB")]
    labs: Vec<String>,
    /// All labs of the program but those that take minutes
    #[arg(long, conflicts_with_all = ["labs", "ipv6"])]
    all: bool,
    /// With --all, also those that take minutes
    #[arg(long, requires = "all")]
    long: bool,
    /// The same labs with IPv6 addresses
    #[arg(long)]
    ipv6: bool,
    /// Only this step, after the changes of those before it
    #[arg(long, conflicts_with = "all")]
    step: Option<usize>,
    /// Where the director takes packets; several are run one after the other. Without it auto, and
    /// with --all both xdp and tc
    #[arg(long, value_enum, value_delimiter = ',')]
    hook: Vec<Hook>,
    /// What the hosts' interfaces leave to hardware
    #[arg(long, value_enum, default_value_t)]
    offloads: Offloads,
    /// Print JSON, at the end
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    fn labs(&self) -> Result<Vec<Lab>, LabError> {
        if self.all {
            let mut labs = library::built_in()?;
            labs.retain(|lab| self.long || !lab.long);
            return Ok(labs);
        }
        let names = self.labs.iter();
        names.map(|name| library::find(name, self.ipv6)).collect()
    }

    fn hooks(&self) -> Vec<Hook> {
        match self.hook.as_slice() {
            [] if self.all => BOTH.to_vec(),
            [] => vec![Hook::Auto],
            hooks => hooks.to_vec(),
        }
    }

    fn options(&self, hook: Hook, tools: &Tools) -> Options {
        Options {
            hook,
            // Without offloads XDP does not work, and what is asked for is meant for the others.
            offloads: match self.hooks().len() > 1 && hook.is_xdp() {
                true => Offloads::System,
                false => self.offloads,
            },
            tools: tools.clone(),
        }
    }
}

/// Runs what is asked for. The exit code says whether all was as expected.
pub(crate) fn run(args: &RunArgs, tools: &Tools) -> Result<ExitCode, LabError> {
    let labs = args.labs()?;
    let hooks = args.hooks();
    for lab in &labs {
        run::check_step(lab, args.step)?;
    }
    let gate = gate(&labs, tools)?;
    let passed = match (labs.as_slice(), hooks.as_slice()) {
        ([lab], [hook]) => one(lab, &args.options(*hook, tools), args, &gate)?,
        _ => many(&labs, &hooks, args, tools, &gate)?,
    };
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one lab and shows everything.
fn one(lab: &Lab, options: &Options, args: &RunArgs, gate: &Gate) -> Result<bool, LabError> {
    let sink: Box<dyn Write> = if args.json {
        Box::new(io::sink())
    } else {
        Box::new(io::stdout())
    };
    let mut out = Gated::new(gate.clone(), sink);
    let report = walk(lab, options, args.step, gate, &mut out)?;
    if args.json {
        print_json(&report)?;
    }
    Ok(report.passed)
}

/// Runs labs one after the other, and prints a table; of those that failed, everything.
fn many(
    labs: &[Lab],
    hooks: &[Hook],
    args: &RunArgs,
    tools: &Tools,
    gate: &Gate,
) -> Result<bool, LabError> {
    let mut out = Gated::new(gate.clone(), io::stdout());
    let mut say = |text: String| match args.json {
        true => Ok(()),
        false => out
            .write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(LabError::Output),
    };
    let mut summary = Summary::new(hooks.to_vec());
    say(summary.heading())?;
    for lab in labs {
        say(summary.row_name(&lab.name))?;
        for hook in hooks {
            let run = quietly(lab, &args.options(*hook, tools), args.step, gate)?;
            say(run.cell())?;
            summary.add(run);
        }
        say("\n".to_owned())?;
    }
    say(summary.end())?;
    if args.json {
        print_json(&summary)?;
    }
    Ok(summary.passed)
}

/// Runs a lab and keeps what there is to say. Only what would fail every lab is an error here.
fn quietly(
    lab: &Lab,
    options: &Options,
    step: Option<usize>,
    gate: &Gate,
) -> Result<Run, LabError> {
    let begin = Instant::now();
    let mut said = Vec::new();
    let result = walk(lab, options, step, gate, &mut said);
    let result = match result {
        Err(
            error @ (LabError::NotRoot
            | LabError::Interrupted
            | LabError::MissingProgram { .. }
            | LabError::OffloadsOfXdp),
        ) => return Err(error),
        Err(error) => Err(error.to_string()),
        Ok(report) => Ok(report),
    };
    Ok(Run {
        lab: lab.name.clone(),
        hook: options.hook,
        seconds: begin.elapsed().as_secs_f64(),
        said: String::from_utf8_lossy(&said).into_owned(),
        result,
    })
}

/// Brings a lab up, walks through its steps, takes it down.
fn walk(
    lab: &Lab,
    options: &Options,
    step: Option<usize>,
    gate: &Gate,
    out: &mut dyn Write,
) -> Result<Report, LabError> {
    let begin = Instant::now();
    writeln!(out, "{}: {}\n{}", lab.name, lab.title, lab.about).map_err(LabError::Output)?;
    let running = Running::up(lab, options, gate)?;
    running.set_up(out)?;
    let steps = run::steps(&running, step, out)?;
    running.down()?;
    let passed = steps.iter().all(|step| step.passed);
    let verdict = if passed {
        "as expected"
    } else {
        "NOT as expected"
    };
    writeln!(
        out,
        "\n{}: {} of {} steps run, {verdict}",
        lab.name,
        steps.len(),
        lab.steps.len()
    )
    .map_err(LabError::Output)?;
    Ok(Report {
        lab: lab.name.clone(),
        hook: options.hook.as_str(),
        seconds: begin.elapsed().as_secs_f64(),
        steps,
        passed,
    })
}

fn print_json(value: &impl serde::Serialize) -> Result<(), LabError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| LabError::Output(error.into()))?;
    writeln!(io::stdout(), "{text}").map_err(LabError::Output)
}
