//! A web client that chooses its ports, so that no two connections are the same.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::network::{CLIENT, VIP};
use super::process::run;

/// How long a client waits, for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects from one of the client's ports; 0 leaves the choice to the kernel.
pub fn connect(port: u16, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(CLIENT.parse().unwrap(), port).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// One request on a connection of its own.
#[derive(Debug)]
pub struct Exchange(TcpStream);

impl Exchange {
    /// Connects to the virtual service.
    pub fn open(port: u16) -> io::Result<Self> {
        connect(port, format!("{VIP}:80").parse().unwrap()).map(Self)
    }

    /// Asks who answers.
    pub fn ask(&mut self) -> io::Result<()> {
        self.0.write_all(b"GET / HTTP/1.0\r\n\r\n")
    }

    /// The name of who answered, once the server has closed the connection.
    pub fn answer(mut self) -> io::Result<String> {
        let mut text = String::new();
        self.0.read_to_string(&mut text)?;
        match text.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.trim().to_owned()),
            _ => Err(io::Error::other(format!("not an answer: {text:?}"))),
        }
    }
}

/// Asks the virtual service who answers, from one of the client's ports.
pub fn get(port: u16) -> io::Result<String> {
    let mut exchange = Exchange::open(port)?;
    exchange.ask()?;
    exchange.answer()
}

/// Opens connections from a row of ports, and calls `meanwhile` while all are open; then asks on
/// each. Returns the answers.
pub fn many_at_once(ports: std::ops::Range<u16>, meanwhile: impl FnOnce()) -> Vec<String> {
    allow_open_files();
    let opened = ports.map(|port| Exchange::open(port).unwrap());
    let mut exchanges: Vec<Exchange> = opened.collect();
    meanwhile();
    for exchange in &mut exchanges {
        exchange.ask().unwrap();
    }
    exchanges
        .into_iter()
        .map(|exchange| exchange.answer().unwrap())
        .collect()
}

/// Lets this process have more sockets than it may have by default.
fn allow_open_files() {
    run(&format!(
        "prlimit --pid {} --nofile=8192:",
        std::process::id()
    ));
}
