//! What the wanted state accepts and refuses, and in which order it lists.

use model::{Tunnel, TunnelChecksum, TunnelKind};

use super::*;

fn key(text: &str) -> ServiceKey {
    text.parse().unwrap()
}

fn add(wanted: &mut Wanted, service: &str) {
    let request = ServiceRequest::new(key(service), "rr");
    wanted.apply(&Command::AddService(request)).unwrap();
}

fn destination(text: &str) -> Destination {
    Destination::new(text.parse().unwrap(), Forwarding::Masq)
}

fn add_to(wanted: &mut Wanted, service: &str, destination: Destination) -> Result<Effect, Refusal> {
    wanted.apply(&Command::AddDestination {
        service: key(service),
        destination,
    })
}

fn listed(wanted: &Wanted) -> Vec<String> {
    wanted
        .services()
        .map(|s| s.service().key.to_string())
        .collect()
}

#[test]
fn a_service_is_refused_for_existing_before_its_scheduler_is_looked_up() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    let again = ServiceRequest::new(key("TCP 1.1.1.1:80"), "nosuch");
    assert_eq!(
        wanted.apply(&Command::AddService(again.clone())),
        Err(Refusal::ServiceExists)
    );
    assert_eq!(
        wanted.apply(&Command::EditService(again)),
        Err(Refusal::UnknownScheduler)
    );
    let other = ServiceRequest::new(key("TCP 1.1.1.1:81"), "nosuch");
    assert_eq!(
        wanted.apply(&Command::EditService(other)),
        Err(Refusal::NoSuchService)
    );
    assert_eq!(listed(&wanted), ["TCP 1.1.1.1:80"]);
}

#[test]
fn the_newest_destination_is_the_first_in_the_list_and_stays_when_edited() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    for address in ["2.0.0.1:80", "2.0.0.2:80", "2.0.0.3:80"] {
        add_to(&mut wanted, "TCP 1.1.1.1:80", destination(address)).unwrap();
    }
    let heavier = Destination {
        weight: 7,
        ..destination("2.0.0.2:80")
    };
    let service = key("TCP 1.1.1.1:80");
    let effect = wanted.apply(&Command::EditDestination {
        service,
        destination: heavier,
    });
    let before = destination("2.0.0.2:80");
    assert_eq!(
        effect,
        Ok(Effect::DestinationEdited {
            service,
            before,
            after: heavier
        })
    );
    let list: Vec<_> = wanted
        .service(&service)
        .unwrap()
        .destinations()
        .map(|d| (d.key.to_string(), d.weight))
        .collect();
    let expected = [("2.0.0.3:80", 1), ("2.0.0.2:80", 7), ("2.0.0.1:80", 1)];
    assert_eq!(list, expected.map(|(key, weight)| (key.to_owned(), weight)));
}

#[test]
fn a_destination_is_refused_for_the_same_reason_as_in_the_kernel() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    let thresholds = |d| Destination {
        upper_threshold: 1,
        lower_threshold: 2,
        ..d
    };
    let gue = Destination {
        forwarding: Forwarding::Tunnel,
        tunnel: Tunnel {
            kind: TunnelKind::Gue,
            port: 0,
            checksum: TunnelChecksum::None,
        },
        ..destination("2.0.0.9:80")
    };
    let negative = Destination {
        weight: -1,
        ..destination("2.0.0.9:80")
    };
    add_to(&mut wanted, "TCP 1.1.1.1:80", destination("2.0.0.1:80")).unwrap();
    for (candidate, refusal) in [
        (thresholds(destination("224.0.0.1:80")), Refusal::OutOfRange),
        (thresholds(destination("2.0.0.1:80")), Refusal::OutOfRange),
        (negative, Refusal::OutOfRange),
        (gue, Refusal::Invalid),
        (destination("2.0.0.1:80"), Refusal::DestinationExists),
        (destination("224.0.0.1:80"), Refusal::Invalid),
        (destination("255.255.255.255:80"), Refusal::Invalid),
        (destination("0.0.0.0:80"), Refusal::Invalid),
        (destination("[fd00::1]:80"), Refusal::Invalid),
    ] {
        assert_eq!(
            add_to(&mut wanted, "TCP 1.1.1.1:80", candidate),
            Err(refusal),
            "{candidate:?}"
        );
    }
    let elsewhere = add_to(
        &mut wanted,
        "TCP 9.9.9.9:80",
        thresholds(destination("0.0.0.0:80")),
    );
    assert_eq!(elsewhere, Err(Refusal::ServiceNotDefined));
}

/// What Linux 6.1 took and refused of `-a -t [fd00:10::21]:80 -r ADDRESS -m`.
#[test]
fn an_ipv6_destination_is_one_hosts_and_not_of_a_link() {
    const WEB: &str = "TCP [fd00:10::21]:80";
    let mut wanted = Wanted::default();
    add(&mut wanted, WEB);
    for refused in ["fe80::1", "ff02::1", "::", "::ffff:1.2.3.4"] {
        let outcome = add_to(&mut wanted, WEB, destination(&format!("[{refused}]:80")));
        assert_eq!(outcome, Err(Refusal::Invalid), "{refused}");
    }
    let taken = [
        "::1",
        "::1.2.3.4",
        "fec0::1",
        "2001:db8::1",
        "1000::1",
        "e000::1",
        "fd00::1",
    ];
    for taken in taken.into_iter().chain(["fd00:10::21"]) {
        let outcome = add_to(&mut wanted, WEB, destination(&format!("[{taken}]:80")));
        assert!(outcome.is_ok(), "{taken}");
    }
    let tunnelled = |address: &str| Destination {
        forwarding: Forwarding::Tunnel,
        ..destination(address)
    };
    for refused in ["224.0.0.1:80", "0.0.0.0:80"] {
        let outcome = add_to(&mut wanted, WEB, tunnelled(refused));
        assert_eq!(outcome, Err(Refusal::Invalid), "{refused}");
    }
    add_to(&mut wanted, WEB, tunnelled("127.0.0.1:80")).unwrap();
    let masqueraded = Command::EditDestination {
        service: key(WEB),
        destination: destination("127.0.0.1:80"),
    };
    assert_eq!(wanted.apply(&masqueraded), Err(Refusal::Invalid));
    let away = Command::DeleteDestination {
        service: key(WEB),
        destination: "127.0.0.1:80".parse().unwrap(),
    };
    assert!(wanted.apply(&away).is_ok());
}

/// As a service, Linux 6.1 takes any IPv6 address.
#[test]
fn an_ipv6_service_may_have_any_address() {
    let mut wanted = Wanted::default();
    for address in ["ff02::1", "::", "fe80::1", "::1", "::ffff:1.2.3.4"] {
        add(&mut wanted, &format!("TCP [{address}]:80"));
    }
    assert_eq!(wanted.services().len(), 5);
}

#[test]
fn a_tunnel_may_lead_to_the_other_address_family_while_no_sync_daemon_runs() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    let tunnelled = Destination {
        forwarding: Forwarding::Tunnel,
        ..destination("[fd00::1]:80")
    };
    let daemon = SyncDaemon {
        role: SyncRole::Backup,
        interface: "eth0".to_owned(),
        sync_id: 0,
        max_length: 1472,
        group: "224.0.0.81".parse().unwrap(),
        port: 8848,
        ttl: 1,
    };
    wanted.start_daemon(daemon.clone()).unwrap();
    assert_eq!(
        wanted.start_daemon(daemon.clone()),
        Err(Refusal::DaemonRuns)
    );
    assert_eq!(
        add_to(&mut wanted, "TCP 1.1.1.1:80", tunnelled),
        Err(Refusal::Invalid)
    );
    wanted.stop_daemon(SyncRole::Backup).unwrap();
    assert_eq!(wanted.stop_daemon(SyncRole::Backup), Err(Refusal::NoDaemon));
    add_to(&mut wanted, "TCP 1.1.1.1:80", tunnelled).unwrap();
    assert_eq!(wanted.start_daemon(daemon), Err(Refusal::Invalid));
}

#[test]
fn a_removed_service_says_what_went_with_it() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    add_to(&mut wanted, "TCP 1.1.1.1:80", destination("2.0.0.1:80")).unwrap();
    add_to(&mut wanted, "TCP 1.1.1.1:80", destination("2.0.0.2:80")).unwrap();
    let before = wanted.clone();
    let Ok(Effect::ServiceRemoved(removed)) =
        wanted.apply(&Command::DeleteService(key("TCP 1.1.1.1:80")))
    else {
        panic!("a service that is there can be removed");
    };
    let gone = ["2.0.0.2:80", "2.0.0.1:80"].map(destination);
    assert_eq!(removed.destinations, gone);
    assert_eq!(wanted.services().len(), 0);
    let mut flushed = before;
    assert_eq!(
        flushed.apply(&Command::Flush),
        Ok(Effect::Flushed(vec![removed]))
    );
    assert_eq!(flushed.services().len(), 0);
}

/// The order of /proc/net/ip_vs in Linux 6.1, in a network namespace whose salt is 0 or 2 (the
/// capture allows either).
#[test]
fn services_are_listed_by_bucket_and_the_newest_first_within() {
    let mut wanted = Wanted::default();
    for address in [
        "172.16.10.21:80",
        "172.16.10.21:81",
        "172.16.0.10:80",
        "0.0.0.0:80",
    ] {
        add(&mut wanted, &format!("TCP {address}"));
    }
    for address in ["255.255.255.255:80", "224.0.0.1:80", "127.0.0.1:80"] {
        add(&mut wanted, &format!("TCP {address}"));
    }
    let expected = [
        "TCP 172.16.10.21:81",
        "TCP 172.16.10.21:80",
        "TCP 0.0.0.0:80",
        "TCP 127.0.0.1:80",
        "TCP 224.0.0.1:80",
        "TCP 172.16.0.10:80",
        "TCP 255.255.255.255:80",
    ];
    assert_eq!(listed(&wanted), expected);
}

/// Likewise; the capture allows the salts 48 to 55.
#[test]
fn services_of_both_families_share_the_buckets() {
    let expected = [
        "UDP [fd00:10::21]:53",
        "TCP [fd00:10::21]:80",
        "TCP [::1]:80",
        "TCP 172.16.10.21:80",
        "TCP [2001:db8:1234:5678:9abc:def0:1234:5678]:65535",
        "TCP [::ffff:1.2.3.4]:80",
    ];
    let mut wanted = Wanted::with_salt(48);
    for service in [1, 3, 0, 4, 2, 5] {
        add(&mut wanted, expected[service]);
    }
    assert_eq!(listed(&wanted), expected);
}

#[test]
fn services_by_mark_are_listed_last() {
    let mut wanted = Wanted::default();
    for service in ["FWM 5", "FWM 1", "FWM 5 IPv6", "TCP 255.0.0.255:80"] {
        add(&mut wanted, service);
    }
    assert_eq!(
        listed(&wanted),
        ["TCP 255.0.0.255:80", "FWM 1", "FWM 5 IPv6", "FWM 5"]
    );
}

fn lend(wanted: &mut Wanted, service: &str, address: &str) -> Result<Effect, Refusal> {
    wanted.apply(&Command::AddLocalAddress {
        service: key(service),
        address: address.parse().unwrap(),
    })
}

#[test]
fn no_address_stands_for_clients_that_others_cannot_answer_to_or_that_is_a_virtual_one() {
    let mut wanted = Wanted::default();
    add(&mut wanted, "TCP 1.1.1.1:80");
    add(&mut wanted, "TCP [2001:db8::1]:80");
    for address in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "1.1.1.1",
        "::1",
        "fe80::1",
        "2001:db8::1",
    ] {
        let outcome = lend(&mut wanted, "TCP 1.1.1.1:80", address);
        assert_eq!(outcome, Err(Refusal::LocalAddressTaken), "{address}");
    }
    assert!(lend(&mut wanted, "TCP 1.1.1.1:80", "1.1.1.2").is_ok());
}

#[test]
fn local_addresses_are_of_the_real_servers_families() {
    let mut wanted = Wanted::default();
    let service = "TCP 1.1.1.1:80";
    add(&mut wanted, service);
    // Nobody knows yet of which family real servers will be.
    assert!(lend(&mut wanted, service, "2.0.0.9").is_ok());
    assert!(lend(&mut wanted, service, "2001:db8::9").is_ok());
    let fullnat = |address: &str| Destination {
        forwarding: Forwarding::FullNat,
        ..destination(address)
    };
    add_to(&mut wanted, service, fullnat("[2001:db8::2]:80")).unwrap();
    assert!(lend(&mut wanted, service, "2001:db8::8").is_ok());
    let useless = Err(Refusal::LocalAddressUseless);
    assert_eq!(lend(&mut wanted, service, "2.0.0.8"), useless);
    add_to(&mut wanted, service, fullnat("2.0.0.2:80")).unwrap();
    assert!(lend(&mut wanted, service, "2.0.0.8").is_ok());
}

#[test]
fn datagrams_by_fullnat_are_not_scheduled_one_by_one() {
    let mut wanted = Wanted::default();
    let one_by_one = ServiceRequest {
        one_packet: true,
        ..ServiceRequest::new(key("UDP 1.1.1.1:53"), "rr")
    };
    let request = Command::AddService(one_by_one.clone());
    wanted.apply(&request).unwrap();
    let fullnat = Destination {
        forwarding: Forwarding::FullNat,
        ..destination("2.0.0.2:53")
    };
    let refused = Err(Refusal::OnePacketFullNat);
    assert_eq!(add_to(&mut wanted, "UDP 1.1.1.1:53", fullnat), refused);

    add(&mut wanted, "UDP 1.1.1.2:53");
    add_to(&mut wanted, "UDP 1.1.1.2:53", fullnat).unwrap();
    let edited = Command::EditService(ServiceRequest {
        key: key("UDP 1.1.1.2:53"),
        ..one_by_one
    });
    assert_eq!(wanted.apply(&edited), refused);
}
