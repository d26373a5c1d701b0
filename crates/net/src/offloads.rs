//! What an interface's driver does to packets on their way.

use std::path::Path;

use ethtool::{EthtoolAttr, EthtoolFeatureAttr, EthtoolFeatureBit};
use futures::StreamExt;

use crate::{Error, Link};

/// The offloads of an interface that change what a program attached to it sees: `None` where the
/// kernel did not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offloads {
    /// The driver, by name: `virtio_net`, `veth`.
    pub driver: Option<String>,
    /// Checksums are left to the hardware on sending (`ethtool -k`: tx-checksumming).
    pub tx_checksum: Option<bool>,
    /// TCP over IPv4 is cut into segments by the hardware (tcp-segmentation-offload).
    pub tso: Option<bool>,
    /// Large packets are cut late (generic-segmentation-offload).
    pub gso: Option<bool>,
    /// Received packets are joined by the kernel (generic-receive-offload).
    pub gro: Option<bool>,
    /// Received packets are joined by the hardware (large-receive-offload).
    pub lro: Option<bool>,
    /// VLAN tags are taken out of received frames (rx-vlan-offload), before XDP could see them.
    pub rx_vlan: Option<bool>,
}

/// Reads the offloads of an interface by the kernel's ethtool family (ethtool-netlink in the
/// kernel's documentation). Nothing is changed.
///
/// # Errors
/// When the kernel has no such family, or the interface is gone.
pub async fn offloads(link: &Link) -> Result<Offloads, Error> {
    let active = active_features(&link.name).await?;
    let any = |names: &[&str]| Some(names.iter().any(|name| active.iter().any(|on| on == name)));
    Ok(Offloads {
        driver: driver(link),
        tx_checksum: any(&[
            "tx-checksum-ipv4",
            "tx-checksum-ip-generic",
            "tx-checksum-ipv6",
        ]),
        tso: any(&["tx-tcp-segmentation"]),
        gso: any(&["tx-generic-segmentation"]),
        gro: any(&["rx-gro"]),
        lro: any(&["rx-lro"]),
        rx_vlan: any(&["rx-vlan-hw-parse"]),
    })
}

/// The names of the features that are on.
async fn active_features(interface: &str) -> Result<Vec<String>, Error> {
    let nonsense = |reason: String| Error::Answer {
        what: format!("the offloads of {interface}"),
        reason,
    };
    let (connection, mut handle, _) = ethtool::new_connection().map_err(|source| Error::Open {
        purpose: "reading offloads",
        source,
    })?;
    let service = tokio::spawn(connection);
    let request = handle.feature().get(Some(interface)).execute().await;
    let mut answers = request.map_err(|error| nonsense(error.to_string()))?;
    let answer = answers.next().await;
    service.abort();
    let answer = answer.ok_or_else(|| nonsense("no answer".to_owned()))?;
    let answer = answer.map_err(|error| nonsense(error.to_string()))?;
    let active = answer
        .payload
        .nlas
        .into_iter()
        .find_map(|attribute| match attribute {
            EthtoolAttr::Feature(EthtoolFeatureAttr::Active(bits)) => Some(bits),
            _ => None,
        });
    let active = active.ok_or_else(|| nonsense("it names no features".to_owned()))?;
    let is_on = |bit: &EthtoolFeatureBit| bit.value;
    Ok(active
        .into_iter()
        .filter(is_on)
        .map(|bit| bit.name)
        .collect())
}

/// The driver of an interface: of the device it is driven through, or else its kind. `/sys/bus` is
/// the same in every network namespace, other than `/sys/class/net`.
fn driver(link: &Link) -> Option<String> {
    match &link.parent_device {
        Some((bus, device)) => {
            let path = Path::new("/sys/bus")
                .join(bus)
                .join("devices")
                .join(device)
                .join("driver");
            let target = std::fs::read_link(path).ok()?;
            Some(target.file_name()?.to_string_lossy().into_owned())
        }
        None => Some(link.kind.to_string()),
    }
}
