//! What commands take for large tables: a restore of 100,000 real servers, lists of it, and a list
//! of a million connections.

use crate::daemon::{Daemon, Taken};
use crate::error::Error;
use crate::hosts::{DIRECTOR_MAC, Host, Hosts};
use crate::method::{Method, VIRTUAL};
use crate::object::Object;
use crate::pattern::{ANY_MAC, Clients, Kind, Pattern, Spread};
use crate::report::{Group, Row};

/// Services that are restored.
const SERVICES: u32 = 10_000;
/// Real servers of each.
const SERVERS: u32 = 10;
/// Connections that are listed.
const CONNECTIONS: u32 = 1 << 20;
const XDP_TX: u32 = 3;

/// One command, and what each run took.
struct Case {
    name: String,
    words: &'static [&'static str],
    /// Lines that go in or out.
    lines: u32,
    taken: Vec<Taken>,
}

impl Case {
    fn new(words: &'static [&'static str], lines: u32) -> Self {
        let name = match lines {
            1 => format!("ipvsadm {} ...", words[0]),
            _ => format!("ipvsadm {}, {lines} lines", words.join(" ")),
        };
        Self {
            name,
            words,
            lines,
            taken: Vec::new(),
        }
    }

    fn run(&mut self, daemon: &Daemon, input: &str) -> Result<(), Error> {
        let taken = daemon.ipvsadm(self.words, input)?;
        let is_list = matches!(self.words[0], "-ln" | "-Sn" | "-lnc");
        if is_list && taken.lines < self.lines {
            return Err(Error::TooShort {
                case: self.name.clone(),
                expected: self.lines,
                found: taken.lines,
            });
        }
        self.taken.push(taken);
        Ok(())
    }

    fn seconds(&self) -> Row {
        let lines = f64::from(self.lines);
        let seconds = self.taken.iter().map(|taken| taken.seconds).collect();
        Row::of(&self.name, seconds, |median| lines / median / 1e6)
    }

    fn memory(&self) -> Row {
        let lines = f64::from(self.lines);
        let peaks = self.taken.iter().map(|taken| taken.peak).collect();
        Row::of(&self.name, peaks, |median| {
            median * f64::from(1 << 20) / lines
        })
    }
}

/// Measures the commands, on a daemon of their own.
///
/// # Errors
/// When there is no `xvs` beside this program, the kernel refuses, or a command fails.
pub fn measure(runs: usize) -> Result<Vec<Group>, Error> {
    let hosts = Hosts::new()?;
    hosts.poll()?;
    let daemon = Daemon::start(2 * CONNECTIONS, 2 * SERVICES, 2 * SERVICES * SERVERS)?;
    let configured = SERVICES + SERVICES * SERVERS;
    let mut restore = Case::new(&["-R"], configured);
    let mut lists = [
        Case::new(&["-ln"], configured),
        Case::new(&["-ln", "--stats"], configured),
        Case::new(&["-Sn"], configured),
    ];
    let mut one = Case::new(
        &["-e", "-t", "10.0.7.1:80", "-r", "172.16.7.1:8000", "-m"],
        1,
    );
    let mut clear = Case::new(&["-C"], configured);
    let mut connections = Case::new(&["-lnc"], CONNECTIONS);
    let mut memory = vec![daemon.memory("the daemon, without services")?];

    let rules = rules();
    for run in 0..runs {
        restore.run(&daemon, &rules)?;
        if run == 0 {
            memory.push(daemon.memory("the daemon, with them restored")?);
        }
        for list in &mut lists {
            list.run(&daemon, "")?;
        }
        one.run(&daemon, "")?;
        clear.run(&daemon, "")?;
    }
    daemon.ipvsadm(&["-R"], &Method::NAT.rules())?;
    open_connections()?;
    for _ in 0..runs {
        connections.run(&daemon, "")?;
    }
    memory.push(daemon.memory("the daemon, connections listed")?);

    let [table, stats, saved] = lists;
    let cases = [restore, table, stats, saved, one, clear, connections];
    memory.extend(cases.iter().map(Case::memory));
    let seconds = cases.iter().map(Case::seconds).collect();
    let lines = "million lines a second";
    Ok(vec![
        Group::new("Commands on large tables", "s", lines, seconds),
        Group::new(
            "Their own memory at its highest",
            "MiB",
            "bytes a line",
            memory,
        ),
    ])
}

/// Services and real servers, as `ipvsadm -S -n` prints them.
fn rules() -> String {
    let mut text = String::new();
    for service in 0..SERVICES {
        let (high, low) = (service / 250, service % 250);
        let name = format!("10.{high}.{low}.1:80");
        text += &format!("-A -t {name} -s wrr\n");
        for server in 1..=SERVERS {
            let port = 8000 + high;
            text += &format!("-a -t {name} -r 172.16.{low}.{server}:{port} -m -w {server}\n");
        }
    }
    text
}

/// Opens the connections: a segment with SYN for each, and one with ACK.
fn open_connections() -> Result<(), Error> {
    let mut object = Object::load()?;
    let interface = Host::Client.ifindex("c0")?;
    let (address, port) = VIRTUAL;
    for opens in [true, false] {
        object.write(&Pattern {
            kind: Kind::FromClient { opens },
            clients: Clients::Usual,
            address: address.into(),
            port,
            destination_mac: DIRECTOR_MAC,
            source_mac: ANY_MAC,
            first: 0,
            flows: CONNECTIONS,
            spread: Spread::CLIENTS,
            code: XDP_TX,
        })?;
        let object = &mut object;
        Host::Client.within(|| object.send(interface, CONNECTIONS))?;
    }
    Ok(())
}
