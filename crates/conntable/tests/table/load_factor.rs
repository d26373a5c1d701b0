//! How full the table gets before a connection is refused.

use crate::support::{Random, buckets, connection, table};
use cell::Cell32;
use conntable::{BUCKET_SLOTS, Claim, Crowding, Slot as _};

/// Slots of the table.
const SLOTS: usize = 1 << 16;

/// Of the connections of these hashes, how many of each percent of the table's slots were refused.
fn refused(hashes: impl Iterator<Item = u32>, upto: usize) -> Vec<usize> {
    let buckets = buckets(SLOTS / BUCKET_SLOTS);
    let table = table(&buckets);
    let mut refused = vec![0; 101];
    let crowding = Cell32::new(0);
    for (taken, hash) in hashes.take(SLOTS * upto / 100).enumerate() {
        let percent = (taken * 100).div_ceil(SLOTS);
        match table.claim(hash, (0, 1), Crowding(&crowding)) {
            Claim::Slot(claimed, _) => {
                claimed.entry.write(&connection(taken as u32, 0));
                assert!(table.publish(&claimed, 1, false, 1).is_some());
            }
            Claim::Full => refused[percent] += 1,
        }
    }
    refused
}

fn total(refused: &[usize], upto: usize) -> usize {
    refused[..=upto].iter().sum()
}

#[test]
fn no_connection_is_refused_up_to_seventy_percent() {
    for seed in 0..32 {
        let mut random = Random(seed);
        let refused = refused(std::iter::repeat_with(|| random.next() as u32), 70);
        assert_eq!(total(&refused, 70), 0, "seed {seed}");
    }
}

#[test]
fn clients_that_count_their_ports_up_fill_the_table_as_well_as_random_ones() {
    for seed in [0, 1, 0xdead_beef] {
        let hashes = (0..SLOTS as u32).map(|n| {
            let client = u32::from_be_bytes([10, 0, (n / 200 % 256) as u8, (n % 200) as u8]);
            let port = (32_768 + n / 200) as u16;
            abi::hash_connection(client.to_be(), port.to_be(), 6, seed)
        });
        let refused = refused(hashes, 70);
        assert_eq!(total(&refused, 70), 0, "seed {seed}");
    }
}

/// Prints the shares of the crate's documentation: `--ignored --nocapture`.
#[test]
#[ignore = "prints a table, proves nothing"]
fn shares_refused_by_load() {
    let loads = [50, 60, 70, 75, 80, 85, 90];
    let mut sums = [0; 7];
    const SEEDS: usize = 64;
    for seed in 0..SEEDS {
        let mut random = Random(1000 + seed as u64);
        let refused = refused(std::iter::repeat_with(|| random.next() as u32), 90);
        for (sum, load) in sums.iter_mut().zip(loads) {
            *sum += total(&refused, load);
        }
    }
    for (sum, load) in sums.iter().zip(loads) {
        println!("{load} %: {sum} of {} refused", SLOTS * load / 100 * SEEDS);
    }
}
