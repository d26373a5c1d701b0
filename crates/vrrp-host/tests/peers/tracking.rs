//! What virtual routers follow: each other in a group, links, files and processes.

use std::fs;

use tempfile::TempDir;
use vrrp::State;

use crate::keepalived::Keepalived;
use crate::one_configuration::plan;
use crate::support::{Host, Ours, Segment, until};

/// Two links, two instances, one group, and a number in a file that lowers the priority.
const GROUP: &str = "
global_defs {
    script_user root
}
track_file weight {
    file \"FILE\"
    weight 1
}
vrrp_sync_group VG_1 {
    group {
        OUTER
        INNER
    }
    track_file {
        weight
    }
}
vrrp_instance OUTER {
    interface eth0
    virtual_router_id 51
    priority PRIORITY
    advert_int 0.1
    version 3
    virtual_ipaddress {
        10.9.0.100
    }
}
vrrp_instance INNER {
    interface in0
    virtual_router_id 52
    priority PRIORITY
    advert_int 0.1
    version 3
    virtual_ipaddress {
        10.8.0.100
    }
}
";

#[test]
fn sync_groups_of_ours_and_keepalived_change_as_one() {
    for ours_is_better in [true, false] {
        let segment = Segment::new(2);
        for (number, host) in segment.hosts.iter().enumerate() {
            let bridge = &segment.bridge;
            host.ip(&format!(
                "link add in0 type veth peer name in{number} netns {}",
                bridge.name
            ));
            bridge.ip(&format!("link set in{number} up"));
            host.ip(&format!("address add 10.8.0.{}/24 dev in0", number + 1));
            host.ip("link set in0 up");
        }
        segment.bridge.ip("link add br1 type bridge");
        segment.bridge.ip("link set br1 up");
        segment.bridge.ip("link set in0 master br1");
        segment.bridge.ip("link set in1 master br1");

        let folder = TempDir::new().unwrap();
        let file = folder.path().join("weight");
        fs::write(&file, "0").unwrap();
        let text = |number: usize| {
            let file = [file.clone(), folder.path().join("none")][number].clone();
            let priority = ["200", "100"][number];
            GROUP
                .replace("PRIORITY", priority)
                .replace("FILE", &file.display().to_string())
        };
        let [better, other] = &segment.hosts[..] else {
            panic!("two hosts")
        };
        let (here, there) = if ours_is_better { (0, 1) } else { (1, 0) };
        let ours = Ours::start_plan(&segment.hosts[here], plan(&text(here)));
        let theirs = Keepalived::start(&segment.hosts[there], &text(there));
        let has_all = |host: &Host| host.holds("10.9.0.100") && host.holds("10.8.0.100");
        let has_none = |host: &Host| !host.holds("10.9.0.100") && !host.holds("10.8.0.100");
        let is_master = |one: &Host, another: &Host| has_all(one) && has_none(another);
        until("the better one has all", || is_master(better, other));

        better.ip("link set in0 down");
        until("one link takes all along", || is_master(other, better));
        better.ip("link set in0 up");
        until("all comes back", || is_master(better, other));

        fs::write(&file, "-150").unwrap();
        until("the file's number counts", || is_master(other, better));
        fs::write(&file, "0").unwrap();
        until("and counts no more", || is_master(better, other));
        ours.stop();
        theirs.stop();
    }
}

#[test]
fn an_instance_follows_a_process_by_its_name_and_arguments() {
    const FOLLOWING: &str = "
vrrp_track_process sleeper {
    process sleep NUMBER
    weight 0
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    advert_int 0.05
    version 3
    track_process {
        sleeper
    }
    virtual_ipaddress {
        10.9.0.100
    }
}
";
    let segment = Segment::new(1);
    // Nobody else sleeps for as long.
    let number = format!("{}.51", 1_000_000 + std::process::id());
    let text = FOLLOWING.replace("NUMBER", &number);
    let ours = Ours::start_plan(&segment.hosts[0], plan(&text));
    ours.until(State::Fault);
    let sleep = |number: &str| std::process::Command::new("sleep").arg(number).spawn();
    let mut other = sleep("1000000").unwrap();
    let mut sleeper = sleep(&number).unwrap();
    ours.until(State::Master);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    ours.until(State::Fault);
    other.kill().unwrap();
    other.wait().unwrap();
}
