//! When neighbours are told, on the wire: ours, and keepalived by the same file.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::one_configuration::run;
use crate::support::{Host, Segment};

/// What a bridge sees of gratuitous ARPs and neighbour advertisements.
struct Witness {
    tcpdump: Child,
    lines: JoinHandle<Vec<String>>,
}

impl Witness {
    fn start(bridge: &Host) -> Self {
        let filter = "arp or (icmp6 and ip6[40] == 136)";
        let mut tcpdump = Command::new("ip")
            .args(["netns", "exec", &bridge.name, "tcpdump"])
            .args(["-i", "br0", "-ttnl", filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(tcpdump.stderr.take().unwrap());
        let mut ready = String::new();
        while !ready.contains("listening on") {
            assert!(errors.read_line(&mut ready).unwrap() > 0, "{ready}");
        }
        let lines = BufReader::new(tcpdump.stdout.take().unwrap()).lines();
        let lines = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self { tcpdump, lines }
    }

    /// When each of these addresses was told of, in seconds.
    fn told(mut self, addresses: &[&str]) -> BTreeMap<String, Vec<f64>> {
        self.tcpdump.kill().unwrap();
        self.tcpdump.wait().unwrap();
        let lines = self.lines.join().unwrap();
        let when = |address: &&str| {
            let arp = format!("who-has {address} (ff:ff:ff:ff:ff:ff) tell {address}");
            let advertisement = format!("tgt is {address}");
            let about = |line: &&String| {
                line.contains(&arp) || line.split(',').any(|part| part.trim() == advertisement)
            };
            let times = lines.iter().filter(about);
            let times = times.filter_map(|line| line.split(' ').next()?.parse().ok());
            ((*address).to_owned(), times.collect())
        };
        addresses.iter().map(when).collect()
    }
}

const VIPS: [&str; 3] = ["10.9.0.100", "10.9.0.101", "2001:db8::100"];

/// When neighbours were told within five seconds.
fn told(ours: bool, globals: &str, of_instance: &str) -> BTreeMap<String, Vec<f64>> {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    host.ip("link add link eth0 name eth0.7 type macvlan mode bridge");
    host.ip("link set eth0.7 up");
    let [first, second, third] = VIPS;
    let file = format!(
        "global_defs {{
  {globals}
}}
garp_group {{
  garp_interval 0.2
  gna_interval 0.1
  interfaces {{
    eth0
  }}
}}
vrrp_instance VI_1 {{
  interface eth0
  version 3
  virtual_router_id 51
  advert_int 0.05
  {of_instance}
  virtual_ipaddress {{
    {first}/24
    {second}/24 dev eth0.7
  }}
  virtual_ipaddress_excluded {{
    {third}/64
  }}
}}
"
    );
    let witness = Witness::start(&segment.bridge);
    run(ours, host, &file, || sleep(Duration::from_secs(5)));
    witness.told(&VIPS)
}

/// The least time between two of these, and the mean of those that come in a row, at most half a
/// second apart.
fn gaps(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let in_a_row: Vec<f64> = gaps.into_iter().filter(|gap| *gap < 0.5).collect();
    (least, in_a_row.iter().sum::<f64>() / in_a_row.len() as f64)
}

#[test]
fn neighbours_are_told_no_faster_than_a_group_of_interfaces_may() {
    for ours in [true, false] {
        let times = told(ours, "", "garp_master_repeat 3\n  garp_master_delay 2");
        // Macvlans count as the interface below them.
        let arps = [&times[VIPS[0]][..], &times[VIPS[1]]].concat();
        let advertisements = times[VIPS[2]].clone();
        assert!(VIPS.iter().all(|vip| !times[*vip].is_empty()), "{times:?}");
        let ((arp_gap, arp_mean), (gap, mean)) = (gaps(arps.clone()), gaps(advertisements.clone()));
        println!("ours: {ours}, {arp_gap} s, {gap} s, {times:?}");
        // Timers of a busy host are late, and then early; in the mean that is made up for.
        assert!(arp_mean > 0.19 && mean > 0.09, "{arp_mean} s, {mean} s");
        assert!(arp_gap > 0.15 && gap > 0.075, "{arp_gap} s, {gap} s");
        if ours {
            // keepalived tells of an address that waits already no more.
            assert_eq!((arps.len(), advertisements.len()), (12, 6));
        }
    }
}

#[test]
fn neighbours_beyond_other_interfaces_are_told_again_and_again() {
    for ours in [true, false] {
        let settings = "garp_master_repeat 1\n  garp_master_delay 0\n  garp_extra_if all 1";
        let times = told(ours, "", settings);
        let counts = VIPS.map(|vip| times[vip].len());
        println!("ours: {ours}, {times:?}");
        assert_eq!((counts[0], counts[2]), (1, 1), "{times:?}");
        assert!((4..=6).contains(&counts[1]), "{times:?}");
    }
}
