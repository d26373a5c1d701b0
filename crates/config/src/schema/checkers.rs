//! The checkers of a real server, and `SSL`.

use super::Shape::{Address, Choice, Command, Flag, Integer, Seconds, Switch, Word, Words};
use super::{ANY, Block, Keyword, LONGEST, MOST, Shape, keyword, reasons};

/// A checker's keywords: those of all of them, then its own.
macro_rules! checker {
    ($name:literal, [$($own:expr),* $(,)?]) => {
        Block {
            name: $name,
            takes_names: false,
            keywords: &[
                CONNECT_IP, CONNECT_PORT, BINDTO, BIND_IF, BIND_PORT, FWMARK, CONNECT_TIMEOUT,
                ALPHA, RETRY, DELAY_BEFORE_RETRY, WARMUP, DELAY_LOOP, LOG_ALL,
                $($own),*
            ],
        }
    };
}

const CONNECT_IP: Keyword = keyword("connect_ip", Address);
const CONNECT_PORT: Keyword = keyword("connect_port", Integer(1, 65_535));
const BINDTO: Keyword = keyword("bindto", Address).also(&["bind_to"]);
const BIND_IF: Keyword = keyword("bind_if", Word);
const BIND_PORT: Keyword = keyword("bind_port", Integer(1, 65_535));
const FWMARK: Keyword = keyword("fwmark", Integer(0, u32::MAX as i64));
const CONNECT_TIMEOUT: Keyword = keyword("connect_timeout", Seconds(0.000_001, LONGEST));
const ALPHA: Keyword = keyword("alpha", Switch);
const RETRY: Keyword = keyword("retry", Integer(0, MOST)).also(&["nb_get_retry"]);
const DELAY_BEFORE_RETRY: Keyword = keyword("delay_before_retry", Seconds(0.0, LONGEST));
const WARMUP: Keyword = keyword("warmup", Seconds(0.0, LONGEST));
const DELAY_LOOP: Keyword = keyword("delay_loop", Seconds(0.000_001, LONGEST));
const LOG_ALL: Keyword = keyword("log_all_failures", Switch);
const URL_KEYWORD: Keyword = keyword("url", Shape::Block(&URL, 0, 0));
const HTTP_PROTOCOL: Keyword = keyword("http_protocol", Choice(&["1.0", "1.0C", "1.0c", "1.1"]));
const VIRTUALHOST: Keyword = keyword("virtualhost", Word);
const FAST_RECOVERY: Keyword = keyword("fast_recovery", Switch);

pub(super) static TCP: Block = checker!("TCP_CHECK", []);

pub(super) static HTTP: Block = checker!(
    "HTTP_GET",
    [
        URL_KEYWORD,
        HTTP_PROTOCOL,
        VIRTUALHOST,
        FAST_RECOVERY,
        keyword("enable_sni", Switch).without(reasons::NO_TLS),
        keyword("sni_name", Word).without(reasons::NO_TLS),
    ]
);

pub(super) static SSL_GET: Block = checker!(
    "SSL_GET",
    [
        URL_KEYWORD,
        HTTP_PROTOCOL,
        VIRTUALHOST,
        FAST_RECOVERY,
        keyword("enable_sni", Switch),
        keyword("sni_name", Word),
    ]
);

static URL: Block = Block {
    name: "url",
    takes_names: false,
    keywords: &[
        keyword("path", Word),
        keyword("digest", Word),
        keyword("status_code", Words(1, ANY)),
        VIRTUALHOST,
        keyword("regex", Word),
        keyword("regex_no_match", Flag),
        keyword("regex_options", Words(1, ANY)),
        keyword("regex_stack", Words(2, 2)).without(reasons::REGEX_STACK),
        keyword("regex_min_offset", Integer(0, MOST)),
        keyword("regex_max_offset", Integer(1, MOST)),
        keyword("tls_compliant", Switch).without(reasons::TLS_END),
    ],
};

pub(super) static SMTP: Block = checker!(
    "SMTP_CHECK",
    [
        keyword("helo_name", Word),
        keyword("host", Shape::Block(&HOST, 0, 0)),
    ]
);

static HOST: Block = Block {
    name: "host",
    takes_names: false,
    keywords: &[
        CONNECT_IP,
        CONNECT_PORT,
        BINDTO,
        BIND_IF,
        BIND_PORT,
        FWMARK,
        CONNECT_TIMEOUT.without(reasons::HOST),
        ALPHA.without(reasons::HOST),
        RETRY.without(reasons::HOST),
        DELAY_BEFORE_RETRY.without(reasons::HOST),
        WARMUP.without(reasons::HOST),
        DELAY_LOOP.without(reasons::HOST),
        LOG_ALL.without(reasons::HOST),
    ],
};

pub(super) static DNS: Block = checker!(
    "DNS_CHECK",
    [
        keyword(
            "type",
            Choice(&["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"])
        ),
        keyword("name", Word),
    ]
);

pub(super) static MISC: Block = Block {
    name: "MISC_CHECK",
    takes_names: false,
    keywords: &[
        ALPHA,
        RETRY,
        DELAY_BEFORE_RETRY,
        WARMUP,
        DELAY_LOOP,
        LOG_ALL,
        keyword("misc_path", Command),
        keyword("misc_timeout", Seconds(0.000_001, LONGEST)),
        keyword("misc_dynamic", Switch),
        keyword("user", Words(1, 2)),
    ],
};

pub(super) static UDP: Block = checker!(
    "UDP_CHECK",
    [
        keyword("payload", Words(1, ANY)),
        keyword("require_reply", Words(0, ANY)),
        keyword("min_reply_length", Integer(0, 65_535)),
        keyword("max_reply_length", Integer(0, 65_535)),
    ]
);

pub(super) static PING: Block = checker!("PING_CHECK", []);

pub(super) static FILE: Block = Block {
    name: "FILE_CHECK",
    takes_names: false,
    keywords: &[
        keyword("track_file", Word),
        keyword("weight", Words(1, 2)),
        keyword("dynamic", Flag),
        ALPHA,
    ],
};

pub(super) static BFD: Block = Block {
    name: "BFD_CHECK",
    takes_names: false,
    keywords: &[keyword("name", Word), ALPHA],
};

pub(super) static SSL: Block = Block {
    name: "SSL",
    takes_names: false,
    keywords: &[
        keyword("password", Word),
        keyword("ca", Word),
        keyword("certificate", Word),
        keyword("key", Word),
        // Command is the shape of what may carry more words.
        keyword("ciphers", Command).without(reasons::OLD_KERNEL),
    ],
};
