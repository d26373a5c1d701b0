//! The loop: packets, time and the network in; adverts, addresses and notifications out.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use net::{Change, Snapshot, Watcher};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};
use vrrp::{Event, Input, Now, Output, Reading, Router, State, Status, Transition};

use crate::alarm::Alarm;
use crate::disputes::Disputes;
use crate::error::Error;
use crate::forwarding::Forwarding;
use crate::holding::{self, Job};
use crate::losses::{self, Losses};
use crate::mail;
use crate::notify::{self, About, Fifos, word};
use crate::plan::{Instance, Plan};
use crate::promotion::Promotion;
use crate::socket::{Key, Sockets};
use crate::tracking::Trackers;
use crate::upkeep::Place;
use crate::vmac;

/// What the loop is asked for.
#[derive(Debug)]
pub(crate) enum Order {
    /// How the virtual routers are.
    Status(oneshot::Sender<Vec<Status>>),
    /// Another plan.
    Reload(Box<Plan>, oneshot::Sender<Result<(), Error>>),
    /// Something that may be tracked was found to be so.
    Found(String, Reading),
    /// Let masters resign, release everything and end.
    Stop,
}

/// Virtual routers on this host.
pub(crate) struct Host {
    pub(crate) plan: Plan,
    /// The plan's instances of before, while it changes.
    pub(crate) leaving: Vec<Instance>,
    pub(crate) router: Router,
    began: Instant,
    /// When the virtual routers begin, if they have not yet.
    begins_at: Option<Duration>,
    alarm: Alarm,
    pub(crate) sockets: Sockets,
    /// The socket of each instance whose interface is usable.
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) snapshot: Snapshot,
    changes: mpsc::Receiver<Change>,
    jobs: mpsc::UnboundedSender<Job>,
    worker: JoinHandle<()>,
    pub(crate) handle: rtnetlink::Handle,
    /// The netlink port of `handle`.
    pub(crate) port: u32,
    pub(crate) losses: Losses,
    pub(crate) disputes: Disputes,
    /// What routes could lead by when they were last looked at.
    pub(crate) places: BTreeSet<Place>,
    pub(crate) fifos: Fifos,
    events: broadcast::Sender<Event>,
    pub(crate) trackers: Trackers,
    /// Addresses of masters that were seen in place: what is missing of them, somebody removed.
    pub(crate) in_place: BTreeSet<(u32, IpAddr)>,
    pub(crate) masters: BTreeSet<String>,
    pub(crate) promotion: Promotion,
}

impl Host {
    pub async fn begin(
        plan: Plan,
        forwarding: Arc<dyn Forwarding>,
        events: broadcast::Sender<Event>,
    ) -> Result<Self, Error> {
        let router = Router::new(plan.settings(), plan.sync_groups())?;
        let (handle, port) = losses::orders()?;
        let (snapshot, changes) = Watcher::start().await?;
        let (jobs, work) = mpsc::unbounded_channel();
        let worker = tokio::spawn(holding::work(handle.clone(), forwarding, work));
        let fifos = Fifos::open(&plan.fifos)?;
        let mut host = Self {
            trackers: Trackers::start(&plan),
            losses: Losses::follow(&plan, port)?,
            port,
            plan,
            leaving: Vec::new(),
            router,
            began: Instant::now(),
            begins_at: None,
            alarm: Alarm::new()?,
            sockets: Sockets::default(),
            keys: BTreeMap::new(),
            snapshot,
            changes,
            jobs,
            worker,
            handle,
            fifos,
            events,
            disputes: Disputes::default(),
            places: BTreeSet::new(),
            in_place: BTreeSet::new(),
            masters: BTreeSet::new(),
            promotion: Promotion::default(),
        };
        host.job(Job::Pace(host.plan.paces.clone()));
        host.clear_leftovers();
        host.look_at_network().await;
        host.begins_at = Some(host.plan.startup_delay);
        Ok(host)
    }

    /// Runs until it is told to end.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), Error> {
        loop {
            let due = self
                .begins_at
                .into_iter()
                .chain(self.router.next_timeout())
                .chain(self.disputes.next())
                .min();
            let wait = due.map(|due| due.saturating_sub(self.began.elapsed()));
            // Before anything else, so that no flood of packets or changes holds it up.
            if wait.is_some_and(|wait| wait.is_zero()) {
                // A process that was stopped for a while must learn first what came meanwhile.
                self.receive().await;
                let elapsed = self.began.elapsed();
                if self.begins_at.take_if(|begin| *begin <= elapsed).is_some() {
                    self.tell(Input::Start).await;
                }
                self.tell(Input::Timeout).await;
                if self.disputes.take_due(elapsed) {
                    self.keep_up();
                    self.hold_routes_again();
                }
                continue;
            }
            tokio::select! {
                biased;
                () = poll_fn(|context| self.sockets.poll_readable(context)) => self.receive().await,
                order = orders.recv() => match order {
                    Some(Order::Status(answer)) => {
                        let _gone = answer.send(self.router.status(self.now()));
                    }
                    Some(Order::Reload(plan, answer)) => {
                        let _gone = answer.send(self.reload(*plan).await);
                    }
                    Some(Order::Found(tracked, reading)) => {
                        self.tell(Input::Reading { tracked: &tracked, reading }).await;
                    }
                    Some(Order::Stop) | None => return self.end().await,
                },
                change = self.changes.recv() => {
                    let Some(change) = change else { return Err(Error::Ended) };
                    self.snapshot.apply_change(change);
                    self.look_at_network().await;
                }
                loss = self.losses.next() => self.lost(&loss),
                Some((tracked, reading)) = self.trackers.next() => {
                    self.tell(Input::Reading { tracked: &tracked, reading }).await;
                }
                _due = self.alarm.after(wait) => {}
            }
        }
    }

    pub(crate) fn now(&self) -> Now {
        let utc = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now {
            uptime: self.began.elapsed(),
            utc: utc.unwrap_or(Duration::ZERO),
        }
    }

    async fn receive(&mut self) {
        for (interface, datagram) in self.sockets.receive_all() {
            self.tell(Input::Received {
                interface: &interface,
                datagram: &datagram,
            })
            .await;
        }
    }

    pub(crate) async fn tell(&mut self, input: Input<'_>) {
        self.router.handle(input, self.now());
        self.carry_out_all().await;
    }

    pub(crate) async fn carry_out_all(&mut self) {
        while let Some(output) = self.router.poll() {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { instance, datagram } => self.send(&instance, &datagram),
            Output::Hold { instance } => self.hold(&instance),
            Output::Release { instance } => self.release(&instance),
            Output::Announce { instance, rounds } => {
                let addresses = self
                    .instance(&instance)
                    .map(|plan| plan.targets(&self.snapshot));
                self.job(Job::Announce {
                    addresses: addresses.unwrap_or_default(),
                    rounds,
                });
            }
            Output::AnnounceElsewhere { instance } => {
                let addresses = self
                    .instance(&instance)
                    .map(|plan| plan.targets_elsewhere(&self.snapshot));
                self.job(Job::Announce {
                    addresses: addresses.unwrap_or_default(),
                    rounds: 1,
                });
            }
            Output::Changed {
                instance,
                priority,
                transition,
            } => {
                self.changed(&instance, priority, &transition).await;
            }
            Output::GroupChanged { group, state } => self.group_changed(&group, state).await,
            Output::PriorityChanged {
                instance,
                state,
                priority,
            } => {
                info!("{instance}: priority {priority}");
                self.priority_changed(&instance, state, priority);
            }
            Output::HeardLower { instance, priority } => {
                info!("{instance}: heard a master of lower priority, told the neighbours again");
                self.fifos
                    .tell(About::Instance(&instance), "MASTER_RX_LOWER_PRI", priority);
                let command = self
                    .instance(&instance)
                    .and_then(|plan| plan.notify.heard_lower.clone());
                command.iter().for_each(notify::run);
            }
            Output::Unknown {
                interface,
                source,
                virtual_router,
            } if self.plan.logs_unknown => {
                warn!(
                    "{interface}: {source} sent an advert of virtual router {virtual_router}, which is not configured there"
                );
            }
            Output::Unknown { .. } => {}
            Output::Refused {
                instance,
                source,
                refusal,
            } => {
                warn!("{instance}: an advert from {source} does not count: {refusal}");
            }
        }
    }

    pub(crate) fn instance(&self, name: &str) -> Option<&Instance> {
        let mut all = self.plan.instances.iter().chain(&self.leaving);
        all.find(|instance| instance.settings.name == name)
    }

    pub(crate) fn job(&self, job: Job) {
        // The worker ends after this loop.
        let _sent = self.jobs.send(job);
    }

    fn send(&self, instance: &str, datagram: &vrrp::Datagram) {
        let Some(key) = self.keys.get(instance) else {
            debug!("{instance}: no socket for an advert");
            return;
        };
        if let Err(error) = self.sockets.send(key, datagram) {
            let destination = datagram.destination();
            warn!(%error, "{instance}: no advert goes to {destination} by {}", key.interface);
        }
    }

    fn hold(&mut self, name: &str) {
        self.masters.insert(name.to_owned());
        if let Some(instance) = self.instance(name) {
            let (addresses, routes) = (
                instance.targets(&self.snapshot),
                instance.route_targets(&self.snapshot),
            );
            let rules = instance.rules.clone();
            self.job(Job::Hold {
                addresses,
                routes,
                rules,
            });
        }
    }

    fn release(&mut self, name: &str) {
        self.masters.remove(name);
        let Some(instance) = self.instance(name) else {
            return;
        };
        let (addresses, routes, rules) = (
            instance.targets(&self.snapshot),
            instance.route_targets(&self.snapshot),
            instance.rules.clone(),
        );
        for target in &addresses {
            self.in_place
                .remove(&(target.link.ifindex, target.address.address));
        }
        self.job(Job::Release {
            addresses,
            routes,
            rules,
        });
    }

    async fn changed(&mut self, name: &str, priority: u8, transition: &Transition) {
        let Transition {
            from, to, cause, ..
        } = transition;
        info!("{name}: {from} -> {to}: {cause}");
        // Nobody may be listening.
        let _listeners = self.events.send(Event {
            instance: name.to_owned(),
            priority,
            transition: transition.clone(),
        });
        // What only waits to begin, nobody was told of yet.
        if (*from, *to) == (State::Fault, State::Initialize) {
            return;
        }
        let about = About::Instance(name);
        self.fifos.tell(about, word(*to), priority);
        if let Some(instance) = self.instance(name) {
            if let Some(mail) = self.plan.mail.as_ref().filter(|_| instance.notify.mail) {
                mail::send(mail, about, *to);
            }
            notify::entered(&instance.notify, about, *to, priority).await;
        }
    }

    async fn group_changed(&mut self, name: &str, state: State) {
        info!("sync group {name}: {state}");
        let about = About::Group(name);
        self.fifos.tell(about, word(state), 0);
        let group = self
            .plan
            .groups
            .iter()
            .find(|group| group.group.name == name);
        if let Some(group) = group {
            if let Some(mail) = self.plan.mail.as_ref().filter(|_| group.notify.mail) {
                mail::send(mail, about, state);
            }
            notify::entered(&group.notify, about, state, 0).await;
        }
    }

    fn priority_changed(&mut self, name: &str, state: State, priority: u8) {
        if self
            .instance(name)
            .is_some_and(|instance| instance.notify.priority_changes)
        {
            let what = match state {
                State::Master => "MASTER_PRIORITY",
                State::Initialize | State::Fault | State::Backup => "BACKUP_PRIORITY",
            };
            self.fifos.tell(About::Instance(name), what, priority);
        }
    }

    /// Masters resign; everything held is released before this returns.
    async fn end(mut self) -> Result<(), Error> {
        self.tell(Input::Stop).await;
        let Self {
            jobs,
            worker,
            plan,
            handle,
            ..
        } = self;
        drop(jobs);
        let _panicked = worker.await;
        for vmac in plan
            .instances
            .iter()
            .filter_map(|instance| instance.vmac.as_ref())
        {
            vmac::remove(&handle, vmac).await;
        }
        Ok(())
    }
}
