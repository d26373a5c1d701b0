//! What commands print, and what they say where they cannot.

use std::io;

use crate::support::{Director, Hook, Network, RS1, VIP};

/// Every command that prints a list or a text.
const PRINTING: &[&str] = &[
    "ipvsadm -h",
    "ipvsadm -ln",
    "ipvsadm -lnc",
    "ipvsadm -Sn",
    "ipvsadm -ln --timeout",
    "ipvsadm-save -n",
    "xvs list",
    "xvs list --json",
    "xvs list --watch",
    "xvs list connections",
    "xvs list connections --json",
    "xvs list timeouts",
    "xvs list daemons --json",
    "xvs status",
    "xvs status --json",
    "xvs set",
    "xvs set --json",
    "xvs mark list",
    "xvs laddr list",
    "xvs health",
    "xvs vrrp",
    "xvs proc ip_vs",
    "xvs proc ip_vs_conn",
    "xvs config save -",
    "xvs completion bash",
    "xvs man",
    "xvs man ipvsadm",
    "xvs man xvs.conf",
];

#[test]
fn commands_are_quiet_where_their_reader_has_gone() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    // More than any buffer holds.
    director.shell(&format!(
        "{{ echo '-A -t {VIP}:80'; for port in $(seq 3000); do \
         echo \"-a -t {VIP}:80 -r {RS1}:$port -m\"; done; }} | ipvsadm -R"
    ));
    assert_eq!(director.rows().len(), 3000);
    for line in PRINTING {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut words = line.split(' ');
        let mut command = director.command(words.next().unwrap());
        let output = command.args(words).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{line}"
        );
    }
}

#[test]
fn a_full_table_says_which_and_what_helps_once() {
    let network = Network::new(Hook::Tc);
    let mut director = Director::without_daemon(&network.director, Hook::Tc);
    director.start_daemon_with(&["--max-services", "1", "--max-destinations", "2"]);
    director.set(&format!("-A -t {VIP}:80"));
    let said = director.ipvsadm(&format!("-A -t {VIP}:81"));
    assert_eq!(said.code, Some(255));
    let hint = "hint: there is room for 1 services, and it is used up: start the daemon with a larger --max-services";
    let mut lines = said.err.lines();
    assert_eq!(lines.next(), Some("Memory allocation problem"));
    assert!(
        lines.next().is_some_and(|line| line.starts_with(hint)),
        "{}",
        said.err
    );

    let said = director.shell(&format!(
        "for port in 1 2 3 4; do echo \"-a -t {VIP}:80 -r {RS1}:$port -m\"; done | ipvsadm -R"
    ));
    assert_eq!(said.code, Some(255));
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!([lines[0], lines[2]], ["Memory allocation problem"; 2]);
    assert!(
        lines[1].starts_with("hint: there is room for 2 destinations"),
        "{}",
        said.err
    );
    assert_eq!((lines.len(), director.rows().len()), (3, 2));
}
