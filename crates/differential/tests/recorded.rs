//! What the kernel's IPVS was recorded to do, xvs does on the native host, at both hooks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use differential::{World, compare, recorded};
use plane_user::Memory;

const CASES: &str = include_str!("golden/cases.txt");

fn replay(world: impl Fn() -> World<Memory>) {
    let all = recorded::read(CASES).unwrap();
    assert!(!all.is_empty());
    for recorded in all {
        let xvs = world().play(&recorded.case);
        if let Some(difference) = compare(&recorded.case, &recorded.kernel, &xvs) {
            panic!("{difference}");
        }
    }
}

#[test]
fn at_tc_xvs_does_what_the_kernel_was_recorded_to_do() {
    replay(World::native);
}

#[test]
fn at_xdp_xvs_does_what_the_kernel_was_recorded_to_do() {
    replay(World::native_xdp);
}

#[test]
fn what_is_not_done_as_recorded_is_found() {
    let mut all = recorded::read(CASES).unwrap();
    let recorded = &mut all[0];
    let last = recorded.kernel.last_mut().unwrap();
    last.state[0].text.push('1');
    let xvs = World::native().play(&recorded.case);
    let difference = compare(&recorded.case, &recorded.kernel, &xvs).unwrap();
    assert_eq!(difference.case.steps.len(), recorded.case.steps.len());
    assert_eq!((difference.kernel.len(), difference.xvs.len()), (1, 1));
}
