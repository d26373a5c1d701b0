//! Interfaces with a virtual router's own MAC address (RFC 9568, section 7.3): macvlans.

use std::fs;
use std::net::IpAddr;

use net::{Link, LinkKind, Snapshot};
use rtnetlink::packet_route::link::MacVlanMode;
use rtnetlink::{Handle, LinkMacVlan, LinkUnspec};
use tracing::warn;
use vrrp::neighbours::Mac;

use crate::error::Error;
use crate::plan::{Instance, Vmac};

/// The MAC address of a virtual router.
pub(crate) fn mac(vmac: &Vmac, ipv6: bool, virtual_router: u8) -> Mac {
    let family = if ipv6 { 2 } else { 1 };
    vmac.mac.unwrap_or([0, 0, 0x5e, 0, family, virtual_router])
}

/// Makes an instance's interface on top of `base`, unless it is there.
pub(crate) async fn ensure(
    handle: &Handle,
    snapshot: &Snapshot,
    instance: &Instance,
    vmac: &Vmac,
) -> Result<(), Error> {
    let Some(base) = snapshot.link_named(&instance.settings.interface) else {
        return Ok(());
    };
    match snapshot.link_named(&vmac.name) {
        Some(link) if link.kind == LinkKind::Macvlan => return Ok(()),
        Some(link) => {
            let action = format!("make {}: there is a {} of that name", vmac.name, link.kind);
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(Error::System { action, source });
        }
        None => {}
    }
    let ipv6 = instance.settings.is_ipv6();
    let mac = mac(vmac, ipv6, instance.settings.virtual_router);
    // Private: what one virtual router sends is not for another one on the same interface.
    let message = LinkMacVlan::new(&vmac.name, base.ifindex, MacVlanMode::Private)
        .address(mac.to_vec())
        .build();
    let action = || format!("make the macvlan {} on {}", vmac.name, base.name);
    handle
        .link()
        .add(message)
        .execute()
        .await
        .map_err(|error| Error::refused(action())(error))?;
    prepare(&vmac.name, &base.name, ipv6);
    let ifindex = nix::net::if_::if_nametoindex(vmac.name.as_str())
        .map_err(Error::system(format!("find the macvlan {}", vmac.name)))?;
    if ipv6 {
        lend_link_local(handle, snapshot, base, ifindex).await?;
    }
    let up = LinkUnspec::new_with_index(ifindex).up().build();
    handle
        .link()
        .set(up)
        .execute()
        .await
        .map_err(|error| Error::refused(action())(error))
}

/// Removes an instance's interface.
pub(crate) async fn remove(handle: &Handle, vmac: &Vmac) {
    let Ok(ifindex) = nix::net::if_::if_nametoindex(vmac.name.as_str()) else {
        return;
    };
    if let Err(error) = handle.link().del(ifindex).execute().await {
        warn!(%error, "the macvlan {} cannot be removed", vmac.name);
    }
}

/// Adverts come from the host's own address, also through the macvlan. An address made of the virtual
/// MAC would be on every router.
async fn lend_link_local(
    handle: &Handle,
    snapshot: &Snapshot,
    base: &Link,
    ifindex: u32,
) -> Result<(), Error> {
    let of_base = snapshot
        .addresses()
        .filter(|address| address.ifindex == base.ifindex);
    let link_local = of_base.map(|address| address.address).find(is_link_local);
    let Some(address) = link_local else {
        return Ok(());
    };
    let mut request = handle.address().add(ifindex, address, 64).replace();
    let flags = netlink_packet_route::address::AddressHeaderFlags::Nodad;
    request.message_mut().header.flags = flags;
    request.execute().await.map_err(Error::refused(format!(
        "add {address} to a macvlan of {}",
        base.name
    )))
}

pub(crate) fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// What keepalived sets, so that each address is answered for with the MAC of its own interface alone,
/// and adverts that come through a macvlan without a subnet are not taken for spoofed.
fn prepare(vmac: &str, base: &str, ipv6: bool) {
    let v4 = [
        (vmac, "rp_filter", "0"),
        (vmac, "accept_local", "1"),
        (vmac, "arp_ignore", "1"),
        (base, "arp_ignore", "1"),
        (base, "arp_filter", "1"),
    ];
    let v6 = [
        (vmac, "addr_gen_mode", "1"),
        (vmac, "autoconf", "0"),
        (vmac, "accept_ra", "0"),
    ];
    let (family, settings) = if ipv6 {
        ("ipv6", &v6[..])
    } else {
        ("ipv4", &v4[..])
    };
    for (interface, setting, value) in settings {
        let path = format!("/proc/sys/net/{family}/conf/{interface}/{setting}");
        if let Err(error) = fs::write(&path, value) {
            warn!(%error, "{path} cannot be set to {value}");
        }
    }
}
