//! Every command of the transcripts prints what it printed there, and ends with the same exit code.

use crate::support::director::WantedDirector;
use crate::support::golden;
use crate::support::shell::Shell;
use crate::support::transcript::{Step, steps};
use adm::NameTables;
use control::wanted::Wanted;

/// Commands that are left out, by a part of them, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("ip_vs_app", "a file of the kernel's about its helpers"),
    ("percpu", "a file of the kernel's about its processors"),
    ("ls -l /proc/", "files of the kernel's"),
    ("sysctl", "a setting of the kernel's"),
    ("lsmod", "a module of the kernel's"),
    (
        "modprobe",
        "a module of the kernel's, and an ipvsadm that follows it",
    ),
    ("dpkg", "how the machine was set up"),
    ("ps ax", "a thread of the kernel's"),
    ("setpriv", "a right that the director checks"),
    ("/dev/full", "an output that fails, which another test has"),
    (">&-", "an output that fails, which another test has"),
    ("cd /sbin", "a directory that is changed"),
    ("mount", "how the machine was set up"),
    ("cat /etc/hosts", "how the machine was set up"),
    (":228 -b ,", "a crash of ipvsadm"),
    (
        "-s twos",
        "a scheduler that Linux has, and Debian's kernel was built without",
    ),
];

/// What was particular to the machine when a transcript was taken.
#[derive(Default)]
struct Machine<'a> {
    /// Lines before those of its `/etc/hosts`.
    hosts: &'a str,
    /// A salt that explains in which order its kernel listed services.
    salt: u8,
}

fn replay_on(machine: &Machine<'_>, name: &str) {
    let hosts = format!("{}{}", machine.hosts, golden("hosts"));
    let names = NameTables::new(&hosts, &golden("services"));
    let mut director = WantedDirector {
        wanted: Wanted::with_salt(machine.salt),
        ..WantedDirector::default()
    };
    for (interface, mtu) in [("lo", 65536), ("eth0", 1500)] {
        director.interfaces.insert(interface.to_owned(), mtu);
    }
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let mut shell = Shell {
        director: &mut director,
        names: &names,
        directory,
    };
    let mut run = 0;
    let mut different = Vec::new();
    for step in steps(&golden(name)) {
        if LEFT_OUT.iter().any(|(part, _)| step.command.contains(part)) {
            follow(&mut shell, &step);
            continue;
        }
        let outcome = shell.run(&step.command);
        run += 1;
        let got = Step {
            command: step.command.clone(),
            stdout: lines(&outcome.stdout),
            stderr: lines(&outcome.stderr),
            code: Some(outcome.code),
        };
        let is_same = match step.command.as_str() {
            // The order is of a hash with a salt.
            "cat /proc/net/ip_vs" => services(&got.stdout) == services(&step.stdout),
            _ => got == step,
        };
        if !is_same {
            different.push(format!(
                "{}\n{}",
                show("expected", &step),
                show("got", &got)
            ));
        }
    }
    assert!(run > 0, "{name} holds no command that is run");
    let count = different.len();
    assert!(
        different.is_empty(),
        "{count} of {run} differ\n{}",
        different.join("\n")
    );
}

fn replay(name: &str) {
    replay_on(&Machine::default(), name);
}

fn replay_salted(name: &str, salt: u8) {
    replay_on(
        &Machine {
            salt,
            ..Machine::default()
        },
        name,
    );
}

/// Of a step that loads a module and then runs ipvsadm, does the latter.
fn follow(shell: &mut Shell<'_>, step: &Step) {
    if let Some((_, rest)) = step.command.split_once("; ipvsadm -A") {
        shell.run(&format!("ipvsadm -A{rest}"));
    }
}

/// The title lines, and services with their destinations, sorted.
fn services(lines: &[String]) -> Vec<Vec<&String>> {
    let (titles, rows) = lines.split_at(3.min(lines.len()));
    let is_one = |_: &&String, next: &&String| next.starts_with("  ->");
    let rows: Vec<&String> = rows.iter().collect();
    let mut services: Vec<Vec<&String>> = rows.chunk_by(is_one).map(<[_]>::to_vec).collect();
    services.sort();
    services.insert(0, titles.iter().collect());
    services
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn show(title: &str, step: &Step) -> String {
    let mut text = format!("{title}: $ {}\n", step.command);
    for line in &step.stdout {
        text += &format!("| {line}\n");
    }
    for line in &step.stderr {
        text += &format!("! {line}\n");
    }
    let code = step.code.map_or("none".to_owned(), |code| code.to_string());
    text + &format!("= {code}\n")
}

#[test]
fn an_empty_table_is_listed_in_every_way() {
    replay("01-empty.txt");
}

#[test]
fn services_and_destinations_are_made_changed_saved_restored_and_removed() {
    replay("02-crud.txt");
}

#[test]
fn every_scheduler_and_flag_is_taken_and_shown() {
    replay("03-schedulers.txt");
}

#[test]
fn persistence_has_timeouts_and_masks() {
    replay("04-persist.txt");
}

#[test]
fn ipv6_services_and_destinations_are_bracketed() {
    replay("06-ipv6.txt");
}

#[test]
fn tunnels_have_a_type_a_port_and_a_checksum() {
    replay("07-tun.txt");
}

#[test]
fn errors_have_their_messages_and_exit_codes() {
    replay("09-errors.txt");
}

#[test]
fn timeouts_are_set_and_kept() {
    replay("10-timeouts.txt");
}

#[test]
fn sync_daemons_are_started_listed_and_stopped() {
    replay("11-daemon.txt");
}

#[test]
fn options_are_spelled_in_many_ways() {
    replay_salted("70-spellings.txt", 0x50);
}

#[test]
fn values_of_services_are_read_as_the_c_library_reads_them() {
    replay("71-values.txt");
}

#[test]
fn values_of_destinations_are_read_as_the_c_library_reads_them() {
    replay_salted("72-destinations.txt", 0x80);
}

#[test]
fn rules_are_restored_line_by_line() {
    replay("73-restore.txt");
}

#[test]
fn hosts_and_ports_are_named_and_cut_to_their_column() {
    let hosts = "10.77.0.1\taverylongname.of.a.real.server.example.org short\n\
         10.77.0.2 www.example.org www\n\
         fd77::1 six.example.org\n\
         fd77::2 averylongname.of.a.sixth.server.example.org\n\
         10.77.0.1 second.example.org\n\
         10.77.0.4 Host.Example.ORG\n";
    replay_on(&Machine { hosts, salt: 0x50 }, "74-names.txt");
}

#[test]
fn listings_are_sorted_by_the_sign_of_the_difference() {
    replay_salted("75-order.txt", 0x50);
}

#[test]
fn sync_daemons_have_many_settings() {
    replay("76-sync-daemon.txt");
}

#[test]
fn of_several_errors_the_first_that_ipvsadm_looks_for_is_reported() {
    let long = "x".repeat(60);
    let hosts =
        format!("10.78.0.1 {long}.{long}.example.org\nfd78::1 {long}.{long}.six.example.org\n");
    replay_on(
        &Machine {
            hosts: &hosts,
            ..Machine::default()
        },
        "77-precedence.txt",
    );
}

#[test]
fn views_exclude_each_other_in_a_fixed_order() {
    replay("79-views.txt");
}

#[test]
fn every_option_stands_beside_every_command_as_it_did() {
    replay_drawn("80-options.txt", 0);
}

#[test]
fn every_odd_number_is_taken_or_refused_as_it_was() {
    replay_drawn("81-values.txt", 0);
}

#[test]
fn every_odd_address_and_port_is_taken_or_refused_as_it_was() {
    replay_drawn("82-ends.txt", 0);
}

#[test]
fn whole_command_lines_leave_behind_what_they_did() {
    replay_drawn("83-words.txt", 0x20);
}

/// Replays what `examples/command_lines.rs` printed and `oracle/transcribe.sh` asked.
fn replay_drawn(name: &str, salt: u8) {
    let hosts = &golden("more-hosts");
    replay_on(&Machine { hosts, salt }, name);
}
