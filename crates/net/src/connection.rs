//! Netlink sockets: one per purpose, each served by a task of its own.

use std::io;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use rtnetlink::{Handle, MulticastGroup};
use tokio::task::JoinHandle;

use crate::Error;

/// How often an interrupted dump is tried anew.
const DUMP_ATTEMPTS: u32 = 10;

/// What is followed.
const GROUPS: [MulticastGroup; 7] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Ifinfo,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The task that serves a socket; it ends with its owner.
#[derive(Debug)]
struct Service(JoinHandle<()>);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A socket on which the kernel reports changes.
pub(crate) struct Subscription {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    _service: Service,
}

/// What a subscription yields.
pub(crate) enum Report {
    /// The kernel said this.
    Message(NetlinkMessage<RouteNetlinkMessage>),
    /// Messages were lost, or the socket broke: nothing after this can be relied on.
    Lost,
}

impl Subscription {
    /// Opens a socket that reports from now on. `receive_buffer` is the bytes that the kernel may
    /// hold for it.
    pub(crate) fn open(receive_buffer: usize) -> Result<Self, Error> {
        let purpose = "changes of the network";
        let fail = |source| Error::Open { purpose, source };
        let (mut connection, _, messages) =
            rtnetlink::new_multicast_connection(&GROUPS).map_err(fail)?;
        let socket = connection.socket_mut().socket_mut();
        // Beyond net.core.rmem_max only the forced form goes, and only with CAP_NET_ADMIN.
        setsockopt(socket, RcvBufForce, &receive_buffer)
            .or_else(|_| setsockopt(socket, RcvBuf, &receive_buffer))
            .map_err(|errno| fail(errno.into()))?;
        Ok(Self {
            messages,
            _service: Service(tokio::spawn(connection)),
        })
    }

    /// The next report.
    pub(crate) async fn next(&mut self) -> Report {
        match self.messages.next().await {
            Some((message, _)) if !matches!(message.payload, NetlinkPayload::Overrun(_)) => {
                Report::Message(message)
            }
            Some(_) | None => Report::Lost,
        }
    }
}

/// A socket for questions and orders.
#[derive(Debug)]
pub(crate) struct Requests {
    handle: Handle,
    purpose: &'static str,
    _service: Service,
}

impl Requests {
    pub(crate) fn open(purpose: &'static str) -> Result<Self, Error> {
        let (mut connection, handle, _) =
            rtnetlink::new_connection().map_err(|source| Error::Open { purpose, source })?;
        // The message that ends a dump may be the only one to say that it was interrupted.
        connection.set_forward_done(true);
        Ok(Self {
            handle,
            purpose,
            _service: Service(tokio::spawn(connection)),
        })
    }

    /// All that the kernel has of a kind, read again until nothing changed meanwhile.
    pub(crate) async fn dump<T>(
        &mut self,
        what: &'static str,
        question: RouteNetlinkMessage,
        decode: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(answers) = self.dump_once(what, question.clone(), &decode).await? {
                return Ok(answers);
            }
        }
        Err(Error::Unsteady {
            what,
            attempts: DUMP_ATTEMPTS,
        })
    }

    /// One attempt. None: something changed meanwhile.
    async fn dump_once<T>(
        &mut self,
        what: &'static str,
        question: RouteNetlinkMessage,
        decode: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let mut request = NetlinkMessage::from(question);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let closed = Error::Closed {
            purpose: self.purpose,
        };
        let Ok(mut responses) = self.handle.request(request) else {
            return Err(closed);
        };
        let (mut answers, mut interrupted) = (Vec::new(), false);
        while let Some(message) = responses.next().await {
            // Set when the dumped changed meanwhile: entries may be missing.
            interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => answers.extend(decode(inner)),
                NetlinkPayload::Done(_) => return Ok((!interrupted).then_some(answers)),
                NetlinkPayload::Error(refusal) => {
                    return Err(Error::Refused {
                        request: format!("list {what}"),
                        source: refusal.to_io(),
                    });
                }
                // The kernel's answers overran the socket's buffer.
                NetlinkPayload::Overrun(_) => return Ok(None),
                _ => {}
            }
        }
        Err(closed)
    }

    /// Gives an order and waits until it is carried out.
    pub(crate) async fn order(
        &mut self,
        order: RouteNetlinkMessage,
        missing: Missing,
    ) -> Result<(), OrderError> {
        let mut request = NetlinkMessage::from(order);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        if missing == Missing::IsMade {
            request.header.flags |= NLM_F_CREATE;
        }
        let closed = || {
            OrderError::Closed(Error::Closed {
                purpose: self.purpose,
            })
        };
        let mut responses = self.handle.request(request).map_err(|_| closed())?;
        while let Some(message) = responses.next().await {
            if let NetlinkPayload::Error(refusal) = message.payload {
                return Err(OrderError::Refused(refusal.to_io()));
            }
        }
        Ok(())
    }
}

/// What becomes of an order about something that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made.
    IsMade,
    /// The order is refused.
    IsRefused,
}

/// Why an order was not carried out.
#[derive(Debug)]
pub(crate) enum OrderError {
    Closed(Error),
    Refused(io::Error),
}
