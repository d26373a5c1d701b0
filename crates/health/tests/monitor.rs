//! Checks and servers in simulated time. What is expected is what keepalived.conf(5) says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, Files};
use health::{Event, Monitor, Outcome};

struct One(String);

impl Files for One {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn matching(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// A monitor, its time, and the answer of every real server's address.
struct World {
    monitor: Monitor,
    now: Duration,
    runs: usize,
}

impl World {
    fn new(text: &str) -> Self {
        let mut world = Self {
            monitor: Monitor::default(),
            now: Duration::ZERO,
            runs: 0,
        };
        world.configure(text);
        world
    }

    fn configure(&mut self, text: &str) {
        let environment = Environment {
            config_id: String::new(),
            random_seed: 0,
        };
        let reading = config::read(Path::new("/x"), &One(text.to_owned()), &environment)
            .expect("text can be read");
        assert!(!reading.has_errors(), "{}", reading.rendered(false));
        self.monitor
            .configure(&reading.config.virtual_servers, self.now, || 0);
    }

    /// Lets time pass; checks whose target ends so fail, others succeed. What happened.
    fn pass(&mut self, seconds: u64, failing: &[&str]) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut told = Vec::new();
        while let Some(at) = self.monitor.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            while let Some((id, check)) = self.monitor.poll_start(self.now) {
                self.runs += 1;
                let text = format!("{check:?}");
                let fails = failing.iter().any(|target| text.contains(target));
                let outcome = if fails {
                    Outcome::Failure("refused".to_owned())
                } else {
                    Outcome::Success { weight: None }
                };
                self.monitor.finished(id, &outcome, self.now);
            }
            while let Some(event) = self.monitor.poll_event() {
                told.push(self.describe(&event));
            }
        }
        self.now = end;
        told
    }

    fn describe(&self, event: &Event) -> String {
        let at = self.now.as_secs();
        match event {
            Event::RealServer {
                virtual_server,
                real_server,
                is_up,
            } => {
                let server = self
                    .monitor
                    .virtual_server(*virtual_server)
                    .expect("it is there");
                let address = server.real_servers[*real_server].destination.key.address;
                format!("{at} {address} {}", if *is_up { "up" } else { "down" })
            }
            Event::Quorum { is_up, weight, .. } => {
                format!(
                    "{at} quorum {} {weight}",
                    if *is_up { "up" } else { "down" }
                )
            }
        }
    }

    /// The destinations of the first service, and their weights.
    fn destinations(&self) -> Vec<String> {
        self.monitor.services()[0]
            .destinations
            .iter()
            .map(|d| format!("{} {}", d.key.address, d.weight))
            .collect()
    }
}

fn servers(virtual_server: &str, addresses: &[&str], real_server: &str) -> String {
    let real: String = addresses
        .iter()
        .map(|address| {
            format!("real_server {address} 80 {{\n{real_server}\nTCP_CHECK {{\n}}\n}}\n")
        })
        .collect();
    format!(
        "virtual_server 10.0.0.1 80 {{\nprotocol TCP\ndelay_loop 10\n{virtual_server}\n{real}}}\n"
    )
}

#[test]
fn a_server_fails_after_its_retries_and_is_back_after_one_success() {
    let mut world = World::new(&servers(
        "retry 2\ndelay_before_retry 1",
        &["10.0.0.2", "10.0.0.3"],
        "",
    ));
    assert_eq!(world.pass(5, &[]), Vec::<String>::new());
    // The check of 10 s fails, and those of 11 s and 12 s.
    assert_eq!(world.pass(10, &["10.0.0.2"]), ["12 10.0.0.2 down"]);
    assert_eq!(world.destinations(), ["10.0.0.3 1"]);
    // From 12 s on every 10 s.
    assert_eq!(world.pass(10, &[]), ["22 10.0.0.2 up"]);
    assert_eq!(world.destinations(), ["10.0.0.2 1", "10.0.0.3 1"]);
}

#[test]
fn a_failure_within_the_retries_does_nothing() {
    let mut world = World::new(&servers("retry 1\ndelay_before_retry 3", &["10.0.0.2"], ""));
    world.pass(9, &[]);
    assert_eq!(world.pass(2, &["10.0.0.2"]), Vec::<String>::new());
    assert_eq!(world.pass(20, &[]), Vec::<String>::new());
}

#[test]
fn under_alpha_servers_are_down_until_a_check_succeeds() {
    let mut world = World::new(&servers("alpha", &["10.0.0.2"], ""));
    assert_eq!(world.destinations(), Vec::<String>::new());
    assert_eq!(world.pass(0, &[]), ["0 10.0.0.2 up", "0 quorum up 1"]);
    assert_eq!(world.destinations(), ["10.0.0.2 1"]);
}

#[test]
fn an_inhibited_server_stays_with_weight_zero() {
    let mut world = World::new(&servers(
        "retry 0",
        &["10.0.0.2", "10.0.0.3"],
        "inhibit_on_failure",
    ));
    world.pass(1, &["10.0.0.2"]);
    assert_eq!(world.destinations(), ["10.0.0.2 0", "10.0.0.3 1"]);
}

/// keepalived's sample keepalived.conf.quorum: quorum 7, hysteresis 2; it is won with 9 and lost
/// below 5.
#[test]
fn quorum_is_won_and_lost_by_the_hysteresis() {
    let addresses: Vec<String> = (1..=10).map(|n| format!("10.9.0.{n}x")).collect();
    let addresses: Vec<&str> = addresses.iter().map(|a| a.trim_end_matches('x')).collect();
    let text = servers("alpha\nretry 0\nquorum 7\nhysteresis 2", &addresses, "");
    let mut world = World::new(&text);
    let ends = |n: std::ops::RangeInclusive<u32>| -> Vec<String> {
        n.map(|n| format!("10.9.0.{n},")).collect()
    };
    let failing = |names: &[String]| names.to_vec();
    let down = failing(&ends(9..=10));
    let down: Vec<&str> = down.iter().map(String::as_str).collect();
    let quorum = |told: Vec<String>| -> Vec<String> {
        told.into_iter()
            .filter(|line| line.contains("quorum"))
            .collect()
    };
    assert_eq!(quorum(world.pass(5, &down)), Vec::<String>::new(), "8 of 9");
    assert_eq!(quorum(world.pass(10, &[])), ["10 quorum up 9"]);
    let six = ends(6..=10);
    let six: Vec<&str> = six.iter().map(String::as_str).collect();
    assert_eq!(
        quorum(world.pass(10, &six)),
        Vec::<String>::new(),
        "5 are left"
    );
    let five = ends(5..=10);
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    assert_eq!(quorum(world.pass(10, &five)), ["30 quorum down 4"]);
}

#[test]
fn without_quorum_the_sorry_server_is_alone() {
    let mut world = World::new(&servers(
        "retry 0\nquorum 2\nsorry_server 10.0.0.9 80",
        &["10.0.0.2", "10.0.0.3"],
        "",
    ));
    assert_eq!(world.destinations(), ["10.0.0.2 1", "10.0.0.3 1"]);
    world.pass(1, &["10.0.0.3"]);
    assert_eq!(world.destinations(), ["10.0.0.9 1"]);
    world.pass(10, &[]);
    assert_eq!(world.destinations(), ["10.0.0.2 1", "10.0.0.3 1"]);
}

#[test]
fn a_target_of_many_virtual_servers_is_checked_once() {
    let one = servers("", &["10.0.0.2", "10.0.0.3"], "");
    let text: String = (1..=50)
        .map(|n| one.replace("10.0.0.1 ", &format!("10.1.0.{n} ")))
        .collect();
    let mut world = World::new(&text);
    world.pass(9, &[]);
    assert_eq!(world.runs, 2);
    assert_eq!(world.monitor.services().len(), 50);
}

#[test]
fn what_a_new_configuration_does_not_change_does_not_notice() {
    let text = servers("retry 0\nalpha", &["10.0.0.2", "10.0.0.3"], "");
    let mut world = World::new(&text);
    world.pass(5, &["10.0.0.3"]);
    assert_eq!(world.destinations(), ["10.0.0.2 1"]);
    let runs = world.runs;
    world.configure(&servers(
        "retry 0\nalpha",
        &["10.0.0.2", "10.0.0.3", "10.0.0.4"],
        "",
    ));
    // Nobody flaps: the living one lives, the failed one stays failed, the new one waits for its
    // first check, and only it is checked before its time.
    assert_eq!(world.destinations(), ["10.0.0.2 1"]);
    world.pass(1, &["10.0.0.3"]);
    assert_eq!(world.runs, runs + 1);
    assert_eq!(world.destinations(), ["10.0.0.2 1", "10.0.0.4 1"]);
}

/// A server that a BFD session checks, and one that a TCP_CHECK checks besides.
const NEIGHBOURS: &str = "
bfd_instance near {
    neighbor_ip 10.0.0.1
}
virtual_server 192.0.2.1 80 {
    protocol TCP
    real_server 10.0.0.1 80 {
        BFD_CHECK {
            name near
        }
    }
    real_server 10.0.0.2 80 {
        BFD_CHECK {
            name near
        }
        TCP_CHECK {
        }
    }
}
";

#[test]
fn a_server_goes_and_comes_with_its_bfd_session_at_once_and_history_tells_why() {
    let mut world = World::new(NEIGHBOURS);
    let tell = |world: &mut World, outcome: Outcome| {
        world.monitor.bfd("near", &outcome, world.now);
        world.monitor.bfd("near", &outcome, world.now);
        world.monitor.bfd("far", &outcome, world.now);
        let mut told = Vec::new();
        while let Some(event) = world.monitor.poll_event() {
            told.push(event);
        }
        (told.len(), world.monitor.services()[0].destinations.len())
    };
    let up = || Outcome::Success { weight: None };
    let lost = || Outcome::Failure("detection time expired".to_owned());
    assert_eq!(tell(&mut world, up()), (0, 2), "it was taken for up");
    assert!(!world.monitor.has_changed());
    // Two servers and the quorum.
    assert_eq!(tell(&mut world, lost()), (3, 0));
    assert!(world.monitor.has_changed());
    let status = world.monitor.status();
    let check = &status[0].real_servers[0].checks[0];
    let history: Vec<Option<&str>> = check
        .history
        .iter()
        .map(|run| run.failure.as_deref())
        .collect();
    assert_eq!(history, [None, Some("detection time expired")]);
    assert_eq!(tell(&mut world, up()), (3, 2));
    // A reload without change asks for nothing, and keeps what was told.
    tell(&mut world, lost());
    world.configure(NEIGHBOURS);
    assert_eq!(tell(&mut world, lost()), (0, 0));
    assert!(world.pass(200, &[]).is_empty(), "no session is ever run");
}

#[test]
fn with_ha_suspend_checks_rest_while_the_address_is_elsewhere_and_go_on_at_once() {
    let server = |address: &str, real: &str| {
        format!(
            "virtual_server {address} 80 {{\nprotocol TCP\nha_suspend\ndelay_loop 10\n\
             real_server {real} 80 {{\nTCP_CHECK {{\n}}\n}}\n}}\n"
        )
    };
    // One real server is checked for both virtual servers, by one check.
    let text = server("192.0.2.1", "10.0.0.1")
        + &server("192.0.2.2", "10.0.0.1")
        + &server("192.0.2.3", "10.0.0.2");
    let mut world = World::new(&text);
    assert!(world.monitor.has_suspended());
    let here = |world: &mut World, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.into()).collect();
        let is_here = |address: std::net::IpAddr| addresses.contains(&address.to_string());
        world.monitor.suspend(is_here, world.now);
    };
    here(&mut world, &["192.0.2.2"]);
    world.pass(60, &["10.0.0.2"]);
    assert_eq!(world.runs, 7, "that of 10.0.0.1 alone, each 10 s");
    here(&mut world, &[]);
    let told = world.pass(60, &["10.0.0.1", "10.0.0.2"]);
    assert_eq!((world.runs, told.len()), (7, 0), "nothing is run");
    here(&mut world, &["192.0.2.3"]);
    world.pass(0, &[]);
    assert_eq!(world.runs, 8, "at once");
}

#[test]
fn a_check_keeps_its_schedule_though_it_begins_late_and_pauses_after_it_took_long() {
    let text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\ndelay_loop 10\n\
                real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\n}\n}\n";
    let mut monitor = World::new(text).monitor;
    let seconds = Duration::from_secs_f64;
    // When it is due next, if it begins and ends then.
    let mut run = |begins: f64, ends: f64| {
        let (id, _) = monitor.poll_start(seconds(begins)).expect("it is due");
        monitor.finished(id, &Outcome::Success { weight: None }, seconds(ends));
        monitor.poll_timeout().expect("it waits").as_secs_f64()
    };
    assert_eq!(run(0.0, 0.2), 10.0);
    assert_eq!(run(10.3, 10.9), 20.0);
    assert_eq!(run(20.0, 29.0), 34.0);
}

#[test]
fn a_server_that_could_not_be_asked_is_what_it_was() {
    let mut world = World::new(&servers("retry 0", &["10.0.0.2", "10.0.0.3"], ""));
    world.pass(0, &["10.0.0.2"]);
    assert_eq!(world.destinations(), ["10.0.0.3 1"]);
    let not_asked = Outcome::NotAsked("Too many open files".to_owned());
    for due in [10, 20] {
        let now = Duration::from_secs(due);
        while let Some((id, _)) = world.monitor.poll_start(now) {
            world.monitor.finished(id, &not_asked, now);
        }
        assert_eq!(world.monitor.poll_event(), None);
        assert_eq!(world.destinations(), ["10.0.0.3 1"]);
    }
    let status = world.monitor.status();
    let last = status[0].real_servers[1].checks[0].history.back();
    let why = last.expect("it is remembered").failure.as_deref();
    assert_eq!(why, Some("not asked: Too many open files"));
}

#[test]
fn what_checks_change_is_told_service_by_service() {
    let other = servers("retry 0", &["10.0.0.4"], "").replace("10.0.0.1 ", "10.0.0.9 ");
    let text = servers("retry 0", &["10.0.0.2", "10.0.0.3"], "") + &other;
    let mut world = World::new(&text);
    world.pass(0, &["10.0.0.4"]);
    let changed = world.monitor.take_changed();
    let [service] = &changed[..] else {
        panic!("one service has changed: {changed:?}");
    };
    assert_eq!(service.settings.key.to_string(), "TCP 10.0.0.9:80");
    assert_eq!(service.destinations, []);
    assert_eq!(world.monitor.take_changed(), []);
}
