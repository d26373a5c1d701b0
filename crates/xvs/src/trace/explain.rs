//! A packet out of its description on the command line.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, ip_number};
use model::ExplainRequest;

use super::options::PacketOptions;

/// The sender's MAC address: nobody's, as no packet is sent. The receiver's is the interface's.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0];
/// A segment's window, as Linux offers it.
const WINDOW: u16 = 64240;

/// What the daemon is asked.
///
/// # Errors
/// When there is no such packet.
pub fn request(options: &PacketOptions) -> Result<ExplainRequest> {
    let ends = options.tcp.as_deref().or(options.udp.as_deref());
    let Some(&[source, destination]) = ends else {
        bail!("say which packet\nhint: --tcp 10.0.0.7:5000 172.16.10.21:80");
    };
    let ip = headers(options, source.ip(), destination.ip())?;
    let frame = match options.tcp {
        Some(_) => segment(options, ip, (source, destination))?,
        None => datagram(options, ip, (source, destination))?,
    };
    Ok(ExplainRequest {
        frame,
        interface: options.interface.clone(),
        source: source.ip(),
        mark: options.mark,
    })
}

fn headers(
    options: &PacketOptions,
    source: IpAddr,
    destination: IpAddr,
) -> Result<PacketBuilderStep<IpHeaders>> {
    let builder = PacketBuilder::ethernet2(NOBODY, [0; 6]);
    Ok(match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut ip = etherparse::Ipv4Header::new(
                0,
                options.ttl,
                ip_number::TCP,
                source.octets(),
                destination.octets(),
            )?;
            ip.dont_fragment = true;
            builder.ip(IpHeaders::Ipv4(ip, Default::default()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            builder.ipv6(source.octets(), destination.octets(), options.ttl)
        }
        _ => bail!("{source} and {destination} are of different families"),
    })
}

fn segment(
    options: &PacketOptions,
    ip: PacketBuilderStep<IpHeaders>,
    (source, destination): (SocketAddr, SocketAddr),
) -> Result<Vec<u8>> {
    let mut tcp = ip.tcp(source.port(), destination.port(), 1, WINDOW);
    for flag in options.flags.iter().flat_map(|flags| flags.split('+')) {
        tcp = match flag.to_ascii_uppercase().as_str() {
            "SYN" => tcp.syn(),
            "ACK" => tcp.ack(1),
            "FIN" => tcp.fin(),
            "RST" => tcp.rst(),
            "PSH" => tcp.psh(),
            "URG" => tcp.urg(0),
            _ => bail!("`{flag}' is no flag\nhint: SYN, ACK, FIN, RST, PSH or URG, as in SYN,ACK"),
        };
    }
    let mut frame = Vec::new();
    tcp.write(&mut frame, &payload(options))?;
    Ok(frame)
}

fn datagram(
    options: &PacketOptions,
    ip: PacketBuilderStep<IpHeaders>,
    (source, destination): (SocketAddr, SocketAddr),
) -> Result<Vec<u8>> {
    let udp = ip.udp(source.port(), destination.port());
    let mut frame = Vec::new();
    udp.write(&mut frame, &payload(options))?;
    Ok(frame)
}

fn payload(options: &PacketOptions) -> Vec<u8> {
    vec![0; options.payload.into()]
}
