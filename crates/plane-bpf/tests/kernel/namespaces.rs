//! What belongs to network namespaces that are gone.

use plane_bpf::{Mode, netns_cookie, remove_stale};

use crate::attaching::on_tc;
use crate::support::{Namespace, Root, adopt, create, until};

#[test]
fn every_network_namespace_has_a_cookie_of_its_own() {
    let (one, other) = (Namespace::new(), Namespace::new());
    let cookie = |namespace: &Namespace| namespace.enter(|| netns_cookie().unwrap());
    assert_ne!(cookie(&one), cookie(&other));
    assert_eq!(cookie(&one), cookie(&one));
    assert_ne!(cookie(&one), netns_cookie().unwrap());
}

#[test]
fn what_a_vanished_namespace_left_is_removed_and_the_rest_stays() {
    let (root, living) = (Root::new(), Namespace::with_interfaces());
    let gone = Namespace::with_interfaces();
    let (living_state, gone_state) = (root.state(&living), root.state(&gone));
    for (namespace, state) in [(&living, &living_state), (&gone, &gone_state)] {
        let plane = create(state);
        let ifindex = namespace.ifindex("veth0");
        namespace.enter(|| plane.attach(ifindex, Mode::Tc)).unwrap();
    }
    remove_stale(root.path()).unwrap();
    assert!(gone_state.exists());
    assert_eq!(on_tc(&gone, "veth0").len(), 1);

    drop(gone);
    // The kernel takes a namespace down in its own time, and what still has interfaces stays.
    let pins = root.pins();
    let of = |state: &std::path::Path| pins.join(state.file_name().unwrap());
    until("what the namespace left is gone", || {
        remove_stale(root.path()).unwrap();
        !gone_state.exists()
    });
    assert!(!of(&gone_state).exists());
    assert!(living_state.exists() && of(&living_state).exists());
    assert_eq!(on_tc(&living, "veth0").len(), 1);
    adopt(&living_state);
}

#[test]
fn folders_that_are_not_named_by_a_cookie_stay() {
    let root = Root::new();
    for name in ["lab", "007", "+7", "4711x"] {
        std::fs::create_dir(root.path().join(name)).unwrap();
    }
    remove_stale(root.path()).unwrap();
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 4);
}
