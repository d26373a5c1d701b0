//! What downloads and uploads carry: bytes that tell their place, so that every one can be compared.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};

/// Bytes handed out at a time.
const CHUNK: u64 = 64 * 1024;

/// Between two pieces of a transfer that takes its time.
const PAUSE: Duration = Duration::from_millis(100);

/// The pattern's period: a prime, so that it falls in step with no block or segment size.
const PERIOD: u64 = 251;

/// The byte at a place of a body.
pub fn pattern_byte(offset: u64) -> u8 {
    u8::try_from(offset % PERIOD).expect("a remainder of 251 fits a byte")
}

/// As many bytes of the pattern as any piece needs, wherever it begins.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| (0..CHUNK + PERIOD).map(pattern_byte).collect());

/// Bytes of the pattern from a place on, a chunk at most.
fn pattern(offset: u64, length: usize) -> Bytes {
    let phase = usize::try_from(offset % PERIOD).expect("a remainder of 251 fits");
    BLOCK.slice(phase..phase + length)
}

/// The first `count` bytes, in pieces.
pub fn pieces(count: u64) -> impl Stream<Item = Bytes> {
    pieces_of(count, CHUNK, Duration::ZERO)
}

/// The same with pauses between the pieces, so that they take about so long together.
pub fn pieces_over(count: u64, time: Duration) -> impl Stream<Item = Bytes> {
    let pauses = time.as_millis() / PAUSE.as_millis();
    let pieces = u64::try_from(pauses).unwrap_or(u64::MAX).max(1);
    pieces_of(count, count.div_ceil(pieces).clamp(1, CHUNK), PAUSE)
}

fn pieces_of(count: u64, longest: u64, pause: Duration) -> impl Stream<Item = Bytes> {
    stream::unfold(0, move |sent| async move {
        let length = longest.min(count - sent);
        let length_here = usize::try_from(length).expect("a chunk fits the memory");
        if sent > 0 && length > 0 && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        (length > 0).then(|| (pattern(sent, length_here), sent + length))
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
        for part in piece.chunks(CHUNK as usize) {
            let expected = pattern(self.count, part.len());
            // Much faster than byte by byte, and nearly always all there is to do.
            if part != expected {
                let differing = part.iter().zip(&expected).filter(|(is, must)| is != must);
                self.altered += differing.count() as u64;
            }
            self.count += part.len() as u64;
        }
    }
}
