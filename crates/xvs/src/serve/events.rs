//! Telling what happened to servers: keepalived's log lines, scripts and pipes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;

use config::Config;
use config::model::{Script, VirtualServer, VirtualServerName};
use health::{Event, Monitor};
use health_host::{Owner, misc};
use model::DestinationKey;
use nix::fcntl::OFlag;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Who is told of events.
pub struct Teller {
    fifos: Vec<String>,
    owner: Option<Owner>,
}

impl Teller {
    /// Whom a configuration names.
    pub fn new(config: &Config, owner: Option<Owner>) -> Self {
        let globals = &config.globals;
        let fifos = [&globals.notify_fifo, &globals.lvs_notify_fifo];
        let fifos: Vec<String> = fifos
            .into_iter()
            .flatten()
            .map(|fifo| fifo.path.clone())
            .collect();
        for fifo in &fifos {
            make_fifo(fifo);
        }
        Self { fifos, owner }
    }

    /// Tells of one event.
    pub fn tell(&self, event: &Event, monitor: &Monitor) {
        match *event {
            Event::RealServer {
                virtual_server,
                real_server,
                is_up,
            } => {
                let Some(server) = monitor.virtual_server(virtual_server) else {
                    return;
                };
                let Some(real) = server.real_servers.get(real_server) else {
                    return;
                };
                let (of, name) = (name(server), real_name(server, real.destination.key));
                let (verb, script) = match (is_up, real.inhibit_on_failure) {
                    (true, false) => ("Adding service", &real.notify_up),
                    (true, true) => ("Enabling service", &real.notify_up),
                    (false, false) => ("Removing service", &real.notify_down),
                    (false, true) => ("Disabling service", &real.notify_down),
                };
                let direction = if verb == "Adding service" {
                    "to"
                } else {
                    "from"
                };
                info!("{verb} {name} {direction} VS {of}");
                self.run(script.as_ref());
                self.write(&format!("RS {name} {of} {}", state(is_up)));
            }
            Event::Quorum {
                virtual_server,
                is_up,
                weight,
            } => {
                let Some(server) = monitor.virtual_server(virtual_server) else {
                    return;
                };
                let (of, quorum, hysteresis) = (name(server), server.quorum, server.hysteresis);
                let script = if is_up {
                    let bound = quorum + hysteresis;
                    info!("Gained quorum {quorum}+{hysteresis}={bound} <= {weight} for VS {of}");
                    &server.quorum_up
                } else {
                    let bound = quorum.saturating_sub(hysteresis);
                    info!("Lost quorum {quorum}-{hysteresis}={bound} > {weight} for VS {of}");
                    &server.quorum_down
                };
                self.run(script.as_ref());
                self.write(&format!("VS {of} {}", state(is_up)));
            }
        }
    }

    /// Runs the scripts of virtual servers that want to be told of the daemon's end.
    pub fn end(&self, monitor: &Monitor) -> Vec<JoinHandle<()>> {
        let servers = (0..).map_while(|index| monitor.virtual_server(index));
        let mut ended = Vec::new();
        for server in servers.filter(|server| server.omega) {
            let real = server.real_servers.iter().map(|real| &real.notify_down);
            for script in real.chain([&server.quorum_down]) {
                ended.extend(self.run(script.as_ref()));
            }
        }
        ended
    }

    fn run(&self, script: Option<&Script>) -> Option<JoinHandle<()>> {
        let script = script?;
        let program = script.command.first().cloned().unwrap_or_default();
        let mut command = match misc::command(script, self.owner.as_ref()) {
            Ok(command) => command,
            Err(why) => {
                warn!(program, why, "a notify script is not run");
                return None;
            }
        };
        command.kill_on_drop(false);
        Some(tokio::spawn(async move {
            match command.status().await {
                Ok(status) if status.success() => {}
                Ok(status) => warn!(program, %status, "a notify script failed"),
                Err(error) => warn!(program, %error, "a notify script is not run"),
            }
        }))
    }

    /// Writes a line into every pipe. One that nobody reads, or that is full, misses it.
    fn write(&self, line: &str) {
        for fifo in &self.fifos {
            let written = OpenOptions::new()
                .write(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(fifo)
                .and_then(|mut pipe| pipe.write_all(format!("{line}\n").as_bytes()));
            if let Err(error) = written {
                info!(fifo, %error, "a notify FIFO is not written: nobody reads it");
            }
        }
    }
}

fn make_fifo(path: &str) {
    let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    match nix::unistd::mkfifo(path, mode) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
        Err(error) => warn!(path, %error, "a notify FIFO cannot be made"),
    }
}

fn state(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

/// As keepalived names virtual servers: `[192.0.2.1]:tcp:80`, `FWM 1`, `[GROUP]`.
fn name(server: &VirtualServer) -> String {
    match &server.name {
        VirtualServerName::Address { address, port } => {
            format!("[{address}]:{}:{port}", protocol(server))
        }
        VirtualServerName::Mark { mark, .. } => format!("FWM {mark}"),
        VirtualServerName::Group(name) => format!("[{name}]:{}", protocol(server)),
    }
}

fn real_name(server: &VirtualServer, key: DestinationKey) -> String {
    format!("[{}]:{}:{}", key.address, protocol(server), key.port)
}

fn protocol(server: &VirtualServer) -> String {
    server.protocol.to_string().to_lowercase()
}
