//! Where packets are taken on an interface, and why there.

use net::{Link, LinkKind, Offloads};

use crate::serve::options::Requested;

/// The largest packet that XDP programs without frags get in one page: 4096 bytes, less 256 of
/// headroom, 320 of the kernel's own data at the end, and an Ethernet header with two VLAN tags.
const LARGEST_MTU: u32 = 3498;

/// A place where packets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// XDP in the driver, and TC for what XDP leaves.
    Xdp,
    /// XDP in the kernel's generic receive path, and TC.
    XdpGeneric,
    /// TC alone.
    Tc,
}

impl Hook {
    /// Its name, as `--hook` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }
}

/// A hook and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub hook: Hook,
    /// Why this one.
    pub why: String,
}

impl Choice {
    fn new(hook: Hook, why: impl Into<String>) -> Self {
        Self {
            hook,
            why: why.into(),
        }
    }
}

/// What is known of an interface.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The interface.
    pub link: &'a Link,
    /// Its offloads.
    pub offloads: &'a Offloads,
    /// Whether the XDP program that the link reports, if it reports one, is ours.
    pub own_xdp: bool,
    /// Whether there are VLAN interfaces on top of it.
    pub has_vlans: bool,
}

/// Chooses a hook.
pub fn choose(requested: Requested, facts: &Facts<'_>) -> Choice {
    match requested {
        Requested::Tc => Choice::new(Hook::Tc, "asked for"),
        Requested::XdpGeneric => Choice::new(Hook::XdpGeneric, "asked for"),
        Requested::Xdp => match impossible(facts) {
            Some(why) => Choice::new(Hook::Tc, format!("xdp was asked for, but {why}")),
            None => Choice::new(Hook::Xdp, "asked for"),
        },
        Requested::Auto => match impossible(facts).or_else(|| unwise(facts)) {
            Some(why) => Choice::new(Hook::Tc, why),
            None => {
                let driver = facts.offloads.driver.as_deref().unwrap_or("unknown");
                Choice::new(Hook::Xdp, format!("the driver, {driver}, may run XDP"))
            }
        },
    }
}

/// The choice when XDP is refused after all.
pub fn fallback(error: &dyn std::fmt::Display) -> Choice {
    Choice::new(Hook::Tc, format!("XDP is refused ({error})"))
}

/// Why XDP cannot work.
fn impossible(facts: &Facts<'_>) -> Option<String> {
    let Facts {
        link,
        offloads,
        own_xdp,
        has_vlans,
    } = facts;
    if !link.ethernet {
        return Some("its frames have no Ethernet header".to_owned());
    }
    if link.xdp == Some(true) && !own_xdp {
        return Some("somebody else's XDP program is attached".to_owned());
    }
    if link.mtu > LARGEST_MTU {
        return Some(format!(
            "its MTU of {} is above {LARGEST_MTU}, the most for XDP",
            link.mtu
        ));
    }
    if offloads.lro == Some(true) {
        return Some("its hardware joins packets (large-receive-offload)".to_owned());
    }
    if *has_vlans && offloads.rx_vlan == Some(true) {
        return Some("its hardware takes VLAN tags away before XDP sees them".to_owned());
    }
    None
}

/// Why XDP would work, but not well.
fn unwise(facts: &Facts<'_>) -> Option<String> {
    match &facts.link.kind {
        LinkKind::Physical => None,
        LinkKind::Veth => Some(
            "on veth, TC lets both ends leave checksums and segments to the offloads".to_owned(),
        ),
        kind => Some(format!(
            "a {kind} interface has no XDP of its own worth having"
        )),
    }
}

/// What will go wrong with XDP on this interface. `peer` are the offloads of a veth's other end,
/// where they can be read.
pub fn warnings(hook: Hook, facts: &Facts<'_>, peer: Option<&Offloads>) -> Vec<String> {
    if hook == Hook::Tc || facts.link.kind != LinkKind::Veth {
        return Vec::new();
    }
    let name = &facts.link.name;
    let Some(peer) = peer else {
        return vec![format!(
            "the other end of {name} is in another network namespace, out of sight: run \
             `ethtool -K PEER tx off gro on' there, or packets are lost"
        )];
    };
    let mut warnings = Vec::new();
    if peer.tx_checksum != Some(false) {
        warnings.push(format!(
            "the other end of {name} leaves checksums to be computed later, which nobody does for \
             XDP: run `ethtool -K PEER tx off' there"
        ));
    }
    if peer.gro != Some(true) {
        warnings.push(format!(
            "the other end of {name} takes no frames from XDP: run `ethtool -K PEER gro on' there"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: LinkKind) -> Link {
        Link {
            ifindex: 2,
            name: "eth0".to_owned(),
            kind,
            ethernet: true,
            mac: None,
            mtu: 1500,
            mtu_v6: None,
            admin_up: true,
            carrier: true,
            no_arp: false,
            master: None,
            lower: None,
            peer_netns: None,
            xdp: Some(false),
            parent_device: None,
        }
    }

    fn chosen(requested: Requested, link: &Link, offloads: &Offloads) -> Choice {
        choose(
            requested,
            &Facts {
                link,
                offloads,
                own_xdp: false,
                has_vlans: true,
            },
        )
    }

    #[test]
    fn a_network_card_gets_xdp() {
        let choice = chosen(
            Requested::Auto,
            &link(LinkKind::Physical),
            &Offloads::default(),
        );
        assert_eq!(choice.hook, Hook::Xdp);
    }

    #[test]
    fn veth_bridges_and_bonds_get_tc() {
        for kind in [LinkKind::Veth, LinkKind::Bridge, LinkKind::Bond] {
            let choice = chosen(Requested::Auto, &link(kind), &Offloads::default());
            assert_eq!(choice.hook, Hook::Tc, "{}", choice.why);
        }
    }

    #[test]
    fn what_is_asked_for_counts_where_it_can_work() {
        let veth = link(LinkKind::Veth);
        assert_eq!(
            chosen(Requested::Xdp, &veth, &Offloads::default()).hook,
            Hook::Xdp
        );
        let jumbo = Link { mtu: 9000, ..veth };
        let choice = chosen(Requested::Xdp, &jumbo, &Offloads::default());
        assert_eq!(choice.hook, Hook::Tc);
        assert!(choice.why.contains("9000"), "{}", choice.why);
    }

    #[test]
    fn a_network_card_on_which_xdp_would_miss_something_gets_tc_and_the_reason() {
        let card = || link(LinkKind::Physical);
        let on = |offloads: Offloads| offloads;
        let lro = on(Offloads {
            lro: Some(true),
            ..Offloads::default()
        });
        let stripping = on(Offloads {
            rx_vlan: Some(true),
            ..Offloads::default()
        });
        let none = Offloads::default();
        for (link, offloads, reason) in [
            (
                Link {
                    xdp: Some(true),
                    ..card()
                },
                &none,
                "somebody else's",
            ),
            (
                Link {
                    mtu: 4000,
                    ..card()
                },
                &none,
                "MTU of 4000",
            ),
            (
                Link {
                    ethernet: false,
                    ..card()
                },
                &none,
                "no Ethernet header",
            ),
            (card(), &lro, "large-receive-offload"),
            (card(), &stripping, "VLAN tags"),
        ] {
            let choice = chosen(Requested::Auto, &link, offloads);
            assert_eq!(choice.hook, Hook::Tc);
            assert!(choice.why.contains(reason), "{}", choice.why);
        }
    }

    #[test]
    fn our_own_xdp_program_is_no_obstacle() {
        let link = Link {
            xdp: Some(true),
            ..link(LinkKind::Physical)
        };
        let offloads = Offloads::default();
        let facts = Facts {
            link: &link,
            offloads: &offloads,
            own_xdp: true,
            has_vlans: false,
        };
        assert_eq!(choose(Requested::Auto, &facts).hook, Hook::Xdp);
    }

    #[test]
    fn xdp_on_veth_warns_where_the_other_end_is_not_prepared() {
        let link = link(LinkKind::Veth);
        let offloads = Offloads::default();
        let facts = Facts {
            link: &link,
            offloads: &offloads,
            own_xdp: false,
            has_vlans: false,
        };
        let peer = |tx_checksum, gro| Offloads {
            tx_checksum: Some(tx_checksum),
            gro: Some(gro),
            ..Offloads::default()
        };
        let warned = |hook, peer: Option<&Offloads>| warnings(hook, &facts, peer).len();
        assert_eq!(warned(Hook::Xdp, Some(&peer(true, false))), 2);
        assert_eq!(warned(Hook::Xdp, Some(&peer(true, true))), 1);
        assert_eq!(warned(Hook::Xdp, Some(&peer(false, true))), 0);
        assert_eq!(warned(Hook::Xdp, None), 1);
        assert_eq!(warned(Hook::Tc, None), 0);
    }
}
