//! The names of hosts and ports, as this machine knows them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::process::{Command, Stdio};

use adm::{NameTables, Resolver};
use model::Protocol;

/// The machine's files first, then whatever else its name service asks: usually the DNS.
pub struct SystemNames {
    files: NameTables,
    /// Hosts that were asked for: a listing names the same ones again and again.
    asked: RefCell<HashMap<IpAddr, Option<String>>>,
}

impl SystemNames {
    /// Reads the machine's files. One that is not there holds no names.
    pub fn new() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            files: NameTables::new(&read("/etc/hosts"), &read("/etc/services")),
            asked: RefCell::default(),
        }
    }
}

impl Resolver for SystemNames {
    fn host_address(&self, name: &str) -> Option<Ipv4Addr> {
        self.files.host_address(name).or_else(|| {
            let ends = (name, 0).to_socket_addrs().ok()?;
            ends.into_iter().find_map(|end| match end.ip() {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
        })
    }

    fn host_name(&self, address: IpAddr) -> Option<String> {
        let ask = || {
            self.files
                .host_name(address)
                .or_else(|| ask_for_name(address))
        };
        self.asked
            .borrow_mut()
            .entry(address)
            .or_insert_with(ask)
            .clone()
    }

    fn service_port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.files.service_port(name, protocol)
    }

    fn service_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.files.service_name(port, protocol)
    }
}

/// Asks the C library's name service, which nothing in safe Rust does from an address to a name.
/// `getent` belongs to the C library; where it is missing, so is the name.
fn ask_for_name(address: IpAddr) -> Option<String> {
    let output = Command::new("getent")
        .args(["hosts", &address.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    answer.split_ascii_whitespace().nth(1).map(str::to_owned)
}
