//! What is written can be read, and what cannot be is said.

use model::{DestinationKey, Family, Netmask, Protocol, Scheduler, ServiceKey, ServiceRequest};

fn service(text: &str) -> ServiceKey {
    text.parse().expect("the tests name services that exist")
}

#[test]
fn a_service_key_reads_as_the_listing_prints_it() {
    for text in [
        "TCP 172.16.10.21:80",
        "UDP [fd00:10::21]:53",
        "SCTP 172.16.10.21:9",
        "TCP [::ffff:1.2.3.4]:80",
        "FWM 7",
        "FWM 4294967295 IPv6",
    ] {
        assert_eq!(service(text).to_string(), text);
    }
    assert_eq!(
        service("FWM 7 IPv6"),
        ServiceKey::Mark {
            mark: 7,
            family: Family::Ipv6
        }
    );
}

#[test]
fn text_that_names_no_service_is_refused_with_an_example() {
    for text in [
        "",
        "TCP",
        "TCP 1.2.3.4",
        "ICMP 1.2.3.4:5",
        "FWM 0",
        "FWM 7 IPv4",
        "TCP 1.2.3.4:80 x",
    ] {
        let error = text.parse::<ServiceKey>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("`{text}' is no virtual service\nhint: ")),
            "{error}"
        );
    }
    assert!("1.2.3.4".parse::<DestinationKey>().is_err());
}

#[test]
fn a_netmask_hides_the_rest_of_the_address() {
    let apply = |mask: &str, address: &str| -> String {
        let mask: Netmask = mask.parse().unwrap();
        mask.apply(address.parse().unwrap()).to_string()
    };
    assert_eq!(apply("255.255.255.0", "172.16.10.42"), "172.16.10.0");
    assert_eq!(apply("255.0.255.0", "172.16.10.42"), "172.0.10.0");
    assert_eq!(apply("64", "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(apply("128", "2001:db8::6"), "2001:db8::6");
    assert_eq!(apply("1", "ffff::1"), "8000::");
    assert!("0".parse::<Netmask>().is_err());
    assert!("129".parse::<Netmask>().is_err());
}

#[test]
fn every_scheduler_goes_by_its_name() {
    for &scheduler in Scheduler::ALL {
        assert_eq!(scheduler.to_string().parse(), Ok(scheduler));
    }
    let error = "twice".parse::<Scheduler>().unwrap_err().to_string();
    assert!(
        error.starts_with("unknown scheduler `twice'\nhint: one of rr, wrr"),
        "{error}"
    );
}

#[test]
fn json_names_a_service_by_protocol_address_and_port_or_by_mark() {
    let key = service("TCP 172.16.10.21:80");
    assert_eq!(
        serde_json::to_value(key).unwrap(),
        serde_json::json!({"protocol": "tcp", "address": "172.16.10.21", "port": 80})
    );
    for key in [key, service("FWM 7 IPv6")] {
        let request = ServiceRequest::new(key, "wlc");
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            serde_json::from_str::<ServiceRequest>(&text).unwrap(),
            request
        );
    }
}

#[test]
fn protocols_have_the_numbers_of_the_ip_header() {
    assert_eq!(Protocol::Tcp.number(), 6);
    assert_eq!(Protocol::Udp.number(), 17);
    assert_eq!(Protocol::Sctp.number(), 132);
    assert_eq!(Protocol::from_number(17), Some(Protocol::Udp));
    assert_eq!(Protocol::from_number(1), None);
}
