//! The web server, asked by a client that is not ours: bytes over a socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A server that says it is `RS1:192.0.2.1`.
fn server() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    std::thread::spawn(move || lab::http_server::serve("RS1:192.0.2.1", free, false));
    let begin = Instant::now();
    while TcpStream::connect(free).is_err() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "the server does not listen"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    free
}

/// Sends a request on a connection that is to be closed; head and body of the answer.
fn ask(server: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "{head}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    (
        String::from_utf8(answer[..end].to_vec()).unwrap(),
        answer[end..].to_vec(),
    )
}

#[test]
fn the_first_page_says_who_the_server_is() {
    let (head, body) = ask(server(), "GET / HTTP/1.1", b"");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, b"from RS1:192.0.2.1\n");
}

#[test]
fn as_many_bytes_come_as_are_asked_for_and_each_tells_its_place() {
    let server = server();
    for count in [0_usize, 1, 65_536, 1_000_003] {
        let (head, body) = ask(server, &format!("GET /bytes/{count} HTTP/1.1"), b"");
        assert!(
            head.to_lowercase()
                .contains(&format!("content-length: {count}\r\n")),
            "{head}"
        );
        assert_eq!(body.len(), count);
        assert!(
            body.iter()
                .enumerate()
                .all(|(at, byte)| usize::from(*byte) == at % 251)
        );
    }
}

#[test]
fn an_upload_is_counted_and_compared() {
    let server = server();
    let mut bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let head = format!("POST /upload HTTP/1.1\r\nContent-Length: {}", bytes.len());
    assert_eq!(
        ask(server, &head, &bytes).1,
        b"from RS1:192.0.2.1: 300000 bytes, 0 altered\n"
    );
    bytes[70_000] ^= 1;
    assert_eq!(
        ask(server, &head, &bytes).1,
        b"from RS1:192.0.2.1: 300000 bytes, 1 altered\n"
    );
}

#[test]
fn a_connection_is_kept_for_the_next_request_unless_it_is_to_be_closed() {
    let mut stream = TcpStream::connect(server()).unwrap();
    let mut page = [0; 4096];
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let length = stream.read(&mut page).unwrap();
        assert!(String::from_utf8_lossy(&page[..length]).contains("from RS1"));
    }
}
