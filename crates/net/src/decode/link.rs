//! `RTM_NEWLINK` and `RTM_DELLINK`.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};

use crate::{Link, LinkKind, MacAddress, Vlan};

/// The interface that a message describes. None for messages of another family: a bridge reports
/// its ports (`AF_BRIDGE`) with the interface's number, coming and going, when the interface does
/// neither.
pub(crate) fn link(message: &LinkMessage) -> Option<Link> {
    let header = &message.header;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        ifindex: header.index,
        name: String::new(),
        kind: LinkKind::Physical,
        ethernet: header.link_layer_type == LinkLayerType::Ether,
        mac: None,
        mtu: 0,
        mtu_v6: None,
        admin_up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp),
        no_arp: header.flags.contains(LinkFlags::Noarp),
        master: None,
        lower: None,
        peer_netns: None,
        xdp: None,
        parent_device: None,
    };
    let (mut bus, mut device) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = MacAddress::from_bytes(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::AfSpecUnspec(families) => link.mtu_v6 = mtu_v6(families),
            LinkAttribute::Controller(master) => link.master = (*master != 0).then_some(*master),
            LinkAttribute::Link(lower) => link.lower = (*lower != 0).then_some(*lower),
            LinkAttribute::LinkNetNsId(id) => link.peer_netns = Some(*id),
            LinkAttribute::LinkInfo(info) => link.kind = kind(info),
            LinkAttribute::Xdp(xdp) => link.xdp = xdp_attached(xdp),
            LinkAttribute::ParentDevName(name) => device = Some(name.clone()),
            LinkAttribute::ParentDevBusName(name) => bus = Some(name.clone()),
            _ => {}
        }
    }
    if header.flags.contains(LinkFlags::Loopback) {
        link.kind = LinkKind::Loopback;
    }
    link.parent_device = bus.zip(device);
    Some(link)
}

fn mtu_v6(families: &[AfSpecUnspec]) -> Option<u32> {
    let settings = families.iter().find_map(|family| match family {
        AfSpecUnspec::Inet6(settings) => Some(settings),
        _ => None,
    })?;
    settings.iter().find_map(|setting| match setting {
        AfSpecInet6::DevConf(conf) => u32::try_from(conf.mtu6).ok().filter(|mtu| *mtu != 0),
        _ => None,
    })
}

fn kind(info: &[LinkInfo]) -> LinkKind {
    let kind = info.iter().find_map(|attribute| match attribute {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match kind {
        None => LinkKind::Physical,
        Some(InfoKind::Veth) => LinkKind::Veth,
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        Some(InfoKind::Bond) => LinkKind::Bond,
        Some(InfoKind::MacVlan) => LinkKind::Macvlan,
        Some(InfoKind::Dummy) => LinkKind::Dummy,
        Some(InfoKind::Vlan) => {
            vlan(info).map_or_else(|| LinkKind::Other("vlan".to_owned()), LinkKind::Vlan)
        }
        Some(other) => LinkKind::Other(other.to_string()),
    }
}

fn vlan(info: &[LinkInfo]) -> Option<Vlan> {
    let data = info.iter().find_map(|attribute| match attribute {
        LinkInfo::Data(InfoData::Vlan(data)) => Some(data),
        _ => None,
    })?;
    let id = data.iter().find_map(|attribute| match attribute {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })?;
    let protocol = data.iter().find_map(|attribute| match attribute {
        InfoVlan::Protocol(protocol) => Some(u16::from(*protocol)),
        _ => None,
    });
    Some(Vlan {
        id,
        protocol: protocol.unwrap_or(0x8100),
    })
}

fn xdp_attached(attributes: &[LinkXdp]) -> Option<bool> {
    attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(attached) => Some(*attached != XdpAttached::None),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
    use netlink_packet_route::RouteNetlinkMessage;

    use super::*;

    /// The messages of a recorded dump.
    fn recorded(mut bytes: &[u8]) -> Vec<LinkMessage> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
            let length = message.header.length as usize;
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) =
                message.payload
            else {
                panic!("only interfaces were recorded");
            };
            messages.push(message);
        }
        messages
    }

    fn by_name(bytes: &[u8]) -> HashMap<String, Link> {
        let links = recorded(bytes).iter().filter_map(link).collect::<Vec<_>>();
        links
            .into_iter()
            .map(|link| (link.name.clone(), link))
            .collect()
    }

    fn here() -> HashMap<String, Link> {
        by_name(include_bytes!("../../tests/golden/links.bin"))
    }

    #[test]
    fn every_recorded_interface_has_the_number_address_and_mtu_that_ip_printed() {
        let links = here();
        let printed = include_str!("../../tests/golden/links.txt");
        let mut lines = printed.lines().peekable();
        let mut count = 0;
        while let Some(line) = lines.next() {
            let Some((number, rest)) = line.split_once(": ") else {
                continue;
            };
            let Ok(ifindex) = number.parse::<u32>() else {
                continue;
            };
            let (name, rest) = rest.split_once(": ").unwrap();
            let link = &links[name.split('@').next().unwrap()];
            let word_after = |text: &str, key: &str| {
                let mut words = text.split_whitespace().skip_while(|word| *word != key);
                words.nth(1).map(str::to_owned)
            };
            assert_eq!(link.ifindex, ifindex);
            assert_eq!(
                word_after(rest, "mtu"),
                Some(link.mtu.to_string()),
                "{name}"
            );
            assert_eq!(link.admin_up, rest.contains(",UP"), "{name}");
            assert_eq!(link.carrier, rest.contains("LOWER_UP"), "{name}");
            assert_eq!(link.no_arp, rest.contains("NOARP"), "{name}");
            let mac = word_after(lines.peek().unwrap(), "link/ether");
            assert_eq!(
                link.mac
                    .filter(|_| link.ethernet)
                    .map(|mac| mac.to_string()),
                mac,
                "{name}"
            );
            count += 1;
        }
        assert_eq!(count, links.len());
    }

    #[test]
    fn kinds_are_told_apart() {
        let links = here();
        let kind = |name: &str| links[name].kind.clone();
        assert_eq!(kind("lo"), LinkKind::Loopback);
        assert_eq!(kind("dummy0"), LinkKind::Dummy);
        assert_eq!(kind("p0"), LinkKind::Veth);
        assert_eq!(kind("br0"), LinkKind::Bridge);
        assert_eq!(kind("mac0"), LinkKind::Macvlan);
        assert_eq!(kind("tun0"), LinkKind::Other("ipip".to_owned()));
        assert_eq!(kind("vrf0"), LinkKind::Other("vrf".to_owned()));
    }

    #[test]
    fn vlans_know_their_tag_and_what_lies_below() {
        let links = here();
        for (name, below, id, protocol) in [
            ("p0.42", "p0", 42, 0x8100),
            ("svc7", "p0", 7, 0x88a8),
            ("inner", "svc7", 100, 0x8100),
        ] {
            let link = &links[name];
            assert_eq!(link.vlan(), Some(Vlan { id, protocol }), "{name}");
            assert_eq!(link.lower, Some(links[below].ifindex), "{name}");
            assert_eq!(link.peer_netns, None, "{name}");
        }
    }

    #[test]
    fn an_interface_whose_other_end_is_elsewhere_names_the_namespace() {
        let links = here();
        assert_eq!(links["p0"].lower, Some(links["q0"].ifindex));
        assert_eq!(links["p0"].peer_netns, None);
        assert_eq!(
            (links["pair0"].lower, links["pair0"].peer_netns),
            (Some(3), Some(0))
        );
        let moved = by_name(include_bytes!("../../tests/golden/links-moved.bin"));
        assert_eq!(
            moved["away"].vlan(),
            Some(Vlan {
                id: 9,
                protocol: 0x8100
            })
        );
        assert_eq!(
            (moved["away"].lower, moved["away"].peer_netns),
            (Some(4), Some(0))
        );
    }

    #[test]
    fn an_attached_xdp_program_and_a_bridge_port_are_seen() {
        let links = here();
        assert_eq!(
            (links["q0"].xdp, links["p0"].xdp),
            (Some(true), Some(false))
        );
        assert_eq!(links["dummy0"].master, Some(links["br0"].ifindex));
        assert_eq!(links["p0"].master, None);
    }

    #[test]
    fn a_bridges_report_about_its_port_is_no_interface() {
        let bytes = include_bytes!("../../tests/golden/links.bin");
        let mut message = recorded(bytes).swap_remove(1);
        assert!(link(&message).is_some());
        message.header.interface_family = AddressFamily::Bridge;
        assert_eq!(link(&message), None);
    }
}
