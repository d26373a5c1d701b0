//! Addresses whose packets are not for this host (`no_accept`, RFC 9568's Accept_Mode): the packet filter
//! drops what its own stack would take. What the data plane forwards never comes so far.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tracing::warn;

use crate::error::Error;

/// nftables' table of its own, which is written as a whole.
const TABLE: &str = "inet xvs_vrrp";

/// The addresses that are refused now.
#[derive(Debug, Default)]
pub(crate) struct Refusal(BTreeSet<IpAddr>);

impl Refusal {
    /// None, whatever an earlier run left behind.
    pub async fn begin() -> Self {
        // Without nftables, or without a table, there is nothing to remove.
        let _nothing = nft(&format!("delete table {TABLE}")).await;
        Self::default()
    }

    /// From now on, each of these addresses is refused or not.
    pub async fn set(&mut self, addresses: impl Iterator<Item = (IpAddr, bool)>) {
        let mut changed = false;
        for (address, refused) in addresses {
            changed |= match refused {
                true => self.0.insert(address),
                false => self.0.remove(&address),
            };
        }
        if changed {
            self.apply().await;
        }
    }

    async fn apply(&self) {
        let outcome = nft(&self.script()).await;
        let why = match outcome {
            Ok(output) if output.status.success() => return,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        warn!("no_accept: packets to virtual addresses are taken: {why} (help: install nftables)");
    }

    /// The whole table, in one transaction. Neighbours are answered all the same.
    fn script(&self) -> String {
        let mut script = format!("add table {TABLE}\ndelete table {TABLE}\n");
        if self.0.is_empty() {
            return script;
        }
        script += &format!(
            "table {TABLE} {{\n  chain input {{\n    type filter hook input priority -1; policy accept;\n    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n"
        );
        for address in &self.0 {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            script += &format!("    {family} daddr {address} drop\n");
        }
        script + "  }\n}\n"
    }
}

async fn nft(script: &str) -> Result<Output, Error> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::system("run nft"))?;
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all(script.as_bytes())
            .await
            .map_err(Error::system("tell nft"))?;
    }
    child
        .wait_with_output()
        .await
        .map_err(Error::system("wait for nft"))
}
