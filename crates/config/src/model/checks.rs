//! Checkers of real servers.

use std::net::IpAddr;
use std::time::Duration;

use model::Tunnel;
use serde::Serialize;

use super::Script;

/// One checker of a real server, with the defaults of its real and virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// When.
    pub timing: Timing,
    /// The server counts as failed until the first success.
    pub alpha: bool,
    /// Every failure is logged.
    pub log_all_failures: bool,
}

/// When a check runs, and how often it must fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Timing {
    /// Between two checks.
    pub delay_loop: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many more checks must fail until a living server counts as failed.
    pub retry: u32,
    /// Between these.
    pub delay_before_retry: Duration,
    /// The first check comes at random within this time.
    pub warmup: Duration,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// TCP_CHECK.
    Tcp(Connect),
    /// HTTP_GET and SSL_GET.
    Http(Box<HttpCheck>),
    /// SMTP_CHECK: every host must answer.
    Smtp {
        /// The hosts.
        hosts: Vec<Connect>,
        /// What HELO says.
        helo: Option<String>,
    },
    /// DNS_CHECK.
    Dns {
        /// The server.
        connect: Connect,
        /// The type of the question, as in `SOA`.
        record: String,
        /// The name that is asked for.
        name: String,
    },
    /// MISC_CHECK.
    Misc {
        /// What is run.
        script: Script,
        /// Exit codes from 2 on change the weight.
        dynamic: bool,
    },
    /// UDP_CHECK.
    Udp {
        /// The server.
        connect: Connect,
        /// What is sent; None: something random.
        payload: Option<Vec<u8>>,
        /// What must be answered; None: nothing need be.
        reply: Option<HexPattern>,
    },
    /// PING_CHECK.
    Ping(Connect),
    /// BFD_CHECK: nothing is done, a session tells.
    Bfd {
        /// The `bfd_instance`'s name.
        name: String,
    },
    /// `check_via_vip`: the virtual address answers on the way that clients' packets take.
    Via(Via),
    /// FILE_CHECK.
    File {
        /// The `track_file`'s name.
        name: String,
        /// Its path.
        path: String,
        /// What the number in it is multiplied by.
        weight: i32,
        /// The number changes the weight.
        dynamic: bool,
    },
}

impl CheckKind {
    /// The keyword of keepalived.conf.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP_CHECK",
            Self::Http(http) if http.tls.is_some() => "SSL_GET",
            Self::Http(_) => "HTTP_GET",
            Self::Smtp { .. } => "SMTP_CHECK",
            Self::Dns { .. } => "DNS_CHECK",
            Self::Misc { .. } => "MISC_CHECK",
            Self::Udp { .. } => "UDP_CHECK",
            Self::Ping(_) => "PING_CHECK",
            Self::Via(_) => "check_via_vip",
            Self::Bfd { .. } => "BFD_CHECK",
            Self::File { .. } => "FILE_CHECK",
        }
    }
}

/// A virtual address at a real server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Via {
    /// The virtual address.
    pub address: IpAddr,
    /// The port that a connection is opened to; None: an ICMP echo is sent.
    pub port: Option<u16>,
    /// The real server that frames, or tunnels, lead to.
    pub real_server: IpAddr,
    /// The tunnel, for TUN.
    pub tunnel: Option<Tunnel>,
}

/// Where a check connects to, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Connect {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// `bindto`.
    pub bind_address: Option<IpAddr>,
    /// `bind_port`.
    pub bind_port: Option<u16>,
    /// `bind_if`.
    pub bind_interface: Option<String>,
    /// Firewall mark of its packets.
    pub mark: u32,
}

/// HTTP_GET or SSL_GET.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HttpCheck {
    /// The server.
    pub connect: Connect,
    /// TLS, for SSL_GET.
    pub tls: Option<Tls>,
    /// The protocol's version.
    pub version: HttpVersion,
    /// After a failure, and at first under alpha, the pages are asked for without pauses.
    pub fast_recovery: bool,
    /// The pages that must be as wanted.
    pub urls: Vec<Url>,
}

/// TLS's settings for a check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Tls {
    /// The name sent in the handshake (Server Name Indication).
    pub server_name: Option<String>,
}

/// `SSL`'s files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct TlsFiles {
    /// Of the key.
    #[serde(skip_serializing)]
    pub password: Option<String>,
    /// The authorities that are trusted; without one no certificate is checked.
    pub authority: Option<String>,
    /// The certificate shown to servers.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

/// HTTP's version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum HttpVersion {
    /// 1.0.
    #[default]
    #[serde(rename = "1.0")]
    V10,
    /// 1.0 with `Connection: close`.
    #[serde(rename = "1.0C")]
    V10Close,
    /// 1.1.
    #[serde(rename = "1.1")]
    V11,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Url {
    /// Its path.
    pub path: String,
    /// The host's name in the request.
    pub virtual_host: Option<String>,
    /// The status codes that are well.
    pub status: Vec<StatusRange>,
    /// The page's MD5 digest, as genhash tells it.
    pub digest: Option<DigestMd5>,
    /// What the page must match, or must not.
    pub regex: Option<RegexSettings>,
}

/// Status codes from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// An MD5 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct DigestMd5(pub [u8; 16]);

/// A regular expression and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RegexSettings {
    /// The expression, with its options in front (`(?i)`).
    pub pattern: String,
    /// A match is a failure.
    pub negated: bool,
    /// Matches begin at this byte of the page or behind it.
    pub min_offset: usize,
    /// And before this one.
    pub max_offset: Option<usize>,
}

/// Bytes of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HexPattern {
    /// The bytes, each with the mask of what counts in it.
    pub bytes: Vec<(u8, u8)>,
    /// The shortest answer.
    pub min_length: u16,
    /// The longest.
    pub max_length: u16,
}
