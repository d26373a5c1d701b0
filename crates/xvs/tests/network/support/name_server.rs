//! The server of the transcripts: says its name to every connection, then echoes.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::namespace::Namespace;

/// A name server on port 80. Its threads end with the test's process.
#[derive(Debug)]
pub struct NameServer;

impl NameServer {
    /// Starts it; it listens at once.
    pub fn start(host: &Namespace, name: &'static str) -> Self {
        let listener = host.within(|| TcpListener::bind("0.0.0.0:80").unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || attend(stream, name));
            }
        });
        Self
    }
}

/// Until the client closes, and closes then too.
fn attend(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.write_all(format!("{name}\n").as_bytes())?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}
