//! How packets get to a real server: `lvs_method`.

use model::{Forwarding, Tunnel, TunnelChecksum, TunnelKind};

use super::{Method, Servers};
use crate::build::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::tree::Word;

impl Servers<'_> {
    /// `NAT`, `DR`, or `TUN [type {ipip|gue port NUM|gre} [nocsum|csum|remcsum]]`.
    pub(super) fn method(
        &mut self,
        given: Fields<'_>,
        names: &'static [&'static str],
    ) -> Option<Method> {
        let statement = given.get(names)?;
        let first = statement.arguments.first()?;
        let forwarding = match first.text.as_str() {
            "NAT" => Forwarding::Masq,
            "DR" => Forwarding::Route,
            "TUN" => Forwarding::Tunnel,
            "FNAT" | "FULLNAT" => {
                self.diagnostics.push(Diagnostic::error(
                    first.span,
                    "a configuration file cannot choose FULLNAT",
                    "its services need local addresses, for which the file has no keyword",
                    "use NAT, DR or TUN, or make the service by `xvs adm ... --fullnat' and `xvs laddr'",
                ));
                return None;
            }
            _ => {
                self.wrong(
                    first,
                    "is no forwarding method",
                    "choose one of NAT, DR, TUN",
                );
                return None;
            }
        };
        let tunnel = self.tunnel(&statement.arguments[1..])?;
        Some((forwarding, tunnel))
    }

    fn tunnel(&mut self, words: &[Word]) -> Option<Tunnel> {
        let mut tunnel = Tunnel::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match word.text.as_str() {
                "type" => match rest.next().map(|kind| kind.text.parse::<TunnelKind>()) {
                    Some(Ok(kind)) => tunnel.kind = kind,
                    _ => {
                        self.wrong(word, "without a kind of tunnel", "choose ipip, gue or gre");
                        return None;
                    }
                },
                "port" => tunnel.port = rest.next().and_then(|port| port.text.parse().ok())?,
                "nocsum" => tunnel.checksum = TunnelChecksum::None,
                "csum" => tunnel.checksum = TunnelChecksum::Full,
                "remcsum" => tunnel.checksum = TunnelChecksum::Remote,
                _ => self.wrong(
                    word,
                    "belongs to no tunnel",
                    "write `TUN type {ipip | gue port NUMBER | gre} [nocsum | csum | remcsum]'",
                ),
            }
        }
        if tunnel.kind == TunnelKind::Gue
            && tunnel.port == 0
            && let Some(word) = words.first()
        {
            self.wrong(word, "gue has no port", "write `TUN type gue port NUMBER'");
            return None;
        }
        Some(tunnel)
    }
}
