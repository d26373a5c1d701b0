//! What keepalived's own samples mean: the services that keepalived 2.2.7 made of each, as
//! `ipvsadm -Sn` listed them beside Linux 6.1 before any check had run
//! (`./x oracle run oracle/health/samples.sh crates/config/tests/golden/samples/*`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::model::{RealServer, VirtualServer};
use config::{Environment, Files};
use model::{Forwarding, Protocol, ServiceKey};

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn matching(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The recorded lines of each sample.
fn recorded() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(golden("samples.ipvsadm")).expect("it is there");
    let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(sample) => {
                name = sample.to_owned();
                samples.insert(name.clone(), Vec::new());
            }
            None => {
                let lines = samples.get_mut(&name).expect("a sample's name comes first");
                lines.push(line.to_owned());
            }
        }
    }
    samples
}

/// A service's lines as `ipvsadm -Sn' has them.
fn lines(server: &VirtualServer) -> Vec<String> {
    let mut lines = Vec::new();
    for key in &server.keys {
        let name = match key {
            ServiceKey::Mark { mark, .. } => format!("-f {mark}"),
            ServiceKey::Address {
                protocol,
                address,
                port,
            } => {
                let letter = if *protocol == Protocol::Tcp { 't' } else { 'u' };
                match address.is_ipv6() {
                    true => format!("-{letter} [{address}]:{port}"),
                    false => format!("-{letter} {address}:{port}"),
                }
            }
        };
        let persistence = server.persistence.map_or_else(String::new, |persistence| {
            format!(" -p {}", persistence.timeout)
        });
        lines.push(format!("-A {name} -s {}{persistence}", server.scheduler));
        // Before a check has run, servers with alpha are not there.
        let is_there = |real: &&RealServer| !real.checks.iter().any(|check| check.alpha);
        for real in server.real_servers.iter().filter(is_there) {
            let to = &real.destination;
            let method = match to.forwarding {
                Forwarding::Route => "-g",
                Forwarding::Tunnel => "-i",
                _ => "-m",
            };
            lines.push(format!("-a {name} -r {} {method} -w {}", to.key, to.weight));
        }
    }
    lines
}

#[test]
fn every_sample_means_the_services_that_keepalived_makes_of_it() {
    let mut compared = 0;
    for (name, mut expected) in recorded() {
        let environment = Environment {
            config_id: "high".to_owned(),
            random_seed: 1,
        };
        let file = golden("samples").join(&name);
        let config = config::read(&file, &Disk, &environment)
            .expect("it can be read")
            .config;
        let mut ours: Vec<String> = config.virtual_servers.iter().flat_map(lines).collect();
        compared += ours.len();
        ours.sort();
        expected.sort();
        assert_eq!(ours, expected, "{name}");
    }
    assert!(compared > 50, "{compared}");
}
