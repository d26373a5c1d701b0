//! Who takes each of many connections, by every scheduler, as the kernel's IPVS was recorded to choose.

use differential::{World, sequences};

#[test]
fn connections_one_after_the_other_go_where_ipvs_sent_them() {
    let picks = sequences::picks(include_str!("../../sched/tests/golden/picks.csv"));
    let addressed = sequences::addressed(include_str!("../../sched/tests/golden/addressed.csv"));
    assert!(picks.len() > 50 && addressed.len() > 15);
    for sequence in picks.into_iter().chain(addressed) {
        let seen = sequences::play(&mut World::native(), &sequence);
        assert_eq!(seen, sequence.picks, "{}", sequence.name);
    }
}
