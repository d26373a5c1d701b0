//! A real server at work: the program on its interfaces, kept as the host is.

use std::collections::BTreeMap;

use net::{Change, Snapshot, Watcher};
use tokio::sync::mpsc::Receiver;

use crate::error::Error;
use crate::program::{Attached, Program};
use crate::settings::Settings;
use crate::status::Status;
use crate::wanted;

/// A real server at work. Dropping it ends the work.
pub struct RealServer {
    settings: Settings,
    program: Program,
    /// Where the program is attached, by the interface's number.
    attached: BTreeMap<u32, (String, Attached)>,
    network: Snapshot,
    changes: Receiver<Change>,
}

impl RealServer {
    /// Loads the program and attaches it, in the network namespace of the calling thread. Must be
    /// called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// When an interface is not there, or the kernel refuses.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let (network, changes) = Watcher::start().await?;
        wanted::check_interfaces(&network, &settings)?;
        let program = Program::load(&settings.tunnels)?;
        let mut server = Self {
            settings,
            program,
            attached: BTreeMap::new(),
            network,
            changes,
        };
        server.settle()?;
        Ok(server)
    }

    /// Waits for a change of the host's interfaces and addresses, and takes it in. To be called again
    /// and again; a call that is dropped loses nothing.
    ///
    /// # Errors
    /// When the kernel refuses what follows from the change.
    pub async fn follow(&mut self) -> Result<(), Error> {
        let change = self.changes.recv().await.ok_or(Error::Deaf)?;
        self.network.apply_change(change);
        self.settle()
    }

    /// How it is.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn status(&self) -> Result<Status, Error> {
        let interfaces = self.attached.values().map(|(name, _)| name.clone());
        let virtual_addresses = wanted::virtual_addresses(&self.network, &self.settings);
        Ok(Status {
            tunnels: self.settings.tunnels,
            interfaces: interfaces.collect(),
            virtual_addresses: virtual_addresses.into_iter().collect(),
            counters: self.program.counters()?,
        })
    }

    /// Makes tables and attachments what the host as it is wants.
    fn settle(&mut self) -> Result<(), Error> {
        let addresses = wanted::addresses(&self.network, &self.settings);
        self.program.set_addresses(addresses)?;
        let interfaces = wanted::interfaces(&self.network, &self.settings)?;
        let known: Vec<u32> = self.attached.keys().copied().collect();
        for ifindex in known.iter().filter(|known| !interfaces.contains_key(known)) {
            if let Some((name, place)) = self.attached.remove(ifindex) {
                tracing::info!("{name} is gone");
                self.program.detach(place);
            }
        }
        for (ifindex, name) in interfaces {
            if self.attached.contains_key(&ifindex) {
                continue;
            }
            match self.program.attach(&name) {
                Ok(place) => {
                    self.attached.insert(ifindex, (name, place));
                }
                // One of many may have gone while the kernel told of it; one that was asked for by
                // name must be there.
                Err(error) if self.settings.interfaces.is_empty() => {
                    tracing::warn!("{error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
