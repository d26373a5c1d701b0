//! Virtual MAC addresses (`use_vmac`) that change hands between ours and keepalived.

use crate::keepalived::Keepalived;
use crate::one_configuration::plan;
use crate::support::{Host, Ours, Segment, until};

/// Adverts, addresses and answers go through a macvlan with the virtual router's own MAC address.
const VIRTUAL_MAC: &str = "
vrrp_instance V4 {
    interface eth0
    use_vmac
    virtual_router_id 51
    priority PRIORITY
    advert_int 0.1
    version 3
    virtual_ipaddress {
        10.9.0.100/24
    }
}
vrrp_instance V6 {
    interface eth0
    use_vmac
    virtual_router_id 51
    priority PRIORITY
    advert_int 0.1
    version 3
    virtual_ipaddress {
        fe80::100/64
        2001:db8::100/64
    }
}
";

#[test]
fn ours_and_keepalived_share_virtual_mac_addresses() {
    const VIPS: [(&str, &str); 2] = [
        ("10.9.0.100", "00:00:5e:00:01:33"),
        ("2001:db8::100", "00:00:5e:00:02:33"),
    ];
    for ours_is_better in [true, false] {
        let segment = Segment::new(3);
        let [here, there, client] = &segment.hosts[..] else {
            panic!("three hosts")
        };
        let text =
            |better: bool| VIRTUAL_MAC.replace("PRIORITY", if better { "200" } else { "100" });
        let has_all = |host: &Host| VIPS.iter().all(|(vip, _)| host.holds(vip));
        let has_none = |host: &Host| VIPS.iter().all(|(vip, _)| !host.holds(vip));
        let ours = Ours::start_plan(here, plan(&text(ours_is_better)));
        let theirs = Keepalived::start(there, &text(!ours_is_better));
        let (better, other) = match ours_is_better {
            true => (here, there),
            false => (there, here),
        };
        until("the better one has all", || {
            has_all(better) && has_none(other)
        });
        let reached = || {
            VIPS.iter().all(|(vip, mac)| {
                client.send_to(vip);
                let known = client.ip(&format!("neighbour show {vip} dev eth0"));
                known.contains(mac)
            })
        };
        until("the client knows the virtual MAC addresses", reached);
        if ours_is_better {
            ours.stop();
        } else {
            theirs.stop();
        }
        until("the other one has all", || has_all(other));
        until("the client knows them still", reached);
    }
}
