//! What helps, where a reason usually has one cause.

/// What to look at when packets meet their verdict for this reason, by its name.
pub fn remedy(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "not_ours" => {
            "there is no virtual service on this address: `ipvsadm -ln' lists those that there are"
        }
        "no_service" => {
            "compare protocol and port with `ipvsadm -ln'; the stack answers for what is no service"
        }
        "address_not_local" => {
            "`ip address' must list the virtual address here; on a backup director it is right so"
        }
        "not_for_this_host" => {
            "somebody else's MAC address: look who answers ARP for the virtual address (`ip neigh' on the client)"
        }
        "no_connection" => {
            "the client's packets did not come this way, or the connection has ended: `ipvsadm -lnc' lists it"
        }
        "not_syn" => {
            "the connection is older than this director, or has timed out; the setting sloppy_tcp takes such over"
        }
        "no_destination" => {
            "no real server is there, has a weight above 0 and room: `ipvsadm -ln', `xvs health'"
        }
        "destination_unavailable" => {
            "the setting expire_nodest_conn forgets such connections, so that clients can connect anew"
        }
        "next_hop_unresolved" | "host_unreachable" => {
            "`ip neigh' shows who does not answer ARP; is the real server up, and on this link?"
        }
        "no_route" => "`ip route get ADDRESS' says which way is missing",
        "time_to_live" => "a traceroute, or a loop: does the real server send the packet back?",
        "too_big" => "a router in between that drops ICMP breaks this: see docs/segments.md",
        "table_full" => "start the daemon with more --connections",
        "no_local_port" => "give the service more local addresses: `xvs laddr add'",
        "local_nat" => "add the destination with -g instead of -m",
        "table_missing" | "stage_missing" => "restart the daemon",
        "to_stack" => "its way on TC follows",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_are_for_reasons_that_there_are() {
        let known = abi::Reason::ALL
            .iter()
            .filter(|reason| remedy(reason.name()).is_some());
        assert_eq!(known.count(), 19);
    }
}
