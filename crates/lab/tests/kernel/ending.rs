//! How a lab ends, however it ends: nothing is left.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Child;
use std::time::Duration;

use crate::support::{TestLab, is_alive, said, wait_until};

/// The step in which requests hang, so that there is time to interrupt it.
const HANGING: [&str; 2] = ["--step", "3"];

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn ctrl_c_and_sigterm_leave_no_namespace_no_process_and_no_file() {
    for (name, number) in [("int", Signal::SIGINT), ("term", Signal::SIGTERM)] {
        let lab = TestLab::new(name);
        let run = lab.start("run", &HANGING);
        let servers = lab.wait_for_servers();
        signal(&run, number);
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert_eq!(lab.left(), Vec::<String>::new());
        assert!(!servers.iter().any(|pid| is_alive(pid)));
    }
}

#[test]
fn an_interrupt_while_the_lab_is_being_built_leaves_nothing_either() {
    let lab = TestLab::new("early");
    for delay in [2, 5, 10, 20, 30, 40, 60, 80, 120] {
        let run = lab.start("run", &HANGING);
        std::thread::sleep(Duration::from_millis(delay));
        signal(&run, Signal::SIGINT);
        // How it ends is of no matter here: before it hears of the interrupt, a busy machine may let
        // it come to its end.
        let output = run.wait_with_output().unwrap();
        assert_eq!(
            lab.left(),
            Vec::<String>::new(),
            "after {delay} ms: {}",
            said(&output)
        );
    }
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_run() {
    let lab = TestLab::new("killed");
    let mut run = lab.start("run", &HANGING);
    let servers = lab.wait_for_servers();
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(
        servers.iter().all(|pid| is_alive(pid)),
        "the test is about what is left"
    );
    let output = lab.call("run", &["--step", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!servers.iter().any(|pid| is_alive(pid)));
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_is_removed_by_down() {
    let lab = TestLab::new("killed-down");
    let mut run = lab.start("run", &HANGING);
    let servers = lab.wait_for_servers();
    run.kill().unwrap();
    run.wait().unwrap();
    let output = lab.call("down", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!servers.iter().any(|pid| is_alive(pid)));
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_second_run_of_the_same_lab_is_refused_and_the_first_goes_on() {
    let lab = TestLab::new("twice");
    let first = lab.start("run", &HANGING);
    lab.wait_for_servers();
    for verb in ["run", "up", "down"] {
        let second = lab.call(verb, &[]);
        assert_eq!(second.status.code(), Some(1));
        let wanted = format!(
            "lab test-twice is in use by another xvs (process {})",
            first.id()
        );
        assert!(said(&second).contains(&wanted), "{verb}: {}", said(&second));
    }
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_lab_that_is_up_stays_until_it_is_taken_down() {
    let lab = TestLab::new("stays");
    assert!(lab.call("up", &[]).status.success());
    let again = lab.call("run", &[]);
    assert!(
        said(&again).contains("lab test-stays is up already"),
        "{}",
        said(&again)
    );
    let page = lab.call(
        "exec",
        &["client", "curl", "--silent", "http://172.16.10.21/"],
    );
    assert_eq!(said(&page), "from RS1:192.168.100.39\n");
    let servers = lab.wait_for_servers();
    assert!(lab.call("down", &[]).status.success());
    wait_until("the web servers have ended", || {
        (!servers.iter().any(|pid| is_alive(pid))).then_some(())
    });
    assert_eq!(lab.left(), Vec::<String>::new());
    assert!(said(&lab.call("exec", &["client", "true"])).contains("lab test-stays is not up"));
}

#[test]
fn a_reader_that_leaves_early_ends_the_run_and_nothing_is_left() {
    let lab = TestLab::new("pipe");
    let mut run = lab.start("run", &[]);
    drop(run.stdout.take());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output), "");
    assert_eq!(lab.left(), Vec::<String>::new());
}
