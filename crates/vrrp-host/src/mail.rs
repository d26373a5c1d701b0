//! Mail about changes of state (`smtp_alert`), in keepalived's words.

use std::net::IpAddr;

use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tracing::warn;
use vrrp::State;

use crate::notify::About;
use crate::plan::Mail;

/// Sends a mail beside the loop, if this state is one to tell of. What cannot be sent is logged.
pub(crate) fn send(mail: &Mail, about: About<'_>, state: State) {
    let Some((subject, text)) = words(about, state) else {
        return;
    };
    if state == State::Fault && !mail.faults {
        return;
    }
    let subject = match &mail.router {
        Some(router) => format!("[{router}] {subject}"),
        None => subject,
    };
    let mail = mail.clone();
    tokio::spawn(async move {
        if let Err(error) = deliver(&mail, subject, text).await {
            let (host, port) = (&mail.host, mail.port);
            warn!(%error, "no mail goes to the server {host}, port {port}");
        }
    });
}

/// Subject and text; None: nobody is told of the end.
fn words(about: About<'_>, state: State) -> Option<(String, String)> {
    let entered = match state {
        State::Master => "MASTER",
        State::Backup => "BACKUP",
        State::Fault => "FAULT",
        State::Initialize => return None,
    };
    Some(match about {
        About::Instance(name) => (
            format!("VRRP Instance {name} - Entering {entered} state"),
            match state {
                State::Master => "=> VRRP Instance is now owning VRRP VIPs <=\n\n".to_owned(),
                _ => "=> VRRP Instance is no longer owning VRRP VIPs <=\n\n".to_owned(),
            },
        ),
        About::Group(name) => (
            format!("VRRP Group {name} - Entering {entered} state"),
            format!("=> All VRRP group instances are now in {entered} state <=\n\n"),
        ),
    })
}

async fn deliver(
    mail: &Mail,
    subject: String,
    text: String,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut message = Message::builder()
        .from(mail.from.parse::<Mailbox>()?)
        .subject(subject)
        .date_now();
    for to in &mail.to {
        message = message.to(to.parse::<Mailbox>()?);
    }
    let name = match mail.name.parse() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(mail.name.clone()),
    };
    let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
        .port(mail.port)
        .timeout(Some(mail.timeout))
        .hello_name(name)
        .build();
    server.send(message.body(text)?).await?;
    Ok(())
}
