//! UDP_CHECK: a datagram is answered as wanted, or at least not refused by ICMP.

use config::model::{Connect, HexPattern};

use crate::{Done, Failure, connect};

/// What is sent where nothing is said.
const PAYLOAD: &[u8] = b"xvs UDP_CHECK";

pub(crate) async fn check(
    to: &Connect,
    payload: Option<&[u8]>,
    reply: Option<&HexPattern>,
) -> Done {
    let socket = connect::udp(to).await?;
    socket.send(payload.unwrap_or(PAYLOAD)).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    match reply {
        // An answer or an ICMP error; whoever asks takes silence for success.
        None => {
            socket.recv(&mut answer).await?;
            Ok(None)
        }
        Some(pattern) => {
            let length = socket.recv(&mut answer).await?;
            compare(&answer[..length], pattern)
        }
    }
}

fn compare(answer: &[u8], pattern: &HexPattern) -> Done {
    let allowed = usize::from(pattern.min_length)..=usize::from(pattern.max_length);
    if !allowed.contains(&answer.len()) {
        return Err(Failure::Server(format!(
            "an answer of {} bytes",
            answer.len()
        )));
    }
    let differs = answer
        .iter()
        .zip(&pattern.bytes)
        .position(|(byte, (wanted, mask))| (byte ^ wanted) & mask != 0);
    match differs {
        Some(index) => Err(Failure::Server(format!(
            "the answer differs in byte {index}"
        ))),
        None => Ok(None),
    }
}
