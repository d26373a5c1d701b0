//! Programs, run to their end or left running, in a host's namespace or outside of all.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::error::{LabError, package_hint};
use crate::netns::Namespace;
use crate::notation::Words;

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a process is given to end by itself.
const GRACE: Duration = Duration::from_millis(1500);

/// Where this program is, and how its own commands are called.
#[derive(Debug, Clone)]
pub struct Tools {
    xvs: PathBuf,
}

impl Tools {
    /// The labs run `xvs` itself for the director, its `ipvsadm` and the web servers.
    pub fn new(xvs: PathBuf) -> Self {
        Self { xvs }
    }

    /// How a person in this folder would call `xvs`.
    pub fn as_typed(&self) -> String {
        let here = std::env::current_dir().ok();
        let short = here.and_then(|here| self.xvs.strip_prefix(here).ok());
        match short {
            // Without a slash it would be looked for in PATH.
            Some(name) if name.components().count() == 1 => format!("./{}", name.display()),
            Some(path) => path.display().to_string(),
            None => self.xvs.display().to_string(),
        }
    }

    /// Program and arguments of an `xvs` command.
    pub fn xvs<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let program = self.xvs.to_string_lossy().into_owned();
        std::iter::once(program)
            .chain(arguments.into_iter().map(str::to_owned))
            .collect()
    }

    /// Program and arguments of a command as a lab writes it: `ipvsadm` and `xvs` are this program.
    pub fn resolve(&self, command: &Words) -> Vec<String> {
        let rest = command.rest().iter().map(String::as_str);
        match command.first() {
            "ipvsadm" => self.xvs(std::iter::once("adm").chain(rest)),
            "xvs" => self.xvs(rest),
            program => std::iter::once(program)
                .chain(rest)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Runs a command in a host's namespace to its end, whatever its exit code.
pub fn run_in(namespace: &Namespace, argv: &[String]) -> Result<Output, LabError> {
    namespace.within(|| run_here(argv, namespace.host()))?
}

/// Runs a command in the calling thread's namespace, with nothing to read and bounded in time.
fn run_here(argv: &[String], host: &str) -> Result<Output, LabError> {
    let failed = |source| cannot_start(&argv[0], source);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut command = tokio::process::Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        match tokio::time::timeout(COMMAND_TIMEOUT, command.output()).await {
            Ok(output) => output.map_err(failed),
            Err(_) => Err(LabError::Endless {
                command: argv.join(" "),
                host: host.to_owned(),
                seconds: COMMAND_TIMEOUT.as_secs(),
            }),
        }
    })
}

/// Runs a program outside of the hosts, with `input` to read, to its end, whatever its exit code.
pub fn run_with_input(argv: &[&str], input: &str) -> Result<Output, LabError> {
    let failed = |source| cannot_start(argv[0], source);
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why by itself.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
            _ => {}
        }
    }
    child.wait_with_output().map_err(failed)
}

/// Starts a process in a host's namespace that goes on after this program has ended.
///
/// What it says goes to the end of the file `log`. Its process group is its own, so that Ctrl-C in the
/// terminal is not for it.
pub fn start_in(namespace: &Namespace, argv: &[String], log: &Path) -> Result<Child, LabError> {
    let failed = |source| LabError::State {
        path: log.to_owned(),
        source,
    };
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(failed)?;
    let err = out.try_clone().map_err(failed)?;
    namespace.within(|| {
        Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(|source| cannot_start(&argv[0], source))
    })?
}

/// Ends processes: asks them, waits a little, then kills them. Those that are gone already are no error.
pub fn end(processes: &[Pid]) {
    signal(processes, Signal::SIGTERM);
    let deadline = std::time::Instant::now() + GRACE;
    while processes.iter().any(|pid| is_alive(*pid)) {
        if std::time::Instant::now() > deadline {
            signal(processes, Signal::SIGKILL);
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..200 {
        if !processes.iter().any(|pid| is_alive(*pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(processes: &[Pid], signal: Signal) {
    for pid in processes {
        // The only failure is that the process has ended, which is what is wanted.
        let _ = kill(*pid, signal);
    }
}

/// Whether a process still runs. A child of ours that has ended is taken off the process table.
fn is_alive(pid: Pid) -> bool {
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    kill(pid, None) != Err(Errno::ESRCH) && !is_zombie(pid)
}

/// Whether a process has ended and its parent has not asked for it yet.
fn is_zombie(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, fields)| fields.starts_with('Z'))
    })
}

fn cannot_start(program: &str, source: io::Error) -> LabError {
    if source.kind() == io::ErrorKind::NotFound {
        return LabError::MissingProgram {
            program: program.to_owned(),
            hint: package_hint(program),
        };
    }
    LabError::Program {
        program: program.to_owned(),
        source,
    }
}
