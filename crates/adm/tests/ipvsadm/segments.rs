//! `--mss`, which `ipvsadm` does not have.

use adm::{Invocation, NameTables, UsageError, parse};
use model::{Command, MaxSegment};

fn parsed(line: &str) -> Result<Invocation, UsageError> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&words, &NameTables::new("", ""))
}

fn max_segment(line: &str) -> MaxSegment {
    match parsed(line).expect("a line that is understood") {
        Invocation::Change(Command::AddService(service) | Command::EditService(service)) => {
            service.max_segment
        }
        other => panic!("{other:?} is about no service"),
    }
}

#[test]
fn a_service_may_have_a_largest_segment() {
    assert_eq!(max_segment("-A -t 10.0.0.1:80"), MaxSegment::Auto);
    let sizes = [
        ("auto", MaxSegment::Auto),
        ("off", MaxSegment::Off),
        ("1400", MaxSegment::Bytes(1400)),
    ];
    for (text, size) in sizes {
        assert_eq!(
            max_segment(&format!("-A -t 10.0.0.1:80 --mss {text}")),
            size
        );
        assert_eq!(
            max_segment(&format!("-E -t 10.0.0.1:80 --mss {text}")),
            size
        );
    }
}

#[test]
fn what_is_no_segment_size_or_about_no_service_is_refused() {
    for size in ["", "27", "65535", "-1", "large"] {
        assert!(parsed(&format!("-A -t 10.0.0.1:80 --mss {size}")).is_err());
    }
    assert!(parsed("-a -t 10.0.0.1:80 -r 10.0.0.2 --mss 1400").is_err());
    assert!(parsed("-L --mss 1400").is_err());
}
