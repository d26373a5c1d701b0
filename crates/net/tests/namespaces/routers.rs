//! IPv6 routers that advertise themselves (RFC 4861, RFC 4191), and what the kernel makes of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use net::{Lookup, NeighbourState, Resolver, Snapshot};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{Following, Namespace, ip, pair};

const ROUTER_A: &str = "fe80::a";
const ROUTER_B: &str = "fe80::b";
const ELSEWHERE: &str = "2001:db8:113::7";

/// A router's preference, as it stands in an advertisement (RFC 4191 section 2.2).
#[derive(Clone, Copy)]
enum Wants {
    High = 0b0000_1000,
    Medium = 0,
    Low = 0b0001_1000,
}

/// What a router says of itself (RFC 4861 section 4.2).
struct Advertisement {
    router: &'static str,
    /// For how many seconds it is a router; 0 no longer.
    lifetime: u16,
    preference: Wants,
    /// The MTU of the link.
    mtu: Option<u32>,
}

impl Advertisement {
    fn of(router: &'static str) -> Self {
        Self {
            router,
            lifetime: 1800,
            preference: Wants::Medium,
            mtu: None,
        }
    }

    fn message(&self) -> Vec<u8> {
        const ROUTER_ADVERTISEMENT: u8 = 134;
        const MTU_OPTION: [u8; 4] = [5, 1, 0, 0];
        // Type, code, checksum (the kernel's task), hop limit, flags, lifetime; timers not given.
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, self.preference as u8];
        message.extend(self.lifetime.to_be_bytes());
        message.extend([0; 8]);
        if let Some(mtu) = self.mtu {
            message.extend(MTU_OPTION);
            message.extend(mtu.to_be_bytes());
        }
        message
    }

    /// Sends it from the router's host to the director.
    fn send(&self, from: &Namespace) {
        let (router, interface): (Ipv6Addr, u32) =
            (self.router.parse().unwrap(), from.ifindex("eth0"));
        let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
        from.enter(|| {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
            // Any other hop limit would betray a router that is not on the link.
            socket.set_multicast_hops_v6(255).unwrap();
            let end = |address| SocketAddrV6::new(address, 0, 0, interface).into();
            socket.bind(&end(router)).unwrap();
            socket.send_to(&self.message(), &end(all_nodes)).unwrap();
        });
    }
}

/// A director that believes routers, and the host of two.
fn network() -> (Namespace, Namespace) {
    let (director, routers) = pair();
    director.sysctl("net.ipv6.conf.all.forwarding=0");
    director.sysctl("net.ipv6.conf.eth0.accept_ra=1");
    routers.sysctl("net.ipv6.conf.all.forwarding=1");
    for router in [ROUTER_A, ROUTER_B] {
        routers.ip(&format!("address add {router}/64 dev eth0 nodad"));
    }
    (director, routers)
}

fn gateway(snapshot: &Snapshot) -> Option<IpAddr> {
    match snapshot.route(ip(ELSEWHERE)) {
        Lookup::Unicast(route) => route.gateway,
        _ => None,
    }
}

/// The gateway that the kernel itself would take.
fn kernels_gateway(director: &Namespace) -> IpAddr {
    let answer = director.ip(&format!("route get {ELSEWHERE}"));
    let mut words = answer.split_whitespace().skip_while(|word| *word != "via");
    ip(words.nth(1).unwrap())
}

fn is_through(router: &str) -> impl Fn(&Snapshot) -> bool {
    let router = ip(router);
    move |snapshot| gateway(snapshot) == Some(router)
}

#[test]
fn a_router_that_advertises_itself_leads_out_until_it_says_that_it_no_longer_does() {
    let (director, routers) = network();
    director.run(async || {
        let mut following = Following::start().await;
        assert_eq!(gateway(&following.snapshot), None);
        Advertisement::of(ROUTER_A).send(&routers);
        following
            .until("the router leads out", is_through(ROUTER_A))
            .await;
        let goodbye = Advertisement {
            lifetime: 0,
            ..Advertisement::of(ROUTER_A)
        };
        goodbye.send(&routers);
        let no_route = |snapshot: &Snapshot| gateway(snapshot).is_none();
        following.until("it no longer does", no_route).await;
    });
}

#[test]
fn of_two_routers_the_one_that_wants_it_more_leads_out() {
    let (director, routers) = network();
    director.run(async || {
        let mut following = Following::start().await;
        for (router, preference, leader) in [
            (ROUTER_A, Wants::Low, ROUTER_A),
            (ROUTER_B, Wants::Medium, ROUTER_B),
            (ROUTER_A, Wants::High, ROUTER_A),
        ] {
            let advertisement = Advertisement {
                preference,
                ..Advertisement::of(router)
            };
            advertisement.send(&routers);
            following
                .until("the right one leads out", is_through(leader))
                .await;
            assert_eq!(kernels_gateway(&director), ip(leader));
        }
    });
}

#[test]
fn a_router_that_does_not_answer_is_passed_over() {
    let (director, routers) = network();
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        for (router, preference) in [(ROUTER_A, Wants::High), (ROUTER_B, Wants::Low)] {
            let advertisement = Advertisement {
                preference,
                ..Advertisement::of(router)
            };
            advertisement.send(&routers);
        }
        let both = |snapshot: &Snapshot| snapshot.gateways().len() == 2;
        following.until("both are known", both).await;
        assert_eq!(gateway(&following.snapshot), Some(ip(ROUTER_A)));

        resolver.keep_neighbours(&following.snapshot.gateways());
        routers.ip(&format!("address del {ROUTER_A}/64 dev eth0"));
        following
            .resolve_until(&mut resolver, "the other leads out", is_through(ROUTER_B))
            .await;
        assert_eq!(kernels_gateway(&director), ip(ROUTER_B));

        routers.ip(&format!("address add {ROUTER_A}/64 dev eth0 nodad"));
        following
            .resolve_until(&mut resolver, "the first leads out", is_through(ROUTER_A))
            .await;
    });
}

#[test]
fn a_router_that_does_not_answer_leads_out_where_there_is_no_other() {
    let (director, routers) = network();
    let eth0 = director.ifindex("eth0");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        Advertisement::of(ROUTER_A).send(&routers);
        routers.ip(&format!("address del {ROUTER_A}/64 dev eth0"));
        resolver.resolve(ip(ELSEWHERE));
        let is_silent = |snapshot: &Snapshot| {
            let known = snapshot.neighbour(eth0, ip(ROUTER_A));
            known.is_some_and(|known| known.state == NeighbourState::Failed)
        };
        following
            .resolve_until(&mut resolver, "it failed", is_silent)
            .await;
        assert_eq!(gateway(&following.snapshot), Some(ip(ROUTER_A)));
    });
}

#[test]
fn the_mtu_that_a_router_advertises_is_ipv6s_alone() {
    let (director, routers) = network();
    director.run(async || {
        let mut following = Following::start().await;
        let mtu = |snapshot: &Snapshot, to: &str| match snapshot.route(ip(to)) {
            Lookup::Unicast(route) => Some(route.mtu),
            _ => None,
        };
        for advertised in [1400, 1300, 1450] {
            let advertisement = Advertisement {
                mtu: Some(advertised),
                ..Advertisement::of(ROUTER_A)
            };
            advertisement.send(&routers);
            let is_taken_over = |snapshot: &Snapshot| {
                mtu(snapshot, ELSEWHERE) == Some(advertised)
                    && mtu(snapshot, "fd00::2") == Some(advertised)
            };
            following
                .until(&format!("{advertised} is taken over"), is_taken_over)
                .await;
            assert_eq!(mtu(&following.snapshot, "10.0.0.2"), Some(1500));
        }
        following.for_a_while(Duration::from_millis(100)).await;
        assert_eq!(mtu(&following.snapshot, ELSEWHERE), Some(1450));
    });
}
