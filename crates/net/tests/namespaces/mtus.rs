//! The largest packet on the way, by interface and by route.

use net::{Lookup, Snapshot};

use crate::support::{Following, in_both_families, ip, pair};

/// The largest packet on the way to a destination.
fn mtu(snapshot: &Snapshot, to: &str) -> Option<u32> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => Some(route.mtu),
        _ => None,
    }
}

#[test]
fn an_interfaces_mtu_that_changes_is_that_of_its_routes() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        let (wide, narrow) = (family.behind_wide, family.behind_narrow);
        director.ip(&format!("route add {wide} via {}", family.peer));
        director.ip(&format!("route add {narrow} via {} mtu 1350", family.third));
        director.run(async || {
            let mut following = Following::start().await;
            assert_eq!(mtu(&following.snapshot, family.peer), Some(1500));
            assert_eq!(mtu(&following.snapshot, family.behind), Some(1350));
            // IPv6 keeps an MTU of its own, which follows the interface's after it was reported.
            for (interfaces, routes) in [(1400, 1350), (1300, 1300), (1450, 1350)] {
                director.ip(&format!("link set eth0 mtu {interfaces}"));
                // A route's own MTU follows its interface's down, and in IPv6 up as well.
                let kernels = director.ip(&format!("route get {}", family.behind));
                let routes = kernels_mtu(&kernels).unwrap_or(routes).min(interfaces);
                let is_taken_over = |snapshot: &Snapshot| {
                    mtu(snapshot, family.peer) == Some(interfaces)
                        && mtu(snapshot, family.behind) == Some(routes)
                };
                let what = format!("{interfaces} is taken over, {routes} for the route");
                following.until(&what, is_taken_over).await;
            }
        });
    });
}

/// The MTU in an answer of `ip route get`.
fn kernels_mtu(answer: &str) -> Option<u32> {
    let mut words = answer.split_whitespace().skip_while(|word| *word != "mtu");
    words.nth(1)?.parse().ok()
}

#[test]
fn a_routes_mtu_that_changes_is_seen() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        let wide = family.behind_wide;
        director.ip(&format!("route add {wide} via {}", family.peer));
        director.run(async || {
            let mut following = Following::start().await;
            for wanted in ["mtu 1280", "mtu lock 1290", "mtu 9000", ""] {
                let expected = match wanted {
                    "mtu 1280" => 1280,
                    "mtu lock 1290" => 1290,
                    // What the interface does not carry, a route cannot send.
                    _ => 1500,
                };
                director.ip(&format!(
                    "route replace {wide} via {} {wanted}",
                    family.peer
                ));
                let holds = |snapshot: &Snapshot| mtu(snapshot, family.behind) == Some(expected);
                following.until(&format!("`{wanted}' holds"), holds).await;
            }
        });
    });
}
