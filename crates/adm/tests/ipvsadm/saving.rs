//! What is saved can be restored.

use adm::{Director, NameTables, Program, Streams, run, save_everything};
use model::ServiceStatus;

use crate::support::director::WantedDirector;

/// Something of everything that ipvsadm can be told.
const EVERYTHING: &str = "\
    --set 100 20 30\n\
    -A -t 172.16.10.21:80 -s wrr\n\
    -a -t 172.16.10.21:80 -r 192.168.100.39:8080 -m -w 2 -x 100 -y 50\n\
    -a -t 172.16.10.21:80 -r 192.168.100.23:80 -m -w 0\n\
    -a -t 172.16.10.21:80 -r 10.1.2.3:80 -g -x 7\n\
    -a -t 172.16.10.21:80 -r [fd00::1]:80 -i --tun-type gue --tun-port 6080 --tun-remcsum\n\
    -a -t 172.16.10.21:80 -r 10.0.0.8:80 -i --tun-type gre --tun-csum\n\
    -a -t 172.16.10.21:80 -r 10.0.0.9:80 -i\n\
    -A -t [fd00:10::21]:0 -s sh -b flag-1,flag-2,flag-3 -p 60 -M 64\n\
    -a -t [fd00:10::21]:0 -r [fd00::39]:0 -m\n\
    -A -u 172.16.10.21:5060 -s mh -b flag-3 -p 30 -M 255.255.0.0 --pe sip -o\n\
    -A -u 172.16.10.21:5061 -s none --pe sip\n\
    -A --sctp-service 172.16.10.21:9 -s lc -b flag-2\n\
    -a --sctp-service 172.16.10.21:9 -r 192.168.100.39:9 -m\n\
    -A -f 4294967295 -s rr -o\n\
    -a -f 4294967295 -r 192.168.100.39:443 -g\n\
    -A -f 7 -6 -s nq -p 5 -M 1\n\
    -a -f 7 -6 -r [fd00::39]:0 -m\n";

fn restored(rules: &str) -> WantedDirector {
    let mut director = WantedDirector::default();
    let args = ["ipvsadm".to_owned(), "-R".to_owned()];
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams {
        input: &mut rules.as_bytes(),
        output: &mut output,
        errors: &mut errors,
    };
    let code = run(
        Program::Ipvsadm,
        &args,
        streams,
        &mut director,
        &NameTables::default(),
    );
    assert_eq!((code, String::from_utf8_lossy(&errors).as_ref()), (0, ""));
    director
}

fn services(director: &mut WantedDirector) -> Vec<ServiceStatus> {
    director.services().expect("the director is there")
}

#[test]
fn nothing_is_lost_from_a_complete_save_nor_the_order_changed() {
    let mut original = restored(EVERYTHING);
    let before = services(&mut original);
    assert_eq!(before.len(), EVERYTHING.matches("-A ").count());
    let saved = save_everything(&before, &original.timeouts);
    let mut copy = restored(&saved);
    assert_eq!(services(&mut copy), before);
    assert_eq!(copy.timeouts, original.timeouts);
    assert_eq!(save_everything(&services(&mut copy), &copy.timeouts), saved);
}
