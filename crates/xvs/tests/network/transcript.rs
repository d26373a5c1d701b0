//! What the kernel's own director printed for the same connections: `golden/nat-wrr.txt`, recorded
//! with ipvsadm 1.31 on Linux. A line `$ COMMAND` is followed by what it printed (`| `), by its
//! complaints (`! `), and by its exit code (`= `); `% COMMAND` prints nothing. `c` is the client.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Director, Hook, NameServer, Network, connect};

const NAT_WRR: &str = include_str!("../golden/nat-wrr.txt");

/// How often the whole transcript is tried: on a busy machine TCP joins acknowledgements or repeats
/// a segment, and then the counters of packets are others.
const TRIES: usize = 4;

#[test]
fn the_first_demonstration_prints_what_the_kernels_director_printed() {
    let mut differences = Vec::new();
    for _ in 0..TRIES {
        match replay() {
            Ok(()) => return,
            Err(difference) => differences.push(difference),
        }
    }
    panic!("{}", differences.join("\n"));
}

/// Carries the transcript out in a network of its own; the first difference is the error.
fn replay() -> Result<(), String> {
    let network = Network::new(Hook::Tc);
    // Counters of packets are compared: every packet is one on its own.
    network.packets_as_on_a_wire();
    NameServer::start(&network.rs1, "rs1");
    NameServer::start(&network.rs2, "rs2");
    let director = Director::start(&network, Hook::Tc);
    let mut client = Client {
        network: &network,
        open: Vec::new(),
    };
    for block in blocks(NAT_WRR) {
        let got = match block.command.strip_prefix("c ") {
            Some(words) => record(0, &client.act(words), ""),
            None => {
                let said = director.shell(&block.command.replace("cat /proc/net/", "xvs proc "));
                record(said.code.unwrap(), &said.out, &said.err)
            }
        };
        if block.recorded {
            let [want, got] = [&block.lines, &got].map(|lines| masked(block.command, lines));
            if got != want {
                return Err(format!("{}\n want {want:#?}\n got {got:#?}", block.command));
            }
        }
    }
    Ok(())
}

/// A command of a transcript, and what followed.
struct Block<'a> {
    command: &'a str,
    recorded: bool,
    lines: Vec<String>,
}

fn blocks(transcript: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in transcript.lines() {
        match (line.strip_prefix("$ "), line.strip_prefix("% ")) {
            (Some(command), _) => {
                blocks.push(Block {
                    command,
                    recorded: true,
                    lines: Vec::new(),
                });
            }
            (_, Some(command)) => {
                blocks.push(Block {
                    command,
                    recorded: false,
                    lines: Vec::new(),
                });
            }
            _ => blocks
                .last_mut()
                .expect("a command first")
                .lines
                .push(line.to_owned()),
        }
    }
    assert!(blocks.len() > 20, "the transcript is whole");
    blocks
}

/// As the transcript has it.
fn record(code: i32, out: &str, err: &str) -> Vec<String> {
    let out = out.lines().map(|line| format!("| {line}"));
    let err = err.lines().map(|line| format!("! {line}"));
    out.chain(err).chain([format!("= {code}")]).collect()
}

/// Without what differs from run to run: the size of the kernel's hash table, remaining times, the
/// order of connections that are not sorted, and rates, which depend on when they were estimated.
fn masked(command: &str, lines: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = lines
        .iter()
        .map(|line| match line.split_once("(size=") {
            Some((before, _)) => format!("{before}(size=N)"),
            None if line.starts_with("| TCP ") && line.as_bytes().get(8) == Some(&b':') => {
                format!("{}MM:SS{}", &line[..6], &line[11..])
            }
            None if command.ends_with("--rate") => without_rates(line),
            None => line.clone(),
        })
        .collect();
    if command.contains("/ip_vs_conn") {
        for line in &mut lines {
            // The last column: how long it lives on.
            line.truncate(line.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        }
    }
    if command.ends_with("/ip_vs_stats")
        && let Some(rates) = lines.get_mut(5)
    {
        let is_hexadecimal = |c: char| c == ' ' || c.is_ascii_hexdigit();
        assert!(rates[2..].chars().all(is_hexadecimal), "{rates}");
        *rates = format!("{} columns", rates.len());
    }
    if command.contains("-Lnc") && !command.contains("sort") || command.contains("/ip_vs_conn") {
        lines.sort();
    }
    lines
}

/// A row of rates: the numbers become N, the columns stay as wide as they are.
fn without_rates(line: &str) -> String {
    let is_row = line.starts_with("| TCP ") || line.contains(":80 ");
    let Some((head, numbers)) = line.split_at_checked(36).filter(|_| is_row) else {
        return line.to_owned();
    };
    let columns = numbers.as_bytes().chunks(9).map(|column| {
        assert!(
            column.ends_with(b" ") || column.last().is_some_and(u8::is_ascii_digit),
            "{line}"
        );
        format!("[{}]", column.len())
    });
    head.to_owned() + &columns.collect::<String>()
}

/// The transcript's client: connections by name.
struct Client<'a> {
    network: &'a Network,
    open: Vec<(String, TcpStream)>,
}

impl Client<'_> {
    /// Does what a line says. Returns the answer.
    fn act(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["open", name, address, port, from] => {
                format!(
                    "{name} {}",
                    self.connect(name, address, port, from.parse().unwrap())
                )
            }
            ["burst", count, address, port, from] => {
                let (count, from): (u16, u16) = (count.parse().unwrap(), from.parse().unwrap());
                let ports = from..from + count;
                let names = ports.map(|from| self.connect("burst", address, port, from));
                names.collect::<Vec<_>>().join(" ")
            }
            ["send", name, text] => {
                let (_, stream) = self.open.iter_mut().find(|(open, _)| open == name).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                let mut echo = vec![0; text.len()];
                stream.read_exact(&mut echo).unwrap();
                String::from_utf8(echo).unwrap()
            }
            ["close", name] => {
                self.open.retain(|(open, _)| open != name);
                "ok".to_owned()
            }
            ["closeall"] => {
                self.open.clear();
                "ok".to_owned()
            }
            _ => panic!("the client does not know: {line}"),
        }
    }

    /// Connects and keeps the connection. Returns the server's name.
    fn connect(&mut self, name: &str, address: &str, port: &str, from: u16) -> String {
        let to = format!("{address}:{port}").parse().unwrap();
        let mut stream = self.network.client.within(|| connect(from, to)).unwrap();
        let mut server = Vec::new();
        while server.last() != Some(&b'\n') {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            server.extend(byte);
        }
        self.open.push((name.to_owned(), stream));
        String::from_utf8(server).unwrap().trim().to_owned()
    }
}
