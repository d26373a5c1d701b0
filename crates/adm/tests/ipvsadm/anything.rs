//! Whatever is said to it, ipvsadm answers.

use crate::support::director::WantedDirector;
use adm::{NameTables, Program, Streams, parse, run};
use proptest::prelude::*;

/// Words that mean something, and words that do not.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "-A",
        "-E",
        "-D",
        "-a",
        "-e",
        "-d",
        "-C",
        "-L",
        "-Ln",
        "-Lnc",
        "-Z",
        "-S",
        "-t",
        "-u",
        "-f",
        "-6",
        "-r",
        "-s",
        "-p",
        "-M",
        "-b",
        "-o",
        "-m",
        "-g",
        "-i",
        "-w",
        "-x",
        "-y",
        "--pe",
        "--set",
        "--stats",
        "--rate",
        "--thresholds",
        "--tun-type",
        "--tun-port",
        "--start-daemon",
        "master",
        "1.1.1.1:80",
        "[::1]:80",
        "1",
        "0",
        "7",
        "rr",
        "sh",
        "sh-port",
        "gue",
        "255.255.255.0",
        "-",
        "--",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => "-{1,2}[ -~]{0,8}"]
}

proptest! {
    #[test]
    fn any_command_line_is_answered(words in prop::collection::vec(word(), 0..8)) {
        let mut args = vec!["ipvsadm".to_owned()];
        args.extend(words);
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams =
            Streams { input: &mut std::io::empty(), output: &mut output, errors: &mut errors };
        let mut director = WantedDirector::default();
        let code = run(Program::Ipvsadm, &args, streams, &mut director, &NameTables::default());
        prop_assert!(matches!(code, 0 | 1 | 2 | 255));
        prop_assert_eq!(code == 0, errors.is_empty());
    }

    #[test]
    fn any_input_can_be_restored_from(input in "([-A-Za-z0-9.:# \t\r\n]|\\PC){0,200}") {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams =
            Streams { input: &mut input.as_bytes(), output: &mut output, errors: &mut errors };
        let mut director = WantedDirector::default();
        let args = ["ipvsadm".to_owned(), "-R".to_owned()];
        run(Program::Ipvsadm, &args, streams, &mut director, &NameTables::default());
    }

    #[test]
    fn any_text_is_an_address_or_none(text in "[-0-9a-fx.:\\[\\] %a-z]{0,40}") {
        let words = ["-A".to_owned(), "-t".to_owned(), text, "-p".to_owned()];
        let _ = parse(&words, &NameTables::default());
    }
}
