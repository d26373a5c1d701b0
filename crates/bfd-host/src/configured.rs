//! Sessions out of a keepalived.conf.

use bfd::Settings;
use config::Config;

/// The sessions that a configuration wants.
pub fn settings(config: &Config) -> Vec<Settings> {
    let instances = config.bfd_instances.iter();
    let settings = instances.map(|instance| Settings {
        name: instance.name.clone(),
        neighbor: instance.neighbor,
        source: instance.source,
        min_rx: instance.min_rx,
        min_tx: instance.min_tx,
        idle_tx: instance.idle_tx,
        multiplier: instance.multiplier,
        passive: instance.passive,
        multihop: instance.multihop,
        hop_limit: instance.hop_limit,
        max_hops: instance.max_hops,
    });
    settings.collect()
}
