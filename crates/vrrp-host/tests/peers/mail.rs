//! Mail about changes of state, beside what keepalived sends.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::one_configuration::run;
use crate::support::{Host, Segment, until};

const CONFIGURATION: &str = "
global_defs {
  router_id LVS_TEST
  notification_email {
    root@localhost
    admin@example.org
  }
  notification_email_from keepalived@example.org
  smtp_server 127.0.0.1 2525
  smtp_connect_timeout 5
  smtp_alert
}
vrrp_sync_group G {
  group {
    V
  }
  smtp_alert
}
vrrp_instance V {
  interface eth0
  virtual_router_id 51
  version 3
  advert_int 0.1
  virtual_ipaddress {
    10.9.0.100/24
  }
}
vrrp_instance QUIET {
  interface eth0
  virtual_router_id 52
  version 3
  advert_int 0.1
  smtp_alert off
  virtual_ipaddress {
    10.9.0.101/24
  }
}
";

/// A mail as it came: sender, receivers, subject and text.
type Mails = Arc<Mutex<Vec<Vec<String>>>>;

/// A mail server on a host that keeps what comes.
fn server(host: &Host) -> Mails {
    let listener = host.enter(|| TcpListener::bind("127.0.0.1:2525").unwrap());
    let mails = Mails::default();
    let kept = mails.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let mail = receive(client);
                kept.lock().unwrap().extend(mail);
            });
        }
    });
    mails
}

/// A session (RFC 5321): the mail, if it came to its end.
fn receive(mut client: TcpStream) -> Option<Vec<String>> {
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    let mut say = |what: &str| write!(client, "{what}\r\n").ok();
    say("220 test")?;
    let mut mail = Vec::new();
    loop {
        let line = lines.next()?.ok()?;
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        match verb.to_ascii_uppercase().as_str() {
            "DATA" => break,
            "MAIL" | "RCPT" => mail.push(line.split(' ').nth(1)?.to_owned()),
            _ => {}
        }
        say("250 test")?;
    }
    say("354 go on")?;
    let told = ["From: ", "To: ", "Subject: ", "=>"];
    loop {
        let line = lines.next()?.ok()?;
        if line == "." {
            break;
        }
        if told.iter().any(|word| line.starts_with(word)) {
            mail.push(line);
        }
    }
    say("250 test")?;
    mail.sort();
    Some(mail)
}

#[test]
fn mail_about_changes_of_state_is_as_keepaliveds() {
    let seen = [true, false].map(|ours| {
        let segment = Segment::new(1);
        let host = &segment.hosts[0];
        let mails = server(host);
        let came = |count: usize| until("the mail comes", || mails.lock().unwrap().len() == count);
        run(ours, host, CONFIGURATION, || {
            came(4);
            host.ip("link set eth0 down");
            came(6);
        });
        let mut mails = mails.lock().unwrap().clone();
        mails.sort();
        mails
    });
    assert_eq!(seen[0], seen[1]);
}
