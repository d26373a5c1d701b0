//! What is wrong in a lab file is said with its place and a remedy.

use lab::file::parse;

const GOOD: &str = r#"
name = "good"
title = "a lab"
segments = ["wire"]

[[host]]
name = "a"
interfaces = [
    { name = "eth0", segment = "wire", mac = "02:00:00:00:00:01", addresses = ["10.0.0.1/24"] },
]
gateway = "10.0.0.2"

[[host]]
name = "b"
interfaces = [
    { name = "eth0", segment = "wire", mac = "02:00:00:00:00:02", addresses = ["10.0.0.2/24"] },
]
serve = { name = "B", address = "10.0.0.2", port = 80 }

[[step]]
title = "a asks b"
why = "they share a wire"

[[step.do]]
on = "a"
get = "http://10.0.0.2/"
expect = { servers = 1 }
"#;

/// The error after a change of the good file. The changed text must be in it.
fn error(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match parse("my.toml", &GOOD.replacen(from, to, 1)) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_good_file_is_accepted() {
    let lab = parse("my.toml", GOOD).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.hosts.len(), 2);
    assert_eq!(lab.steps[0].actions.len(), 1);
}

#[test]
fn an_unknown_segment_is_shown_in_its_line_with_those_there_are() {
    assert_eq!(
        error(
            r#"segment = "wire", mac = "02:00:00:00:00:02""#,
            r#"segment = "wier", mac = "02:00:00:00:00:02""#
        ),
        "my.toml:16:32: segment `wier` is not one of this lab's\n   \
         16 |     { name = \"eth0\", segment = \"wier\", mac = \"02:00:00:00:00:02\", addresses = [\"10.0.0.2/24\"] },\n\
         hint: segments = [..] names wire"
    );
}

#[test]
fn a_misspelt_key_is_answered_with_the_known_ones() {
    let error = error("gateway = ", "gatway = ");
    assert!(
        error.starts_with("my.toml:11:1: unknown field `gatway`"),
        "{error}"
    );
    assert!(error.contains("`gateway`"), "{error}");
}

#[test]
fn each_mistake_is_found_at_its_line() {
    let cases = [
        (
            "name = \"good\"",
            "name = \"Not Good\"",
            2,
            "cannot be a lab's name",
        ),
        (
            "name = \"b\"",
            "name = \"a\"",
            14,
            "host `a` is there twice",
        ),
        (
            "name = \"b\"",
            "name = \"r-s\"",
            14,
            "cannot be a host's name",
        ),
        (
            "name = \"b\"",
            "name = \"segments\"",
            14,
            "the place of the bridges",
        ),
        (
            "name = \"b\"",
            "name = \"averylonghost\"",
            16,
            "is too long",
        ),
        (
            "02:00:00:00:00:02",
            "02:00:00:00:00:01",
            16,
            "is the MAC address of a.eth0 already",
        ),
        (
            "02:00:00:00:00:02",
            "03:00:00:00:00:02",
            16,
            "its first byte must be even",
        ),
        (
            "10.0.0.2/24",
            "10.0.0.1/24",
            16,
            "10.0.0.1 is an address of a.eth0 already",
        ),
        (
            "10.0.0.2/24",
            "10.0.0.2",
            16,
            "is not an address with its prefix",
        ),
        (
            "gateway = \"10.0.0.2\"",
            "gateway = \"10.0.1.2\"",
            11,
            "is in none of the host's own networks",
        ),
        (
            "gateway = \"10.0.0.2\"",
            "gateway = \"10.0.0\"",
            11,
            "expected a gateway's address",
        ),
        (
            "gateway = \"10.0.0.2\"",
            "rp_filter = 3",
            11,
            "rp_filter is 0 to 2",
        ),
        (
            "gateway = \"10.0.0.2\"",
            "sysctls = { \"kernel.pid_max\" = 9 }",
            11,
            "is not a setting of a host's own network",
        ),
        (
            "on = \"a\"",
            "on = \"c\"",
            25,
            "`c` is not one of this lab's hosts",
        ),
        (
            "http://10.0.0.2/",
            "http://example.org/",
            26,
            "with a literal address",
        ),
        (
            "expect = { servers = 1 }",
            "expect = { packets = 1 }",
            27,
            "requests are expected to have one of",
        ),
        (
            "expect = { servers = 1 }",
            "expect = { answers = { \"C:10.0.0.2\" = 1 } }",
            27,
            "no server here says",
        ),
        (
            "expect = { servers = 1 }",
            "times = 0",
            27,
            "at least one request",
        ),
        (
            "expect = { servers = 1 }",
            "timeout_seconds = -1.0",
            27,
            "a timeout is more than 0",
        ),
    ];
    for (from, to, line, message) in cases {
        let error = error(from, to);
        assert!(
            error.starts_with(&format!("my.toml:{line}:")),
            "{to}: {error}"
        );
        assert!(error.contains(message), "{to}: {error}");
    }
}

#[test]
fn an_action_is_of_exactly_one_kind_and_has_only_what_belongs_to_it() {
    let two = error(
        "get = \"http://10.0.0.2/\"",
        "get = \"http://10.0.0.2/\"\nshow = \"ip route\"",
    );
    assert!(two.contains("an action has exactly one of"), "{two}");
    let none = error("get = \"http://10.0.0.2/\"\n", "");
    assert!(none.contains("an action has exactly one of"), "{none}");
    let times = error(
        "get = \"http://10.0.0.2/\"\nexpect = { servers = 1 }",
        "show = \"ip route\"\ntimes = 2",
    );
    assert!(times.contains("`times` belongs to requests"), "{times}");
    let ready = error(
        "get = \"http://10.0.0.2/\"\nexpect = { servers = 1 }",
        "show = \"ip route\"\nready = \"*\"",
    );
    assert!(ready.contains("`ready` belongs to `beside`"), "{ready}");
    let close = error("get = \"http://10.0.0.2/\"", "close = \"x\"");
    assert!(close.contains("no connection is held as `x`"), "{close}");
}

/// The good file with a twin, and with something changed in it.
fn twin(from: &str, to: &str) -> Result<lab::definition::Lab, String> {
    let twin = "[twin]\nnetworks = { \"10.0.0.0/24\" = \"2001:db8::/64\" }\n\n[[host]]";
    let text = GOOD.replacen("[[host]]", twin, 1);
    assert!(text.contains(from), "{from}");
    let lab = lab::file::parse_twin("my.toml", &text.replacen(from, to, 1));
    lab.map(Option::unwrap).map_err(|error| error.to_string())
}

#[test]
fn a_twin_has_the_addresses_of_its_networks_and_a_name_of_its_own() {
    let lab = twin("gateway", "gateway").unwrap();
    assert_eq!(lab.name, "good-v6");
    let addresses: Vec<String> = (lab.hosts.iter())
        .map(|host| host.interfaces[0].addresses[0].to_string())
        .collect();
    assert_eq!(addresses, ["2001:db8::1/64", "2001:db8::2/64"]);
    assert_eq!(lab.hosts[0].gateways[0].to_string(), "2001:db8::2");
    let none = lab::file::parse_twin("my.toml", GOOD).unwrap();
    assert!(none.is_none());
}

#[test]
fn what_is_only_for_one_family_is_only_in_that_lab() {
    let step = "[[step]]\ntitle = \"only here\"\nwhy = \"so\"\nonly = \"ipv6\"\n\n[[step]]";
    let both = twin("[[step]]", step).unwrap();
    assert_eq!(both.steps.len(), 2);
    let written = parse("my.toml", &GOOD.replacen("[[step]]", step, 1)).unwrap();
    assert_eq!(written.steps.len(), 1);
    assert_eq!(written.steps[0].title, "a asks b");
}

#[test]
fn a_network_that_has_no_twin_is_named_with_its_line() {
    let error = twin("gateway = \"10.0.0.2\"", "gateway = \"10.0.1.2\"").unwrap_err();
    assert!(
        error.starts_with("my.toml:14:12: 10.0.1.2 is in none of the networks"),
        "{error}"
    );
    let wrong = twin("2001:db8::/64", "10.1.0.0/24").unwrap_err();
    assert!(wrong.contains("this is not an IPv6 network"), "{wrong}");
}

#[test]
fn packets_are_named_by_interfaces_messages_and_tunnels_that_there_are() {
    let captured = |pattern: &str| {
        let action = format!("captured = {{ {pattern} }}\nexpect = {{ packets = 1 }}");
        let get = "get = \"http://10.0.0.2/\"\nexpect = { servers = 1 }";
        parse("my.toml", &GOOD.replacen(get, &action, 1)).map_err(|error| error.to_string())
    };
    for good in [
        "source_mac = \"b.eth0\", ttl = 63",
        "icmp = \"too-big\", mtu = 1480",
        "tunnel = \"gre\", outer_source = \"10.0.0.1\"",
    ] {
        captured(good).unwrap_or_else(|error| panic!("{error}"));
    }
    for (wrong, message) in [
        (
            "source_mac = \"b.eth1\"",
            "`b.eth1` is no interface of this lab's",
        ),
        ("icmp = \"large\"", "there are too-big"),
        ("mtu = 1480", "`mtu` belongs to `icmp = \"too-big\"`"),
        ("tunnel = \"vxlan\"", "they are ipip, gre and gue"),
    ] {
        let error = captured(wrong).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn requests_in_the_background_are_awaited_in_their_step() {
    let get = "get = \"http://10.0.0.2/\"\nexpect = { servers = 1 }";
    let action = |action: &str| {
        parse("my.toml", &GOOD.replacen(get, action, 1)).map_err(|error| error.to_string())
    };
    let download =
        "download = \"http://10.0.0.2/\"\nbytes = 9\nover_seconds = 0.5\nbackground = \"a\"";
    let awaits = |name: &str| {
        format!("{download}\n[[step.do]]\nawait = \"{name}\"\nexpect = {{ reset = true }}")
    };
    let lab = action(&awaits("a")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.steps[0].actions.len(), 2);
    for (wrong, message) in [
        (download.to_owned(), "nothing in this step awaits `a`"),
        (awaits("b"), "no requests run as `b` in this step"),
        (
            format!("{download}\nexpect = {{ servers = 1 }}"),
            "how they end is not known yet",
        ),
        (
            format!("{download}\nhold = \"a\""),
            "connections of the background are not held",
        ),
        (
            format!("{get}\nover_seconds = 1.0"),
            "`over_seconds` belongs to `download`",
        ),
    ] {
        let error = action(&wrong).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn only_a_director_has_a_configuration_and_its_twin_has_the_same_with_other_addresses() {
    let gateway = "gateway = \"10.0.0.2\"";
    let configured = format!(
        "{gateway}\ndirector = true\nconfiguration = \"\"\"\nvirtual_server 10.0.0.1 80 {{\n    nat_mask 255.255.255.0\n}}\n\"\"\""
    );
    let twin = twin(gateway, &configured).unwrap();
    assert_eq!(
        twin.hosts[0].configuration.as_deref(),
        Some("virtual_server 2001:db8::1 80 {\n    nat_mask 255.255.255.0\n}\n")
    );
    let error = error(gateway, &configured.replace("director = true\n", ""));
    assert!(
        error.contains("host `a` runs no daemon that would read a configuration"),
        "{error}"
    );
}

#[test]
fn text_that_is_no_toml_is_refused_at_its_place() {
    let error = error("segments = [\"wire\"]", "segments = [\"wire\"");
    assert!(error.starts_with("my.toml:"), "{error}");
}
