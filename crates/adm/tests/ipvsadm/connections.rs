//! Connections are listed as ipvsadm lists them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::support::director::WantedDirector;
use crate::support::golden;
use crate::support::shell::Shell;
use crate::support::transcript::{Step, steps};
use adm::NameTables;
use model::{ConnectionEntry, EngineData};

/// Reads a line of /proc/net/ip_vs_conn: addresses and ports are hexadecimal, and IPv6 addresses in
/// full.
fn entry(line: &str) -> Option<ConnectionEntry> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [
        protocol,
        client,
        cport,
        virt,
        vport,
        destination,
        dport,
        state,
        expires,
        engine @ ..,
    ] = words.as_slice()
    else {
        return None;
    };
    let end = |address: &str, port: &str| -> Option<SocketAddr> {
        let address = match u32::from_str_radix(address, 16) {
            Ok(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            Err(_) => address.parse().ok()?,
        };
        Some(SocketAddr::new(
            address,
            u16::from_str_radix(port, 16).ok()?,
        ))
    };
    Some(ConnectionEntry {
        protocol: protocol.parse().ok()?,
        expires: expires.parse().ok()?,
        state: Cow::Owned((*state).to_owned()),
        client: end(client, cport)?,
        virtual_address: end(virt, vport)?,
        destination: end(destination, dport)?,
        engine_data: match engine {
            [engine, data] => Some(EngineData {
                engine: Cow::Owned((*engine).to_owned()),
                data: (*data).to_owned(),
            }),
            _ => None,
        },
    })
}

/// The seconds until a connection expires run on from one command of the transcript to the next,
/// and the rejected one is forgotten on the way.
fn without_time(step: &Step) -> Vec<String> {
    let mut lines: Vec<_> = step
        .stdout
        .iter()
        .filter(|line| !line.contains("REJECTED"))
        .map(|line| {
            let cut = |(before, after): (&str, &str)| format!("{before}:MM{}", after.split_at(2).1);
            match line.starts_with("pro") || line.starts_with("IPVS") {
                true => line.clone(),
                false => line.split_once(':').map_or(line.clone(), cut),
            }
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_kind_of_connection_is_listed_as_the_kernel_has_it() {
    let steps = steps(&golden("78-connections.txt"));
    let table = steps
        .iter()
        .find(|step| step.command.starts_with("cat /proc"))
        .unwrap();
    let connections: Vec<_> = table.stdout.iter().filter_map(|line| entry(line)).collect();
    assert_eq!(
        connections.len(),
        table.stdout.len() - 1,
        "all but the title is read"
    );
    let mut director = WantedDirector {
        connections,
        ..WantedDirector::default()
    };
    let names = NameTables::new(&golden("hosts"), &golden("services"));
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Shell {
        director: &mut director,
        names: &names,
        directory,
    };
    let mut listed = 0;
    for step in steps
        .iter()
        .filter(|step| step.command.contains("c ") && step.command.contains("-L"))
    {
        let outcome = shell.run(&step.command);
        let stdout = String::from_utf8_lossy(&outcome.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        let got = Step {
            stdout,
            ..step.clone()
        };
        assert_eq!(without_time(&got), without_time(step), "{}", step.command);
        listed += 1;
    }
    assert_eq!(listed, 5, "the transcript lists connections in five ways");
}
