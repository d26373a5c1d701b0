//! Virtual routers in a thread of their own: whatever else the process does, adverts go out in time.

use std::sync::Arc;
use std::thread;

use tokio::sync::{broadcast, mpsc, oneshot};
use vrrp::{Event, Reading, Status};

use crate::configured::bfd_name;
use crate::error::Error;
use crate::forwarding::Forwarding;
use crate::host::{Host, Order};
use crate::plan::Plan;

/// Orders that wait.
const ORDERS: usize = 16;

/// Virtual routers that run.
#[derive(Debug)]
pub struct Daemon {
    orders: mpsc::Sender<Order>,
    thread: Option<thread::JoinHandle<Result<(), Error>>>,
}

impl Daemon {
    /// Starts virtual routers in the network namespace of the calling thread, where `forwarding` takes
    /// packets, `Arc::new(())` if nobody does. They run when this returns. What becomes of them is told by
    /// `events`.
    ///
    /// # Errors
    /// The plan contradicts itself, or the network cannot be read.
    pub fn start(
        plan: Plan,
        forwarding: Arc<dyn Forwarding>,
        events: broadcast::Sender<Event>,
    ) -> Result<Self, Error> {
        let (orders, received) = mpsc::channel(ORDERS);
        let (tell, told) = std::sync::mpsc::channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Error::system("start a runtime"))?;
            runtime.block_on(async {
                match Host::begin(plan, forwarding, events).await {
                    Ok(host) => {
                        let _begun = tell.send(Ok(()));
                        host.run(received).await
                    }
                    Err(error) => {
                        let _failed = tell.send(Err(error));
                        Ok(())
                    }
                }
            })
        };
        let thread = thread::Builder::new().name("vrrp".to_owned()).spawn(run);
        let thread = thread.map_err(Error::system("start a thread"))?;
        told.recv().map_err(|_| Error::Ended)??;
        Ok(Self {
            orders,
            thread: Some(thread),
        })
    }

    /// How the virtual routers are.
    ///
    /// # Errors
    /// They do not run any more.
    pub async fn status(&self) -> Result<Vec<Status>, Error> {
        let (answer, answered) = oneshot::channel();
        self.orders
            .send(Order::Status(answer))
            .await
            .map_err(|_| Error::Ended)?;
        answered.await.map_err(|_| Error::Ended)
    }

    /// Tells how a BFD session is, which instances may track.
    ///
    /// # Errors
    /// They do not run any more.
    pub async fn bfd(&self, session: &str, is_up: bool) -> Result<(), Error> {
        let reading = if is_up { Reading::Up } else { Reading::Down };
        let order = Order::Found(bfd_name(session), reading);
        self.orders.send(order).await.map_err(|_| Error::Ended)
    }

    /// Goes on with another plan. Masters that are in both stay masters.
    ///
    /// # Errors
    /// The plan contradicts itself: nothing has changed then. Or they do not run any more.
    pub async fn reload(&self, plan: Plan) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Reload(Box::new(plan), answer);
        self.orders.send(order).await.map_err(|_| Error::Ended)?;
        answered.await.map_err(|_| Error::Ended)?
    }

    /// Ends: masters say that they cease to be, and everything held is released when this returns.
    ///
    /// # Errors
    /// They ended before, and why.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // A full queue holds nothing but questions, which end with the loop.
        let _asked = self.orders.try_send(Order::Stop);
        let (closed, _) = mpsc::channel(1);
        self.orders = closed;
        thread.join().map_err(|_| Error::Ended)?
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.end();
    }
}
