//! Standard output: what commands print, to a reader that may have read enough.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Result;
use serde::Serialize;

/// Whether anybody reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody may.
    There,
    /// Nobody: `head` and its like end when they have read enough.
    Gone,
}

/// Prints what `write` writes. That the reader has gone is no failure, whatever `write` makes of it.
///
/// # Errors
/// When `write` fails otherwise, or the output does.
pub fn print(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Reader> {
    let mut out = BufWriter::new(Watched {
        out: io::stdout().lock(),
        reader: Reader::There,
    });
    let printed = write(&mut out).and_then(|()| Ok(out.flush()?));
    match out.get_ref().reader {
        Reader::Gone => Ok(Reader::Gone),
        Reader::There => printed.map(|()| Reader::There),
    }
}

/// Prints a text as it is.
///
/// # Errors
/// When the output fails.
pub fn text(text: impl Display) -> Result<()> {
    print(|out| Ok(write!(out, "{text}")?)).map(drop)
}

/// Prints JSON for programs that asked for it, or else a text for people.
///
/// # Errors
/// When the output fails.
pub fn json_or<T: Display>(
    is_json: bool,
    value: &impl Serialize,
    people: impl FnOnce() -> T,
) -> Result<()> {
    if is_json {
        print(|out| json(out, value)).map(drop)
    } else {
        text(people())
    }
}

/// Writes JSON over several lines.
///
/// # Errors
/// When it cannot be written.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Standard output, which remembers that its reader has gone.
struct Watched {
    out: StdoutLock<'static>,
    reader: Reader,
}

impl Watched {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.reader = Reader::Gone;
        }
        result
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}
