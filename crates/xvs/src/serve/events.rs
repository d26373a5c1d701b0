//! Telling what happened to servers: keepalived's log lines, scripts and pipes.

use config::Config;
use config::model::{Script, VirtualServer, VirtualServerName};
use health::{CheckStatus, Event, Monitor};
use health_host::{Owner, misc};
use model::DestinationKey;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::serve::fifo::Pipe;

/// Who is told of events.
#[derive(Default)]
pub struct Teller {
    pipes: Vec<Pipe>,
    owner: Option<Owner>,
}

impl Teller {
    /// Whom a configuration names. Pipes that were open before stay so. What cannot be opened is
    /// told in the log, and left out.
    pub fn new(config: &Config, owner: Option<Owner>, before: Option<Self>) -> Self {
        let globals = &config.globals;
        // Virtual routers, where there are some, tell the same pipe, and start what reads it.
        let alone = config.vrrp_instances.is_empty();
        let wanted = [
            (&globals.notify_fifo, alone),
            (&globals.lvs_notify_fifo, true),
        ];
        let mut open = before.map_or_else(Vec::new, |before| before.pipes);
        let mut pipes = Vec::new();
        for (settings, starts_reader) in wanted {
            let Some(settings) = settings else { continue };
            let is_open = |pipe: &Pipe| pipe.is(settings, starts_reader);
            match open.iter().position(is_open) {
                Some(place) => pipes.push(open.swap_remove(place)),
                None => match Pipe::open(settings, starts_reader, owner.as_ref()) {
                    Ok(pipe) => pipes.push(pipe),
                    Err(error) => warn!(error = format!("{error:#}"), "a notify FIFO is left out"),
                },
            }
        }
        Self { pipes, owner }
    }

    /// Tells that real servers begin to serve, where that is wanted (`rs_init_notifies`). Those with
    /// alpha have yet to come up.
    pub fn begin(&self, monitor: &Monitor) {
        let servers = (0..).map_while(|index| monitor.virtual_server(index));
        for (virtual_server, server) in servers.enumerate() {
            for (real_server, real) in server.real_servers.iter().enumerate() {
                if !real.checks.iter().any(|check| check.alpha) {
                    let event = Event::RealServer {
                        virtual_server,
                        real_server,
                        is_up: true,
                    };
                    self.tell(&event, monitor);
                }
            }
        }
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
                for check in monitor.checks_of(virtual_server, real_server) {
                    log_check(&check, is_up, &name);
                }
                let direction = if is_up { "to" } else { "from" };
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

    fn write(&self, line: &str) {
        self.pipes.iter().for_each(|pipe| pipe.tell(line));
    }
}

fn state(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

/// A check that took a server out, or let it back, in the words that keepalived has for it.
fn log_check(check: &CheckStatus, is_up: bool, name: &str) {
    let kind = match check.kind.as_str() {
        "HTTP_GET" | "SSL_GET" => "HTTP_CHECK",
        kind => kind,
    };
    let why = check.history.back().and_then(|run| run.failure.as_deref());
    match (is_up, check.is_up, check.failures) {
        (false, false, 0 | 1) => info!(why, "{kind} on service {name} failed."),
        (false, false, failures) => {
            let retries = failures - 1;
            info!(
                why,
                "{kind} on service {name} failed after {retries} retries."
            );
        }
        (true, true, _) => match kind {
            "TCP_CHECK" => info!("TCP connection to {name} success."),
            "HTTP_CHECK" => info!("Remote Web server {name} succeed on service."),
            "SMTP_CHECK" => info!("Remote SMTP server {name} succeed on service."),
            _ => {}
        },
        _ => {}
    }
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
