//! `auth_hmac`: who has no key is not heard, and nothing is heard twice.

use std::time::Duration;

use vrrp::{Datagram, Hmacs, Key, Settings};

use crate::world::{Bench, advert, ms, sent, settings};

fn keyed(keys: &[(u8, &[u8])], active_key: u8) -> Settings {
    let keys = keys.iter().map(|(number, secret)| Key {
        number: *number,
        secret: secret.to_vec(),
    });
    let hmacs = Hmacs {
        keys: keys.collect(),
        active_key,
        window: Some(Duration::from_secs(30)),
        enforced: true,
    };
    Settings {
        hmacs: Some(hmacs),
        ..settings(100)
    }
}

const OLD: (u8, &[u8]) = (1, b"the old secret, 32 bytes of it..");
const NEW: (u8, &[u8]) = (2, b"the new secret, 32 bytes of it..");

/// What became of a backup that hears this.
fn refusal(settings: Settings, datagram: &Datagram) -> Option<String> {
    let mut bench = Bench::alone(settings);
    // The sender's clock has gone on meanwhile.
    bench.pass(ms(3500));
    bench.hear(datagram);
    bench.status().last_refusal
}

#[test]
fn the_trailer_is_where_and_what_keepalived_has() {
    // Scheme, key, zeroes; then the clock, 1 800 000 003 s and 609.375 ms.
    let mut bench = Bench::alone(keyed(&[OLD], 1));
    let outputs = bench.pass(ms(3610));
    let bytes = sent(&outputs)[0].bytes().to_vec();
    let message = 20 + 8 + 4 + 8;
    assert_eq!(bytes.len(), message + 28);
    let seconds = 1_800_000_003_u32.to_be_bytes();
    assert_eq!(
        bytes[message..message + 8],
        [&[1, 1, 0, 0][..], &seconds].concat()
    );
    assert_eq!(bytes[message + 8..message + 12], [0x9c, 0x00, 0, 0]);
    // HMAC-SHA-256 by Python's hmac, over the pseudo-header, the message and the trailer.
    let mac = [
        0x44, 0x5d, 0x23, 0x32, 0x87, 0xb1, 0x29, 0x77, 0x0c, 0x71, 0x49, 0x18, 0x44, 0x9b, 0x7f,
        0x33,
    ];
    assert_eq!(
        bytes[message + 12..],
        mac,
        "{:02x?}",
        &bytes[20..message + 12]
    );
}

#[test]
fn who_has_the_key_is_heard() {
    assert_eq!(
        refusal(keyed(&[OLD], 1), &advert(keyed(&[OLD], 1), "192.0.2.2")),
        None
    );
}

#[test]
fn keys_can_be_changed_on_one_router_at_a_time() {
    let between = keyed(&[OLD, NEW], 1);
    let after = keyed(&[OLD, NEW], 2);
    assert_eq!(
        refusal(between.clone(), &advert(keyed(&[OLD], 1), "192.0.2.2")),
        None
    );
    assert_eq!(refusal(between, &advert(after, "192.0.2.2")), None);
}

#[test]
fn who_has_no_key_or_another_is_refused() {
    let ours = || keyed(&[OLD], 1);
    let table = [
        (settings(200), "it has no auth_hmac trailer"),
        (
            keyed(&[NEW], 2),
            "its auth_hmac key 2 is not configured here",
        ),
        (keyed(&[(1, NEW.1)], 1), "its auth_hmac is wrong"),
    ];
    for (theirs, reason) in table {
        let refused = refusal(ours(), &advert(theirs, "192.0.2.2")).unwrap();
        assert_eq!(refused, format!("from 192.0.2.2: {reason}"));
    }
}

#[test]
fn nothing_is_heard_twice_or_late() {
    let mut bench = Bench::alone(keyed(&[OLD], 1));
    let other = advert(keyed(&[OLD], 1), "192.0.2.2");
    bench.pass(ms(3500));
    bench.hear(&other);
    assert_eq!(bench.status().refused, 0);
    bench.pass(ms(1000));
    bench.hear(&other);
    let reason = bench.status().last_refusal.unwrap();
    assert!(reason.ends_with("somebody repeats adverts"), "{reason}");

    let mut later = Bench::alone(keyed(&[OLD], 1));
    later.pass(Duration::from_secs(60));
    later.hear(&other);
    let reason = later.status().last_refusal.unwrap();
    assert!(reason.contains("clock are 57s apart"), "{reason}");
}

#[test]
fn a_replay_from_another_address_is_refused() {
    let bytes = {
        let other = advert(keyed(&[OLD], 1), "192.0.2.2");
        let mut bytes = other.bytes().to_vec();
        bytes[15] = 3;
        bytes
    };
    let moved = Datagram::from_ipv4(&bytes).unwrap();
    let reason = refusal(keyed(&[OLD], 1), &moved).unwrap();
    assert!(reason.ends_with("its auth_hmac is wrong"), "{reason}");
}

#[test]
fn a_routers_own_adverts_grow_while_its_clock_stands_still() {
    let mut bench = Bench::alone(keyed(&[OLD], 1));
    let mut listener = Bench::alone(keyed(&[OLD], 1));
    bench.pass(ms(3610));
    let lower = Settings {
        priority: 50,
        ..keyed(&[OLD], 1)
    };
    let mut answers = Vec::new();
    for source in ["192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        // Each is answered at once, at the same time by the clock.
        answers.extend(sent(&bench.hear(&advert(lower.clone(), source))));
    }
    assert_eq!(answers.len(), 3);
    for answer in &answers {
        listener.hear(answer);
    }
    assert_eq!(
        listener.status().refused,
        0,
        "{:?}",
        listener.status().last_refusal
    );
}
