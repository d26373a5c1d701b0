//! One daemon a namespace, none at all, and nothing left in the end.

use std::path::Path;

use aya::programs::{SchedClassifier, TcAttachType};
use nix::sys::signal::Signal;

use crate::support::{Director, Hook, Network, WebServer, get};

#[test]
fn a_second_daemon_in_a_namespace_is_refused() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    director.set_up_web();
    let second = director.serve().status().unwrap();
    assert_eq!(second.code(), Some(1));
    let log = director.log();
    assert!(
        log.contains("runs already in this network namespace\nhint: "),
        "{log}"
    );
    assert_eq!(director.rows().len(), 2, "the first goes on");
}

#[test]
fn without_a_daemon_ipvsadm_says_its_own_two_lines_and_a_hint() {
    let network = Network::new(Hook::Tc);
    let director = Director::without_daemon(&network.director, Hook::Tc);
    for words in ["-ln", "-A -t 192.0.2.1:80", "-C"] {
        let said = director.ipvsadm(words);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words}");
        let lines: Vec<&str> = said.err.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "Can't initialize ipvs: Protocol not available",
                "Are you sure that IP Virtual Server is built in the kernel or as module?"
            ]
        );
        assert!(
            lines[2..].iter().any(|line| line.starts_with("hint: ")),
            "{}",
            said.err
        );
    }
}

#[test]
fn after_ipvsadm_c_and_the_end_of_forwarding_nothing_is_left_on_tc() {
    nothing_is_left(Hook::Tc);
}

#[test]
fn after_ipvsadm_c_and_the_end_of_forwarding_nothing_is_left_on_xdp() {
    nothing_is_left(Hook::Xdp);
}

fn nothing_is_left(hook: Hook) {
    let network = Network::new(hook);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let mut director = Director::start(&network, hook);
    director.set_up_web();
    network
        .client
        .within(|| (10_000..10_010).for_each(|port| drop(get(port).unwrap())));
    assert!(!attached(&network).is_empty(), "programs are attached");
    let folders = folders_of(&director);

    director.set("-C");
    assert!(director.rows().is_empty());
    assert!(
        network.client.within(|| get(10_010)).is_err(),
        "nobody serves the address now"
    );
    assert_eq!(director.end_daemon(Signal::SIGTERM), Some(0));
    let stopped = director.xvs("serve --stop-forwarding");
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);

    assert_eq!(attached(&network), "");
    for folder in folders {
        assert!(!Path::new(&folder).exists(), "{folder} is still there");
    }
}

#[test]
fn forwarding_is_ended_also_while_the_daemon_runs() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    director.set_up_web();
    let folders = folders_of(&director);
    let stopped = director.xvs("serve --stop-forwarding");
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert_eq!(attached(&network), "");
    for folder in folders {
        assert!(!Path::new(&folder).exists(), "{folder} is still there");
    }
}

/// What the kernel says that is attached to the director's interfaces: XDP, filters, links of TC.
fn attached(network: &Network) -> String {
    let host = &network.director;
    let links = host.run("ip link show");
    let xdp = links
        .lines()
        .filter(|line| line.contains("xdp"))
        .map(str::to_owned);
    let mut found: Vec<String> = xdp.collect();
    for interface in ["eth0", "eth1"] {
        found.push(host.run(&format!("tc filter show dev {interface} ingress")));
        let links = host.within(|| SchedClassifier::query_tcx(interface, TcAttachType::Ingress));
        // Kernels before 6.6 have no such links.
        let links = links.map_or_else(|_| Vec::new(), |(_, programs)| programs);
        found.extend(
            links
                .iter()
                .map(|program| program.name_as_str().unwrap().to_owned()),
        );
    }
    found.concat()
}

/// Where this namespace's director has its state and its pins.
fn folders_of(director: &Director) -> [String; 2] {
    let log = director.log();
    let (_, rest) = log
        .split_once("namespace=")
        .expect("the daemon says which namespace it is in");
    let cookie: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let state = format!("/run/xvs/{cookie}");
    assert!(Path::new(&state).exists(), "{state}");
    [state, format!("/run/xvs/bpf/{cookie}")]
}
