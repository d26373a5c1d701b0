//! SMTP_CHECK, with postfix as the server.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Peer, fails, own_network, run, start, succeeds};

const MAIN: &str = "
compatibility_level = 3.6
queue_directory = FOLDER/queue
data_directory = FOLDER/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
maillog_file = /dev/stdout
smtpd_peername_lookup = no
# Each is judged when it says who it is, not when it names a recipient.
smtpd_delay_reject = no
smtpd_helo_restrictions = reject_invalid_helo_hostname
";

/// A server that takes everybody, one that refuses everybody, and one whose program is not there.
const SERVICES: &str = "
2525 inet n - n - - smtpd
2526 inet n - n - - smtpd -o smtpd_client_restrictions=reject
2527 inet n - n - - discard
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
";

fn postfix(folder: &Path) -> Peer {
    let at = |name: &str| folder.join(name).display().to_string();
    for name in ["conf", "queue", "data"] {
        std::fs::create_dir(folder.join(name)).expect("the folder is writable");
    }
    // Its servers run as another user.
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
    run("chown", &["postfix", &at("data")]);
    let main = MAIN.replace("FOLDER", &folder.display().to_string());
    for (name, text) in [
        ("conf/main.cf", main.as_str()),
        ("conf/master.cf", SERVICES),
    ] {
        std::fs::write(folder.join(name), text).expect("the folder is writable");
    }
    start("postfix", &["-c", &at("conf"), "start-fg"])
}

#[test]
fn postfix_is_greeted_and_left_and_fails_by_what_it_says() {
    own_network();
    let folder = tempfile::tempdir().expect("a folder");
    let _postfix = postfix(folder.path());
    succeeds(2525, "SMTP_CHECK {\n}");
    succeeds(2525, "SMTP_CHECK {\nhelo_name me.example.com\n}");
    succeeds(
        9,
        "SMTP_CHECK {\nhost {\nconnect_port 2525\n}\nhost {\nconnect_ip 127.0.0.1\nconnect_port 2525\n}\n}",
    );
    let impolite = "SMTP_CHECK {\nhelo_name -bad-_\n}";
    fails(2525, impolite, "Helo command rejected");
    fails(2526, "SMTP_CHECK {\n}", "instead of 220");
    // It takes what is said, and says nothing.
    let silent = "SMTP_CHECK {\nconnect_timeout 1\n}";
    fails(2527, silent, "no answer within 1 s");
    fails(
        2528,
        "SMTP_CHECK {\n}",
        "127.0.0.1:2528: Connection refused",
    );
    // One host of several that fails is a failure.
    let two = "SMTP_CHECK {\nhost {\nconnect_port 2525\n}\nhost {\nconnect_port 2526\n}\n}";
    fails(9, two, "127.0.0.1:2526");
}
