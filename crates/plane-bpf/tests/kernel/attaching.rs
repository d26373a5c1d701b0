//! On interfaces: where programs are attached, and why they are not.

use aya::programs::{SchedClassifier, TcAttachType};
use plane_bpf::{Attachment, Error, Mode, Plane, Point, Refusal, TcMeans};

use crate::support::{Namespace, Root, adopt, create};

/// Whether the kernel attaches programs to TC by links: from 6.6 on.
fn has_links() -> bool {
    SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}

/// Where TC is taken on this kernel.
pub fn tc_point() -> Point {
    match has_links() {
        true => Point::TcLink,
        false => Point::TcFilter,
    }
}

/// The identifiers of the programs on an interface's TC ingress, by links or else by filters.
pub fn on_tc(namespace: &Namespace, interface: &str) -> Vec<u32> {
    if has_links() {
        let query = || SchedClassifier::query_tcx(interface, TcAttachType::Ingress).unwrap();
        let (_, programs) = namespace.enter(query);
        return programs.iter().map(|program| program.id()).collect();
    }
    let filters = namespace.tc(&format!("filter show dev {interface} ingress"));
    let words: Vec<&str> = filters.split_whitespace().collect();
    let ids = words.windows(2).filter(|words| words[0] == "id");
    ids.map(|words| words[1].parse().unwrap()).collect()
}

fn attach(plane: &Plane, namespace: &Namespace, interface: &str, mode: Mode) -> Result<(), Error> {
    let ifindex = namespace.ifindex(interface);
    namespace.enter(|| plane.attach(ifindex, mode))
}

fn points(plane: &Plane, namespace: &Namespace) -> Vec<Point> {
    let attached: Vec<Attachment> = namespace.enter(|| plane.attached());
    attached.iter().map(|attachment| attachment.point).collect()
}

#[test]
fn tc_is_taken_and_left_again() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&namespace));
    attach(&plane, &namespace, "veth0", Mode::Tc).unwrap();
    assert_eq!(on_tc(&namespace, "veth0").len(), 1);
    let ifindex = namespace.ifindex("veth0");
    let expected = Attachment {
        ifindex,
        point: tc_point(),
    };
    assert_eq!(namespace.enter(|| plane.attached()), [expected]);

    let before = on_tc(&namespace, "veth0");
    attach(&plane, &namespace, "veth0", Mode::Tc).unwrap();
    assert_eq!(on_tc(&namespace, "veth0"), before);

    namespace.enter(|| plane.detach(ifindex)).unwrap();
    assert!(on_tc(&namespace, "veth0").is_empty());
    assert!(points(&plane, &namespace).is_empty());
}

#[test]
fn xdp_is_taken_with_tc_behind_it_in_the_mode_that_is_asked_for() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&namespace));
    let ifindex = namespace.ifindex("veth0");
    let shown = || namespace.ip("link show dev veth0");

    attach(&plane, &namespace, "veth0", Mode::XdpGeneric).unwrap();
    assert!(shown().contains(" xdpgeneric "), "{}", shown());
    assert_eq!(points(&plane, &namespace), [Point::XdpGeneric, tc_point()]);
    assert!(plane.has_xdp(ifindex));

    attach(&plane, &namespace, "veth0", Mode::XdpNative).unwrap();
    assert!(shown().contains(" xdp "), "{}", shown());
    assert_eq!(points(&plane, &namespace), [Point::XdpNative, tc_point()]);

    attach(&plane, &namespace, "veth0", Mode::Tc).unwrap();
    assert!(!shown().contains("xdp"), "{}", shown());
    assert_eq!(points(&plane, &namespace), [tc_point()]);
    assert!(!plane.has_xdp(ifindex));
}

#[test]
fn somebody_elses_xdp_program_is_left_alone_and_told() {
    let (root, others, namespace) = (Root::new(), Root::new(), Namespace::with_interfaces());
    let other = create(&others.state(&namespace));
    attach(&other, &namespace, "veth0", Mode::XdpNative).unwrap();
    let plane = create(&root.state(&namespace));
    for mode in [Mode::XdpNative, Mode::XdpGeneric] {
        let error = attach(&plane, &namespace, "veth0", mode).unwrap_err();
        let Error::Attach { interface, refusal } = &error else {
            panic!("{error}");
        };
        assert_eq!(interface, "veth0");
        assert!(matches!(refusal, Refusal::OtherProgram), "{error}");
    }
    assert!(other.has_xdp(namespace.ifindex("veth0")));
    assert!(!plane.has_xdp(namespace.ifindex("veth0")));
    assert_eq!(points(&plane, &namespace), [tc_point()]);
    if has_links() {
        // They have room for both; our filter is in the place of the other.
        assert_eq!(on_tc(&namespace, "veth0").len(), 2);
    }
}

#[test]
fn an_mtu_that_is_too_large_for_xdp_is_told() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&namespace));
    namespace.ip("link set veth0 mtu 9000");
    namespace.ip("link set veth1 mtu 9000");
    let error = attach(&plane, &namespace, "veth0", Mode::XdpNative).unwrap_err();
    let refusal = |error: &Error| match error {
        Error::Attach { refusal, .. } => format!("{refusal:?}"),
        other => panic!("{other}"),
    };
    assert_eq!(refusal(&error), "MtuTooLarge");
    attach(&plane, &namespace, "veth0", Mode::Tc).unwrap();
}

#[test]
fn a_driver_without_xdp_is_told() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let error = attach(&plane, &namespace, "lo", Mode::XdpNative).unwrap_err();
    let is_told = |error: &Error| {
        matches!(
            error,
            Error::Attach {
                refusal: Refusal::NotSupported,
                ..
            }
        )
    };
    assert!(is_told(&error), "{error}");
    attach(&plane, &namespace, "lo", Mode::XdpGeneric).unwrap();
}

#[test]
fn an_interface_that_is_not_there_is_told() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let error = namespace
        .enter(|| plane.attach(4711, Mode::Tc))
        .unwrap_err();
    assert!(matches!(error, Error::NoInterface(4711)), "{error}");
    namespace.enter(|| plane.detach(4711)).unwrap();
}

#[test]
fn an_interface_that_comes_back_is_taken_again() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&namespace));
    let ifindex = namespace.ifindex("veth0");
    attach(&plane, &namespace, "veth0", Mode::XdpNative).unwrap();
    namespace.ip("link delete veth0");
    assert!(points(&plane, &namespace).is_empty());
    assert!(!plane.has_xdp(ifindex));

    let add = format!("link add veth0 index {ifindex} type veth peer name veth1");
    namespace.ip(&add);
    attach(&plane, &namespace, "veth0", Mode::XdpNative).unwrap();
    assert_eq!(points(&plane, &namespace), [Point::XdpNative, tc_point()]);
    assert_eq!(on_tc(&namespace, "veth0").len(), 1);
}

#[test]
fn without_links_tc_is_taken_by_a_filter_that_is_found_again() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let ifindex = namespace.ifindex("veth0");
    let filters = || namespace.tc("filter show dev veth0 ingress");
    let by_filter =
        |plane: &Plane| namespace.enter(|| plane.attach_by(ifindex, Mode::Tc, TcMeans::Filter));
    by_filter(&create(&state)).unwrap();
    assert!(
        filters().contains("xvs_ingress direct-action"),
        "{}",
        filters()
    );

    let plane = namespace.enter(|| adopt(&state));
    assert_eq!(points(&plane, &namespace), [Point::TcFilter]);
    by_filter(&plane).unwrap();
    assert_eq!(filters().matches("handle").count(), 1, "{}", filters());

    namespace.enter(|| plane.detach(ifindex)).unwrap();
    assert_eq!(filters(), "");
    assert!(!namespace.tc("qdisc show dev veth0").contains("clsact"));
}

#[test]
fn somebody_elses_filters_and_qdisc_stay() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let plane = create(&state);
    let pins = root.pins().join(state.file_name().unwrap());
    let program = pins.join("programs/xvs_ingress");
    let add_theirs = |interface: &str, hook: &str| {
        let filter = format!("filter add dev {interface} {hook} prio 1 bpf da pinned");
        namespace.tc(&format!("{filter} {}", program.display()));
    };
    for (interface, hook, is_first) in [("veth0", "ingress", true), ("veth1", "egress", false)] {
        let ifindex = namespace.ifindex(interface);
        if is_first {
            namespace.tc(&format!("qdisc add dev {interface} clsact"));
            add_theirs(interface, hook);
        }
        let by_filter = || plane.attach_by(ifindex, Mode::Tc, TcMeans::Filter);
        namespace.enter(by_filter).unwrap();
        if !is_first {
            add_theirs(interface, hook);
        }
        let ours = namespace.tc(&format!("filter show dev {interface} ingress"));
        assert!(ours.contains("handle 0x787673"), "{ours}");

        namespace.enter(|| plane.detach(ifindex)).unwrap();
        let kept = namespace.tc(&format!("filter show dev {interface} {hook}"));
        assert!(kept.contains("handle 0x1 "), "{kept}");
        assert!(!kept.contains("handle 0x787673"), "{kept}");
    }
}
