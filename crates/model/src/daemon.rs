//! Settings of the whole director: timeouts and the daemons that copy connections to another one.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::names::named;

/// For how many seconds without a packet a connection is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// An established TCP connection.
    pub tcp: u32,
    /// A TCP connection in `FIN_WAIT`.
    pub tcp_fin: u32,
    /// A UDP exchange.
    pub udp: u32,
}

impl Default for Timeouts {
    /// The kernel's: 15 minutes, 2 minutes, 5 minutes.
    fn default() -> Self {
        Self {
            tcp: 900,
            tcp_fin: 120,
            udp: 300,
        }
    }
}

/// A change of [`Timeouts`], in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeoutChange {
    /// For established TCP; `None` keeps it.
    pub tcp: Option<u32>,
    /// For TCP in `FIN_WAIT`; `None` keeps it.
    pub tcp_fin: Option<u32>,
    /// For UDP; `None` keeps it.
    pub udp: Option<u32>,
}

impl Timeouts {
    /// The timeouts after a change.
    #[must_use]
    pub fn changed_by(self, change: TimeoutChange) -> Self {
        Self {
            tcp: change.tcp.unwrap_or(self.tcp),
            tcp_fin: change.tcp_fin.unwrap_or(self.tcp_fin),
            udp: change.udp.unwrap_or(self.udp),
        }
    }
}

/// Which way a sync daemon copies connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncRole {
    /// Sends its connections.
    Master,
    /// Takes those of a master.
    Backup,
}

named!(SyncRole, "sync daemon role", "master, backup", { Master => "master", Backup => "backup" });

/// A sync daemon as somebody asks for it. What is `None` gets the default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncDaemonRequest {
    /// Which way it copies.
    pub role: SyncRole,
    /// The interface it speaks by.
    pub interface: String,
    /// Which group of directors it belongs to.
    pub sync_id: u8,
    /// The longest message in bytes; by default what fits the interface.
    #[serde(default)]
    pub max_length: Option<u16>,
    /// The multicast group; 224.0.0.81 by default.
    #[serde(default)]
    pub group: Option<IpAddr>,
    /// The UDP port; 8848 by default.
    #[serde(default)]
    pub port: Option<u16>,
    /// Time to live, or hop limit, of the messages; 1 by default.
    #[serde(default)]
    pub ttl: Option<u8>,
}

/// A sync daemon that runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncDaemon {
    /// Which way it copies.
    pub role: SyncRole,
    /// The interface it speaks by.
    pub interface: String,
    /// Which group of directors it belongs to.
    pub sync_id: u8,
    /// The longest message in bytes.
    pub max_length: u16,
    /// The multicast group.
    pub group: IpAddr,
    /// The UDP port.
    pub port: u16,
    /// Time to live, or hop limit, of the messages.
    pub ttl: u8,
}

impl SyncDaemonRequest {
    /// The daemon asked for, on an interface with this MTU in bytes.
    pub fn on_interface(self, mtu: u32) -> SyncDaemon {
        let group = self
            .group
            .unwrap_or(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)));
        SyncDaemon {
            role: self.role,
            interface: self.interface,
            sync_id: self.sync_id,
            max_length: max_length(self.role, self.max_length, group, mtu),
            group,
            port: self.port.unwrap_or(8848),
            ttl: self.ttl.unwrap_or(1),
        }
    }
}

/// The longest message beside the IP and UDP headers (`start_sync_thread` in `ip_vs_sync.c`): a master's default fits
/// Ethernet, whatever the interface; a backup takes what fits its own, and 1024 bytes at least.
fn max_length(role: SyncRole, wanted: Option<u16>, group: IpAddr, mtu: u32) -> u16 {
    const ETHERNET: u32 = 1500;
    const LONGEST_PACKET: u32 = u16::MAX as u32;
    let headers = match group {
        IpAddr::V4(_) => 20 + 8,
        IpAddr::V6(_) => 40 + 8,
    };
    let (shortest, packet) = match role {
        SyncRole::Master => (1, ETHERNET),
        SyncRole::Backup => (1024, mtu.clamp(ETHERNET, LONGEST_PACKET)),
    };
    let length = match wanted {
        Some(wanted) => u32::from(wanted).clamp(shortest, LONGEST_PACKET - headers),
        None => packet - headers,
    };
    u16::try_from(length).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(role: SyncRole, max_length: Option<u16>, group: &str, mtu: u32) -> u16 {
        let request = SyncDaemonRequest {
            role,
            interface: "eth0".to_owned(),
            sync_id: 0,
            max_length,
            group: Some(group.parse().unwrap()),
            port: None,
            ttl: None,
        };
        request.on_interface(mtu).max_length
    }

    /// What `ipvsadm -L --daemon` listed on Linux 6.1 after each was started.
    #[test]
    fn messages_are_as_long_as_the_kernels() {
        use SyncRole::{Backup, Master};
        let (v4, v6) = ("224.0.0.81", "ff02::81");
        for (role, wanted, group, mtu, listed) in [
            (Master, None, v4, 1300, 1472),
            (Master, None, v4, 9000, 1472),
            (Master, Some(5), v4, 9000, 5),
            (Backup, None, v4, 1300, 1472),
            (Backup, None, v6, 1500, 1452),
            (Backup, None, v4, 9000, 8972),
            (Backup, None, v4, 65_536, 65_507),
            (Backup, None, v6, 65_536, 65_487),
            (Backup, Some(500), v4, 9000, 1024),
        ] {
            assert_eq!(
                length(role, wanted, group, mtu),
                listed,
                "{role:?} {wanted:?} {group} {mtu}"
            );
        }
    }
}
