//! How the programs behave towards their surroundings.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use crate::support::director::WantedDirector;
use crate::support::golden;
use crate::support::transcript::steps;
use adm::{NameTables, Program, Resolver, Streams, Unavailable, run};
use model::{Command, Protocol, ServiceRequest};

/// Runs a program, and returns what it printed and its exit code.
fn call(
    program: Program,
    line: &str,
    input: &str,
    director: &mut WantedDirector,
) -> (String, String, u8) {
    let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams {
        input: &mut input.as_bytes(),
        output: &mut output,
        errors: &mut errors,
    };
    let code = run(program, &args, streams, director, &NameTables::default());
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is text");
    (text(output), text(errors), code)
}

fn absent() -> WantedDirector {
    let reason = "Protocol not available".to_owned();
    let hint = "start the director with `xvs serve'".to_owned();
    WantedDirector {
        absent: Some(Unavailable { reason, hint }),
        ..WantedDirector::default()
    }
}

/// The first two lines are those of ipvsadm on a kernel without IP_VS.
const NO_DIRECTOR: &str = "Can't initialize ipvs: Protocol not available\n\
    Are you sure that IP Virtual Server is built in the kernel or as module?\n\
    hint: start the director with `xvs serve'\n";

#[test]
fn without_a_director_every_command_says_so_before_anything_else() {
    for line in ["ipvsadm", "ipvsadm -Ln", "ipvsadm -A", "ipvsadm bogus"] {
        let (output, errors, code) = call(Program::Ipvsadm, line, "", &mut absent());
        assert_eq!(
            (output.as_str(), errors.as_str(), code),
            ("", NO_DIRECTOR, 2),
            "{line}"
        );
    }
    let (_, errors, code) = call(Program::Restore, "ipvsadm-restore", "", &mut absent());
    assert_eq!((errors, code), (NO_DIRECTOR.repeat(2), 2));
}

#[test]
fn who_is_not_root_is_told_so_in_ipvsadms_words_alone() {
    let reason = "Permission denied (you must be root)".to_owned();
    let hint = String::new();
    let mut director = WantedDirector {
        absent: Some(Unavailable { reason, hint }),
        ..WantedDirector::default()
    };
    let steps = steps(&golden("09-errors.txt"));
    let refused = steps
        .iter()
        .filter(|step| step.command.contains(" ipvsadm -"));
    let mut count = 0;
    for step in refused.filter(|step| step.command.starts_with("setpriv")) {
        let (_, line) = step
            .command
            .split_once(" ipvsadm ")
            .expect("it was looked for");
        let line = format!("ipvsadm {line}");
        let (output, errors, code) = call(Program::Ipvsadm, &line, "", &mut director);
        assert_eq!(errors.lines().collect::<Vec<_>>(), step.stderr);
        assert_eq!((output.as_str(), Some(code)), ("", step.code));
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn help_and_version_need_no_director() {
    for (line, beginning) in [
        ("ipvsadm -h", "ipvsadm v1.31"),
        ("ipvsadm -v", "ipvsadm v1.31"),
    ] {
        let (output, errors, code) = call(Program::Ipvsadm, line, "", &mut absent());
        assert!(output.starts_with(beginning), "{output}");
        assert_eq!((errors.as_str(), code), ("", 0));
    }
}

#[test]
fn the_program_is_called_by_its_own_name_in_messages() {
    let mut director = WantedDirector::default();
    let (_, errors, code) = call(Program::Ipvsadm, "./ipvsadm bogus", "", &mut director);
    let expected = "Try `./ipvsadm -h' or './ipvsadm --help' for more information.\n";
    assert_eq!((errors.as_str(), code), (expected, 255));
}

#[test]
fn a_table_is_restored_in_few_transactions() {
    let mut rules = "-A -t 1.1.1.1:80 -s wrr\n".to_owned();
    for host in 1..=250 {
        rules += &format!("-a -t 1.1.1.1:80 -r 10.0.0.{host}:80 -m -w 1\n");
    }
    let mut director = WantedDirector::default();
    let (_, errors, code) = call(Program::Ipvsadm, "ipvsadm -R", &rules, &mut director);
    assert_eq!((errors.as_str(), code), ("", 0));
    assert_eq!(director.transactions, 1);
    let (saved, _, _) = call(Program::Save, "ipvsadm-save -n", "", &mut director);
    assert_eq!(saved, rules);
}

#[test]
fn output_that_nobody_takes_is_no_failure() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for line in ["-Ln", "-Sn", "-h", "-Lnc", "-L --timeout"] {
        let mut director = WantedDirector::default();
        let request = ServiceRequest::new("TCP 1.1.1.1:80".parse().unwrap(), "rr");
        director
            .wanted
            .apply(&Command::AddService(request))
            .unwrap();
        let args: Vec<_> = format!("ipvsadm {line}")
            .split(' ')
            .map(str::to_owned)
            .collect();
        let mut errors = Vec::new();
        let streams = Streams {
            input: &mut io::empty(),
            output: &mut Full,
            errors: &mut errors,
        };
        let names = NameTables::default();
        let code = run(Program::Ipvsadm, &args, streams, &mut director, &names);
        assert_eq!((code, errors.as_slice()), (0, &[][..]), "{line}");
    }
}

#[test]
fn a_program_is_known_by_the_last_part_of_its_path() {
    assert_eq!(
        Program::from_path("/usr/sbin/ipvsadm"),
        Some(Program::Ipvsadm)
    );
    assert_eq!(Program::from_path("ipvsadm-save"), Some(Program::Save));
    assert_eq!(
        Program::from_path("./ipvsadm-restore"),
        Some(Program::Restore)
    );
    assert_eq!(Program::from_path("/usr/sbin/xvs"), None);
}

#[test]
fn no_name_is_looked_up_for_a_numeric_listing() {
    struct Unasked;
    impl Resolver for Unasked {
        fn host_address(&self, name: &str) -> Option<Ipv4Addr> {
            panic!("{name} is looked up")
        }
        fn host_name(&self, address: IpAddr) -> Option<String> {
            panic!("{address} is looked up")
        }
        fn service_port(&self, name: &str, _: Protocol) -> Option<u16> {
            panic!("{name} is looked up")
        }
        fn service_name(&self, port: u16, _: Protocol) -> Option<String> {
            panic!("{port} is looked up")
        }
    }
    let mut director = WantedDirector::default();
    for line in [
        "-A -t 1.1.1.1:80",
        "-a -t 1.1.1.1:80 -r 2.2.2.2:80",
        "-Ln",
        "-Sn",
        "-Lnc",
    ] {
        let args: Vec<_> = format!("ipvsadm {line}")
            .split(' ')
            .map(str::to_owned)
            .collect();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams = Streams {
            input: &mut io::empty(),
            output: &mut output,
            errors: &mut errors,
        };
        let code = run(Program::Ipvsadm, &args, streams, &mut director, &Unasked);
        assert_eq!(code, 0, "{line}");
    }
}
