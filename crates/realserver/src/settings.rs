//! What a real server is to do.

use std::fmt;
use std::net::IpAddr;

use decap::layout;

/// What a real server is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The tunnels that end here.
    pub tunnels: Tunnels,
    /// The virtual addresses; if there are none, those on `lo`.
    pub virtual_addresses: Vec<IpAddr>,
    /// The interfaces; if there are none, every one that has Ethernet frames.
    pub interfaces: Vec<String>,
}

/// Which tunnels end here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnels {
    /// IP in IP.
    pub ipip: bool,
    /// GRE.
    pub gre: bool,
    /// GUE, on this UDP port, which is not 0.
    pub gue: Option<u16>,
}

impl Tunnels {
    /// As the program reads them.
    pub(crate) fn words(&self) -> [u32; 2] {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let kinds = bit(self.ipip, layout::IPIP) | bit(self.gre, layout::GRE);
        [kinds, self.gue.map_or(0, u32::from)]
    }
}

impl fmt::Display for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Vec::new();
        names.extend(self.ipip.then(|| "ipip".to_owned()));
        names.extend(self.gre.then(|| "gre".to_owned()));
        names.extend(self.gue.map(|port| format!("gue (UDP port {port})")));
        f.write_str(&names.join(", "))
    }
}
