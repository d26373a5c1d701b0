//! Checks against real peers: nginx, postfix, unbound, the kernel. Needs root.

mod dns;
mod smtp;
mod support;
mod tls;

use std::path::Path;

use health::Outcome;
use support::{Peer, check, check_beside, fails, own_network, run, start, succeeds};

const NGINX: &str = "
daemon off; pid FOLDER/pid; error_log FOLDER/log;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER; proxy_temp_path FOLDER; fastcgi_temp_path FOLDER;
  uwsgi_temp_path FOLDER; scgi_temp_path FOLDER;
  server { listen 127.0.0.1:8080;
    location / { return 200 'hello world'; }
    location /gone { return 404; }
    location /away { return 302 /; } }
  server { listen 127.0.0.1:8080; server_name named; location / { return 200 'by name'; } }
  SERVERS
}
";

/// nginx with more servers.
fn nginx(folder: &Path, servers: &str) -> Peer {
    let at = |name: &str| folder.join(name).display().to_string();
    let text = NGINX
        .replace("SERVERS", servers)
        .replace("FOLDER", &folder.display().to_string());
    std::fs::write(folder.join("conf"), text).expect("the folder is writable");
    start(
        "nginx",
        &["-c", &at("conf"), "-p", &folder.display().to_string()],
    )
}

#[test]
fn nginx_is_judged_by_status_digest_regex_and_name() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _nginx = nginx(folder.path(), "");
    let url = |inside: &str| format!("HTTP_GET {{\nurl {{\n{inside}\n}}\n}}");
    succeeds(8080, "TCP_CHECK {\n}");
    succeeds(8080, &url("path /"));
    // `printf 'hello world' | md5sum`
    succeeds(
        8080,
        &url("path /\ndigest 5eb63bbbe01eeed093cb22bb8f5acdc3"),
    );
    succeeds(8080, &url("path /\nregex \"^hello w\""));
    succeeds(8080, &url("path /\nregex HELLO\nregex_options caseless"));
    succeeds(8080, &url("path /\nvirtualhost named\nregex \"by name\""));
    succeeds(8080, &url("path /gone\nstatus_code 200 400-404"));
    succeeds(8080, &url("path /away\nstatus_code 302"));
    let http11 = "HTTP_GET {\nhttp_protocol 1.1\nurl {\npath /\nregex hello\n}\n}";
    succeeds(8080, http11);
    fails(8080, &url("path /gone"), "/gone: status code 404");
    fails(8080, &url("path /away"), "status code 302");
    let digest = "the page's digest is 5eb63bbbe01eeed093cb22bb8f5acdc3";
    fails(
        8080,
        &url("path /\ndigest 00000000000000000000000000000000"),
        digest,
    );
    fails(8080, &url("path /\nregex bye"), "does not match");
    fails(
        8080,
        &url("path /\nregex hello\nregex_no_match"),
        "matches the regex",
    );
    fails(8081, &url("path /"), "refused");
}

#[test]
fn a_server_that_accepts_and_is_silent_fails_by_its_timeout() {
    own_network();
    let listener = std::net::TcpListener::bind("127.0.0.1:25").expect("the port is free");
    fails(
        25,
        "SMTP_CHECK {\nconnect_timeout 1\n}",
        "no answer within 1 s",
    );
    fails(
        25,
        "HTTP_GET {\nconnect_timeout 1\nurl {\npath /\n}\n}",
        "no answer within 1 s",
    );
    drop(listener);
    fails(25, "SMTP_CHECK {\n}", "127.0.0.1:25: Connection refused");
}

#[test]
fn an_echo_is_answered_by_this_host_and_not_by_one_that_is_not_there() {
    own_network();
    succeeds(0x50, "PING_CHECK {\n}");
    fails(0x50, "PING_CHECK {\nconnect_ip 192.0.2.7\n}", "unreachable");
}

#[test]
fn a_datagram_to_a_closed_port_is_refused_and_an_answer_is_compared() {
    own_network();
    fails(7, "UDP_CHECK {\nrequire_reply\n}", "refused");
    let echo = std::net::UdpSocket::bind("127.0.0.1:7").expect("the port is free");
    std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = echo.recv_from(&mut buffer) {
            let _ = echo.send_to(&buffer[..length], from);
        }
    });
    let _silent = std::net::UdpSocket::bind("127.0.0.1:9").expect("the port is free");
    succeeds(9, "UDP_CHECK {\nconnect_timeout 0.2\n}");
    fails(
        9,
        "UDP_CHECK {\nconnect_timeout 0.2\nrequire_reply\n}",
        "no answer",
    );
    succeeds(7, "UDP_CHECK {\npayload 01 ab\nrequire_reply 01 xb\n}");
    fails(
        7,
        "UDP_CHECK {\npayload 01 ab\nrequire_reply 01 ac\n}",
        "differs in byte 1",
    );
    fails(
        7,
        "UDP_CHECK {\npayload 01\nrequire_reply\nmin_reply_length 2\n}",
        "1 bytes",
    );
}

#[test]
fn a_script_says_by_its_exit_code_how_the_server_is() {
    let script = |code: u8, dynamic: &str| {
        format!(
            "MISC_CHECK {{\nmisc_path \"/bin/sh -c 'exit {code}'\"\nmisc_timeout 1\n{dynamic}\n}}"
        )
    };
    assert_eq!(check(80, &script(0, "")), Outcome::Success { weight: None });
    assert_eq!(
        check(80, &script(1, "misc_dynamic")),
        Outcome::Failure("exit code 1".into())
    );
    assert_eq!(
        check(80, &script(7, "")),
        Outcome::Failure("exit code 7".into())
    );
    assert_eq!(
        check(80, &script(7, "misc_dynamic")),
        Outcome::Success { weight: Some(5) }
    );
    let slow = "MISC_CHECK {\nmisc_path \"/bin/sleep 5\"\nmisc_timeout 1\n}";
    assert_eq!(
        check(80, slow),
        Outcome::Failure("no answer within 1 s".into())
    );
    let none = "MISC_CHECK {\nmisc_path /nonexistent\n}";
    assert!(matches!(check(80, none), Outcome::Failure(why) if why.contains("No such file")));
}

#[test]
fn a_number_in_a_file_says_how_the_server_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("load");
    let file = format!("track_file load {{\nfile \"{}\"\n}}", path.display());
    let told = |text: Option<&str>, more: &str| {
        match text {
            Some(text) => std::fs::write(&path, text).expect("the folder is writable"),
            None => drop(std::fs::remove_file(&path)),
        }
        let lines = format!("FILE_CHECK {{\ntrack_file load\n{more}\n}}");
        check_beside(&file, 80, &lines)
    };
    let weight = |weight| Outcome::Success { weight };
    assert_eq!(told(Some("0"), "weight 0"), weight(None));
    assert_eq!(told(Some("7\n"), "weight 2\ndynamic"), weight(Some(14)));
    assert_eq!(
        told(Some("7"), "weight 2 reverse\ndynamic"),
        weight(Some(-14))
    );
    assert_eq!(told(Some("7"), "weight 2"), weight(None));
    let fails = |text, more, why: &str| match told(text, more) {
        Outcome::Failure(told) if told.contains(why) => {}
        other => panic!("{text:?} {more}: {other:?} instead of `{why}'"),
    };
    fails(Some("1"), "weight 0", "1 is not 0");
    fails(Some("many"), "", "`many' is no number");
    fails(Some(""), "", "`' is no number");
    fails(Some("4000000000"), "weight 200", "out of range");
    fails(None, "", "No such file");
}

#[test]
fn a_connection_is_refused_or_leads_nowhere_or_is_never_answered() {
    own_network();
    fails(80, "TCP_CHECK {\n}", "refused");
    let nowhere = "TCP_CHECK {\nconnect_ip 192.0.2.7\n}";
    fails(80, nowhere, "unreachable");
    // A network that takes everything and answers nothing.
    run(
        "ip",
        &["link", "add", "hole", "type", "veth", "peer", "name", "end"],
    );
    for words in [
        "link set hole up",
        "link set end up",
        "address add 192.0.2.1/24 dev hole",
    ] {
        run("ip", &words.split_whitespace().collect::<Vec<_>>());
    }
    let silent = "TCP_CHECK {\nconnect_ip 192.0.2.7\nconnect_timeout 0.5\n}";
    fails(80, silent, "no answer within 0.5 s");
    let bound = "TCP_CHECK {\nbindto 198.51.100.1\n}";
    fails(80, bound, "assign requested address");
}
