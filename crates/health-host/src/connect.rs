//! Sockets, bound and marked as a check asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use config::model::Connect;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::Failure;

/// Where a check goes.
pub(crate) fn target(connect: &Connect) -> SocketAddr {
    (connect.address, connect.port).into()
}

fn socket(connect: &Connect, kind: Type, protocol: Protocol) -> Result<Socket, Failure> {
    let domain = if connect.address.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if connect.mark != 0 {
        socket.set_mark(connect.mark)?;
    }
    if let Some(interface) = &connect.bind_interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if connect.bind_address.is_some() || connect.bind_port.is_some() {
        let any: IpAddr = if connect.address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        socket.set_reuse_address(true)?;
        let address = connect.bind_address.unwrap_or(any);
        let local = SocketAddr::from((address, connect.bind_port.unwrap_or(0)));
        socket.bind(&local.into())?;
    }
    Ok(socket)
}

/// A TCP connection to a check's target.
pub(crate) async fn tcp(connect: &Connect) -> Result<TcpStream, Failure> {
    let socket = socket(connect, Type::STREAM, Protocol::TCP)?;
    let socket = TcpSocket::from_std_stream(socket.into());
    Ok(socket.connect(target(connect)).await?)
}

/// A UDP socket that knows a check's target alone, and hears its ICMP errors.
pub(crate) async fn udp(connect: &Connect) -> Result<UdpSocket, Failure> {
    let socket = socket(connect, Type::DGRAM, Protocol::UDP)?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(target(connect)).await?;
    Ok(socket)
}

/// A socket for ICMP echoes. The kernel counts its checksums in IPv6 alone.
pub(crate) fn icmp(connect: &Connect) -> Result<UdpSocket, Failure> {
    let protocol = if connect.address.is_ipv4() {
        Protocol::ICMPV4
    } else {
        Protocol::ICMPV6
    };
    let socket = socket(connect, Type::RAW, protocol)?;
    let target = SocketAddr::from((connect.address, 0));
    socket.connect(&target.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}
