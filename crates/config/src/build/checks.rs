//! Checkers.

use std::time::Duration;

use model::{Destination, DestinationKey, Forwarding, Protocol, ServiceKey};

use super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{
    BfdInstance, Check, CheckKind, Connect, DigestMd5, Globals, HexPattern, HttpCheck, HttpVersion,
    RegexSettings, StatusRange, Timing, Tls, TrackFile, Url, Via,
};
use crate::tree::{Statement, Word};
use crate::value;

/// Between two checks where nothing is said (keepalived.conf(5)).
const DELAY_LOOP: Duration = Duration::from_secs(60);
/// How long an answer may take where nothing is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What checkers have where they say nothing: the real server's values, else the virtual server's.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub weight: Option<i32>,
    pub inhibit: bool,
    pub via_vip: bool,
    alpha: bool,
    log_all: bool,
    virtual_host: Option<String>,
    delay_loop: Option<Duration>,
    timeout: Option<Duration>,
    retry: Option<u32>,
    delay_before_retry: Option<Duration>,
    warmup: Option<Duration>,
}

impl Defaults {
    pub(super) fn of_virtual_server(given: Fields<'_>, globals: &Globals) -> Self {
        let none = Self {
            weight: None,
            inhibit: false,
            via_vip: false,
            alpha: false,
            log_all: globals.log_all_failures,
            virtual_host: None,
            delay_loop: None,
            timeout: None,
            retry: None,
            delay_before_retry: None,
            warmup: None,
        };
        Self {
            weight: given.number(&["weight"]),
            ..none.of_real_server(given)
        }
    }

    /// These, with what a block says.
    pub(super) fn of_real_server(&self, given: Fields<'_>) -> Self {
        let switch = |names, other| given.switch(names).unwrap_or(other);
        Self {
            weight: self.weight,
            inhibit: switch(&["inhibit_on_failure"], self.inhibit),
            via_vip: switch(&["check_via_vip"], self.via_vip),
            alpha: switch(&["alpha"], self.alpha),
            log_all: switch(&["log_all_failures"], self.log_all),
            virtual_host: given
                .text(&["virtualhost"])
                .or_else(|| self.virtual_host.clone()),
            delay_loop: given.seconds(&["delay_loop"]).or(self.delay_loop),
            timeout: given.seconds(&["connect_timeout"]).or(self.timeout),
            retry: given.number(&["retry", "nb_get_retry"]).or(self.retry),
            delay_before_retry: given
                .seconds(&["delay_before_retry"])
                .or(self.delay_before_retry),
            warmup: given.seconds(&["warmup"]).or(self.warmup),
        }
    }

    /// Retries and the pause before one depend on the checker.
    fn timing(&self, keyword: &str) -> Timing {
        let delay_loop = self.delay_loop.unwrap_or(DELAY_LOOP);
        let (retry, pause) = match keyword {
            "DNS_CHECK" => (3, delay_loop),
            "MISC_CHECK" => (0, Duration::from_secs(1)),
            "HTTP_GET" | "SSL_GET" => (1, Duration::from_secs(3)),
            _ => (1, Duration::from_secs(1)),
        };
        Timing {
            delay_loop,
            timeout: self.timeout.unwrap_or(CONNECT_TIMEOUT),
            retry: self.retry.unwrap_or(retry),
            delay_before_retry: self.delay_before_retry.unwrap_or(pause),
            warmup: self.warmup.unwrap_or(delay_loop),
        }
    }
}

/// `check_via_vip`: a check for each of the services' addresses.
pub(super) fn via_vip(defaults: &Defaults, to: &Destination, keys: &[ServiceKey]) -> Vec<Check> {
    let tunnel = match to.forwarding {
        Forwarding::Route => None,
        Forwarding::Tunnel => Some(to.tunnel),
        // Their checks go the same way as clients' packets.
        Forwarding::Masq | Forwarding::Local | Forwarding::FullNat => return Vec::new(),
    };
    let via = keys.iter().filter_map(|key| match *key {
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => Some(Via {
            address,
            port: (protocol == Protocol::Tcp && port != 0).then_some(port),
            real_server: to.key.address,
            tunnel,
        }),
        // No address is known.
        ServiceKey::Mark { .. } => None,
    });
    via.map(|via| Check {
        kind: CheckKind::Via(via),
        timing: defaults.timing("check_via_vip"),
        alpha: defaults.alpha,
        log_all_failures: defaults.log_all,
    })
    .collect()
}

/// The checkers of one real server.
pub(super) struct Checks<'a> {
    pub defaults: &'a Defaults,
    pub key: DestinationKey,
    pub track_files: &'a [TrackFile],
    pub bfd_instances: &'a [BfdInstance],
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

impl Checks<'_> {
    pub(super) fn build(mut self, server: Fields<'_>) -> Vec<Check> {
        server
            .0
            .iter()
            .filter_map(|statement| self.check(statement))
            .collect()
    }

    fn check(&mut self, statement: &Statement) -> Option<Check> {
        let given = Fields(statement.inner());
        let keyword = statement.keyword.text.as_str();
        let defaults = self.defaults.of_real_server(given);
        let mut timing = defaults.timing(keyword);
        let kind = match keyword {
            "TCP_CHECK" => CheckKind::Tcp(self.connect(given, None)),
            "PING_CHECK" => CheckKind::Ping(self.connect(given, Some(0))),
            "HTTP_GET" | "SSL_GET" => self.http(statement, given, &defaults)?,
            "SMTP_CHECK" => self.smtp(given),
            "DNS_CHECK" => CheckKind::Dns {
                connect: self.connect(given, None),
                record: given.text(&["type"]).unwrap_or_else(|| "SOA".to_owned()),
                name: given.text(&["name"]).unwrap_or_else(|| ".".to_owned()),
            },
            "MISC_CHECK" => {
                timing.timeout = given
                    .seconds(&["misc_timeout"])
                    .unwrap_or(timing.delay_loop);
                self.misc(statement, given)?
            }
            "UDP_CHECK" => self.udp(given)?,
            "FILE_CHECK" => self.file(statement, given)?,
            "BFD_CHECK" => {
                // What a session tells counts at once.
                timing = Timing::default();
                self.bfd(statement, given)?
            }
            // Other keywords.
            _ => return None,
        };
        Some(Check {
            kind,
            timing,
            alpha: defaults.alpha,
            // Of a session every change is logged.
            log_all_failures: defaults.log_all && keyword != "BFD_CHECK",
        })
    }

    fn connect(&self, given: Fields<'_>, port: Option<u16>) -> Connect {
        Connect {
            address: given.address(&["connect_ip"]).unwrap_or(self.key.address),
            port: given
                .number(&["connect_port"])
                .or(port)
                .unwrap_or(self.key.port),
            bind_address: given.address(&["bindto", "bind_to"]),
            bind_port: given.number(&["bind_port"]),
            bind_interface: given.text(&["bind_if"]),
            mark: given.number(&["fwmark"]).unwrap_or(0),
        }
    }

    fn missing(&mut self, statement: &Statement, what: &str, help: &str) {
        let keyword = &statement.keyword.text;
        self.diagnostics.push(Diagnostic::error(
            statement.keyword.span,
            format!("{keyword} without {what}"),
            "it does not say what to check",
            help,
        ));
    }

    fn http(
        &mut self,
        statement: &Statement,
        given: Fields<'_>,
        defaults: &Defaults,
    ) -> Option<CheckKind> {
        let mut urls = Vec::new();
        for url in given.all(&["url"]) {
            urls.push(self.url(Fields(url.inner()), defaults));
        }
        if urls.is_empty() {
            self.missing(statement, "a url", "add `url { path / }'");
            return None;
        }
        let with_name = given.switch(&["enable_sni"]).unwrap_or(false);
        let server_name = given
            .text(&["sni_name"])
            .or_else(|| urls[0].virtual_host.clone().filter(|_| with_name));
        Some(CheckKind::Http(Box::new(HttpCheck {
            connect: self.connect(given, None),
            tls: (statement.keyword.text == "SSL_GET").then_some(Tls { server_name }),
            version: match given.text(&["http_protocol"]).as_deref() {
                Some("1.1") => HttpVersion::V11,
                Some("1.0C" | "1.0c") => HttpVersion::V10Close,
                _ => HttpVersion::V10,
            },
            fast_recovery: given.switch(&["fast_recovery"]).unwrap_or(false),
            urls,
        })))
    }

    fn url(&mut self, given: Fields<'_>, defaults: &Defaults) -> Url {
        let ranges = given
            .get(&["status_code"])
            .map_or(&[][..], |statement| statement.arguments.as_slice());
        let mut status: Vec<StatusRange> =
            ranges.iter().filter_map(|word| self.status(word)).collect();
        let digest = given.word(&["digest"]).and_then(|word| self.digest(word));
        if status.is_empty() {
            status.push(StatusRange {
                first: 200,
                last: 299,
            });
        }
        Url {
            path: given.text(&["path"]).unwrap_or_else(|| "/".to_owned()),
            virtual_host: given
                .text(&["virtualhost"])
                .or_else(|| defaults.virtual_host.clone()),
            status,
            digest,
            regex: self.regex(given),
        }
    }

    fn status(&mut self, word: &Word) -> Option<StatusRange> {
        let (first, last) = word
            .text
            .split_once('-')
            .unwrap_or((&word.text, &word.text));
        let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => Some(StatusRange { first, last }),
            _ => {
                self.diagnostics.push(Diagnostic::error(
                    word.span,
                    format!("`{}' is no status code", word.text),
                    "status codes have three digits",
                    "write `status_code 200', or ranges as in `status_code 200-299 401'",
                ));
                None
            }
        }
    }

    fn digest(&mut self, word: &Word) -> Option<DigestMd5> {
        let words = [word.text.as_str()];
        let bytes = value::hexadecimal(&words, false).unwrap_or_default();
        let bytes: Vec<u8> = bytes.into_iter().map(|(byte, _)| byte).collect();
        match bytes.try_into() {
            Ok(bytes) => Some(DigestMd5(bytes)),
            Err(_) => {
                self.diagnostics.push(Diagnostic::error(
                    word.span,
                    format!("`{}' is no digest", word.text),
                    "an MD5 digest has 32 hexadecimal digits",
                    "take the one that `genhash -s SERVER -p PORT -u PATH' prints",
                ));
                None
            }
        }
    }

    /// Options that the expression itself can say are put in front of it.
    fn regex(&mut self, given: Fields<'_>) -> Option<RegexSettings> {
        let pattern = given.text(&["regex"])?;
        let mut switches = String::new();
        if let Some(statement) = given.get(&["regex_options"]) {
            for word in &statement.arguments {
                match word.text.as_str() {
                    "caseless" => switches.push('i'),
                    "dotall" => switches.push('s'),
                    "multiline" => switches.push('m'),
                    "extended" => switches.push('x'),
                    "ungreedy" => switches.push('U'),
                    "utf" | "ucp" | "no_auto_possess" | "no_start_optimize" | "no_auto_capture"
                    | "no_dotstar_anchor" => {}
                    other => self.diagnostics.push(Diagnostic::warning(
                        word.span,
                        format!("regex_options: `{other}' has no effect"),
                        "it belongs to PCRE alone",
                        "remove it; caseless, dotall, multiline, extended and ungreedy are known",
                    )),
                }
            }
        }
        Some(RegexSettings {
            pattern: if switches.is_empty() {
                pattern
            } else {
                format!("(?{switches}){pattern}")
            },
            negated: given.has(&["regex_no_match"]),
            min_offset: given.number(&["regex_min_offset"]).unwrap_or(0),
            max_offset: given.number(&["regex_max_offset"]),
        })
    }

    fn smtp(&self, given: Fields<'_>) -> CheckKind {
        let hosts: Vec<Connect> = given
            .all(&["host"])
            .map(|host| self.connect(Fields(host.inner()), None))
            .collect();
        CheckKind::Smtp {
            hosts: if hosts.is_empty() {
                vec![self.connect(given, None)]
            } else {
                hosts
            },
            helo: given.text(&["helo_name"]),
        }
    }

    fn misc(&mut self, statement: &Statement, given: Fields<'_>) -> Option<CheckKind> {
        let Some(script) = given.script(&["misc_path"]) else {
            self.missing(
                statement,
                "misc_path",
                "add `misc_path \"/path/to/script argument\"'",
            );
            return None;
        };
        Some(CheckKind::Misc {
            script,
            dynamic: given.switch(&["misc_dynamic"]).unwrap_or(false),
        })
    }

    fn udp(&mut self, given: Fields<'_>) -> Option<CheckKind> {
        let payload = match given.get(&["payload"]) {
            None => None,
            Some(statement) => Some(
                self.bytes(statement, false)?
                    .into_iter()
                    .map(|(byte, _)| byte)
                    .collect(),
            ),
        };
        let reply = match given.get(&["require_reply"]) {
            None => None,
            Some(statement) => Some(HexPattern {
                bytes: self.bytes(statement, true)?,
                min_length: given.number(&["min_reply_length"]).unwrap_or(0),
                max_length: given.number(&["max_reply_length"]).unwrap_or(255),
            }),
        };
        Some(CheckKind::Udp {
            connect: self.connect(given, None),
            payload,
            reply,
        })
    }

    fn bytes(&mut self, statement: &Statement, wildcards: bool) -> Option<Vec<(u8, u8)>> {
        let words: Vec<&str> = statement
            .arguments
            .iter()
            .flat_map(|word| word.text.split_whitespace())
            .collect();
        let bytes = value::hexadecimal(&words, wildcards);
        if bytes.is_none() {
            self.diagnostics.push(Diagnostic::error(
                statement.span(),
                format!("`{}' is not hexadecimal", statement.keyword.text),
                "only the digits 0 to 9 and a to f make bytes",
                "write bytes as in `01 ab ff'; require_reply knows x for any digit",
            ));
        }
        bytes
    }

    fn bfd(&mut self, statement: &Statement, given: Fields<'_>) -> Option<CheckKind> {
        let name = given.text(&["name"]).unwrap_or_default();
        let mut instances = self.bfd_instances.iter();
        if !instances.any(|instance| instance.for_checks && instance.name == name) {
            self.missing(
                statement,
                "a bfd_instance that is there",
                "add `name NAME' here, and `bfd_instance NAME { neighbor_ip ADDRESS }' at the top",
            );
            return None;
        }
        Some(CheckKind::Bfd { name })
    }

    fn file(&mut self, statement: &Statement, given: Fields<'_>) -> Option<CheckKind> {
        let name = given.word(&["track_file"]);
        let file =
            name.and_then(|name| self.track_files.iter().find(|file| file.name == name.text));
        let Some(file) = file else {
            self.missing(
                statement,
                "a track_file that is there",
                "add `track_file NAME' here, and `track_file NAME { file \"/path\" }' at the top",
            );
            return None;
        };
        let weight = given.weight(&["weight"]).unwrap_or(file.weight);
        Some(CheckKind::File {
            name: file.name.clone(),
            path: file.path.clone(),
            weight: if weight.reverse {
                weight.weight.saturating_neg()
            } else {
                weight.weight
            },
            dynamic: given.has(&["dynamic"]),
        })
    }
}
