//! `RTM_NEWADDR` and `RTM_DELADDR`.

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

use crate::{InterfaceAddress, Prefix};

/// The address that a message is about. None if it names none.
pub(crate) fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let header = &message.header;
    // The message's own attribute has more bits than its header, which newer flags do not fit.
    let mut flags = AddressFlags::from_bits_retain(header.flags.bits().into());
    let (mut local, mut remote) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => remote = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // IFA_LOCAL is this end and IFA_ADDRESS the other end's of a point-to-point link. Elsewhere
    // they are the same, and IPv6 leaves the former out.
    let address = local.or(remote)?;
    let tentative = flags.contains(AddressFlags::Tentative);
    let optimistic = flags.contains(AddressFlags::Optimistic);
    let duplicate = flags.contains(AddressFlags::Dadfailed);
    Some(InterfaceAddress {
        ifindex: header.index,
        address,
        subnet: Prefix::new(remote.unwrap_or(address), header.prefix_len),
        scope: header.scope.into(),
        secondary: flags.contains(AddressFlags::Secondary),
        unusable: duplicate || (tentative && !optimistic),
        last_resort: optimistic || flags.contains(AddressFlags::Deprecated),
    })
}
