//! `authentication` and `auth_hmac`.

use super::Builder;
use crate::diagnostic::Diagnostic;
use crate::model::{Authentication, HmacKey, Hmacs};
use crate::tree::Statement;
use crate::value::PASSWORD_LENGTH;

impl Builder<'_, '_> {
    /// Version 3 has none, and keepalived then goes on without.
    pub(super) fn authentication(&mut self, version: u8) -> Option<Authentication> {
        let given = self.given.block(&["authentication"]);
        let word = given.word(&["auth_pass"])?;
        if version == 3 {
            self.diagnostics.push(Diagnostic::warning(
                word.span,
                "VRRP version 3 has no authentication by PASS or AH",
                "adverts are sent and taken without",
                "remove it, or protect them with `auth_hmac'",
            ));
            return None;
        }
        if word.text.len() > PASSWORD_LENGTH {
            self.diagnostics.push(Diagnostic::warning(
                word.span,
                "only eight characters of this password count",
                "VRRP's packets have room for eight",
                "shorten it to eight characters, on all routers of this instance",
            ));
        }
        let password = word.text.clone();
        match given.text(&["auth_type"]).as_deref() {
            Some("AH") => Some(Authentication::Ah { password }),
            _ => Some(Authentication::Pass { password }),
        }
    }

    pub(super) fn hmacs(&self) -> Option<Hmacs> {
        self.given.get(&["auth_hmac"])?;
        let given = self.given.block(&["auth_hmac"]);
        let key = |statement: &Statement| {
            let words = &statement.arguments;
            Some(HmacKey {
                number: words.first()?.text.parse().ok()?,
                secret: words.last()?.text.clone(),
            })
        };
        let keys: Vec<HmacKey> = given.all(&["key"]).filter_map(key).collect();
        let first = keys.first().map_or(0, |key| key.number);
        Some(Hmacs {
            keys,
            active_key: given.number(&["active_key"]).unwrap_or(first),
            anti_replay: given.switch(&["anti_replay"]).unwrap_or(false),
            window: given.seconds(&["time_window"]),
            permissive: given.text(&["mode"]).as_deref() == Some("permissive"),
        })
    }
}
