//! What the kernel says of routes and rules that are no longer there.

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use netlink_packet_core::{NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use rtnetlink::MulticastGroup;
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::plan::Plan;

const GROUPS: [MulticastGroup; 4] = [
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// Something that may be a loss.
#[derive(Debug)]
pub(crate) enum Loss {
    /// This route was removed.
    Route(RouteMessage),
    /// This route took the place of another one.
    Replaced(RouteMessage),
    /// This rule was removed.
    Rule(RuleMessage),
    /// Messages were lost: it may be anything.
    Unknown,
}

/// Losses that somebody else caused.
#[derive(Debug, Default)]
pub(crate) struct Losses(Option<Following>);

#[derive(Debug)]
struct Following {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    service: JoinHandle<()>,
    /// The netlink port that our own changes come from.
    own: u32,
}

impl Losses {
    /// Follows what a plan's masters may lose, but for changes that the netlink port `own` asked for.
    pub fn follow(plan: &Plan, own: u32) -> Result<Self, Error> {
        let instances = &plan.instances;
        if instances
            .iter()
            .all(|instance| instance.routes.is_empty() && instance.rules.is_empty())
        {
            return Ok(Self::default());
        }
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&GROUPS)
            .map_err(Error::system("follow routes and rules"))?;
        let service = tokio::spawn(connection);
        Ok(Self(Some(Following {
            messages,
            service,
            own,
        })))
    }

    /// The next loss.
    pub async fn next(&mut self) -> Loss {
        let Some(following) = &mut self.0 else {
            return std::future::pending().await;
        };
        while let Some((message, _)) = following.messages.next().await {
            if let Some(loss) = loss(message, following.own) {
                return loss;
            }
        }
        self.0 = None;
        Loss::Unknown
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.service.abort();
    }
}

fn loss(message: NetlinkMessage<RouteNetlinkMessage>, own: u32) -> Option<Loss> {
    let header = message.header;
    let inner = match message.payload {
        NetlinkPayload::InnerMessage(_) if header.port_number == own => return None,
        NetlinkPayload::InnerMessage(inner) => inner,
        NetlinkPayload::Overrun(_) => return Some(Loss::Unknown),
        _ => return None,
    };
    match inner {
        RouteNetlinkMessage::DelRoute(route) => Some(Loss::Route(route)),
        RouteNetlinkMessage::NewRoute(route) if header.flags & NLM_F_REPLACE != 0 => {
            Some(Loss::Replaced(route))
        }
        RouteNetlinkMessage::DelRule(rule) => Some(Loss::Rule(rule)),
        _ => None,
    }
}

/// A netlink connection for orders, and the port that they come from.
pub(crate) fn orders() -> Result<(rtnetlink::Handle, u32), Error> {
    let failed = || Error::system("open a netlink socket");
    let (mut connection, handle, _) = rtnetlink::new_connection().map_err(failed())?;
    let socket = connection.socket_mut().socket_mut();
    let own = socket.bind_auto().map_err(failed())?;
    tokio::spawn(connection);
    Ok((handle, own.port_number()))
}
