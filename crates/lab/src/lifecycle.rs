//! A lab's life: built, made ready, taken down; and what a crashed run left is taken down first.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};

use crate::definition::{Host, Lab, Serve};
use crate::error::LabError;
use crate::interrupt::Gate;
use crate::lock::LabLock;
use crate::netns::{self, Namespace};
use crate::notation::Words;
use crate::process::{self, Tools};
use crate::state::{self, Purpose, State};
use crate::wiring::{self, Cables};

/// How long a process of the lab may take to get ready: on a busy machine, the verifier takes its time.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// Pause between two looks at whether it is.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// Where the director takes packets; passed on to `xvs serve --hook`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Hook {
    /// As the director chooses, per interface.
    #[default]
    Auto,
    /// XDP in the driver.
    Xdp,
    /// XDP in the kernel's generic code.
    XdpGeneric,
    /// Traffic control.
    Tc,
}

impl Hook {
    /// As `xvs serve --hook` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }

    /// Whether hosts must finish checksums and segments themselves.
    pub(crate) const fn is_xdp(self) -> bool {
        matches!(self, Self::Xdp | Self::XdpGeneric)
    }
}

/// What the hosts' interfaces leave to hardware that virtual cables do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Offloads {
    /// What the system lets them on TC; on XDP, nothing that would leave a packet incomplete
    #[default]
    System,
    /// As with the simplest of network cards: what is on a wire is a packet with its checksum, and the
    /// system joins and cuts them. Not for XDP
    Software,
    /// Nothing: each frame is a packet with its checksum. Not for XDP
    Off,
}

/// How a lab is brought up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The director's hook.
    pub hook: Hook,
    /// The interfaces' offloads.
    pub offloads: Offloads,
    /// Where `xvs` is.
    pub tools: Tools,
}

impl Options {
    /// What the cables' ends are to do.
    fn cables(&self) -> Result<Cables, LabError> {
        match (self.hook.is_xdp(), self.offloads) {
            (true, Offloads::Software | Offloads::Off) => Err(LabError::OffloadsOfXdp),
            (true, Offloads::System) => Ok(Cables::CompletePackets),
            (false, Offloads::System) => Ok(Cables::AsTheyAre),
            (false, Offloads::Software) => Ok(Cables::CutPackets),
            (false, Offloads::Off) => Ok(Cables::NoOffloads),
        }
    }
}

/// A lab that is up and held by this process. Dropping it takes it down, unless it is kept.
#[derive(Debug)]
pub struct Running<'lab> {
    lab: &'lab Lab,
    tools: Tools,
    gate: Gate,
    lock: LabLock,
    kept: bool,
}

impl<'lab> Running<'lab> {
    /// Builds the lab and starts the director and the web servers. The hosts' `setup` is not run yet.
    pub fn up(lab: &'lab Lab, options: &Options, gate: &Gate) -> Result<Self, LabError> {
        if !geteuid().is_root() {
            return Err(LabError::NotRoot);
        }
        let lock = {
            let _open = gate.pass()?;
            prepare(lab, options)?
        };
        let running = Self {
            lab,
            tools: options.tools.clone(),
            gate: gate.clone(),
            lock,
            kept: false,
        };
        running.start_hosts(options.hook)?;
        Ok(running)
    }

    /// The lab.
    pub fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// A host's namespace.
    pub fn namespace(&self, host: &str) -> Namespace {
        Namespace::of(&self.lab.name, host)
    }

    /// The gate that everything passes which leaves something behind.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Runs a command on a host, whatever its exit code.
    pub fn run(&self, host: &str, command: &Words) -> Result<std::process::Output, LabError> {
        process::run_in(&self.namespace(host), &self.tools.resolve(command))
    }

    /// Runs a command on a host that must succeed. Returns what it said.
    pub fn change(&self, host: &str, command: &Words) -> Result<String, LabError> {
        let output = self.run(host, command)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stderr, output.stdout].concat();
        Err(LabError::Command {
            command: command.to_string(),
            host: host.to_owned(),
            message: String::from_utf8_lossy(&said).trim().to_owned(),
        })
    }

    /// Starts a command on a host that goes on; what it says goes to the end of the file `log`.
    pub fn start(&self, host: &str, command: &Words, log: &Path) -> Result<Child, LabError> {
        let _open = self.gate.pass()?;
        process::start_in(&self.namespace(host), &self.tools.resolve(command), log)
    }

    /// The path of one of the lab's logs, which go with it.
    pub fn log(&self, name: &str) -> Result<PathBuf, LabError> {
        Ok(state::logs(self.lock.lab())?.join(name))
    }

    /// Runs every host's `setup`, and says so.
    pub fn set_up(&self, out: &mut dyn Write) -> Result<(), LabError> {
        for host in &self.lab.hosts {
            for command in &host.setup {
                writeln!(out, "  {} # {command}", host.name).map_err(LabError::Output)?;
                self.change(&host.name, command)?;
            }
        }
        Ok(())
    }

    /// Leaves the lab up when this process ends.
    pub fn keep(mut self) -> Result<(), LabError> {
        remember(self.lab, Purpose::Stay)?;
        self.kept = true;
        Ok(())
    }

    /// Takes the lab down. Dropping does the same, but cannot say what went wrong.
    pub fn down(mut self) -> Result<(), LabError> {
        self.kept = true;
        let _open = self.gate.pass()?;
        demolish(&self.lab.name, &self.tools)
    }

    /// Starts what the hosts run, all at once, then waits until it is ready.
    fn start_hosts(&self, hook: Hook) -> Result<(), LabError> {
        let folder = state::logs(self.lock.lab())?;
        let mut starting = Vec::new();
        for host in self.lab.hosts.iter().filter(|host| host.director) {
            let log = folder.join(format!("{}-xvs.log", host.name));
            starting.push(Starting {
                host,
                what: What::Director,
                child: self.start_director(host, hook, &log)?,
                log,
            });
        }
        for host in &self.lab.hosts {
            let Some(serve) = &host.serve else { continue };
            let log = folder.join(format!("{}-http.log", host.name));
            starting.push(Starting {
                host,
                what: What::Http(serve),
                child: self.start_http(host, serve, &log)?,
                log,
            });
        }
        for host in &self.lab.hosts {
            if host.decapsulate.is_empty() {
                continue;
            }
            let log = folder.join(format!("{}-realserver.log", host.name));
            starting.push(Starting {
                host,
                what: What::RealServer,
                child: self.start_realserver(host, &log)?,
                log,
            });
        }
        starting
            .iter_mut()
            .try_for_each(|process| self.wait_ready(process))
    }

    fn start_director(&self, host: &Host, hook: Hook, log: &Path) -> Result<Child, LabError> {
        let file = self.configuration(host)?;
        let mut arguments = vec!["serve", "--hook", hook.as_str()];
        if let Some(file) = &file {
            arguments.extend(["--file", file]);
        }
        for interface in &host.interfaces {
            arguments.extend(["--interface", &interface.name]);
        }
        let _open = self.gate.pass()?;
        process::start_in(&self.namespace(&host.name), &self.tools.xvs(arguments), log)
    }

    /// The file of a director's configuration, if it has one.
    fn configuration(&self, host: &Host) -> Result<Option<String>, LabError> {
        let Some(text) = &host.configuration else {
            return Ok(None);
        };
        let path = state::logs(self.lock.lab())?.join(format!("{}-keepalived.conf", host.name));
        match std::fs::write(&path, text) {
            Ok(()) => Ok(Some(path.to_string_lossy().into_owned())),
            Err(source) => Err(LabError::State { path, source }),
        }
    }

    fn start_http(&self, host: &Host, serve: &Serve, log: &Path) -> Result<Child, LabError> {
        let any: IpAddr = match serve.address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let listen = SocketAddr::new(any, serve.port).to_string();
        let identity = serve.identity();
        let mut words = vec!["lab", "http", "--name", &identity, "--listen", &listen];
        if serve.proxy {
            words.push("--proxy");
        }
        let argv = self.tools.xvs(words);
        let _open = self.gate.pass()?;
        process::start_in(&self.namespace(&host.name), &argv, log)
    }

    fn start_realserver(&self, host: &Host, log: &Path) -> Result<Child, LabError> {
        let tunnels = host.decapsulate.iter();
        let tunnels: Vec<String> = tunnels.map(|tunnel| format!("--{tunnel}")).collect();
        let mut arguments = vec!["realserver"];
        arguments.extend(tunnels.iter().map(String::as_str));
        let _open = self.gate.pass()?;
        process::start_in(&self.namespace(&host.name), &self.tools.xvs(arguments), log)
    }

    fn wait_ready(&self, process: &mut Starting) -> Result<(), LabError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if self.is_ready(process)? {
                return Ok(());
            }
            let ended = process.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let how = match ended {
                    Some(status) => format!("it ended ({status})"),
                    None => format!("it is not ready after {} s", READY_TIMEOUT.as_secs()),
                };
                return Err(LabError::NotReady {
                    what: process.what.name(),
                    host: process.host.name.clone(),
                    message: format!("{how}; it said:\n{}", last_lines(&process.log)),
                });
            }
            std::thread::sleep(READY_PAUSE);
        }
    }

    fn is_ready(&self, process: &Starting) -> Result<bool, LabError> {
        let namespace = self.namespace(&process.host.name);
        match process.what {
            What::Director => {
                match process::run_in(&namespace, &self.tools.xvs(["adm", "-ln"])) {
                    Ok(output) => Ok(output.status.success()),
                    // It listens, and is still busy with its programs.
                    Err(LabError::Endless { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            What::RealServer => {
                let said = std::fs::read_to_string(&process.log).unwrap_or_default();
                Ok(said.lines().any(|line| line == "ready"))
            }
            What::Http(serve) => {
                let local: IpAddr = match serve.address {
                    IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                };
                namespace.within(|| TcpStream::connect(SocketAddr::new(local, serve.port)).is_ok())
            }
        }
    }
}

/// Takes the lab, removes what a crashed run left of it, and builds its hosts.
fn prepare(lab: &Lab, options: &Options) -> Result<LabLock, LabError> {
    let cables = options.cables()?;
    let lock = LabLock::take(&lab.name)?;
    if state::read(&lab.name).is_some_and(|state| state.purpose == Purpose::Stay) {
        return Err(LabError::Up {
            lab: lab.name.clone(),
        });
    }
    demolish(&lab.name, &options.tools)?;
    remember(lab, Purpose::Run)?;
    if let Err(error) = wiring::build(lab, cables) {
        // The error that led here is the one to report.
        let _ = demolish(&lab.name, &options.tools);
        return Err(error);
    }
    Ok(lock)
}

/// Notes why the lab is there, for whoever finds it. It is there to stay only once it is complete.
fn remember(lab: &Lab, purpose: Purpose) -> Result<(), LabError> {
    let directors = lab.hosts.iter().filter(|host| host.director);
    let directors = directors.map(|host| host.name.clone()).collect();
    state::write(&lab.name, &State { purpose, directors })
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // The error that led here is the one to report; `down` tells about what is left.
        if let Ok(_open) = self.gate.pass() {
            let _ = demolish(&self.lab.name, &self.tools);
        }
    }
}

/// A process that was started and is not known to be ready.
struct Starting<'lab> {
    host: &'lab Host,
    what: What<'lab>,
    child: Child,
    log: PathBuf,
}

/// What a host runs.
enum What<'lab> {
    Director,
    RealServer,
    Http(&'lab Serve),
}

impl What<'_> {
    fn name(&self) -> String {
        match self {
            Self::Director => "the director (xvs serve)".to_owned(),
            Self::RealServer => "the end of its tunnels (xvs realserver)".to_owned(),
            Self::Http(serve) => format!("the web server {}", serve.name),
        }
    }
}

/// The end of a log, indented.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(8);
    lines[from..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Takes down a lab that this process does not hold yet. Says whether there was one.
pub fn down(lab: &str, tools: &Tools) -> Result<bool, LabError> {
    if !geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    let _lock = LabLock::take(lab)?;
    let was_there = state::read(lab).is_some() || !netns::of_lab(lab).is_empty();
    demolish(lab, tools)?;
    Ok(was_there)
}

/// Removes everything of a lab: processes, the director's data plane, namespaces, state.
///
/// Goes on after a failure, so that as little as possible is left. Only for the process that holds the lab.
pub fn demolish(lab: &str, tools: &Tools) -> Result<(), LabError> {
    let namespaces = netns::of_lab(lab);
    let mut left = Vec::new();
    let processes: Vec<Pid> = namespaces.iter().flat_map(Namespace::processes).collect();
    process::end(&processes);
    let directors = state::read(lab).map_or(Vec::new(), |state| state.directors);
    for namespace in &namespaces {
        if directors.iter().any(|host| host == namespace.host()) {
            left.extend(stop_forwarding(namespace, tools));
        }
    }
    for namespace in &namespaces {
        process::end(&namespace.processes());
        if let Err(error) = wiring::remove(namespace) {
            left.push(error.to_string());
        }
    }
    if !left.is_empty() {
        return Err(LabError::Left {
            lab: lab.to_owned(),
            left: left.join("; "),
        });
    }
    state::forget(lab)
}

/// Removes the director's data plane, which outlives its daemon. Says what went wrong.
fn stop_forwarding(namespace: &Namespace, tools: &Tools) -> Option<String> {
    let argv = tools.xvs(["serve", "--stop-forwarding"]);
    match process::run_in(namespace, &argv) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "`xvs serve --stop-forwarding`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(error.to_string()),
    }
}
