//! Prints command lines to ask the real `ipvsadm`, one a line, as a shell takes them.
//!
//! ```text
//! cargo run -p xvs-adm --example command_lines options|values|ends|words [SEED]
//! ```
//!
//! `options` sets every option beside every command, `values` every odd number, and `ends` every
//! odd address and port, where one may stand. `words` draws whole command lines: most make sense,
//! and what they leave behind is listed now and then. `oracle/transcribe.sh` records what the real
//! one does about them.

use fastrand::Rng;

/// Commands in both spellings, and what they need to be complete.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("-A", "--add-service", "-t 10.0.0.9:80"),
    ("-E", "--edit-service", "-t 10.0.0.1:80"),
    ("-D", "--delete-service", "-t 10.0.0.9:80"),
    ("-a", "--add-server", "-t 10.0.0.1:80 -r 10.1.0.9"),
    ("-e", "--edit-server", "-t 10.0.0.1:80 -r 10.1.0.1"),
    ("-d", "--delete-server", "-t 10.0.0.1:80 -r 10.1.0.9"),
    ("-L", "--list", ""),
    ("-l", "--list", "-n"),
    ("-Z", "--zero", ""),
    ("-S", "--save", ""),
    ("-R", "--restore", ""),
    ("-C", "--clear", ""),
    ("--set", "--set", "0 0 0"),
    ("--start-daemon master", "--start-daemon=backup", ""),
    ("--stop-daemon backup", "--stop-daemon=master", ""),
];

/// Options, long and short, with a good value where they take one.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("--tcp-service", "-t", "10.0.0.1:80"),
    ("--udp-service", "-u", "10.0.0.1:53"),
    ("--sctp-service", "", "10.0.0.1:99"),
    ("--fwmark-service", "-f", "7"),
    ("--ipv6", "-6", ""),
    ("--scheduler", "-s", "wrr"),
    ("--persistent", "-p", "60"),
    ("--netmask", "-M", "255.255.255.0"),
    ("--pe", "", "sip"),
    ("--ops", "-o", ""),
    ("--sched-flags", "-b", "flag-1"),
    ("--real-server", "-r", "10.1.0.1:8080"),
    ("--masquerading", "-m", ""),
    ("--ipip", "-i", ""),
    ("--gatewaying", "-g", ""),
    ("--weight", "-w", "5"),
    ("--u-threshold", "-x", "20"),
    ("--l-threshold", "-y", "10"),
    ("--tun-type", "", "gue"),
    ("--tun-port", "", "6080"),
    ("--tun-nocsum", "", ""),
    ("--tun-csum", "", ""),
    ("--tun-remcsum", "", ""),
    ("--numeric", "-n", ""),
    ("--connection", "-c", ""),
    ("--timeout", "", ""),
    ("--daemon", "", ""),
    ("--stats", "", ""),
    ("--rate", "", ""),
    ("--thresholds", "", ""),
    ("--persistent-conn", "", ""),
    ("--tun-info", "", ""),
    ("--nosort", "", ""),
    ("--sort", "", ""),
    ("--exact", "-X", ""),
    ("--mcast-interface", "", "lo"),
    ("--mcast-group", "", "224.0.0.99"),
    ("--mcast-port", "", "8850"),
    ("--mcast-ttl", "", "3"),
    ("--syncid", "", "5"),
    ("--sync-maxlen", "", "1000"),
    ("--help", "-h", ""),
    ("--version", "-v", ""),
    ("--clear", "-C", ""),
    ("--list", "-L", ""),
];

/// Numbers at the edges of every range, and texts that are almost numbers.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "128",
    "129",
    "255",
    "256",
    "65507",
    "65508",
    "65535",
    "65536",
    "2678400",
    "2678401",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-1",
    "-2147483648",
    "+7",
    "' 7'",
    "'7 '",
    "'\t7'",
    "007",
    "0x7",
    "7x",
    "x7",
    "1e3",
    "7.0",
    "''",
    "-",
    "--",
    "٣",
];

/// What takes a number.
const NUMBERED: &[&str] = &[
    "-A -f {}",
    "-A -f {} -6",
    "-L -f {}",
    "-A -t 10.0.0.8:80 -p {}",
    "-A -t 10.0.0.8:80 -p{}",
    "-A -t 10.0.0.8:80 --persistent={}",
    "-A -t 10.0.0.8:80 -p -M {}",
    "-A -t [2001:db8::8]:80 -p -M {}",
    "-A -f 8 -6 -p -M {}",
    "-A -t 10.0.0.8:{} -s rr",
    "-A -t [2001:db8::8]:{} -s rr",
    "-a -t 10.0.0.1:80 -r 10.1.0.8:{} -m",
    "-a -t 10.0.0.1:80 -r 10.1.0.8 -w {}",
    "-a -t 10.0.0.1:80 -r 10.1.0.8 -x {}",
    "-a -t 10.0.0.1:80 -r 10.1.0.8 -y {}",
    "-a -t 10.0.0.1:80 -r 10.1.0.8 -x 70000 -y {}",
    "-a -t 10.0.0.1:80 -r 10.1.0.8 -i --tun-type gue --tun-port {}",
    "--set {} 0 0",
    "--set 0 {} 0",
    "--set 0 0 {}",
    "--start-daemon master --mcast-interface lo --syncid {}",
    "--start-daemon master --mcast-interface lo --sync-maxlen {}",
    "--start-daemon master --mcast-interface lo --mcast-port {}",
    "--start-daemon master --mcast-interface lo --mcast-ttl {}",
];

/// Addresses with and without ports, and what is almost one.
const ENDS: &[&str] = &[
    "10.0.0.7",
    "10.0.0.7:",
    "10.0.0.7:0",
    "10.0.0.7:http",
    "10.0.0.7:HTTP",
    "10.0.0.7:domain",
    "10.0.0.7:nosuch",
    "10.0.0.7:80:81",
    "10.0.0.7::80",
    ":80",
    "80",
    "''",
    "' '",
    "10.0.0",
    "10",
    "10.7:80",
    "0x0a000007:80",
    "012.0.0.7:80",
    "10.0.0.256:80",
    "10.0.0.7.:80",
    "10.0.0.7x:80",
    "'10.0.0.7 x:80'",
    "' 10.0.0.7:80'",
    "0.0.0.0:80",
    "255.255.255.255:80",
    "224.0.0.1:80",
    "127.0.0.1:80",
    "localhost:80",
    "localhost",
    "LOCALHOST:80",
    "www.example.org:http",
    "www:80",
    "nosuch.example.org:80",
    "ip6-localhost:80",
    "six.example.org:80",
    "[2001:db8::7]:80",
    "[2001:db8::7]:http",
    "[2001:db8::7]:",
    "[2001:db8::7]",
    "[2001:db8::7]80",
    "[2001:db8::7",
    "2001:db8::7",
    "2001:db8::7:80",
    "[::1]:80",
    "[::]:80",
    "[ff02::1]:80",
    "[fe80::1]:80",
    "[fe80::1%lo]:80",
    "[::ffff:10.0.0.7]:80",
    "[::10.0.0.7]:80",
    "[2001:DB8:0:0:0:0:0:7]:80",
    "[10.0.0.7]:80",
    "[localhost]:80",
    "[[::1]]:80",
    "[]:80",
    "[",
    "]",
    "::",
    "::1",
    "-",
    "10.0.0.7:-1",
    "10.0.0.7:+80",
    "'10.0.0.7: 80'",
    "10.0.0.7:0080",
];

/// What takes an address.
const ENDED: &[&str] = &[
    "-A -t {} -s rr",
    "-A -u {} -p",
    "-A --sctp-service {} -s rr",
    "-L -n -t {}",
    "-a -t 10.0.0.1:80 -r {} -m",
    "-a -f 7 -r {} -i",
    "-a -t [2001:db8::1]:80 -r {} -g",
    "-A -t 10.0.0.8:80 -p -M {}",
    "--start-daemon backup --mcast-interface lo --mcast-group {}",
];

/// Services and servers for which something is there, or is not.
const SERVICES: &[&str] = &[
    "-t 10.0.0.1:80",
    "-t 10.0.0.1:80",
    "-u 10.0.0.1:53",
    "--sctp-service 10.0.0.1:99",
    "-f 7",
    "-f 7 -6",
    "-t [2001:db8::1]:80",
    "-t 10.0.0.2:0",
    "-t www.example.org:http",
    "-u 10.0.0.3:domain",
];
const SERVERS: &[&str] = &[
    "10.1.0.1",
    "10.1.0.1:8080",
    "10.1.0.2:80",
    "10.1.0.3:0",
    "127.0.0.1:80",
    "localhost",
    "[2001:db8::11]:80",
    "[2001:db8::12]:8080",
    "2001:db8::13",
];
const SCHEDULERS: &[&str] = &[
    "rr",
    "wrr",
    "lc",
    "wlc",
    "lblc",
    "lblcr",
    "dh",
    "sh",
    "mh",
    "sed",
    "nq",
    "fo",
    "ovf",
    "none",
    "nosuch",
    "''",
    "a-name-that-is-too-long",
];
const FLAGS: &[&str] = &[
    "flag-1",
    "flag-2",
    "flag-3",
    "flag-1,flag-3",
    "sh-fallback",
    "sh-port",
    "sh-fallback,sh-port",
    "mh-fallback",
    "mh-port",
    "mh-port,flag-1",
    "''",
    "nosuch",
    "flag-1,nosuch",
    "flag-1,,flag-2",
];
const LISTINGS: &[&str] = &[
    "-Ln",
    "-Sn",
    "-L",
    "-S",
    "-Ln --thresholds",
    "-Ln --persistent-conn",
    "-Ln --tun-info",
    "-Ln --stats",
    "-Ln --rate",
    "-Ln --stats --exact",
    "-Ln --rate -X",
    "-Ln --nosort",
    "-L --timeout",
    "-L --daemon",
    "-Lnc",
    "-Lc --persistent-conn",
];

/// A table to begin with.
const START: &[&str] = &[
    "-C",
    "-A -t 10.0.0.1:80 -s wrr",
    "-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 3",
    "-A -f 7 -s rr",
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let seed = arguments.next().and_then(|text| text.parse().ok());
    match kind.as_str() {
        "options" => options(),
        "values" => filled(NUMBERED, NUMBERS),
        "ends" => filled(ENDED, ENDS),
        "words" => words(&mut Rng::with_seed(seed.unwrap_or(1))),
        _ => eprintln!("usage: command_lines options|values|ends|words [SEED]"),
    }
}

fn ask(line: &str) {
    println!("ipvsadm {}", line.trim());
}

fn start() {
    START.iter().for_each(|line| ask(line));
}

/// Every option alone with every command, and with a complete one; then each option's spellings.
fn options() {
    for (command, long, needs) in COMMANDS {
        start();
        for (option, short, value) in OPTIONS {
            let short = if short.is_empty() { option } else { short };
            ask(&format!("{command} {option} {value}"));
            ask(&format!("{long} {needs} {short} {value}"));
        }
        ask("-Ln");
        ask("--stop-daemon master");
        ask("--stop-daemon backup");
    }
    for (command, long, _) in COMMANDS {
        ask(&long[..long.len() - 1]);
        ask(&format!("{long}="));
        ask(&format!("{long}=x"));
        ask(&format!("{command}x"));
        ask(&format!("{command} x"));
        ask(&format!("x {command}"));
        ask(&format!("{command} {command}"));
    }
    for (option, short, value) in OPTIONS {
        start();
        for line in [
            format!("{option} {value} -A"),
            format!("-A {option}"),
            format!("-A {option}="),
            format!("-A {option}={value}"),
            format!("-A {}", &option[..option.len() - 1]),
            format!("-A {}={value}", &option[..option.len() - 1]),
            format!("-A {} {value}", &option[1..]),
            format!("-A {}", option.to_uppercase()),
            format!("-A {option} {value} {option} {value}"),
        ] {
            ask(&line);
        }
        if !short.is_empty() {
            ask(&format!("-A {short}"));
            ask(&format!("-A{} {value}", &short[1..]));
            ask(&format!("-A {short}{value}"));
            ask(&format!("-A {short}={value}"));
            ask(&format!("-A {short} {value} {short}{value}"));
            ask(&format!("-A {short}Q"));
        }
    }
}

/// Every form with every value, each upon the same table.
fn filled(forms: &[&str], values: &[&str]) {
    for form in forms {
        start();
        ask("-A -t [2001:db8::1]:80 -s rr");
        for value in values {
            ask(&form.replace("{}", value));
            if form.contains("daemon") {
                ask("-L --daemon");
                ask("--stop-daemon master");
                ask("--stop-daemon backup");
            }
            if form.starts_with("-a") {
                ask("-Sn");
                ask("-Ln --thresholds -t 10.0.0.1:80");
                ask("-D -t 10.0.0.1:80");
                ask("-A -t 10.0.0.1:80 -s wrr");
            } else if form.starts_with("-A") {
                ask("-Sn");
                START.iter().take(1).for_each(|line| ask(line));
            } else if form.starts_with("--set") {
                ask("-L --timeout");
            }
        }
    }
}

/// Whole command lines, upon what the ones before have left.
fn words(rng: &mut Rng) {
    for round in 0..1200 {
        if round % 60 == 0 {
            start();
        }
        if rng.u32(0..12) == 0 {
            println!("printf '%s' {} | ipvsadm -R", quoted(&restored(rng)));
        } else {
            ask(&line(rng));
        }
        if rng.u32(0..8) == 0 {
            ask(pick(rng, LISTINGS));
        }
    }
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(0..from.len())]
}

/// A command line that makes sense, with something wrong about one in three.
fn line(rng: &mut Rng) -> String {
    let (short, long) = match rng.u32(0..20) {
        0..=5 => ("-A", "--add-service"),
        6..=7 => ("-E", "--edit-service"),
        8 => ("-D", "--delete-service"),
        9..=13 => ("-a", "--add-server"),
        14..=15 => ("-e", "--edit-server"),
        16 => ("-d", "--delete-server"),
        17 => ("-Z", "--zero"),
        18 => ("-L", "--list"),
        _ => return plain(rng),
    };
    let mut parts = vec![if rng.bool() { short } else { long }.to_owned()];
    let mut options = match short {
        "-A" | "-E" => service_options(rng),
        "-a" | "-e" => server_options(rng),
        "-d" => vec![format!("-r {}", pick(rng, SERVERS))],
        "-L" => listing_options(rng),
        _ => Vec::new(),
    };
    if !matches!(short, "-L" | "-Z") || rng.bool() {
        let service = pick(rng, SERVICES).to_owned();
        // A server without a port has that of a service named before it.
        let place = rng.usize(0..=options.len().min(1));
        options.insert(place, service);
    }
    if rng.u32(0..3) == 0 {
        let place = rng.usize(0..=options.len());
        options.insert(place, stranger(rng));
    }
    if rng.u32(0..12) == 0 && !options.is_empty() {
        options.remove(rng.usize(0..options.len()));
    }
    parts.extend(options);
    parts.join(" ")
}

/// Commands that concern no service.
fn plain(rng: &mut Rng) -> String {
    let number = |rng: &mut Rng| pick(rng, NUMBERS);
    match rng.u32(0..6) {
        0 => format!(
            "--set {} {} {}",
            rng.u32(0..900),
            rng.u32(0..900),
            rng.u32(0..900)
        ),
        1 => format!("--set {} {} {}", number(rng), number(rng), number(rng)),
        2 => format!(
            "--start-daemon {} --mcast-interface {} --syncid {}",
            pick(rng, &["master", "backup", "both", "''"]),
            pick(
                rng,
                &["lo", "eth0", "nosuch0", "an-interface-name-too-long"]
            ),
            number(rng)
        ),
        3 => format!("--stop-daemon {}", pick(rng, &["master", "backup", "both"])),
        4 => pick(
            rng,
            &[
                "-Cn",
                "-nC",
                "-ZC",
                "-LnLn",
                "-Lnt",
                "-ln --exact",
                "-hv",
                "-Sx",
            ],
        )
        .to_owned(),
        _ => stranger(rng),
    }
}

/// Any option, with a value that may not fit.
fn stranger(rng: &mut Rng) -> String {
    let (long, short, value) = OPTIONS[rng.usize(0..OPTIONS.len())];
    let value = match (value, rng.u32(0..4)) {
        ("", _) => "",
        (_, 0) => pick(rng, NUMBERS),
        (_, 1) => pick(rng, ENDS),
        (good, _) => good,
    };
    match (short, rng.u32(0..4)) {
        ("", _) | (_, 0) => format!("{long} {value}"),
        (_, 1) if !value.is_empty() => format!("{long}={value}"),
        (_, 2) => format!("{short}{value}"),
        _ => format!("{short} {value}"),
    }
}

fn service_options(rng: &mut Rng) -> Vec<String> {
    let mut options = Vec::new();
    if rng.u32(0..4) != 0 {
        options.push(format!("-s {}", pick(rng, SCHEDULERS)));
    }
    if rng.u32(0..3) == 0 {
        options.push(pick(rng, &["-p", "-p 30", "-p600", "--persistent=1", "-p 0"]).to_owned());
    }
    if rng.u32(0..4) == 0 {
        options.push(format!(
            "-M {}",
            pick(rng, &["255.255.255.0", "255.0.255.0", "64", "24", "0"])
        ));
    }
    if rng.u32(0..6) == 0 {
        options.push(format!("-b {}", pick(rng, FLAGS)));
    }
    if rng.u32(0..8) == 0 {
        options.push(
            pick(
                rng,
                &[
                    "-o",
                    "--ops",
                    "--pe sip",
                    "--pe=sip",
                    "--pe nosuch",
                    "--pe ''",
                ],
            )
            .to_owned(),
        );
    }
    options
}

fn server_options(rng: &mut Rng) -> Vec<String> {
    let mut options = vec![format!("-r {}", pick(rng, SERVERS))];
    if rng.u32(0..4) != 0 {
        options.push(
            pick(
                rng,
                &[
                    "-m",
                    "-g",
                    "-i",
                    "-i --tun-type gue --tun-port 6080",
                    "-i --tun-type gre --tun-csum",
                ],
            )
            .to_owned(),
        );
    }
    if rng.bool() {
        options.push(format!(
            "-w {}",
            pick(rng, &["0", "1", "7", "65535", "65536", "2147483647"])
        ));
    }
    if rng.u32(0..4) == 0 {
        options.push(format!("-x {} -y {}", rng.u32(0..9), rng.u32(0..9)));
    }
    options
}

fn listing_options(rng: &mut Rng) -> Vec<String> {
    let all = [
        "-n",
        "-c",
        "--timeout",
        "--daemon",
        "--stats",
        "--rate",
        "--thresholds",
        "--persistent-conn",
        "--tun-info",
        "--sort",
        "--exact",
        "--syncid 4",
    ];
    let count = rng.usize(0..4);
    (0..count).map(|_| pick(rng, &all).to_owned()).collect()
}

/// Lines for `ipvsadm -R`.
fn restored(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.u32(1..6) {
        let ending = pick(rng, &["\n", "\n", "\n", "\n\n", " \n", "\r\n", "\t\n"]);
        let beginning = pick(rng, &["", "", "", "ipvsadm ", " ", "\t", "# ", "ipvsadm"]);
        text += &format!("{beginning}{}{ending}", line(rng));
    }
    if rng.u32(0..4) == 0 {
        text.pop();
    }
    text
}

/// A text as one word of bash.
fn quoted(text: &str) -> String {
    let mut word = String::from("$'");
    for c in text.chars() {
        match c {
            '\n' => word += "\\n",
            '\r' => word += "\\r",
            '\t' => word += "\\t",
            '\'' => word += "\\'",
            other => word.push(other),
        }
    }
    word + "'"
}
