//! Services of firewall marks that xvs's own rules give.

use crate::support::{Director, Hook, Network, RS1, RS2, VIP, WebServer, get};

#[test]
fn a_rule_gives_packets_the_mark_by_which_their_service_balances_them_on_tc() {
    marked(Hook::Tc);
}

#[test]
fn a_rule_gives_packets_the_mark_by_which_their_service_balances_them_on_xdp() {
    marked(Hook::Xdp);
}

fn marked(hook: Hook) {
    let network = Network::new(hook);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let mut director = Director::start(&network, hook);
    let add = format!("mark add --mark 7 --protocol tcp --to {VIP} --port 80");
    let added = director.xvs(&add);
    assert_eq!((added.code, added.err.as_str()), (Some(0), ""));
    director.set("-A -f 7 -s rr");
    for server in [RS1, RS2] {
        director.set(&format!("-a -f 7 -r {server}:0 -m"));
    }
    let answers = |from: u16| -> Vec<String> {
        let ports = from..from + 4;
        let mut answers: Vec<String> = network
            .client
            .within(|| ports.map(|port| get(port).unwrap()).collect());
        answers.sort();
        answers
    };
    assert_eq!(answers(10_000), ["rs1", "rs1", "rs2", "rs2"]);
    director.end_daemon(nix::sys::signal::Signal::SIGKILL);
    director.start_daemon();
    assert_eq!(answers(10_010), ["rs1", "rs1", "rs2", "rs2"]);
    let listed = director.xvs("mark list").out;
    assert!(listed.contains("--mark 7"), "{listed}");
    let saved = director.xvs("config save -").out;
    assert!(saved.starts_with(&format!("xvs {add}\n")), "{saved}");
    assert_eq!(director.xvs("mark del 1").code, Some(0));
    assert!(network.client.within(|| get(10_020)).is_err());
}

/// What `iptables-save` printed, handed on by a pipe.
#[test]
fn rules_of_iptables_are_added_whole_or_not_at_all() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    let rule = "-A PREROUTING -i eth9 -p udp -m udp --dport 53 -j MARK --set-xmark 0x2/0xffffffff";
    let odd = "-A PREROUTING ! -s 192.0.2.1/32 -j MARK --set-xmark 0x3/0xffffffff";
    let import = |rules: &str, options: &str| {
        let text = format!("*mangle\\n{rules}\\nCOMMIT\\n");
        director.shell(&format!("printf -- '{text}' | xvs mark import {options}"))
    };
    let both = format!("{rule}\\n{odd}");
    let refused = import(&both, "--add");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("line 3: `-A PREROUTING !"),
        "{}",
        refused.err
    );
    let own = "--mark 2 --family ipv4 --protocol udp --port 53 --interface eth9";
    let printed = import(&both, "");
    assert_eq!(printed.out, format!("xvs mark add {own}\n"));
    assert!(!director.xvs("mark list").out.contains("--mark"));
    let added = import(rule, "--add");
    assert_eq!((added.code, added.err.as_str()), (Some(0), ""));
    assert!(
        director
            .xvs("mark list")
            .out
            .ends_with(&format!("1     {own}\n"))
    );
}
