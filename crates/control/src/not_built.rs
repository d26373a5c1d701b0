//! What is accepted, listed and saved, but not carried out yet: told in the daemon's log.

use abi::{COMPARED_AT_ONCE, MAX_COMPARED};
use model::{Destination, Forwarding, Protocol, Scheduler, Service, ServiceKey};

use crate::wanted::{Effect, Wanted};

/// What a change asks for that the data plane does not do yet, as sentences.
pub fn warnings(effect: &Effect, wanted: &Wanted) -> Vec<String> {
    match effect {
        Effect::ServiceAdded(service) | Effect::ServiceEdited { after: service, .. } => {
            of_service(service)
                .into_iter()
                .map(|what| format!("{}: {what}", service.key))
                .collect()
        }
        Effect::DestinationAdded {
            service,
            destination,
        }
        | Effect::DestinationEdited {
            service,
            after: destination,
            ..
        } => {
            let compared = wanted
                .service(service)
                .and_then(|wanted| of_list(wanted.service(), wanted.destinations().len()));
            of_destination(destination)
                .map(str::to_owned)
                .or(compared)
                .map(|what| format!("{service}, {}: {what}", destination.key))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn of_service(service: &Service) -> Option<&'static str> {
    let is_sctp = matches!(
        service.key,
        ServiceKey::Address {
            protocol: Protocol::Sctp,
            ..
        }
    );
    is_sctp.then_some("SCTP is not built yet; its packets are left to the kernel")
}

fn of_destination(destination: &Destination) -> Option<&'static str> {
    (destination.forwarding == Forwarding::Local).then_some(
        "delivery to the director is for destinations at its own addresses, whatever their \
         forwarding method; connections to another one are dropped",
    )
}

fn of_list(service: &Service, destinations: usize) -> Option<String> {
    let compared = match service.scheduler {
        Scheduler::Lc
        | Scheduler::Wlc
        | Scheduler::Sed
        | Scheduler::Nq
        | Scheduler::Fo
        | Scheduler::Ovf => MAX_COMPARED,
        Scheduler::Lblc | Scheduler::Lblcr => COMPARED_AT_ONCE,
        _ => return None,
    };
    (destinations > compared as usize)
        .then(|| format!("of its service only the {compared} newest destinations are compared"))
}
