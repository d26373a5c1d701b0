//! `--client-address`, which `ipvsadm` does not have.

use adm::{Invocation, NameTables, UsageError, parse};
use model::{ClientAddress, Command};

fn parsed(line: &str) -> Result<Invocation, UsageError> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&words, &NameTables::new("", ""))
}

fn client_address(line: &str) -> ClientAddress {
    match parsed(line).expect("a line that is understood") {
        Invocation::Change(Command::AddService(service) | Command::EditService(service)) => {
            service.client_address
        }
        other => panic!("{other:?} is about no service"),
    }
}

#[test]
fn a_service_may_tell_clients_addresses() {
    assert_eq!(client_address("-A -t 10.0.0.1:80"), ClientAddress::Off);
    for how in ClientAddress::ALL {
        for command in ["-A -t 10.0.0.1:80", "-E -t [2001:db8::1]:80", "-A -f 7"] {
            let line = format!("{command} --client-address {how}");
            assert_eq!(client_address(&line), *how, "{line}");
        }
    }
}

#[test]
fn other_ways_and_other_protocols_are_refused() {
    for line in [
        "-A -t 10.0.0.1:80 --client-address",
        "-A -t 10.0.0.1:80 --client-address TOA",
        "-A -t 10.0.0.1:80 --client-address both",
        "-A -u 10.0.0.1:80 --client-address toa",
        "-a -t 10.0.0.1:80 -r 10.0.0.2 --client-address toa",
        "-L --client-address toa",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}
