//! `bfd_instance`.

use std::time::Duration;

use super::item::Out;
use super::track::weight;
use crate::model::BfdInstance;

pub(super) fn instance(out: &mut Out, instance: &BfdInstance) {
    out.block(&format!("bfd_instance {}", instance.name), |out| {
        out.value("neighbor_ip", instance.neighbor);
        out.optional("source_ip", instance.source);
        out.value("min_rx", milliseconds(instance.min_rx));
        out.value("min_tx", milliseconds(instance.min_tx));
        out.value("idle_tx", milliseconds(instance.idle_tx));
        out.value("multiplier", instance.multiplier);
        out.flag("passive", instance.passive);
        out.flag("multihop", instance.multihop);
        let hop_limit = if instance.neighbor.is_ipv4() {
            "ttl"
        } else {
            "hoplimit"
        };
        out.value(hop_limit, instance.hop_limit);
        out.value("max_hops", instance.max_hops.unwrap_or(u8::MAX));
        out.value("weight", weight(instance.weight));
        out.flag("vrrp", !instance.for_checks);
        out.flag("checker", !instance.for_vrrp);
    });
}

fn milliseconds(duration: Duration) -> f64 {
    // The protocol's 32 bits hold it.
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1e3
}
