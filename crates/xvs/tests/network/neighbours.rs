//! BFD in the whole daemon: real servers' checks, virtual routers' tracking, reloads. The peer is bird.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{Director, Hook, INSIDE, Network, Process, RS1, RS2, SOON, VIP, eventually};

/// Three packets of 100 ms may be missed.
fn configuration(weight: u32) -> String {
    format!(
        "bfd_instance first {{
            neighbor_ip {RS1}
            min_rx 100
            min_tx 100
            multiplier 3
        }}
        vrrp_instance VI_1 {{
            interface eth0
            virtual_router_id 51
            track_bfd {{
                first
            }}
            virtual_ipaddress {{
                172.16.10.99
            }}
        }}
        virtual_server {VIP} 80 {{
            lb_algo wrr
            lb_kind NAT
            protocol TCP
            real_server {RS1} 80 {{
                weight {weight}
                BFD_CHECK {{
                    name first
                }}
            }}
            real_server {RS2} 80 {{
            }}
        }}"
    )
}

/// bird on the first real server, with its folder.
fn bird(network: &Network, folder: &std::path::Path) -> Process {
    let text = format!(
        "router id {RS1};\nprotocol device {{ }}\n\
         protocol bfd {{ interface \"*\" {{ interval 100 ms; multiplier 3; }}; \
         neighbor {INSIDE} dev \"eth0\"; }}\n"
    );
    let conf = folder.join("bird.conf");
    std::fs::write(&conf, text).unwrap();
    let mut command = network.rs1.command("bird");
    command
        .arg("-f")
        .arg("-c")
        .arg(&conf)
        .arg("-s")
        .arg(folder.join("bird.ctl"));
    Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn until_listed(director: &Director<'_>, what: &str, destinations: &[&str]) {
    eventually(what, SOON, || {
        let rows = director.rows();
        let there: Vec<&str> = rows.iter().map(|row| row.destination.as_str()).collect();
        let mut there = there;
        there.sort_unstable();
        (there == destinations).then_some(())
    });
}

fn until_router(director: &Director<'_>, state: &str) {
    eventually(state, SOON, || {
        let said = director.xvs("vrrp");
        said.out.contains(&format!("VI_1 {state}")).then_some(())
    });
}

#[test]
fn a_lost_neighbour_takes_its_server_out_and_its_virtual_router_down_until_it_is_back() {
    let network = Network::new(Hook::Tc);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keepalived.conf");
    std::fs::write(&file, configuration(3)).unwrap();
    let bird = bird(&network, folder.path());
    let mut director = Director::without_daemon(&network.director, Hook::Tc);
    director.start_daemon_with(&["-f", &file.display().to_string()]);
    let (first, second) = (format!("{RS1}:80"), format!("{RS2}:80"));
    let both = [second.as_str(), first.as_str()];
    until_router(&director, "MASTER");
    until_listed(&director, "the neighbour is reached", &both);
    // A reload keeps the session and what is known of it.
    std::fs::write(&file, configuration(5)).unwrap();
    let reloaded = director.xvs("reload");
    assert_eq!(
        reloaded.out, "Reloaded; 1 changes, in one transaction\n",
        "{}",
        reloaded.err
    );
    assert!(director.xvs("vrrp").out.contains("VI_1 MASTER"));
    bird.signal(Signal::SIGSTOP);
    until_listed(&director, "the server is taken out", &both[..1]);
    until_router(&director, "FAULT");
    let health = director.xvs("health").out;
    assert!(
        health.contains("BFD_CHECK") && health.contains("control detection time expired"),
        "{health}"
    );
    let shown = director.xvs("bfd").out;
    assert!(shown.contains(RS1) && shown.contains("Down"), "{shown}");
    assert!(director.xvs("bfd --json").out.contains("\"losses\": 1"));
    let log = director.log();
    for line in [
        "BFD_Instance(first) Entering UP state",
        "BFD_Instance(first) Entering Down state",
        &format!("Removing service [{RS1}]:tcp:80 from VS [{VIP}]:tcp:80"),
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    bird.signal(Signal::SIGCONT);
    until_listed(&director, "the server is back", &both);
    until_router(&director, "MASTER");
}
