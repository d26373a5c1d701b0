//! SSL_GET against nginx.

use std::path::Path;

use crate::nginx;
use crate::support::{Peer, fails, fails_beside, own_network, run, succeeds, succeeds_beside};

const SERVERS: &str = "
  server { listen 127.0.0.1:8443 ssl; server_name other; ssl_certificate FOLDER/server.crt;
    ssl_certificate_key FOLDER/server.key; location / { return 403; } }
  server { listen 127.0.0.1:8443 ssl; server_name named; ssl_certificate FOLDER/server.crt;
    ssl_certificate_key FOLDER/server.key; location / { return 200 'by name'; } }
  server { listen 127.0.0.1:8444 ssl; ssl_certificate FOLDER/server.crt;
    ssl_certificate_key FOLDER/server.key; ssl_client_certificate FOLDER/other.crt;
    ssl_verify_client on; location / { return 200 'to a client with a certificate'; } }
";

/// nginx with a certificate of the authority `ca`, for the name `named`; it knows clients of `other`.
fn nginx_with_tls(folder: &Path) -> Peer {
    for authority in ["ca", "other"] {
        let own = ["-x509", "-subj", &format!("/CN={authority}")];
        certificate(folder, authority, &own);
    }
    let of = |authority: &str, more: [&str; 2]| {
        let (crt, key) = (format!("{authority}.crt"), format!("{authority}.key"));
        let at = |name: &str| folder.join(name).display().to_string();
        let words = ["-x509", "-CA", &at(&crt), "-CAkey", &at(&key)].map(str::to_owned);
        let more = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            more[0],
            more[1],
        ];
        words
            .into_iter()
            .chain(more.map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let server = of("ca", ["-addext", "subjectAltName=DNS:named"]);
    let client = of("other", ["-addext", "extendedKeyUsage=clientAuth"]);
    for (name, words) in [("server", server), ("client", client)] {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let subject = format!("/CN={name}");
        words.extend(["-subj", &subject]);
        certificate(folder, name, &words);
    }
    nginx(folder, SERVERS)
}

/// Makes NAME.key and NAME.crt.
fn certificate(folder: &Path, name: &str, words: &[&str]) {
    let at = |kind: &str| folder.join(format!("{name}.{kind}")).display().to_string();
    let (key, crt) = (at("key"), at("crt"));
    let fixed = [
        "req", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", &key, "-out", &crt,
    ];
    run("openssl", &[&fixed, words].concat());
}

/// A check with these lines of SSL_GET.
fn get(lines: &str) -> String {
    format!("SSL_GET {{\n{lines}\nurl {{\npath /\nvirtualhost named\nregex \"by name\"\n}}\n}}")
}

#[test]
fn nginx_with_tls_is_asked_by_the_name_in_the_handshake() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _nginx = nginx_with_tls(folder.path());
    succeeds(8443, &get("enable_sni"));
    succeeds(8443, &get("sni_name named"));
    fails(
        8443,
        "SSL_GET {\nurl {\npath /\nvirtualhost other\n}\n}",
        "status code 403",
    );
    fails(8080, &get(""), "TLS:");
    fails(8445, &get(""), "refused");
}

#[test]
fn a_certificate_has_to_be_of_the_authority_that_is_named() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _nginx = nginx_with_tls(folder.path());
    let by = |authority: &str| {
        let file = folder.path().join(authority);
        format!("SSL {{\nca {}\n}}", file.display())
    };
    succeeds_beside(&by("ca.crt"), 8443, &get("enable_sni"));
    // Asked for by its address, it need not be for a name.
    succeeds_beside(&by("ca.crt"), 8443, &get(""));
    let unknown = "TLS: invalid peer certificate: UnknownIssuer";
    fails_beside(&by("other.crt"), 8443, &get("enable_sni"), unknown);
    fails_beside(&by("other.crt"), 8443, &get(""), unknown);
    let wrong = "TLS: invalid peer certificate: certificate not valid for name \"another\"";
    fails_beside(&by("ca.crt"), 8443, &get("sni_name another"), wrong);
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_the_one_of_the_file() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _nginx = nginx_with_tls(folder.path());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let own = format!(
        "SSL {{\ncertificate {}\nkey {}\n}}",
        at("client.crt"),
        at("client.key")
    );
    let page = "SSL_GET {\nurl {\npath /\nregex \"a client with\"\n}\n}";
    succeeds_beside(&own, 8444, page);
    fails(8444, page, "/: status code 400");
}
