//! How connections end and begin anew.

use abi::Reason;
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, FIN, Packet, SYN};
use crate::lan::{SERVER, SERVER_PORT, WEB, remove};

const SEND: Action = Action::Send;

fn open(bed: &Bed, port: u16) {
    for flags in [SYN, ACK] {
        bed.must(
            &Packet::to_service(port, WEB, flags).frame(),
            SEND,
            Reason::Forwarded,
        );
        bed.must(
            &Packet::from_server(port, ACK).frame(),
            SEND,
            Reason::Replied,
        );
    }
}

#[test]
fn a_connection_that_was_silent_for_its_timeout_is_gone() {
    let bed = Bed::shared();
    open(&bed, 40001);
    let data = Packet::to_service(40001, WEB, ACK);
    bed.advance(890);
    bed.must(&data.frame(), SEND, Reason::Forwarded);
    bed.advance(890);
    let left = bed.must(&data.frame(), SEND, Reason::Forwarded);
    assert_eq!(left, data.clone().sent_to(SERVER, SERVER_PORT).frame());
    bed.advance(901);
    bed.must(&data.frame(), Action::Pass, Reason::NotSyn);
}

#[test]
fn a_syn_in_time_wait_opens_a_new_connection() {
    let bed = Bed::shared();
    open(&bed, 40001);
    bed.must(
        &Packet::to_service(40001, WEB, FIN | ACK).frame(),
        SEND,
        Reason::Forwarded,
    );
    bed.must(
        &Packet::from_server(40001, FIN | ACK).frame(),
        SEND,
        Reason::Replied,
    );
    assert_eq!(bed.connections(), (0, 1));
    let seen = bed.send(&Packet::to_service(40001, WEB, SYN).frame());
    let counted = [
        Reason::Forwarded,
        Reason::NewConnection,
        Reason::ConnectionReused,
    ];
    assert_eq!(seen.counted, counted);
    assert_eq!(bed.connections(), (1, 0));
}

#[test]
fn a_removed_destination_gets_no_more_but_its_replies_go_on() {
    let mut bed = Bed::new();
    open(&bed, 40001);
    bed.apply(&[remove("TCP 10.0.0.1:80", "192.168.0.2:8080")]);
    let data = Packet::to_service(40001, WEB, ACK).frame();
    bed.must(&data, Action::Drop, Reason::DestinationUnavailable);
    bed.must(
        &Packet::from_server(40001, ACK).frame(),
        SEND,
        Reason::Replied,
    );
    let syn = Packet::to_service(40002, WEB, SYN).frame();
    bed.must(&syn, SEND, Reason::NoDestination);
}

#[test]
fn expire_nodest_conn_ends_the_connections_of_a_removed_destination() {
    let mut bed = Bed::new();
    open(&bed, 40001);
    bed.change(|view| view.globals.expire_nodest_conn.store(1));
    bed.apply(&[remove("TCP 10.0.0.1:80", "192.168.0.2:8080")]);
    let data = Packet::to_service(40001, WEB, ACK).frame();
    bed.must(&data, Action::Pass, Reason::NotSyn);
    assert_eq!(bed.connections(), (0, 0));
}

/// 1024 slots are not enough for 4096 connections; nothing breaks and every refusal is counted.
#[test]
fn a_full_table_refuses_and_counts() {
    let bed = Bed::new();
    let mut refused = 0;
    for port in 1001..=5096 {
        let seen = bed.send(&Packet::to_service(port, WEB, SYN).frame());
        match seen.reason {
            Reason::Forwarded => assert_eq!(seen.action, SEND),
            reason => {
                assert_eq!((seen.action, reason), (Action::Drop, Reason::TableFull));
                refused += 1;
                // Once a tick every director looks for room, whatever its clock.
                bed.change(|view| {
                    let offset = &view.globals.clock_offset;
                    offset.store(offset.load() + 1);
                });
            }
        }
    }
    let (active, inactive) = bed.connections();
    assert_eq!((active + refused, inactive), (4096, 0));
    assert!((900..=1024).contains(&active), "{active}");
    bed.advance(61);
    bed.must(
        &Packet::to_service(5000, WEB, SYN).frame(),
        SEND,
        Reason::Forwarded,
    );
}

/// What the kernel does at a rate of 3 (`ip_vs_todrop`).
#[test]
fn where_there_is_too_much_one_of_so_many_packets_opens_no_connection() {
    let bed = Bed::new();
    bed.change(|view| view.globals.drop_packet.store(3));
    for (number, port) in (40001..40008).enumerate() {
        let (action, reason) = match number % 3 {
            0 => (Action::Drop, Reason::Shed),
            _ => (SEND, Reason::Forwarded),
        };
        bed.must(&Packet::to_service(port, WEB, SYN).frame(), action, reason);
    }
    let data = Packet::to_service(40002, WEB, ACK).frame();
    (0..6).for_each(|_| drop(bed.must(&data, SEND, Reason::Forwarded)));
}
