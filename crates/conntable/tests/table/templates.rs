//! Persistence templates: they outlive their time while connections go by them.

use conntable::{
    Claim, Died, End, Entry as _, Found, Handle, Kind, NewConnection, Query, Slot as _, SlotV4,
    Word,
};

use crate::support::{LONGER, Slots, buckets, claim, connection, query, table};

const HASH: u32 = 1;
/// Ticks that a template lasts after a use.
const LASTS: u32 = 100;

fn asked() -> Query<u32> {
    Query {
        client: 0x0a00_0000,
        client_port: 0,
        protocol: 6,
        kind: Kind::Template,
        end: End::Virtual,
        address: 0x5000_0001,
        port: 80,
    }
}

/// Makes an entry in the first bucket, and gives its number.
fn make(table: &Slots<'_>, new: &NewConnection<u32>, now: u32, expiry: u32) -> u32 {
    let Claim::Slot(claimed, _) = claim(table, HASH, (now, now + 5)) else {
        panic!("there is room");
    };
    claimed.entry.write(new);
    let word = table.publish(&claimed, 0, true, expiry);
    assert!(word.is_some());
    claimed.position.number()
}

fn template(table: &Slots<'_>) -> u32 {
    let new = NewConnection {
        client: asked().client,
        client_port: 0,
        kind: Kind::Template,
        client_hop: LASTS,
        ..connection(0, 7)
    };
    make(table, &new, 0, LASTS)
}

fn found<'t>(table: &Slots<'t>, now: u32) -> Option<Found<'t, SlotV4>> {
    table.find(HASH, &asked(), now)
}

fn swept(table: &Slots<'_>, now: u32) -> Vec<Died> {
    let mut died = Vec::new();
    for bucket in 0..4 {
        table.sweep(bucket, (now, LONGER), |one| died.push(one));
    }
    died
}

#[test]
fn a_template_that_nobody_goes_by_ends_in_its_time() {
    let buckets = buckets(4);
    let table = table(&buckets);
    template(&table);
    assert!(found(&table, LASTS - 1).is_some());
    assert!(found(&table, LASTS).is_none());
    let died = swept(&table, LASTS);
    assert_eq!(died.len(), 1);
    assert_eq!(
        (died[0].kind, died[0].control),
        (Kind::Template as u8, 0),
        "a template goes by no template"
    );
}

#[test]
fn a_use_puts_the_end_off() {
    let buckets = buckets(4);
    let table = table(&buckets);
    template(&table);
    assert!(table.renew(&found(&table, 40).unwrap(), (40, LONGER)));
    assert!(found(&table, 40 + LASTS - 1).is_some());
    assert!(found(&table, 40 + LASTS).is_none());
}

#[test]
fn a_template_that_connections_go_by_outlives_its_time_by_steps_and_lasts_as_long_from_then_on() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let number = template(&table);
    table.hold(number);
    assert!(found(&table, LASTS + 5).is_some(), "before anybody swept");
    assert_eq!(swept(&table, LASTS + 5), []);
    let template = found(&table, LASTS + 5).unwrap();
    assert_eq!(template.word.expiry(), LASTS + LONGER);
    assert!(table.renew(&template, (LASTS + 10, LONGER)));
    let expiry = found(&table, LASTS + 10).unwrap().word.expiry();
    assert_eq!(expiry, LASTS + 10 + LONGER);

    table.release(number);
    assert!(found(&table, expiry - 1).is_some());
    assert!(found(&table, expiry).is_none());
    assert_eq!(swept(&table, expiry).len(), 1);
}

#[test]
fn a_use_after_its_time_and_before_anybody_swept_counts_as_one_after() {
    let buckets = buckets(4);
    let table = table(&buckets);
    table.hold(template(&table));
    let now = LASTS + 5;
    assert!(table.renew(&found(&table, now).unwrap(), (now, LONGER)));
    assert_eq!(found(&table, now).unwrap().word.expiry(), now + LONGER);
}

#[test]
fn nobody_takes_the_slot_of_a_template_that_connections_go_by() {
    let buckets = buckets(4);
    let table = table(&buckets);
    table.hold(template(&table));
    for _ in 0..31 {
        make(&table, &connection(1, 8), 0, LASTS);
    }
    // All are past their time, and only the connections' slots are given away.
    for _ in 0..31 {
        make(&table, &connection(2, 9), LASTS, 2 * LASTS);
    }
    assert!(found(&table, LASTS).is_some());
    let full = claim(&table, HASH, (LASTS, LASTS + 5));
    assert!(matches!(full, Claim::Full));
}

#[test]
fn a_connection_that_ends_names_its_template() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let number = template(&table);
    table.hold(number);
    let new = NewConnection {
        control: number,
        ..connection(3, 7)
    };
    make(&table, &new, 0, 50);
    let died = swept(&table, 50);
    assert_eq!(died.len(), 1);
    assert_eq!(died[0].control, number);
    table.release(died[0].control);
    assert_eq!(found(&table, 50).unwrap().entry.control().load(), 0);
}

#[test]
fn releasing_what_is_no_template_any_more_changes_nothing() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let number = make(&table, &connection(4, 7), 0, 50);
    table.release(number);
    table.release(0);
    let entry = table.find(HASH, &query(4), 0).unwrap().entry;
    assert_eq!(entry.control().load(), 0);
}

#[test]
fn a_retired_template_is_not_found_and_ends_in_its_time() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let number = template(&table);
    let template = found(&table, 0).unwrap();
    template.entry.retire();
    assert!(found(&table, 0).is_none());
    // As the kernel lists it.
    assert_eq!(template.entry.virtual_port(), 65535);
    assert_eq!(template.entry.destination_port(8080), 65535);
    assert_eq!(template.entry.client_port(), 0);
    let handle = Handle::new(template.position, template.word.epoch());
    assert_eq!(handle.position().number(), number);
    assert!(table.at(handle, LASTS - 1).is_some());
    assert_eq!(swept(&table, LASTS).len(), 1);
}

#[test]
fn a_template_s_state_changes_only_while_a_connection_goes_by_it() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let number = template(&table);
    let state = || found(&table, 0).map(|template| Word::state(template.word));
    table.set_state(number, 1);
    assert_eq!(state(), Some(0));
    table.hold(number);
    table.set_state(number, 1);
    assert_eq!(state(), Some(1));
    assert_eq!(found(&table, 0).unwrap().word.expiry(), LASTS);
}
