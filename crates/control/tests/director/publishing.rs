//! What packets see of the wanted state.

use crate::common::{
    Do, Lan, add, add_service, destination, director, edit, flags_on, key, load, probes, remove,
    remove_service, sizes, words,
};
use abi::{ServiceCell, address_flags, destination_flags, hash_service};
use control::{CommandError, Director, Plane};
use model::{Command, Refusal};
use plane_user::Memory;

const WEB: &str = "TCP 10.0.0.1:80";

/// The cell that a packet for a TCP service finds.
fn service<'a>(memory: &'a Memory, address: &str, port: u16) -> Option<&'a ServiceCell> {
    let view = memory.view();
    let key = ServiceCell::key(port.to_be(), 6, address.contains(':'));
    let address = words(address);
    let cells = view.services_of(view.globals.side.load());
    probes(cells, hash_service(address, key))
        .take_while(|cell| cell.key.load() != 0)
        .find(|cell| cell.key.load() == key && load(&cell.address) == address)
}

fn flags(memory: &Memory, address: &str) -> u32 {
    let side = memory.view().globals.side.load();
    flags_on(memory, side, address.parse().unwrap())
}

/// The addresses' last bytes of the destinations that the next connections go to, as packets take
/// them from the tables.
fn picks(director: &Director<Memory>, count: u64) -> Vec<u8> {
    let memory = director.plane();
    let view = memory.view();
    let cell = service(memory, "10.0.0.1", 80).expect("the service is published");
    let cursor = &view.service_runtime[cell.number.load() as usize].cursor;
    let pick = |_| {
        let done = cursor.fetch_add(1).wrapping_sub(cell.cursor_base.load());
        let position = done % cell.picks.load();
        let blocks =
            &view.blocks[cell.blocks_first.load() as usize..][..cell.blocks.load() as usize];
        let block = blocks
            .iter()
            .rfind(|block| block.start.load() <= position)
            .unwrap();
        let place = (position - block.start.load()) % u64::from(block.members.load());
        let number = view.members[block.members_first.load() as usize + place as usize]
            .number
            .load();
        let address = view.destinations[number as usize].address[0].load();
        address.to_ne_bytes()[3]
    };
    (0..count).map(pick).collect()
}

#[test]
fn a_service_and_its_addresses_are_seen_at_once_on_both_sides() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.2:8080", 1));
    let memory = director.plane();
    for _ in 0..2 {
        let cell = service(memory, "10.0.0.1", 80).unwrap();
        assert_eq!((cell.members.load(), cell.picks.load()), (1, 1));
        assert_eq!(flags(memory, "10.0.0.1"), address_flags::VIRTUAL);
        assert_eq!(flags(memory, "192.168.0.2"), address_flags::REAL);
        let side = &memory.view().globals.side;
        side.store(side.load() ^ 1);
    }
}

#[test]
fn weights_lay_out_the_oracles_sequence() {
    let mut director = director();
    director.must(add_service(WEB, "wrr"));
    director.must(add(WEB, "192.168.100.39:80", 2));
    director.must(add(WEB, "192.168.100.23:80", 3));
    // What Linux 6.1 does after these commands, by its list of connections.
    let expected = [23, 39, 23, 23, 39, 23, 39, 23, 23, 39];
    assert_eq!(picks(&director, 10), expected);
}

#[test]
fn a_round_goes_on_where_it_was_when_a_destination_is_added() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    for address in ["192.168.0.1:80", "192.168.0.2:80", "192.168.0.3:80"] {
        director.must(add(WEB, address, 1));
    }
    assert_eq!(picks(&director, 2), [3, 2]);
    director.must(add(WEB, "192.168.0.4:80", 1));
    assert_eq!(picks(&director, 5), [1, 4, 3, 2, 1]);
}

#[test]
fn a_destination_without_weight_is_in_the_list_but_not_in_the_sequence() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.1:80", 1));
    director.must(add(WEB, "192.168.0.2:80", 1));
    director.must(edit(WEB, "192.168.0.2:80", 0));
    assert_eq!(picks(&director, 3), [1, 1, 1]);
    director.must(edit(WEB, "192.168.0.1:80", 0));
    let cell = service(director.plane(), "10.0.0.1", 80).unwrap();
    assert_eq!(
        (cell.members.load(), cell.blocks.load(), cell.picks.load()),
        (2, 0, 0)
    );
}

#[test]
fn a_removed_destination_is_not_available_and_the_same_again_when_it_comes_back() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.1:80", 1));
    director.must(add(WEB, "192.168.0.2:80", 1));
    let number = director
        .publisher()
        .numbers(&key(WEB))
        .unwrap()
        .destinations[&"192.168.0.1:80".parse().unwrap()];
    let available = |director: &Director<Memory>| {
        let cell = &director.plane().view().destinations[number as usize];
        cell.flags.load() & destination_flags::AVAILABLE != 0
    };
    director.must(remove(WEB, "192.168.0.1:80"));
    assert!(!available(&director));
    assert_eq!(picks(&director, 2), [2, 2]);
    director.must(add(WEB, "192.168.0.1:80", 1));
    assert!(available(&director));
    let again = director.publisher().numbers(&key(WEB)).unwrap();
    assert_eq!(
        again.destinations[&"192.168.0.1:80".parse().unwrap()],
        number
    );
}

#[test]
fn a_removed_service_is_gone_for_packets_and_its_address_goes_after_a_sweep() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.1:80", 1));
    director.must(remove_service(WEB));
    assert!(service(director.plane(), "10.0.0.1", 80).is_none());
    assert_eq!(flags(director.plane(), "10.0.0.1"), address_flags::VIRTUAL);
    director.sweep_all();
    director.sweep_all();
    assert_eq!(flags(director.plane(), "10.0.0.1"), 0);
    assert_eq!(flags(director.plane(), "192.168.0.1"), 0);
    assert_eq!(director.publisher().usage().map(|(used, _)| used), [0, 0]);
}

#[test]
fn an_address_is_local_where_the_network_says_so() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    let mut lan = Lan::default();
    lan.local.insert("10.0.0.1".parse().unwrap());
    director.follow(&lan).unwrap();
    let both = address_flags::VIRTUAL | address_flags::LOCAL;
    assert_eq!(flags(director.plane(), "10.0.0.1"), both);
    director.follow(&Lan::default()).unwrap();
    assert_eq!(flags(director.plane(), "10.0.0.1"), address_flags::VIRTUAL);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    for last in 1..=sizes().destinations {
        director.must(add(WEB, &format!("192.168.0.{last}:80"), 1));
    }
    let before = director.saved();
    let error = director.run(add(WEB, "192.168.1.1:80", 1)).unwrap_err();
    assert!(matches!(error, CommandError::NoRoom(_)), "{error}");
    assert!(error.to_string().contains("32 destinations"), "{error}");
    assert_eq!(director.saved(), before);
    director.must(remove(WEB, "192.168.0.1:80"));
    // Its number is kept for its connections until sweeps have found none.
    assert!(director.run(add(WEB, "192.168.1.1:80", 1)).is_err());
    director.sweep_all();
    director.sweep_all();
    director.must(add(WEB, "192.168.1.1:80", 1));
}

#[test]
fn a_service_too_many_is_refused_and_the_others_of_its_transaction_are_not() {
    let mut director = director();
    let services: Vec<Command> = (1..=9)
        .map(|last| add_service(&format!("TCP 10.0.1.{last}:80"), "rr"))
        .collect();
    let outcomes = director.apply(&services, &Lan::default());
    assert!(outcomes[..8].iter().all(Result::is_ok));
    assert!(matches!(outcomes[8], Err(CommandError::NoRoom(_))));
    assert_eq!(director.services().len(), 8);
}

#[test]
fn of_a_transaction_far_too_large_as_much_is_done_as_fits_in_one_switch() {
    let mut director = director();
    let waits = director.plane().waits();
    let mut commands = vec![add_service(WEB, "rr")];
    commands.extend((0..2000).map(|port| add(WEB, &format!("192.168.0.1:{port}"), 1)));
    commands.push(remove(WEB, "192.168.0.1:7"));
    commands.push(add(WEB, "192.168.0.1:1999", 1));
    let outcomes = director.apply(&commands, &Lan::default());
    let room = sizes().destinations as usize;
    let done: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert!(done[..=room].iter().all(|&done| done));
    assert!(!done[room + 1..2001].iter().any(|&done| done));
    // One that goes makes room for one that comes.
    assert_eq!(done[2001..], [true, true]);
    assert_eq!(director.services()[0].destinations.len(), room);
    assert_eq!(director.plane().waits(), waits + 1);
}

#[test]
fn a_transaction_is_one_switch_however_many_commands_it_has() {
    let mut director = director();
    let waits = director.plane().waits();
    let mut commands = vec![add_service(WEB, "rr"), add_service(WEB, "wrr")];
    commands.extend((1..9).map(|last| add(WEB, &format!("192.168.0.{last}:80"), 1)));
    let outcomes = director.apply(&commands, &Lan::default());
    assert_eq!(
        outcomes[1],
        Err(CommandError::Refused(Refusal::ServiceExists))
    );
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
    assert_eq!(director.plane().waits(), waits + 1);
}

#[test]
fn lists_and_schedules_do_not_use_up_their_tables() {
    let mut director = director();
    director.must(add_service(WEB, "wrr"));
    for last in 1..30 {
        director.must(add(WEB, &format!("192.168.0.{last}:80"), last));
    }
    for round in 0..2000 {
        director.must(edit(WEB, "192.168.0.1:80", 1 + round % 50));
    }
    assert_eq!(picks(&director, 1), [29]);
}

#[test]
fn thresholds_alone_need_no_switch() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.1:80", 1));
    let waits = director.plane().waits();
    let limited = model::Destination {
        upper_threshold: 5,
        ..destination("192.168.0.1:80", 1)
    };
    director.must(Command::EditDestination {
        service: key(WEB),
        destination: limited,
    });
    let cell = &director.plane().view().destinations[0];
    assert_eq!(
        (cell.upper_threshold.load(), director.plane().waits()),
        (5, waits)
    );
}

#[test]
fn services_that_the_tables_cannot_hold_are_listed_all_the_same() {
    let mut director = director();
    director.must(add_service("SCTP 10.0.0.1:80", "rr"));
    director.must(add("SCTP 10.0.0.1:80", "192.168.0.1:80", 1));
    assert_eq!(director.services().len(), 1);
    assert_eq!(director.publisher().services().count(), 0);
}

#[test]
fn a_mark_s_service_outlives_its_daemon() {
    let mut director = director();
    director.must(add_service("FWM 5", "rr"));
    director.must(add("FWM 5", "192.168.0.1:80", 1));
    let wildcards = |director: &Director<Memory>| director.plane().view().globals.wildcards.load();
    assert_eq!(wildcards(&director), abi::wildcards::MARKS);
    let numbers = director.publisher().numbers(&key("FWM 5"));
    assert!(numbers.is_some());
    let mut director = director.restarted();
    assert_eq!(director.publisher().numbers(&key("FWM 5")), numbers);
    director.must(remove_service("FWM 5"));
    assert_eq!(wildcards(&director), 0);
}

#[test]
fn a_restarted_director_goes_on_in_the_same_tables() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    for address in ["192.168.0.1:80", "192.168.0.2:80", "192.168.0.3:80"] {
        director.must(add(WEB, address, 1));
    }
    assert_eq!(picks(&director, 1), [3]);
    let numbers = director.publisher().numbers(&key(WEB));
    let saved = director.saved();
    let mut director = director.restarted();
    assert_eq!(director.saved(), saved);
    assert_eq!(director.publisher().numbers(&key(WEB)), numbers);
    assert_eq!(picks(&director, 2), [2, 1]);
    director.must(add(WEB, "192.168.0.4:80", 1));
    assert_eq!(picks(&director, 2), [4, 3]);
}

#[test]
fn a_restart_puts_right_what_differs_from_the_saved_state() {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, "192.168.0.1:80", 1));
    let saved = director.saved();
    director.must(add(WEB, "192.168.0.2:80", 1));
    director.must(add_service("TCP 10.0.0.2:80", "rr"));
    let memory = director.into_plane();
    let director = Director::adopt(memory, sizes(), &saved, &Lan::default()).unwrap();
    assert_eq!(director.saved(), saved);
    assert!(service(director.plane(), "10.0.0.2", 80).is_none());
    assert_eq!(picks(&director, 2), [1, 1]);
}

/// The defaults of `Documentation/networking/ipvs-sysctl.rst` and of `icmp_msgs_per_sec` and
/// `icmp_msgs_burst` in `ip-sysctl.rst`.
#[test]
fn settings_begin_at_the_kernels_defaults() {
    let director = director();
    let globals = director.plane().view().globals;
    for (setting, default) in [
        (&globals.cache_bypass, 0),
        (&globals.conn_reuse_mode, 1),
        (&globals.drop_packet, 0),
        (&globals.expire_nodest_conn, 0),
        (&globals.expire_quiescent_template, 0),
        (&globals.ignore_tunneled, 0),
        (&globals.nat_icmp_send, 0),
        (&globals.pmtu_disc, 1),
        (&globals.schedule_icmp, 0),
        (&globals.sloppy_sctp, 0),
        (&globals.sloppy_tcp, 0),
        (&globals.tcp_table, 0),
        (&globals.icmp_per_second, 1000),
        (&globals.icmp_burst, 50),
    ] {
        assert_eq!(setting.load(), default);
    }
}
