//! Frames that hold no IP packet, in tcpdump's words.

use std::net::IpAddr;

/// The name of what is neither IPv4 nor IPv6, by its EtherType.
pub(crate) fn name(frame: &[u8]) -> String {
    match frame.get(12..14) {
        Some([0x08, 0x06]) => arp_text(frame),
        Some([high, low]) => format!("ethertype 0x{high:02x}{low:02x}"),
        _ => "too short for an EtherType".to_owned(),
    }
}

/// ARP over Ethernet and IPv4 (RFC 826) as tcpdump words it.
fn arp_text(frame: &[u8]) -> String {
    let ipv4 = |at: usize| {
        frame
            .get(at..at + 4)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
            .map(IpAddr::from)
    };
    match (frame.get(21), ipv4(28), ipv4(38)) {
        (Some(1), Some(sender), Some(target)) => format!("ARP, who-has {target} tell {sender}"),
        (Some(2), Some(sender), _) => format!("ARP, {sender} is at the sender"),
        _ => "ARP".to_owned(),
    }
}
