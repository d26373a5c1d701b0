//! Lists that are read as they come.

use adm::DirectorError;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::client::{broken, read};

/// Things out of a stream, one after the other.
pub(crate) struct Stream<N, R> {
    next: N,
    read: R,
    bytes: Vec<u8>,
    /// How many of `bytes` were read already.
    taken: usize,
    ended: bool,
}

impl<N, R> Stream<N, R> {
    /// A stream of the pieces that `next` returns until there are no more. `read` reads the first
    /// thing in what has come, and tells how many bytes it takes; `None` where it is not whole.
    pub(crate) fn new(next: N, read: R) -> Self {
        Self {
            next,
            read,
            bytes: Vec::new(),
            taken: 0,
            ended: false,
        }
    }
}

impl<T, N, R> Iterator for Stream<N, R>
where
    N: FnMut() -> Option<Result<Bytes, DirectorError>>,
    R: Fn(&[u8]) -> Option<(Result<T, DirectorError>, usize)>,
{
    type Item = Result<T, DirectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Some((thing, length)) = (self.read)(&self.bytes[self.taken..]) {
                self.taken += length;
                return Some(thing);
            }
            self.bytes.drain(..self.taken);
            self.taken = 0;
            match (self.next)() {
                Some(Ok(data)) => self.bytes.extend_from_slice(&data),
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                None => {
                    self.ended = true;
                    if !self.bytes.is_empty() {
                        return Some(Err(broken(&"the list ends in the middle of an entry")));
                    }
                }
            }
        }
        None
    }
}

/// Reads a line of JSON.
pub(crate) fn read_line<T: DeserializeOwned>(
    bytes: &[u8],
) -> Option<(Result<T, DirectorError>, usize)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((read(&bytes[..end]), end + 1))
}
