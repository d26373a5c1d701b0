//! Entries of the connection table, as they are listed.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Protocol;
use crate::names::named;

/// The protocol of a connection entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionProtocol {
    /// Any: the persistence template of a firewall mark.
    Ip,
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

named!(ConnectionProtocol, "protocol", "IP, TCP, UDP, SCTP", {
    Ip => "IP", Tcp => "TCP", Udp => "UDP", Sctp => "SCTP",
});

impl From<Protocol> for ConnectionProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::Sctp,
        }
    }
}

/// What a persistence engine found in a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EngineData {
    /// The engine's name.
    pub engine: Cow<'static, str>,
    /// The data, as the engine prints it.
    pub data: String,
}

/// One connection, or one persistence template (client port 0).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConnectionEntry {
    /// Its protocol.
    pub protocol: ConnectionProtocol,
    /// Whole seconds until it is forgotten, rounded down.
    pub expires: u32,
    /// Its state's name, such as `ESTABLISHED`.
    pub state: Cow<'static, str>,
    /// The client's end.
    pub client: SocketAddr,
    /// The end the client sees. For the template of a firewall mark the address is the mark.
    #[serde(rename = "virtual")]
    pub virtual_address: SocketAddr,
    /// The real server's end.
    pub destination: SocketAddr,
    /// What a persistence engine found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_data: Option<EngineData>,
}
