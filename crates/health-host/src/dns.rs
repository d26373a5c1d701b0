//! DNS_CHECK: a question is answered without an error (RFC 1035, section 4.1).

use config::model::Connect;

use crate::{Done, Failure, connect};

/// Bytes of a message's header.
const HEADER: usize = 12;
/// The longest message over UDP (RFC 1035, section 2.3.4).
const LONGEST: usize = 512;

pub(crate) async fn check(to: &Connect, record: &str, name: &str) -> Done {
    let socket = connect::udp(to).await?;
    let id = socket.local_addr()?.port();
    socket.send(&question(id, record, name)?).await?;
    let mut answer = [0; LONGEST];
    loop {
        let length = socket.recv(&mut answer).await?;
        let header = &answer[..length.min(HEADER)];
        let [a, b, flags, code, ..] = *header else {
            continue;
        };
        // An answer to another question is none to ours.
        if u16::from_be_bytes([a, b]) != id || flags & 0x80 == 0 {
            continue;
        }
        return match code & 0xf {
            0 => Ok(None),
            code => Err(Failure::Server(format!("response code {code}"))),
        };
    }
}

/// A header with one question, recursion desired.
fn question(id: u16, record: &str, name: &str) -> Result<Vec<u8>, Failure> {
    let record: u16 = match record {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        _ => 6,
    };
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    for field in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|&length| length < 64);
        let length = length.ok_or_else(|| Failure::Server(format!("`{name}' is no name")))?;
        message.push(length);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(record.to_be_bytes());
    // The Internet's class.
    message.extend(1u16.to_be_bytes());
    Ok(message)
}
