//! Clients' addresses, as a director tells them to real servers: in a TCP option (TOA), or in the PROXY
//! protocol's header (haproxy's `proxy-protocol.txt`, section 2.2). Read without the project's own views.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::TcpSlice;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The option's kind.
const OPTION: u8 = 254;
/// What the header begins with: the signature, and version 2 with the command PROXY.
const HEAD: &[u8; 13] = b"\r\n\r\n\0\r\nQUIT\n\x21";
/// Bytes of the header up to its addresses.
const FIXED: usize = 16;

/// The client that a segment tells of.
pub(crate) fn client(tcp: &TcpSlice<'_>) -> Option<IpAddr> {
    let by_option = in_options(tcp.options());
    by_option.or_else(|| in_header(tcp.payload()))
}

fn in_options(mut options: &[u8]) -> Option<IpAddr> {
    loop {
        match *options {
            [] | [0, ..] => return None,
            [1, ..] => options = &options[1..],
            [OPTION, 8, _, _, a, b, c, d, ..] => return Some(Ipv4Addr::new(a, b, c, d).into()),
            [OPTION, 20, _, _, ref rest @ ..] => {
                let octets: [u8; 16] = rest.get(..16)?.try_into().ok()?;
                return Some(Ipv6Addr::from(octets).into());
            }
            [_, length, ..] => options = options.get(usize::from(length.max(1))..)?,
            [_] => return None,
        }
    }
}

/// The client in a header that some bytes begin with.
fn in_header(bytes: &[u8]) -> Option<IpAddr> {
    let (head, rest) = bytes.split_at_checked(FIXED)?;
    if !head.starts_with(HEAD) {
        return None;
    }
    match head[HEAD.len()] {
        0x11 => {
            let octets: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        0x21 => {
            let octets: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// Takes the header that a stream begins with; the client that it tells of.
pub(crate) async fn take(stream: &mut (impl AsyncRead + Unpin)) -> Option<IpAddr> {
    let mut header = vec![0; FIXED];
    stream.read_exact(&mut header).await.ok()?;
    let length = u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]);
    header.resize(FIXED + usize::from(length), 0);
    stream.read_exact(&mut header[FIXED..]).await.ok()?;
    in_header(&header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_behind_others() {
        let timestamps = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
        let told = [254, 8, 0xc3, 0x51, 172, 16, 10, 22];
        let client = Some(IpAddr::from([172, 16, 10, 22]));
        assert_eq!(in_options(&[&timestamps[..], &told].concat()), client);
        assert_eq!(in_options(&timestamps), None);
        assert_eq!(in_options(&told[..7]), None);
    }

    #[test]
    fn a_header_is_found_whole_only() {
        let mut header = HEAD.to_vec();
        header.extend([0x11, 0, 12, 172, 16, 10, 22, 172, 16, 10, 21, 1, 2, 0, 80]);
        assert_eq!(in_header(&header), Some(IpAddr::from([172, 16, 10, 22])));
        assert_eq!(in_header(&header[..19]), None);
        assert_eq!(in_header(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
