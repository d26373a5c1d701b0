//! From services as they should be to the commands that make them so.

use std::collections::HashSet;

use model::{Command, Destination, DestinationKey, Service, ServiceKey};

use crate::wanted::{Wanted, WantedService};

/// The commands that give `wanted` these services with these destinations, and remove those that
/// are `gone`. What is as it should be is not touched; destinations are added in their order.
pub fn difference(
    wanted: &Wanted,
    services: &[(Service, Vec<Destination>)],
    gone: impl IntoIterator<Item = ServiceKey>,
) -> Vec<Command> {
    let kept: HashSet<ServiceKey> = services.iter().map(|(service, _)| service.key).collect();
    let mut commands: Vec<Command> = gone
        .into_iter()
        .filter(|key| !kept.contains(key) && wanted.service(key).is_some())
        .map(Command::DeleteService)
        .collect();
    for (service, destinations) in services {
        let there = wanted.service(&service.key);
        match there.map(WantedService::service) {
            None => commands.push(Command::AddService((*service).into())),
            Some(settings) if settings != service => {
                commands.push(Command::EditService((*service).into()));
            }
            Some(_) => {}
        }
        commands.extend(destination_commands(service.key, there, destinations));
    }
    commands
}

fn destination_commands(
    service: ServiceKey,
    there: Option<&WantedService>,
    destinations: &[Destination],
) -> Vec<Command> {
    let kept: HashSet<DestinationKey> = destinations.iter().map(|d| d.key).collect();
    let present = there.into_iter().flat_map(WantedService::destinations);
    let removed = present
        .filter(|destination| !kept.contains(&destination.key))
        .map(|destination| Command::DeleteDestination {
            service,
            destination: destination.key,
        });
    let changed = destinations.iter().filter_map(|&destination| {
        match there.and_then(|there| there.destination(&destination.key)) {
            None => Some(Command::AddDestination {
                service,
                destination,
            }),
            Some(present) if *present != destination => Some(Command::EditDestination {
                service,
                destination,
            }),
            Some(_) => None,
        }
    });
    removed.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use model::{Forwarding, ServiceRequest};

    use super::*;

    fn service(key: &str, scheduler: &str, weights: &[(&str, i32)]) -> (Service, Vec<Destination>) {
        let request = ServiceRequest::new(key.parse().unwrap(), scheduler);
        let destinations = weights.iter().map(|(key, weight)| Destination {
            weight: *weight,
            ..Destination::new(key.parse().unwrap(), Forwarding::Masq)
        });
        (request.resolve().unwrap(), destinations.collect())
    }

    /// Carries out the difference; how many commands it took.
    fn apply(wanted: &mut Wanted, services: &[(Service, Vec<Destination>)]) -> usize {
        let keys: Vec<ServiceKey> = wanted.services().map(|s| s.service().key).collect();
        let commands = difference(wanted, services, keys);
        for command in &commands {
            wanted.apply(command).unwrap();
        }
        assert_eq!(difference(wanted, services, []), []);
        commands.len()
    }

    #[test]
    fn only_what_changed_is_touched() {
        let mut wanted = Wanted::default();
        let a = "TCP 192.0.2.1:80";
        let b = "UDP 192.0.2.1:53";
        let two = [("10.0.0.1:80", 1), ("10.0.0.2:80", 2)];
        let first = [service(a, "rr", &two), service(b, "wlc", &[])];
        assert_eq!(apply(&mut wanted, &first), 4);
        assert_eq!(apply(&mut wanted, &first), 0);
        let heavier = [("10.0.0.1:80", 1), ("10.0.0.2:80", 5)];
        assert_eq!(
            apply(
                &mut wanted,
                &[service(a, "rr", &heavier), service(b, "wlc", &[])]
            ),
            1
        );
        let other = [("10.0.0.3:80", 1), ("10.0.0.2:80", 5)];
        assert_eq!(apply(&mut wanted, &[service(a, "wrr", &other)]), 4);
        assert_eq!(wanted.services().len(), 1);
    }
}
