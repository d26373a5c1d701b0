//! How real servers learn clients' addresses: an option that `ipvsadm` does not have.

use serde::{Deserialize, Serialize};

use crate::names::named;

/// How the real servers of a service under FULLNAT, who see the director's address in packets, are
/// told the client's (`--client-address`). TCP only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAddress {
    /// Not at all.
    #[default]
    Off,
    /// By a TCP option, as LVS and DPVS have it: kind 254.
    Toa,
    /// By the PROXY protocol's header, version 2, before what the client sends.
    Proxy,
}

named!(ClientAddress, "way to tell the client's address", "toa, proxy, off", {
    Off => "off", Toa => "toa", Proxy => "proxy",
});
