//! Which services a transaction concerns.

use std::collections::HashSet;

use model::ServiceKey;

use crate::wanted::Effect;

/// The services that a transaction touches.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// All of them, each once, in the order of their first change.
    pub(crate) keys: Vec<ServiceKey>,
    /// Those that were made in it.
    pub(crate) made: HashSet<ServiceKey>,
    /// Those of which a destination was told its settings.
    pub(crate) told: HashSet<ServiceKey>,
}

impl Touched {
    pub(crate) fn by(effects: &[&Effect]) -> Self {
        let mut touched = Self::default();
        let mut seen = HashSet::new();
        let mut touch = |key: ServiceKey| {
            if seen.insert(key) {
                touched.keys.push(key);
            }
        };
        for effect in effects {
            match effect {
                Effect::ServiceAdded(service) => {
                    touch(service.key);
                    touched.made.insert(service.key);
                }
                Effect::ServiceEdited { after, .. } => touch(after.key),
                Effect::ServiceRemoved(removed) => touch(removed.service.key),
                Effect::DestinationEdited { service, .. } => {
                    touch(*service);
                    touched.told.insert(*service);
                }
                Effect::DestinationAdded { service, .. }
                | Effect::DestinationRemoved { service, .. }
                | Effect::LocalAddressAdded { service, .. }
                | Effect::LocalAddressRemoved { service, .. } => touch(*service),
                Effect::Flushed(removed) => {
                    removed
                        .iter()
                        .for_each(|removed| touch(removed.service.key));
                }
            }
        }
        touched
    }
}
