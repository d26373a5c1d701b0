//! `RTM_NEWLINK` and `RTM_DELLINK`.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    LinkXdp, XdpAttached,
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
