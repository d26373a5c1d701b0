//! The daemon and its commands, as programs of their own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::{Error, refused};
use crate::hosts::Host;
use crate::report::Row;

/// How often the memory of a command is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// How long the daemon may take to load its programs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Seconds from its start to its end.
    pub seconds: f64,
    /// Its own memory at its highest, in MiB.
    pub peak: f64,
    /// Lines that it printed.
    pub lines: u32,
}

/// `xvs serve` in the director's namespace; it ends with this, and its data plane too.
pub struct Daemon {
    program: PathBuf,
    process: Child,
    state: TempDir,
}

impl Daemon {
    /// Starts it, with tables of these sizes.
    ///
    /// # Errors
    /// When there is no `xvs` beside this program, or it does not come up.
    pub fn start(connections: u32, services: u32, destinations: u32) -> Result<Self, Error> {
        let this = std::env::current_exe().map_err(refused("this program's path"))?;
        let program = this.with_file_name("xvs");
        let state = TempDir::new().map_err(refused("a folder for the daemon's state"))?;
        let mut command = Command::new(&program);
        command.args(["serve", "--hook", "tc", "--state-dir"]);
        command.arg(state.path());
        for (option, size) in [
            ("--connections", connections),
            ("--max-services", services),
            ("--max-destinations", destinations),
        ] {
            command.args([option, &size.to_string()]);
        }
        let process = Host::Director.within(|| {
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            quiet
                .spawn()
                .map_err(refused(program.display().to_string()))
        })?;
        let daemon = Self {
            program,
            process,
            state,
        };
        let begin = Instant::now();
        loop {
            match daemon.ipvsadm(&["-ln"], "") {
                Ok(_) => return Ok(daemon),
                Err(error) if begin.elapsed() > PATIENCE => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Runs `ipvsadm`, and counts the lines that it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn ipvsadm(&self, words: &[&str], input: &str) -> Result<Taken, Error> {
        let mut command = self.command(words);
        let (begin, mut child) = Host::Director.within(|| {
            let begin = Instant::now();
            let child = command.spawn();
            Ok((begin, child.map_err(refused("ipvsadm"))?))
        })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let id = child.id();
        let (lines, peak) = thread::scope(|scope| {
            let peak = scope.spawn(move || peak(id));
            scope.spawn(move || feed(stdin, input));
            let lines = stdout.map_or(0, |stdout| count_lines(BufReader::new(stdout)));
            (lines, peak.join().unwrap_or_default())
        });
        let status = child.wait().map_err(refused("ipvsadm"))?;
        let seconds = begin.elapsed().as_secs_f64();
        if status.success() {
            return Ok(Taken {
                seconds,
                peak,
                lines,
            });
        }
        Err(Error::Command {
            command: format!("ipvsadm {}", words.join(" ")),
            message: format!("it ended with {status}"),
        })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("adm")
            .args(words)
            .env("XVS_STATE_DIR", self.state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// The daemon's own memory now, without the tables that it shares with the kernel, as a row.
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory(&self, name: &str) -> Result<Row, Error> {
        let own = status(self.process.id(), "RssAnon:").ok_or(Error::Command {
            command: "xvs serve".to_owned(),
            message: "it has ended".to_owned(),
        })?;
        Ok(Row::of(name, vec![own], |_| 0.0))
    }
}

impl Daemon {
    /// Has everything traced, from when this returns on.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub fn trace(&self) -> Result<Trace, Error> {
        let mut command = Command::new(&self.program);
        command
            .arg("trace")
            .env("XVS_STATE_DIR", self.state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process =
            Host::Director.within(|| command.spawn().map_err(refused("xvs trace")))?;
        let stderr = process.stderr.take().expect("a pipe was asked for");
        let mut said = BufReader::new(stderr);
        let mut line = String::new();
        said.read_line(&mut line).map_err(refused("xvs trace"))?;
        if line.starts_with("tracing on") {
            return Ok(Trace { process, said });
        }
        let _ = process.wait();
        Err(Error::Command {
            command: "xvs trace".to_owned(),
            message: line,
        })
    }
}

/// `xvs trace`; it ends with this.
pub struct Trace {
    process: Child,
    said: BufReader<ChildStderr>,
}

impl Trace {
    /// Ends it. How many packets were not reported, and of how many, by its last word.
    ///
    /// # Errors
    /// When it has said nothing of it.
    pub fn end(mut self) -> Result<(f64, f64), Error> {
        // It tells what is missing once a second at least.
        thread::sleep(Duration::from_secs(2));
        let _ = self.process.kill();
        let mut text = String::new();
        let read = self.said.read_to_string(&mut text);
        read.map_err(refused("xvs trace"))?;
        let last = text.lines().last().unwrap_or_default();
        let numbers: Vec<f64> = last
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers[..] {
            [missing, all, ..] => Ok((missing, all)),
            _ => Err(Error::Command {
                command: "xvs trace".to_owned(),
                message: format!("it does not say what it has left out: {last}"),
            }),
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let state = self.state.path().to_owned();
        let mut stop = Command::new(&self.program);
        stop.args(["serve", "--stop-forwarding", "--state-dir"])
            .arg(state)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let stopped = Host::Director.within(|| {
            let status = stop
                .status()
                .map_err(refused("xvs serve --stop-forwarding"))?;
            Ok(status.success())
        });
        if !matches!(stopped, Ok(true)) {
            eprintln!("bench: the daemon's data plane stays");
            // One that has ended need not be.
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn feed(stdin: Option<ChildStdin>, input: &str) {
    if let Some(mut stdin) = stdin {
        // A command that fails is noticed by its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
}

fn count_lines(mut reader: impl BufRead) -> u32 {
    let mut lines = 0;
    while let Ok(piece) = reader.fill_buf()
        && !piece.is_empty()
    {
        lines += piece.iter().filter(|&&byte| byte == b'\n').count() as u32;
        let length = piece.len();
        reader.consume(length);
    }
    lines
}

/// Looks at a process until it ends: its memory at its highest, in MiB.
fn peak(id: u32) -> f64 {
    let mut peak = 0.0;
    while let Some(now) = status(id, "VmHWM:") {
        peak = now;
        thread::sleep(LOOK);
    }
    peak
}

/// A number of a process's in /proc, in MiB; `None` where it has no memory any more.
fn status(id: u32, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = value.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
