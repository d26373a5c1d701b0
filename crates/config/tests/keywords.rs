//! Every keyword: known where keepalived knows it, and with an effect, or a reason why it has none.
//!
//! `golden/keywords.txt` has what keepalived 2.2.7 takes in each block: of all words in its program and
//! its manual those that `keepalived -t` does not call unknown there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::schema::{Block, FILE, Keyword, Shape};
use config::{Environment, Files, Reading};

const KNOWN: &str = include_str!("golden/keywords.txt");

/// What others in the file refer to.
const NAMED: &str = "vrrp_script s {\nscript /bin/true\n}\ntrack_file f {\nfile /f\n}\ntrack_file g {\nfile /g\n}\n\
    vrrp_track_process p {\nprocess x\n}\nbfd_instance d {\nneighbor_ip 192.0.2.9\n}\n\
    bfd_instance e {\nneighbor_ip 192.0.2.8\n}\nvrrp_instance i {\ninterface eth0\nvirtual_router_id 6\n}\n\
    vrrp_instance j {\ninterface eth0\nvirtual_router_id 7\n}\n";
const REAL_SERVER: &str =
    "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_kind DR\nreal_server 192.0.2.2 80 {\n";

/// What stands before a keyword of each block, with what makes it count.
fn before(block: &str) -> String {
    match block {
        "file" => String::new(),
        "vrrp_script" => "vrrp_script a {\nscript /bin/a\n".to_owned(),
        "vrrp_instance" => "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\n".to_owned(),
        "authentication" => "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\nauthentication {\n".to_owned(),
        "auth_hmac" => {
            "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\nversion 3\nauth_hmac {\nkey 1 secret\n".to_owned()
        }
        "vrrp_sync_group" | "track_group" => format!("{block} a {{\n"),
        "track_file" => "track_file a {\nfile /a\n".to_owned(),
        "vrrp_track_process" => "vrrp_track_process a {\nprocess a\n".to_owned(),
        "bfd_instance" => "bfd_instance a {\nneighbor_ip 192.0.2.7\n".to_owned(),
        "virtual_server" => {
            "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_kind DR\nreal_server 192.0.2.2 80 {\n\
             TCP_CHECK {\n}\n}\n"
                .to_owned()
        }
        "real_server" => format!("{REAL_SERVER}TCP_CHECK {{\n}}\n"),
        "url" => format!("{REAL_SERVER}HTTP_GET {{\nurl {{\npath /\nregex a\n"),
        "host" => format!("{REAL_SERVER}SMTP_CHECK {{\nhost {{\n"),
        "HTTP_GET" | "SSL_GET" => format!("{REAL_SERVER}{block} {{\n"),
        name if name.ends_with("_CHECK") => format!("{REAL_SERVER}{block} {{\n"),
        name => format!("{name} {{\n"),
    }
}

/// The line to write where a keyword's shape does not tell it, and the lines beside which it counts.
fn special(block: &str, keyword: &str) -> (&'static str, &'static str) {
    let mail = "notification_email {\na@example.org\n}";
    let group = "group {\ni\nj\n}";
    let url = "url {\npath /\nvirtualhost name\n}";
    match (block, keyword) {
        ("BFD_CHECK", "name") => ("", "name d"),
        ("BFD_CHECK", _) => ("name d", ""),
        ("FILE_CHECK", "track_file") => ("", "track_file f"),
        ("FILE_CHECK", _) => ("track_file f", ""),
        ("MISC_CHECK", "misc_path") => ("", "misc_path /bin/true"),
        ("MISC_CHECK", _) => ("misc_path /bin/true", ""),
        ("HTTP_GET" | "SSL_GET", "virtualhost") => ("url {\npath /\n}", ""),
        ("SSL_GET", "enable_sni") => (url, "enable_sni"),
        ("HTTP_GET" | "SSL_GET", _) => (url, ""),
        ("UDP_CHECK", "min_reply_length" | "max_reply_length") => ("require_reply", ""),
        ("auth_hmac", "mode") => ("", "mode permissive"),
        ("garp_group", "interfaces") => ("garp_interval 7", "interfaces {\neth0\n}"),
        ("garp_group", "interface") => ("garp_interval 7", "interface eth0"),
        ("garp_group", _) => ("interface eth0", ""),
        ("auth_hmac", "key") => ("", "key 2 secret"),
        ("authentication", "auth_type") => ("auth_pass a", "auth_type AH"),
        ("bfd_instance", "hoplimit") => ("neighbor_ip 2001:db8::9", ""),
        ("global_defs", "notification_email") => ("", mail),
        ("global_defs", "notification_email_from" | "smtp_server" | "smtp_helo_name") => (mail, ""),
        ("global_defs", "smtp_connect_timeout" | "no_email_faults") => (mail, ""),
        ("global_defs", "lvs_timeouts") => ("", "lvs_timeouts tcp 7"),
        ("global_defs", "lvs_notify_fifo_script") => ("lvs_notify_fifo /a", ""),
        ("global_defs", "vrrp_notify_fifo_script") => ("vrrp_notify_fifo /a", ""),
        ("global_defs", "notify_fifo_script") => ("notify_fifo /a", ""),
        ("file", "virtual_server_group") => ("", "virtual_server_group a {\n192.0.2.1 80\n}"),
        ("real_server", "lvs_method" | "lb_kind") => ("", "lvs_method NAT"),
        ("virtual_server", "lvs_method" | "lb_kind") => ("", "lvs_method NAT"),
        ("virtual_server", "sorry_server_inhibit") => ("sorry_server 192.0.2.3 80", ""),
        ("virtual_server", "sorry_server_lvs_method") => {
            ("sorry_server 192.0.2.3 80", "sorry_server_lvs_method NAT")
        }
        ("virtual_server", "persistence_granularity") => (
            "persistence_timeout 7",
            "persistence_granularity 255.255.0.0",
        ),
        ("virtual_server", "ip_family") => {
            let by_mark =
                "}\nvirtual_server fwmark 9 {\nlb_kind TUN\nreal_server 192.0.2.3 80 {\n}";
            (by_mark, "ip_family inet6")
        }
        ("virtual_server", "virtualhost") => (
            "real_server 192.0.2.3 80 {\nHTTP_GET {\nurl {\npath /\n}\n}\n}",
            "",
        ),
        ("real_server", "virtualhost") => ("HTTP_GET {\nurl {\npath /\n}\n}", ""),
        ("virtual_server", "hysteresis") => ("quorum 9", "hysteresis 2"),
        ("url", "digest") => ("", "digest 5eb63bbbe01eeed093cb22bb8f5acdc3"),
        ("url", "status_code") => ("", "status_code 201"),
        ("url", "regex_options") => ("", "regex_options caseless"),
        ("vrrp_instance", "virtual_ipaddress" | "virtual_ipaddress_excluded") => {
            ("", "virtual_ipaddress {\n192.0.2.3\n}")
        }
        ("vrrp_instance", "virtual_routes") => ("", "virtual_routes {\n192.0.2.0/24 dev eth0\n}"),
        ("vrrp_instance", "virtual_rules") => ("", "virtual_rules {\nfrom 192.0.2.0/24 table 7\n}"),
        ("vrrp_instance", "unicast_peer") => ("", "unicast_peer {\n192.0.2.3\n}"),
        ("vrrp_instance", "accept") => ("version 3\nstrict_mode on", "accept"),
        ("vrrp_instance", "vmac_xmit_base") => ("use_vmac", ""),
        ("vrrp_sync_group", "group") => ("", group),
        ("vrrp_instance", name) => ("", tracking(name)),
        ("vrrp_sync_group", name) => (group, tracking(name)),
        _ => ("", ""),
    }
}

fn tracking(name: &str) -> &'static str {
    match name {
        "track_interface" => "track_interface {\neth1\n}",
        "track_script" => "track_script {\ns\n}",
        "track_file" => "track_file {\nf\n}",
        "track_process" => "track_process {\np\n}",
        "track_bfd" => "track_bfd {\nd\n}",
        _ => "",
    }
}

/// Keywords that ask for what is so anyway.
const AS_IT_IS: [(&str, &str); 2] = [
    ("vrrp_instance", "preempt"),
    // Interfaces may come and go.
    ("global_defs", "dynamic_interfaces"),
];

/// Keywords that have their effect while the file is read.
const AT_READING: [(&str, &str); 2] = [
    ("global_defs", "random_seed"),
    ("global_defs", "include_check"),
];

/// Lines that may change the configuration.
fn candidates(name: &str, shape: Shape) -> Vec<String> {
    let values: Vec<String> = match shape {
        Shape::Flag => vec![String::new()],
        Shape::Switch => ["on", "off"].map(str::to_owned).into(),
        Shape::Integer(least, most) | Shape::OptionalInteger(least, most) => {
            [least, least + 1, most]
                .map(|value| value.to_string())
                .into()
        }
        Shape::Seconds(..) => ["7", "0.5"].map(str::to_owned).into(),
        Shape::Milliseconds(..) => vec!["2000".to_owned()],
        Shape::Address => ["192.0.2.77", "2001:db8::77", "224.0.0.77"]
            .map(str::to_owned)
            .into(),
        Shape::Choice(choices) => choices.iter().map(|&choice| choice.to_owned()).collect(),
        Shape::Word | Shape::Words(..) => ["word", "7", "192.0.2.77 81"].map(str::to_owned).into(),
        Shape::Command => vec!["/bin/true".to_owned()],
        Shape::Block(..) | Shape::Lines(..) => ["{\n}", "a {\n}"].map(str::to_owned).into(),
    };
    values
        .iter()
        .map(|value| format!("{name} {value}"))
        .collect()
}

struct One(String);

impl Files for One {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn matching(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// A file with these lines in a block.
fn read(block: &str, lines: &str) -> Reading {
    let before = before(block);
    let closing = "}\n".repeat(before.matches('{').count() - before.matches('}').count());
    let text = format!("{NAMED}{before}{lines}\n{closing}");
    let environment = Environment {
        config_id: "a".to_owned(),
        random_seed: 1,
    };
    config::read(Path::new("/x"), &One(text), &environment).expect("text can be read")
}

/// Every block, by its name.
fn blocks() -> BTreeMap<&'static str, &'static Block> {
    fn collect(block: &'static Block, into: &mut BTreeMap<&'static str, &'static Block>) {
        let name = if block.name.is_empty() {
            "file"
        } else {
            block.name
        };
        if into.insert(name, block).is_none() {
            for keyword in block.keywords {
                if let Shape::Block(inner, _, _) = keyword.shape {
                    collect(inner, into);
                }
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(&FILE, &mut all);
    all
}

/// Whether a block has no effect as a whole.
fn is_without_effect(block: &str) -> bool {
    let keyword = FILE.keyword(block);
    keyword.is_some_and(|keyword| keyword.without_effect.is_some())
}

fn names(keyword: &Keyword) -> impl Iterator<Item = &'static str> {
    std::iter::once(keyword.name).chain(keyword.aliases.iter().copied())
}

#[test]
fn every_keyword_of_keepalived_is_known_where_keepalived_knows_it() {
    let blocks = blocks();
    let mut missing = Vec::new();
    let mut block = "";
    for word in KNOWN.split_whitespace() {
        match word.strip_suffix(':') {
            Some(name) => block = name,
            None if blocks[block].keyword(word).is_none() => {
                missing.push(format!("{block}: {word}"))
            }
            None => {}
        }
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_keyword_has_an_effect_or_a_reason_why_it_has_none() {
    let mut silent = Vec::new();
    let blocks = blocks().into_iter();
    for (block_name, block) in blocks.filter(|(name, _)| !is_without_effect(name)) {
        for keyword in block.keywords {
            for name in names(keyword) {
                let exempt = AS_IT_IS.iter().chain(&AT_READING);
                if exempt.into_iter().any(|place| *place == (block_name, name)) {
                    continue;
                }
                let (beside, own) = special(block_name, name);
                let lines = match own {
                    "" => candidates(name, keyword.shape),
                    own => vec![own.to_owned()],
                };
                // What is in it is asked for itself.
                let holds_keywords =
                    matches!(keyword.shape, Shape::Block(..)) && keyword.without_effect.is_none();
                let base = read(block_name, beside).config;
                let is_told = |line: &String| {
                    let reading = read(block_name, &format!("{beside}\n{line}"));
                    let said = format!("`{}'", keyword.name);
                    match keyword.without_effect {
                        Some(reason) => reading.diagnostics.iter().any(|diagnostic| {
                            diagnostic.message.contains(&said) && diagnostic.label == reason.why
                        }),
                        None => !reading.has_errors() && reading.config != base,
                    }
                };
                if !holds_keywords && !lines.iter().any(is_told) {
                    silent.push(format!("{block_name}: {name}"));
                }
            }
        }
    }
    assert_eq!(silent, [""; 0]);
}
