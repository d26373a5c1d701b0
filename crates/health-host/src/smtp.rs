//! SMTP_CHECK: every host greets, takes HELO, and says goodbye (RFC 5321, section 4.3.2).

use config::model::Connect;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{Done, Failure, connect};

/// What HELO says where nothing is configured, as keepalived's.
const HELO: &str = "smtpchecker.keepalived.org";
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 << 10;

pub(crate) async fn check(hosts: &[Connect], helo: Option<&str>) -> Done {
    for host in hosts {
        talk(host, helo.unwrap_or(HELO))
            .await
            .map_err(|failure| failure.at(connect::target(host)))?;
    }
    Ok(None)
}

async fn talk(host: &Connect, helo: &str) -> Result<(), Failure> {
    let mut stream = BufReader::new(connect::tcp(host).await?);
    expect(&mut stream, "220").await?;
    stream
        .write_all(format!("HELO {helo}\r\n").as_bytes())
        .await?;
    expect(&mut stream, "250").await?;
    stream.write_all(b"QUIT\r\n").await?;
    expect(&mut stream, "221").await
}

/// Reads an answer of one or several lines, the last of which has no dash behind its code.
async fn expect(stream: &mut BufReader<TcpStream>, code: &str) -> Result<(), Failure> {
    let mut limited = stream.take(LONGEST);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Err(Failure::Server(format!(
                "the connection ended before {code}"
            )));
        }
        if !line.starts_with(code) {
            return Err(Failure::Server(format!(
                "`{}' instead of {code}",
                line.trim_end()
            )));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
