//! Requests through a real socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use adm::{Director, DirectorError, Refused};
use api::{Backend, Client, Difference, DifferenceRequest, Problem, Status};
use config::{Change, CheckChanges};
use model::{
    Command, ConnectionEntry, ConnectionProtocol, DirectorInfo, ExplainRequest, MarkChange,
    MarkRule, MarkRules, Rates, Refusal, Service, ServiceKey, ServiceRequest, ServiceStatus,
    SettingRequest, SettingStatus, Settings, Stats, SyncDaemon, SyncDaemonRequest, SyncRole,
    TimeoutChange, Timeouts, TraceNews, TraceRequest, TraceTally, TracedPacket,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::oneshot;

/// A director that knows one service, and keeps what it was asked for.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
    parts: u32,
}

impl Fake {
    fn note(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }
}

fn web() -> ServiceKey {
    "TCP [2001:db8::1]:80".parse().unwrap()
}

fn status() -> ServiceStatus {
    let service: Service = ServiceRequest::new(web(), "wrr").resolve().unwrap();
    ServiceStatus {
        service,
        stats: model::Stats {
            connections: u64::MAX,
            ..model::Stats::default()
        },
        rates: model::Rates::default(),
        destinations: Vec::new(),
        local_addresses: Vec::new(),
    }
}

fn connection(number: u32) -> ConnectionEntry {
    let end = |port: u32| SocketAddr::new([192, 0, 2, 1].into(), port as u16);
    ConnectionEntry {
        protocol: ConnectionProtocol::Tcp,
        expires: number,
        state: "ESTABLISHED".into(),
        client: end(number),
        virtual_address: end(80),
        destination: end(8080),
        engine_data: None,
    }
}

/// Connections in a part: enough for pieces of the stream to end within a line.
const PART: u32 = 1000;

impl Backend for Fake {
    fn explain(&self, request: &ExplainRequest) -> Result<Vec<TracedPacket>, Problem> {
        self.note(format!(
            "explain {:?} by {:?}",
            request.frame, request.interface
        ));
        Ok(Vec::new())
    }

    async fn trace(self: Arc<Self>, request: TraceRequest) -> Result<Receiver<TraceNews>, Problem> {
        let port = request.port.ok_or(Problem::new("no port\nhint: say one"))?;
        let (news, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for matched in 0..u64::from(port) {
                let tally = TraceTally {
                    matched,
                    ..TraceTally::default()
                };
                news.send(TraceNews::Tally(tally)).await.unwrap();
            }
        });
        Ok(receiver)
    }

    fn info(&self) -> DirectorInfo {
        DirectorInfo {
            version: (1, 2, 1),
            connection_table_size: 4096,
            ticks_per_second: 250,
            stats: Stats::default(),
            rates: Rates::default(),
        }
    }

    async fn transact(&self, commands: Vec<Command>) -> Vec<Result<(), Problem>> {
        self.note(format!("{} commands", commands.len()));
        let outcome = |command: &Command| match command {
            Command::Flush => Ok(()),
            Command::AddService(_) => Err(Refusal::ServiceExists.into()),
            _ => Err(Problem {
                refusal: Some(Refusal::NoRoom),
                message: "full\nhint: make room".to_owned(),
            }),
        };
        commands.iter().map(outcome).collect()
    }

    fn services(&self) -> Vec<ServiceStatus> {
        vec![status()]
    }

    fn service(&self, key: &ServiceKey) -> Option<ServiceStatus> {
        (*key == web()).then(status)
    }

    fn zero(&self, service: Option<ServiceKey>) -> Result<(), Problem> {
        self.note(format!("zero {service:?}"));
        service.map_or(Ok(()), |_| Err(Refusal::NoSuchService.into()))
    }

    fn connections(&self, part: u32) -> Option<Vec<ConnectionEntry>> {
        (part < self.parts).then(|| (part * PART..(part + 1) * PART).map(connection).collect())
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }

    fn set_timeouts(&self, change: TimeoutChange) {
        self.note(format!("{change:?}"));
    }

    fn settings(&self) -> Vec<SettingStatus> {
        SettingStatus::all(&Settings::default())
    }

    fn set(&self, requests: &[SettingRequest]) -> Result<(), Problem> {
        let settings = Settings::default().with(requests);
        let settings = settings.map_err(|error| Problem::new(error.to_string()))?;
        self.note(format!("{:?}", settings.changed().collect::<Vec<_>>()));
        Ok(())
    }

    fn marks(&self) -> MarkRules {
        let change = MarkChange::Replace { rules: rules() };
        MarkRules::default().changed(&change, 9).unwrap()
    }

    fn mark(&self, change: &MarkChange) -> Result<(), Problem> {
        let rules = self.marks().changed(change, 3);
        let rules = rules.map_err(|error| Problem::new(error.to_string()))?;
        self.note(format!("{} rules", rules.iter().len()));
        Ok(())
    }

    fn daemons(&self) -> Vec<SyncDaemon> {
        Vec::new()
    }

    fn start_daemon(&self, request: SyncDaemonRequest) -> Result<(), Problem> {
        self.note(format!("start {} on {}", request.role, request.interface));
        Ok(())
    }

    fn stop_daemon(&self, role: SyncRole) -> Result<(), Problem> {
        self.note(format!("stop {role}"));
        Err(Refusal::NoDaemon.into())
    }

    fn health(&self) -> Vec<health::VirtualServerStatus> {
        Vec::new()
    }

    async fn bfd(&self) -> Vec<bfd::Status> {
        vec![session()]
    }

    async fn difference(&self, request: DifferenceRequest) -> Result<Difference, Problem> {
        let file = request.file.ok_or(Problem::new("which file?"))?;
        let change = Change {
            within: vec!["virtual_server 192.0.2.1 80".to_owned()],
            before: None,
            after: Some(file.display().to_string()),
        };
        Ok(Difference {
            changes: vec![change],
            commands: vec![Command::Flush],
            checks: CheckChanges {
                begin: 1,
                end: 2,
                go_on: 3,
            },
            warnings: vec![format!("{:?}", request.config_id)],
        })
    }

    async fn reload(&self) -> Result<api::Reloaded, Problem> {
        Err(Problem::new("there is no configuration file\nhint: none"))
    }

    fn status(&self) -> Status {
        unimplemented!("no test asks for it")
    }

    fn vrrp_events(&self) -> broadcast::Receiver<vrrp::Event> {
        let (tell, events) = broadcast::channel(1);
        let told = tell.send(event());
        assert!(told.is_ok());
        events
    }

    async fn vrrp(&self) -> Vec<vrrp::Status> {
        vec![master()]
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

/// A change of state. The stream ends behind it.
fn event() -> vrrp::Event {
    vrrp::Event {
        instance: "VI_1".to_owned(),
        priority: 100,
        transition: master().last.unwrap(),
    }
}

/// A master with everything that a status can have.
fn master() -> vrrp::Status {
    let (from, priority) = ("192.0.2.2".parse().unwrap(), 50);
    vrrp::Status {
        name: "VI_1".to_owned(),
        interface: "eth0".to_owned(),
        virtual_router: 51,
        version: vrrp::Version::V3,
        state: vrrp::State::Master,
        state_ms: Some(u64::MAX),
        priority: 100,
        base_priority: 120,
        addresses: vec!["2001:db8::100".parse().unwrap()],
        source: Some("fe80::1".parse().unwrap()),
        last: Some(vrrp::Transition {
            from: vrrp::State::Backup,
            to: vrrp::State::Master,
            cause: vrrp::Cause::Higher { from, priority },
            utc_ms: 1_800_000_000_000,
        }),
        peers: vec![vrrp::Peer {
            address: from,
            priority,
            interval_ms: 10,
            heard_ms_ago: 7,
        }],
        interval_ms: 10,
        master_down_ms: 36,
        timer_ms: Some(3),
        refused: 1,
        last_refusal: Some("its password is another than ours".to_owned()),
    }
}

/// A server on a thread of its own, and a client for it.
struct Pair {
    client: Client,
    director: Arc<Fake>,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

/// Members of `group` may write, and root.
fn pair(parts: u32, group: Option<u32>) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let director = Arc::new(Fake {
        parts,
        ..Fake::default()
    });
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (backend, socket) = (director.clone(), path.clone());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = UnixListener::bind(socket).unwrap();
            ready.send(()).unwrap();
            let stopped = async { drop(stopped.await) };
            api::serve(listener, backend, group, stopped).await.unwrap();
        });
    });
    is_ready.recv().unwrap();
    Pair {
        client: Client::new(path),
        director,
        folder,
        _stop: stop,
    }
}

fn own_group() -> u32 {
    nix::unistd::getegid().as_raw()
}

#[test]
fn a_refusal_comes_back_as_the_refusal_it_was() {
    let mut pair = pair(0, Some(own_group()));
    let add = Command::AddService(ServiceRequest::new(web(), "rr"));
    let commands = [Command::Flush, add, Command::DeleteService(web())];
    let outcomes = pair.client.apply_all(&mut commands.into_iter()).unwrap();
    let no_room = Refused {
        refusal: Refusal::NoRoom,
        hint: "full: make room".to_owned(),
    };
    assert_eq!(
        outcomes,
        [Ok(()), Err(Refusal::ServiceExists.into()), Err(no_room)]
    );
    let zeroed = pair.client.zero(Some(web()));
    assert_eq!(zeroed, Err(DirectorError::Refused(Refusal::NoSuchService)));
    let stopped = pair.client.stop_daemon(SyncRole::Backup);
    assert_eq!(stopped, Err(DirectorError::Refused(Refusal::NoDaemon)));
}

#[test]
fn a_transaction_may_be_larger_than_what_is_read_at_once() {
    let mut pair = pair(0, Some(own_group()));
    let mut commands = std::iter::repeat_n(Command::DeleteService(web()), 50_000);
    let outcomes = pair.client.apply_all(&mut commands).unwrap();
    assert_eq!(outcomes.len(), 50_000);
    assert_eq!(*pair.director.asked.lock().unwrap(), ["50000 commands"]);
}

#[test]
fn services_keep_every_number_on_their_way() {
    let mut pair = pair(0, Some(own_group()));
    assert_eq!(pair.client.services().unwrap(), [status()]);
    assert_eq!(pair.client.service(web()).unwrap(), status());
    let other = pair.client.service("FWM 7 IPv6".parse().unwrap());
    assert_eq!(other, Err(DirectorError::Refused(Refusal::NoSuchService)));
}

#[test]
fn virtual_routers_keep_everything_on_their_way() {
    let mut pair = pair(0, Some(own_group()));
    assert_eq!(pair.client.vrrp().unwrap(), [master()]);
}

#[test]
fn changes_of_virtual_routers_are_read_one_by_one() {
    let mut pair = pair(0, Some(own_group()));
    let events = pair.client.vrrp_events().unwrap();
    let events: Result<Vec<_>, _> = events.collect();
    assert_eq!(events.unwrap(), [event()]);
}

#[test]
fn requests_arrive_as_they_were_meant() {
    let mut pair = pair(0, Some(own_group()));
    pair.client.connect().unwrap();
    assert_eq!(pair.client.info().unwrap().connection_table_size, 4096);
    assert_eq!(pair.client.timeouts().unwrap(), Timeouts::default());
    let change = TimeoutChange {
        udp: Some(7),
        ..TimeoutChange::default()
    };
    pair.client.set_timeouts(change).unwrap();
    pair.client.zero(None).unwrap();
    pair.client
        .start_daemon(SyncDaemonRequest {
            role: SyncRole::Master,
            interface: "eth0".to_owned(),
            sync_id: 3,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        })
        .unwrap();
    let asked = pair.director.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            format!("{change:?}"),
            "zero None".into(),
            "start master on eth0".into()
        ]
    );
}

#[test]
fn settings_are_listed_and_set_and_what_is_refused_has_its_reason() {
    let mut pair = pair(0, Some(own_group()));
    let all = SettingStatus::all(&Settings::default());
    assert_eq!(pair.client.settings().unwrap(), all);
    let requests = ["sloppy_tcp=1", "drop_entry=3"].map(|request| request.parse().unwrap());
    pair.client.set(&requests).unwrap();
    let asked = pair.director.asked.lock().unwrap().clone();
    assert_eq!(asked, ["[(DropEntry, 3), (SloppyTcp, 1)]"]);
    let refused = pair.client.set(&["conntrack=1".parse().unwrap()]);
    let Err(DirectorError::Unavailable(refused)) = refused else {
        panic!("it is refused: {refused:?}");
    };
    assert!(
        refused.reason.contains("connection tracking"),
        "{refused:?}"
    );
    assert!(!refused.hint.is_empty());
}

/// Two rules that give packets marks.
fn rules() -> Vec<MarkRule> {
    let rule = |mark, to: &str| MarkRule {
        mark,
        to: Some(to.parse().unwrap()),
        ..MarkRule::default()
    };
    vec![rule(1, "192.0.2.0/24"), rule(2, "2001:db8::/32")]
}

#[test]
fn rules_for_marks_are_listed_and_changed_and_what_is_refused_has_its_reason() {
    let mut pair = pair(0, Some(own_group()));
    assert!(pair.client.marks().unwrap().iter().eq(&rules()));
    let remove = |at| MarkChange::Remove { at };
    pair.client.mark(&remove(2)).unwrap();
    let insert = MarkChange::Insert {
        at: None,
        rules: rules(),
    };
    for refused in [remove(3), insert] {
        let Err(DirectorError::Unavailable(refused)) = pair.client.mark(&refused) else {
            panic!("it is refused: {refused:?}");
        };
        assert!(!refused.hint.is_empty(), "{refused:?}");
    }
    assert_eq!(*pair.director.asked.lock().unwrap(), ["1 rules"]);
}

#[test]
fn connections_are_streamed_whole_and_in_order() {
    let mut pair = pair(20, Some(own_group()));
    let listed = pair.client.connections().unwrap();
    let mut expected = 0;
    for entry in listed {
        assert_eq!(entry.unwrap(), connection(expected));
        expected += 1;
    }
    assert_eq!(expected, 20 * PART);
    // The conversation goes on afterwards.
    assert_eq!(pair.client.info().unwrap().version, (1, 2, 1));
}

#[test]
fn connections_are_json_to_whoever_asks_for_nothing_else() {
    use std::io::{Read, Write};
    let pair = pair(1, None);
    let path = pair.folder.path().join("control.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let request = "GET /v1/connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("application/x-ndjson"), "{answer}");
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    let listed: Vec<ConnectionEntry> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed, (0..PART).map(connection).collect::<Vec<_>>());
}

#[test]
fn a_list_that_is_not_read_to_its_end_does_no_harm() {
    let mut pair = pair(20, Some(own_group()));
    let first = pair.client.connections().unwrap().next().unwrap().unwrap();
    assert_eq!(first, connection(0));
    assert_eq!(pair.client.info().unwrap().version, (1, 2, 1));
}

#[test]
fn without_a_daemon_the_reason_and_the_remedy_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = Client::new(folder.path().join("none.sock"))
        .connect()
        .unwrap_err();
    assert!(error.hint.contains("xvs serve"), "{error:?}");
}

#[test]
fn what_a_reload_would_change_is_told_of_the_file_that_was_named() {
    let mut pair = pair(0, None);
    let request = DifferenceRequest {
        file: Some("/etc/other.conf".into()),
        config_id: Some("main".to_owned()),
    };
    let difference = pair.client.difference(&request).unwrap();
    assert_eq!(
        difference.changes[0].after.as_deref(),
        Some("/etc/other.conf")
    );
    assert_eq!(difference.commands, [Command::Flush]);
    assert_eq!(difference.checks.go_on, 3);
    assert_eq!(difference.warnings, ["Some(\"main\")"]);
    let own = pair.client.difference(&DifferenceRequest::default());
    assert!(own.unwrap_err().to_string().contains("which file?"));
}

/// A session as it may be, with every number another.
fn session() -> bfd::Status {
    bfd::Status {
        name: "router".to_owned(),
        neighbor: [192, 0, 2, 1].into(),
        state: bfd::State::Up,
        age: std::time::Duration::from_millis(1),
        remote_state: bfd::State::Init,
        diagnostic: bfd::Diagnostic::EXPIRED,
        transmit_interval: Some(std::time::Duration::from_millis(2)),
        detection_time: None,
        received: 3,
        sent: 4,
        losses: 5,
    }
}

#[test]
fn bfd_sessions_keep_everything_on_their_way() {
    assert_eq!(pair(0, None).client.bfd().unwrap(), [session()]);
}

#[test]
fn nonsense_is_answered_with_what_is_wrong_with_it() {
    use std::io::{Read, Write};
    let pair = pair(0, Some(own_group()));
    let ask = |request: &str| {
        let path = pair.folder.path().join("control.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let end = "Host: x\r\nConnection: close\r\n";
    let body = ask(&format!(
        "POST /v1/transactions HTTP/1.1\r\n{end}Content-Length: 3\r\n\r\n{{]}}"
    ));
    assert!(
        body.starts_with("HTTP/1.1 400") && body.contains("key must be a string"),
        "{body}"
    );
    let second = ask(&format!(
        "POST /v1/transactions HTTP/1.1\r\n{end}Content-Length: 11\r\n\r\n\"flush\"\n[1]"
    ));
    assert!(
        second.starts_with("HTTP/1.1 400") && second.contains("command 2: "),
        "{second}"
    );
    let path = ask(&format!("GET /v2/info HTTP/1.1\r\n{end}\r\n"));
    assert!(
        path.starts_with("HTTP/1.1 404") && path.contains("/v1/"),
        "{path}"
    );
    let key = ask(&format!("GET /v1/service?key=TCP HTTP/1.1\r\n{end}\r\n"));
    assert!(
        key.starts_with("HTTP/1.1 400") && key.contains("hint: write"),
        "{key}"
    );
}

#[test]
fn only_root_and_the_sockets_group_may_write() {
    let peer = |user, group| api::Peer {
        user: Some(user),
        group: Some(group),
    };
    assert!(peer(0, 0).may_write(Some(4242)));
    assert!(peer(65_000, 4242).may_write(Some(4242)));
    assert!(!peer(65_000, 65_000).may_write(Some(4242)));
    assert!(peer(0, 0).may_write(None));
    assert!(!peer(65_000, 0).may_write(None), "root's group is not root");
    assert!(
        !api::Peer {
            user: None,
            group: None
        }
        .may_write(Some(4242))
    );
}

#[test]
fn a_trace_comes_piece_by_piece_and_a_wrong_request_is_told() {
    let mut pair = pair(0, None);
    let client = &mut pair.client;
    let request = TraceRequest {
        port: Some(1000),
        ..TraceRequest::default()
    };
    let news: Vec<_> = client
        .trace(&request)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let matched = |news: &TraceNews| match news {
        TraceNews::Tally(tally) => tally.matched,
        other => panic!("{other:?}"),
    };
    assert!(news.iter().map(matched).eq(0..1000));
    let refused = client.trace(&TraceRequest::default()).err().unwrap();
    assert!(refused.to_string().contains("no port"), "{refused}");
}

#[test]
fn a_packet_to_explain_arrives_as_it_was_meant() {
    let mut pair = pair(0, None);
    let request = ExplainRequest {
        frame: vec![0, 0xff],
        interface: Some("eth0".into()),
        source: [192, 0, 2, 1].into(),
        mark: 0,
    };
    assert_eq!(pair.client.explain(&request).unwrap(), []);
    let asked = pair.director.asked.lock().unwrap();
    assert_eq!(*asked, ["explain [0, 255] by Some(\"eth0\")"]);
}
