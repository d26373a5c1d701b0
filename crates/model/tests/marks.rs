//! Rules that give packets marks, as text and as JSON, and their changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use model::{MarkChange, MarkError, MarkRule, MarkRules, Prefix, Protocol};

fn rule(mark: u32) -> MarkRule {
    MarkRule {
        mark,
        ..MarkRule::default()
    }
}

fn marks(rules: &MarkRules) -> Vec<u32> {
    rules.iter().map(|rule| rule.mark).collect()
}

fn of(numbers: &[u32]) -> MarkRules {
    let rules = numbers.iter().map(|&mark| rule(mark)).collect();
    let change = MarkChange::Replace { rules };
    MarkRules::default().changed(&change, 9).unwrap()
}

fn insert(at: Option<usize>, mark: u32) -> MarkChange {
    let rules = vec![rule(mark)];
    MarkChange::Insert { at, rules }
}

#[test]
fn a_prefix_keeps_the_bits_of_its_length() {
    for (text, shown) in [
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.0.2.77/32", "192.0.2.77"),
        ("192.0.2.77", "192.0.2.77"),
        ("10.0.0.1/0", "0.0.0.0/0"),
        ("2001:db8:1:2::3/33", "2001:db8::/33"),
        ("::1/128", "::1"),
    ] {
        assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown);
    }
    for text in [
        "192.0.2.1/33",
        "::/129",
        "192.0.2/24",
        "x",
        "192.0.2.1/",
        "/8",
    ] {
        let error = text.parse::<Prefix>().unwrap_err().to_string();
        assert!(error.contains("hint: write `192.0.2.1'"), "{error}");
    }
}

#[test]
fn a_rule_is_shown_as_it_is_asked_for_and_comes_back_from_json() {
    let rule = MarkRule {
        mark: 7,
        family: Some(model::Family::Ipv4),
        protocol: Some(Protocol::Tcp),
        from: Some("198.51.100.0/24".parse().unwrap()),
        to: Some("192.0.2.1".parse().unwrap()),
        ports: Some("8000-8080".parse().unwrap()),
        interface: Some("eth0".to_owned()),
    };
    assert_eq!(
        rule.to_string(),
        "--mark 7 --protocol tcp --from 198.51.100.0/24 --to 192.0.2.1 --port 8000-8080 \
         --interface eth0"
    );
    let text = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<MarkRule>(&text).unwrap(), rule);
    let backwards = text.replace("[8000,8080]", "[8080,8000]");
    assert!(serde_json::from_str::<MarkRule>(&backwards).is_err());
}

#[test]
fn rules_stand_where_they_are_put() {
    let rules = of(&[1, 2, 3]);
    for (change, expected) in [
        (insert(None, 4), vec![1, 2, 3, 4]),
        (insert(Some(1), 4), vec![4, 1, 2, 3]),
        (insert(Some(3), 4), vec![1, 2, 4, 3]),
        (insert(Some(4), 4), vec![1, 2, 3, 4]),
        (MarkChange::Remove { at: 2 }, vec![1, 3]),
        (MarkChange::Replace { rules: Vec::new() }, vec![]),
    ] {
        assert_eq!(marks(&rules.changed(&change, 9).unwrap()), expected);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let rules = of(&[1, 2, 3]);
    for at in [0, 5] {
        let error = MarkError::NoRule { at, count: 3 };
        assert_eq!(rules.changed(&insert(Some(at), 4), 9), Err(error));
    }
    for at in [0, 4] {
        let error = MarkError::NoRule { at, count: 3 };
        assert_eq!(rules.changed(&MarkChange::Remove { at }, 9), Err(error));
    }
    let full = rules.changed(&insert(None, 4), 3);
    assert_eq!(full, Err(MarkError::TooMany { limit: 3 }));
    let two = MarkRule {
        from: Some("192.0.2.1".parse().unwrap()),
        to: Some("2001:db8::1".parse().unwrap()),
        ..rule(1)
    };
    let nameless = MarkRule {
        interface: Some("a name that is long".to_owned()),
        ..rule(1)
    };
    for rule in [two, nameless] {
        let change = MarkChange::Replace { rules: vec![rule] };
        assert!(rules.changed(&change, 9).is_err());
    }
    for text in ["80-", "8080-8000", "65536", "http", ""] {
        assert!(text.parse::<model::PortRange>().is_err(), "{text}");
    }
}
