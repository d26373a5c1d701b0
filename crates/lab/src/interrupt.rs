//! Ctrl-C and SIGTERM: what is half made is finished first, then everything is removed.

use std::io::{self, Write};
use std::process::exit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::LabError;

/// Exit code of a program ended by Ctrl-C, as shells give it (128 + SIGINT).
const EXIT_INTERRUPTED: i32 = 130;

/// A door that everything passes which makes something that must be removed again.
///
/// Once it is shut, nothing passes any more.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<bool>>);

impl Gate {
    /// Passes, unless the run is being ended. The gate cannot be shut while the guard lives.
    pub fn pass(&self) -> Result<MutexGuard<'_, bool>, LabError> {
        let shut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *shut {
            Err(LabError::Interrupted)
        } else {
            Ok(shut)
        }
    }

    /// From now on SIGINT, SIGTERM and SIGHUP shut the gate, run `clean` and end the program.
    ///
    /// The lock is held while `clean` runs, so that the main thread waits at the gate until the end.
    pub fn shut_on_signals(&self, clean: impl FnOnce() + Send + 'static) -> Result<(), LabError> {
        let failed = |source| LabError::Program {
            program: "signal handling".to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let gate = self.clone();
        let (mut int, mut term, mut hangup) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt()).map_err(failed)?,
                signal(SignalKind::terminate()).map_err(failed)?,
                signal(SignalKind::hangup()).map_err(failed)?,
            )
        };
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            let mut shut = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
            *shut = true;
            clean();
            exit(EXIT_INTERRUPTED);
        });
        Ok(())
    }
}

/// Output that stops when the gate is shut, so that nothing is said about what is being removed.
#[derive(Debug)]
pub struct Gated<W> {
    gate: Gate,
    out: W,
}

impl<W: Write> Gated<W> {
    /// Output to `out` as long as `gate` is open.
    pub fn new(gate: Gate, out: W) -> Self {
        Self { gate, out }
    }
}

impl<W: Write> Write for Gated<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _open = self.gate.pass().map_err(io::Error::other)?;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
