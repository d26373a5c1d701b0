//! Connections and their aliases, which name each other.

use conntable::{
    Bucket, Claim, Found, Hop, Kind, Name, NewConnection, Position, Slot as _, SlotV4,
};

use crate::support::{Slots, buckets, claim, connection, table};

/// When what is made here ends.
const ENDS: u32 = 100;

/// Makes an entry at the home of a hash, with this `client_hop`.
fn make<'t>(table: &Slots<'t>, hash: u32, kind: Kind, client_hop: u32) -> Found<'t, SlotV4> {
    let Claim::Slot(claimed, _) = claim(table, hash, (0, 5)) else {
        panic!("there is room");
    };
    claimed.entry.write(&NewConnection {
        kind,
        client_hop,
        ..connection(hash, 7)
    });
    let word = table.publish(&claimed, 1, false, ENDS).expect("our claim");
    Found {
        entry: claimed.entry,
        word,
        position: claimed.position,
    }
}

/// The number of a hash whose home is bucket `index` of eight, and its slot.
const fn hash(index: u32, slot: u32) -> u32 {
    index << 29 | slot
}

/// A connection and its alias, in buckets 1 and 6.
fn pair<'t>(table: &Slots<'t>) -> (Found<'t, SlotV4>, Found<'t, SlotV4>) {
    let main = make(table, hash(1, 3), Kind::Connection, Name::AWAITED.0);
    let name = Name::of(main.position, false);
    let alias = make(table, hash(6, 4), Kind::Alias, name.0);
    assert_eq!((main.position.bucket, alias.position.bucket), (1, 6));
    (main, alias)
}

fn settle(main: &Found<'_, SlotV4>, alias: &Found<'_, SlotV4>) {
    let name = Name::of(alias.position, false);
    assert!(
        main.entry
            .client_hop()
            .compare_and_swap(Name::AWAITED.0, name.0)
    );
}

fn partner(table: &Slots<'_>, of: &Found<'_, SlotV4>, now: u32) -> Option<Position> {
    let name = Name(of.entry.client_hop().load());
    let found = table.partner(name, of.position, now);
    found.map(|found| found.position)
}

fn is_held(table: &Slots<'_>, alias: &Found<'_, SlotV4>, now: u32) -> bool {
    let name = Name(alias.entry.client_hop().load());
    table.holds(name, alias.position, now)
}

fn eight() -> Vec<Bucket<SlotV4>> {
    buckets(8)
}

#[test]
fn partners_are_found_from_each_other_while_both_live() {
    let buckets = eight();
    let table = table(&buckets);
    let (main, alias) = pair(&table);
    assert!(is_held(&table, &alias, 0), "before it is named");
    assert_eq!(partner(&table, &alias, 0), None, "before it is named");
    settle(&main, &alias);
    assert_eq!(partner(&table, &main, ENDS - 1), Some(alias.position));
    assert_eq!(partner(&table, &alias, ENDS - 1), Some(main.position));
    assert!(is_held(&table, &alias, ENDS - 1));
    for of in [&main, &alias] {
        assert_eq!(partner(&table, of, ENDS), None, "past their time");
    }
    assert!(!is_held(&table, &alias, ENDS));
    table.end(&main).expect("it lives");
    assert_eq!(partner(&table, &alias, 0), None);
    assert!(!is_held(&table, &alias, 0));
}

/// Whoever has the slot of a connection that ended, its alias is not his.
#[test]
fn an_alias_is_not_the_next_connection_s_in_that_slot() {
    let others = [
        ("nothing kept", Kind::Connection, Hop::NONE.0),
        ("a way kept", Kind::Connection, Hop::new(1, 0x33).0),
        (
            "another's alias",
            Kind::Alias,
            Name::of(Position { bucket: 2, slot: 0 }, false).0,
        ),
        ("one of the other family", Kind::Connection, 0),
    ];
    for (what, kind, hop) in others {
        let buckets = eight();
        let table = table(&buckets);
        let (main, alias) = pair(&table);
        settle(&main, &alias);
        table.end(&main).expect("it lives");
        let hop = if what == "one of the other family" {
            Name::of(alias.position, true).0
        } else {
            hop
        };
        let next = make(&table, hash(1, 3), kind, hop);
        assert_eq!(next.position, main.position);
        assert_eq!(partner(&table, &alias, 0), None, "{what}");
        assert!(!is_held(&table, &alias, 0), "{what}");
    }
    // One that is to get its own alias may do so first.
    let buckets = eight();
    let table = table(&buckets);
    let (main, alias) = pair(&table);
    settle(&main, &alias);
    table.end(&main).expect("it lives");
    let next = make(&table, hash(1, 3), Kind::Connection, Name::AWAITED.0);
    assert!(is_held(&table, &alias, 0));
    assert_eq!(partner(&table, &alias, 0), None);
    let own = make(
        &table,
        hash(6, 5),
        Kind::Alias,
        Name::of(next.position, false).0,
    );
    settle(&next, &own);
    assert!(!is_held(&table, &alias, 0));
    assert_eq!(partner(&table, &own, 0), Some(next.position));
}

#[test]
fn a_sweep_frees_the_aliases_that_nobody_names() {
    let buckets = eight();
    let table = table(&buckets);
    let (main, alias) = pair(&table);
    settle(&main, &alias);
    let sweep = || {
        for bucket in 0..8 {
            table.sweep_aliases(bucket, 0, |name, position| table.holds(name, position, 0));
        }
    };
    sweep();
    assert!(table.at(alias.handle(), 0).is_some());
    table.end(&main).expect("it lives");
    sweep();
    assert!(table.at(alias.handle(), 0).is_none());
}

#[test]
fn no_name_looks_like_the_way_to_a_client() {
    let farthest = Position {
        bucket: (1 << 26) - 2,
        slot: 7,
    };
    let nearest = Position { bucket: 0, slot: 0 };
    for (position, is_other) in [(nearest, false), (farthest, false), (nearest, true)] {
        let name = Name::of(position, is_other);
        assert!(Hop(name.0).generation() >= Hop::GENERATIONS);
        assert_ne!(name, Name::AWAITED);
        assert_eq!(name.is_of_other_family(), is_other);
    }
    let hop = Hop::new(Hop::GENERATIONS - 1, Hop::INDICES - 1);
    assert_eq!((hop.generation(), hop.index()), (1535, 2_097_151));
}
