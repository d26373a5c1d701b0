//! DNS_CHECK, with unbound as the server.

use std::path::Path;

use crate::support::{Peer, fails, own_network, start, succeeds};

/// Names that are there, that are refused, that nobody answers for, and whose server no route leads to.
const UNBOUND: &str = "
server:
  directory: \"FOLDER\"
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  interface: 127.0.0.1@5353
  do-daemonize: no
  use-syslog: no
  logfile: \"FOLDER/log\"
  module-config: \"iterator\"
  do-not-query-localhost: no
  local-zone: \"good.lab.\" static
  local-data: \"good.lab. SOA ns.good.lab. admin.good.lab. 1 2 3 4 5\"
  local-data: \"good.lab. NS ns.good.lab.\"
  local-data: \"good.lab. MX 10 mail.good.lab.\"
  local-data: \"good.lab. TXT hello\"
  local-data: \"host.good.lab. A 192.0.2.1\"
  local-data: \"host.good.lab. AAAA 2001:db8::1\"
  local-data: \"alias.good.lab. CNAME host.good.lab.\"
  local-zone: \"refused.lab.\" refuse
  local-zone: \"silent.lab.\" deny
stub-zone:
  name: \"broken.lab.\"
  stub-addr: 192.0.2.53
remote-control:
  control-enable: no
";

fn unbound(folder: &Path) -> Peer {
    let conf = folder.join("conf");
    let text = UNBOUND.replace("FOLDER", &folder.display().to_string());
    std::fs::write(&conf, text).expect("the folder is writable");
    start("unbound", &["-d", "-c", &conf.display().to_string()])
}

fn asks(record: &str, name: &str) -> String {
    format!("DNS_CHECK {{\ntype {record}\nname {name}\n}}")
}

#[test]
fn every_type_of_record_is_asked_for_and_an_answer_is_a_success() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _unbound = unbound(folder.path());
    for (record, name) in [
        ("SOA", "good.lab"),
        ("NS", "good.lab"),
        ("MX", "good.lab"),
        ("TXT", "good.lab."),
        ("A", "host.good.lab"),
        ("AAAA", "host.good.lab"),
        ("CNAME", "alias.good.lab"),
    ] {
        succeeds(5353, &asks(record, name));
    }
    // Nothing of this type is there: an answer without an error all the same.
    succeeds(5353, &asks("MX", "host.good.lab"));
}

#[test]
fn a_name_server_fails_by_its_response_code_by_silence_and_by_its_absence() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let unbound = unbound(folder.path());
    succeeds(5353, &asks("SOA", "good.lab"));
    // RFC 1035, section 4.1.1: no such name, refused, server failure.
    fails(5353, &asks("A", "none.good.lab"), "response code 3");
    fails(5353, &asks("A", "refused.lab"), "response code 5");
    let patient = "DNS_CHECK {\nconnect_timeout 20\ntype A\nname broken.lab\n}";
    fails(5353, patient, "response code 2");
    let silent = "DNS_CHECK {\nconnect_timeout 1\ntype A\nname silent.lab\n}";
    fails(5353, silent, "no answer within 1 s");
    let label = "x".repeat(64);
    fails(5353, &asks("A", &format!("{label}.lab")), "is no name");
    drop(unbound);
    fails(5353, &asks("SOA", "good.lab"), "refused");
}
