//! What downloads and uploads carry: bytes that tell their place, so that every one can be compared.

use bytes::Bytes;
use futures::{Stream, stream};

/// Bytes handed out at a time.
const CHUNK: u64 = 64 * 1024;

/// The pattern's period: a prime, so that it falls in step with no block or segment size.
const PERIOD: u64 = 251;

/// The byte at a place of a body.
pub fn pattern_byte(offset: u64) -> u8 {
    u8::try_from(offset % PERIOD).expect("a remainder of 251 fits a byte")
}

/// The first `count` bytes, in pieces.
pub fn pieces(count: u64) -> impl Stream<Item = Bytes> {
    let block: Bytes = (0..CHUNK + PERIOD).map(pattern_byte).collect();
    stream::unfold(0, move |sent| {
        let block = block.clone();
        async move {
            let length = CHUNK.min(count - sent);
            let phase = usize::try_from(sent % PERIOD).expect("a remainder of 251 fits");
            let length_here = usize::try_from(length).expect("a chunk fits the memory");
            let piece = block.slice(phase..phase + length_here);
            (length > 0).then(|| (piece, sent + length))
        }
    })
}

/// What was received, compared with what must have been sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// How many bytes.
    pub count: u64,
    /// How many of them are not those of their place.
    pub altered: u64,
}

impl Received {
    /// Takes in the next piece.
    pub fn take_in(&mut self, piece: &[u8]) {
        for byte in piece {
            self.altered += u64::from(*byte != pattern_byte(self.count));
            self.count += 1;
        }
    }
}
