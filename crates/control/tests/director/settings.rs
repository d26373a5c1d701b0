//! Settings, and what they do to connections. `Documentation/networking/ipvs-sysctl.rst` says what
//! each should.

use std::net::SocketAddr;

use abi::Reason;
use control::{Director, Plane};
use model::{Setting, SettingError, SettingRequest};
use plane_user::Memory;

use crate::common::{Do, add, add_persistent, director, remove, remove_service};
use crate::packets::{Flag, balancing, client, lan, listed, serve, server};

const WEB: &str = "TCP 10.0.0.1:80";
const ONE: &str = "192.168.0.1:80";
const TWO: &str = "192.168.0.2:80";
/// Pages of memory that are plenty.
const PLENTY: u64 = 1 << 20;

/// `xvs set`, as in `set(&mut director, "drop_entry=3")`.
fn set(director: &mut Director<Memory>, requests: &str) -> Result<(), SettingError> {
    let requests: Vec<SettingRequest> = requests
        .split_whitespace()
        .map(|request| request.parse().unwrap())
        .collect();
    director.set(&requests)
}

fn open(director: &Director<Memory>, port: u16, last: u8) {
    assert_eq!(client(director, port, Flag::Syn), Reason::Forwarded);
    assert_eq!(server(director, last, port, Flag::SynAck), Reason::Replied);
    assert_eq!(client(director, port, Flag::Ack), Reason::Forwarded);
}

fn ports(director: &Director<Memory>) -> Vec<u16> {
    let mut ports: Vec<u16> = listed(director)
        .iter()
        .map(|entry| entry.client.port())
        .collect();
    ports.sort_unstable();
    ports
}

#[test]
fn of_several_settings_all_are_made_or_none() {
    let mut director = director();
    let before = director.settings().clone();
    for second in ["drop_entry=4", "conntrack=1", "nonsense=1"] {
        let refused = set(&mut director, &format!("sloppy_tcp=1 {second}"));
        assert!(refused.is_err(), "{second}");
        assert_eq!(director.settings(), &before);
        assert_eq!(director.plane().view().globals.sloppy_tcp.load(), 0);
    }
}

#[test]
fn settings_reach_packets_and_outlive_a_daemon() {
    let mut director = director();
    let all = "conn_reuse_mode=3 expire_nodest_conn=1 expire_quiescent_template=7 pmtu_disc=0 \
               sloppy_tcp=-1 schedule_icmp=1 nat_icmp_send=2 secure_tcp=3 drop_packet=3 am_droprate=5 lblcr_expiration=60";
    set(&mut director, all).unwrap();
    let saved = director.saved();
    let director = director.restarted();
    assert_eq!(director.saved(), saved);
    let globals = director.plane().view().globals;
    for (cell, expected) in [
        (&globals.conn_reuse_mode, 3),
        (&globals.expire_nodest_conn, 1),
        (&globals.expire_quiescent_template, 1),
        (&globals.pmtu_disc, 0),
        (&globals.sloppy_tcp, 1),
        (&globals.schedule_icmp, 1),
        (&globals.nat_icmp_send, 1),
        (&globals.tcp_table, 1),
        (&globals.drop_packet, 5),
        (&globals.lblcr_expiration, 60 * Memory::TICKS_PER_SECOND),
    ] {
        assert_eq!(cell.load(), expected);
    }
}

/// Linux 6.1 at `am_droprate=4`: of datagrams from 13 ports it dropped the 1st, 5th, 9th and 13th.
#[test]
fn drop_packet_drops_one_of_so_many_that_would_open_a_connection() {
    let mut director = balancing("rr", &[ONE]);
    set(&mut director, "drop_packet=3 am_droprate=4").unwrap();
    let reasons: Vec<Reason> = (40001..40010)
        .map(|port| client(&director, port, Flag::Syn))
        .collect();
    let (no, yes) = (Reason::Shed, Reason::Forwarded);
    assert_eq!(reasons, [no, yes, yes, yes, no, yes, yes, yes, no]);
    let repeated = [40002; 9].map(|port| client(&director, port, Flag::Syn));
    assert_eq!(
        repeated, [yes; 9],
        "of connections that are, none is dropped"
    );
    set(&mut director, "drop_packet=0").unwrap();
    let reasons = [40011, 40012, 40013, 40014].map(|port| client(&director, port, Flag::Syn));
    assert_eq!(reasons, [yes; 4]);
}

#[test]
fn drop_entry_forgets_half_open_connections_within_half_a_minute_and_no_others() {
    let mut director = balancing("rr", &[ONE]);
    open(&director, 40001, 1);
    for port in 40002..40020 {
        assert_eq!(client(&director, port, Flag::Syn), Reason::Forwarded);
    }
    director.defend(PLENTY);
    assert_eq!(ports(&director).len(), 19, "the setting is 0");
    set(&mut director, "drop_entry=1").unwrap();
    for _ in 0..32 {
        director.defend(PLENTY);
    }
    assert_eq!(ports(&director).len(), 19, "there is memory enough");
    for _ in 0..31 {
        director.defend(0);
    }
    assert!(ports(&director).len() < 19);
    director.defend(0);
    assert_eq!(ports(&director), [40001]);
    assert_eq!(director.settings().get(Setting::DropEntry), 2);
    let status = &director.status(WEB).destinations[0];
    assert_eq!(
        (status.active_connections, status.inactive_connections),
        (1, 0)
    );
}

#[test]
fn secure_tcp_waits_for_the_handshake_before_a_connection_lives_long() {
    let state = |secure: i32| {
        let mut director = balancing("rr", &[ONE]);
        set(&mut director, &format!("secure_tcp={secure}")).unwrap();
        client(&director, 40001, Flag::Syn);
        server(&director, 1, 40001, Flag::SynAck);
        listed(&director)[0].state.to_string()
    };
    // OUT syn in SYN_RECV: ip_vs_proto_tcp.c, tcp_states and tcp_states_dos.
    assert_eq!([state(0), state(3)], ["SYN_RECV", "SYNACK"]);
}

#[test]
fn sloppy_tcp_lets_any_segment_but_a_reset_open_a_connection() {
    let mut director = balancing("rr", &[ONE]);
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::NotSyn);
    set(&mut director, "sloppy_tcp=1").unwrap();
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::Forwarded);
    assert_eq!(client(&director, 40002, Flag::Rst), Reason::NotSyn);
}

/// Linux 6.1 with `expire_nodest_conn=1`: nothing was listed after `-d`, nor after `-D` or `-C`.
#[test]
fn connections_of_removed_destinations_end_where_expire_nodest_conn_says_so() {
    for (value, left) in [(0, vec![40001, 40002]), (1, vec![40001])] {
        let mut director = balancing("rr", &[ONE, TWO]);
        set(&mut director, &format!("expire_nodest_conn={value}")).unwrap();
        open(&director, 40001, 2);
        open(&director, 40002, 1);
        director.must(remove(WEB, ONE));
        assert_eq!(ports(&director), left);
        director.must(remove_service(WEB));
        assert_eq!(ports(&director).is_empty(), value == 1);
    }
}

#[test]
fn templates_of_removed_destinations_end_with_their_connections() {
    let mut director = director();
    director.must(add_persistent(WEB, 300));
    director.must(add(WEB, ONE, 1));
    serve(&mut director, &lan());
    set(&mut director, "expire_nodest_conn=1").unwrap();
    open(&director, 40001, 1);
    let template = SocketAddr::from(([198, 51, 100, 7], 0));
    assert!(listed(&director).iter().any(|e| e.client == template));
    director.must(remove(WEB, ONE));
    assert_eq!(listed(&director), []);
}

#[test]
fn rates_stay_as_they_are_without_run_estimation() {
    let mut director = balancing("rr", &[ONE]);
    let rate = |director: &mut Director<Memory>| {
        director.estimate();
        director.status(WEB).rates.connections
    };
    assert_eq!(rate(&mut director), 0);
    (40001..40101)
        .for_each(|port| assert_eq!(client(&director, port, Flag::Syn), Reason::Forwarded));
    let estimated = rate(&mut director);
    assert!(estimated > 0);
    set(&mut director, "run_estimation=0").unwrap();
    for _ in 0..5 {
        assert_eq!(rate(&mut director), estimated);
    }
    set(&mut director, "run_estimation=1").unwrap();
    assert!(rate(&mut director) < estimated);
}
