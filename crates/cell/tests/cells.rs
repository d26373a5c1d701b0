//! Cells shared by threads.

use std::thread;

use cell::{Cell32, Cell64, element, masked};

#[test]
fn a_cell_has_its_integers_layout() {
    assert_eq!((size_of::<Cell32>(), align_of::<Cell32>()), (4, 4));
    assert_eq!((size_of::<Cell64>(), align_of::<Cell64>()), (8, 8));
}

#[test]
fn compare_and_swap_writes_only_where_the_old_value_still_stands() {
    let cell = Cell64::new(5);
    assert!(!cell.compare_and_swap(4, 9));
    assert_eq!(cell.load(), 5);
    assert!(cell.compare_and_swap(5, u64::MAX));
    assert_eq!(cell.load(), u64::MAX);
}

#[test]
fn addition_wraps_around_and_tells_what_was_there() {
    let cell = Cell32::new(u32::MAX);
    assert_eq!(cell.fetch_add(2), u32::MAX);
    assert_eq!(cell.load(), 1);
    cell.add(2_u32.wrapping_neg());
    assert_eq!(cell.load(), u32::MAX);
    let cell = Cell64::new(u64::MAX);
    cell.add(1);
    assert_eq!(cell.load(), 0);
}

#[test]
fn stores_and_publications_are_read_back() {
    let cell = Cell32::default();
    cell.store(7);
    assert_eq!(cell.load(), 7);
    cell.publish(8);
    assert_eq!(cell.load(), 8);
    assert_eq!(format!("{cell:?}"), "8");
}

#[test]
fn no_addition_of_any_thread_is_lost() {
    const THREADS: u64 = 4;
    const TIMES: u64 = 20_000;
    let (added, fetched, swapped) = (Cell64::new(0), Cell64::new(0), Cell64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TIMES {
                    added.add(1);
                    fetched.fetch_add(1);
                    loop {
                        let old = swapped.load();
                        if swapped.compare_and_swap(old, old + 1) {
                            break;
                        }
                    }
                }
            });
        }
    });
    for cell in [&added, &fetched, &swapped] {
        assert_eq!(cell.load(), THREADS * TIMES);
    }
}

#[test]
fn what_was_written_before_a_publication_is_seen_after_it() {
    const ROUNDS: u32 = 50_000;
    let (data, published) = (Cell32::new(0), Cell32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                data.store(round);
                published.publish(round);
            }
        });
        scope.spawn(|| {
            loop {
                let seen = published.load();
                assert!(data.load() >= seen);
                if seen == ROUNDS {
                    break;
                }
            }
        });
    });
}

#[test]
fn of_two_threads_that_swap_and_then_look_at_least_one_sees_the_other() {
    const ROUNDS: usize = 5_000;
    let cells: Vec<[Cell64; 2]> = (0..ROUNDS).map(|_| Default::default()).collect();
    let saw: Vec<[Cell64; 2]> = (0..ROUNDS).map(|_| Default::default()).collect();
    let gate = [Cell64::new(0), Cell64::new(0)];
    let run = |me: usize| {
        for round in 0..ROUNDS {
            gate[me].publish(round as u64 + 1);
            while gate[1 - me].load() <= round as u64 {
                thread::yield_now();
            }
            cells[round][me].compare_and_swap(0, 1);
            saw[round][me].store(cells[round][1 - me].load());
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| run(0));
        scope.spawn(|| run(1));
    });
    for [one, other] in &saw {
        assert_ne!((one.load(), other.load()), (0, 0));
    }
}

#[test]
fn an_index_beyond_an_array_counts_modulo_its_length() {
    assert_eq!(masked::<256>(0x1234_5678), 0x78);
    let array = [10, 11, 12, 13];
    let read: Vec<i32> = [0, 3, 4, 7, u32::MAX]
        .map(|index| *element(&array, index))
        .into();
    assert_eq!(read, [10, 13, 10, 13, 13]);
}
