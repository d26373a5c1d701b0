//! Cases that the kernel's IPVS was recorded to play, through the programs.

use differential::world::{Run, sizes};
use differential::{Case, World, compare, recorded, sequences};
use forward::Action;
use plane_bpf::Plane;

use crate::bed::{Hooks as _, kernel_plane};

const CASES: &str = include_str!("../../../differential/tests/golden/cases.txt");

fn world(run: Run<Plane>) -> World<Plane> {
    let sizes = sizes(plane_bpf::processors().unwrap());
    World::new(kernel_plane(sizes), sizes, run)
}

fn replay(run: Run<Plane>) {
    let mut world = world(run);
    // What lblc and lblcr remember of a service outlives it, until its number is another's; on the heap every case has
    // tables of its own.
    let is_remembered = |case: &Case| case.to_string().contains("-s lblc");
    let all = recorded::read(CASES).unwrap().into_iter();
    for recorded in all.filter(|recorded| !is_remembered(&recorded.case)) {
        world.clear();
        let xvs = world.play(&recorded.case);
        if let Some(difference) = compare(&recorded.case, &recorded.kernel, &xvs) {
            panic!("{difference}");
        }
    }
}

#[test]
fn the_tc_program_does_what_ipvs_was_recorded_to_do() {
    replay(|plane, frame| plane.at_tc(frame).unwrap());
}

#[test]
fn the_xdp_program_does_what_ipvs_was_recorded_to_do() {
    replay(|plane, frame| {
        let (action, bytes) = plane.at_xdp(frame).unwrap();
        if action == Action::Pass {
            return plane.at_tc(frame).unwrap();
        }
        (action, bytes)
    });
}

#[test]
fn connections_one_after_the_other_go_where_ipvs_sent_them() {
    let picks = sequences::picks(include_str!("../../../sched/tests/golden/picks.csv"));
    let addressed = sequences::addressed(include_str!("../../../sched/tests/golden/addressed.csv"));
    let mut world = world(|plane, frame| plane.at_tc(frame).unwrap());
    for sequence in picks.into_iter().chain(addressed) {
        world.clear();
        let seen = sequences::play(&mut world, &sequence);
        assert_eq!(seen, sequence.picks, "{}", sequence.name);
    }
}
