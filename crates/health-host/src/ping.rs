//! PING_CHECK: an ICMP echo is answered (RFC 792, RFC 4443 section 4).

use std::sync::atomic::{AtomicU16, Ordering};

use config::model::Connect;

use crate::{Done, connect};

/// Tells echoes of this process apart.
static SEQUENCE: AtomicU16 = AtomicU16::new(0);

pub(crate) async fn check(to: &Connect) -> Done {
    let socket = connect::icmp(to)?;
    let is_v4 = to.address.is_ipv4();
    // The kernel gives every process all answers: identifier and sequence number choose ours.
    let [.., high, low] = std::process::id().to_be_bytes();
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let (request, reply) = if is_v4 { (8, 0) } else { (128, 129) };
    let mut echo = [request, 0, 0, 0, high, low, sequence[0], sequence[1]];
    if is_v4 {
        let checksum = checksum(&echo).to_be_bytes();
        echo[2..4].copy_from_slice(&checksum);
    }
    socket.send(&echo).await?;
    let mut answer = [0; 1500];
    loop {
        let length = socket.recv(&mut answer).await?;
        // IPv4's raw sockets tell the IP header too.
        let start = if is_v4 {
            usize::from(answer[0] & 0xf) * 4
        } else {
            0
        };
        let message = answer[..length].get(start..).unwrap_or_default();
        if message.first() == Some(&reply) && message.get(4..8) == Some(&echo[4..]) {
            return Ok(None);
        }
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8; 8]) -> u16 {
    let words = bytes.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}
