//! When a frame of ours is as good as the kernel's: equal, but for what anyone may choose.

use super::transcript::End;

const OWN_MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x21], [2, 0, 0, 0, 1, 0x17]];
const GUE_PORT: [u8; 2] = 6080u16.to_be_bytes();

/// A frame as it is given to us: to the MAC of the interface that frames are run by hand with.
pub fn to_us(frame: &[u8]) -> Vec<u8> {
    [&[0; 6], &frame[6..]].concat()
}

/// A frame of ours as the kernel's director would send it: from the MAC of the link's interface.
pub fn from_us(frame: &[u8]) -> (End, Vec<u8>) {
    let (end, mac) = match frame.get(4) {
        Some(0) => (End::Client, OWN_MACS[0]),
        _ => (End::Server, OWN_MACS[1]),
    };
    (end, [&frame[..6], &mac, &frame[12..]].concat())
}

fn folded(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    let mut sum: u32 = words
        .map(|two| u32::from(u16::from_be_bytes([two[0], *two.get(1).unwrap_or(&0)])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Whether the sum over what a checksum covers is right.
fn is_right(parts: &[&[u8]]) -> bool {
    folded(&parts.concat()) == 0xffff
}

/// Whether the kernel's stack, and not its director, made a frame of what it was given: it sent it
/// on as a router does, answered a query, or reset what nobody listens for.
pub fn is_the_stacks(frame: &[u8], given: &[u8]) -> bool {
    let (l3, payload) = if is_v4(given) {
        (26..34, 34)
    } else {
        (22..54, 54)
    };
    if is_v4(frame) != is_v4(given) {
        return false;
    }
    let is_sent_on = frame[l3.clone()] == given[l3.clone()] && frame[payload..] == given[payload..];
    let (protocol, queries, answers): (u8, &[u8], &[u8]) = if is_v4(given) {
        (given[23], &[8, 13], &[0, 14])
    } else {
        (given[20], &[128], &[129])
    };
    let is_query = matches!(protocol, 1 | 58) && queries.contains(&given[payload]);
    let is_reset = protocol == 6 && frame.len() > payload + 13 && frame[payload + 13] & 4 != 0;
    is_sent_on || is_reset || is_query && answers.contains(&frame[payload])
}

fn is_v4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0]
}

/// The choices that change from packet to packet, in a frame that `given` became: the
/// identification of an IPv4 header of the director's own that may be fragmented (RFC 6864), the
/// flow label of an IPv6 one (RFC 6437), and the source port of GUE. Each is taken out, with the
/// checksum that covers it, after that was found right.
pub fn without_choices(frame: &[u8], given: &[u8]) -> Result<Vec<u8>, String> {
    let mut frame = frame.to_vec();
    let header = if is_v4(&frame) { 20 } else { 40 };
    let protocol = frame[if is_v4(&frame) { 23 } else { 20 }];
    let l4 = 14 + header;
    if protocol == 17 && frame[l4 + 2..l4 + 4] == GUE_PORT {
        let length = (frame.len() - l4) as u32;
        let addresses = &frame[l4 - if is_v4(&frame) { 8 } else { 32 }..l4];
        let pseudo_header = [&17u32.to_be_bytes()[..], &length.to_be_bytes()].concat();
        let has_checksum = frame[l4 + 6..l4 + 8] != [0, 0];
        if has_checksum && !is_right(&[addresses, &pseudo_header, &frame[l4..]]) {
            return Err("the checksum of GUE is wrong".into());
        }
        frame[l4..l4 + 2].fill(0);
        if has_checksum {
            frame[l4 + 6..l4 + 8].fill(0xff);
        }
    }
    if is_v4(&frame) && !(is_v4(given) && frame[18..20] == given[18..20]) {
        if !is_right(&[&frame[14..34]]) {
            return Err("the checksum of the outer IP header is wrong".into());
        }
        let may_be_fragmented = frame[20] & 0x40 == 0;
        if may_be_fragmented {
            frame[18..20].fill(0);
        }
        frame[24..26].fill(0);
    }
    let is_its_own = is_v4(given) || frame[22..54] != given[22..54];
    if !is_v4(&frame) && is_its_own {
        frame[15] &= 0xf0;
        frame[16..18].fill(0);
    }
    Ok(frame)
}
