//! The director that commands are carried out on.

use model::{
    Command, ConnectionEntry, DirectorInfo, Refusal, ServiceKey, ServiceStatus, SyncDaemon,
    SyncDaemonRequest, SyncRole, TimeoutChange, Timeouts,
};
use thiserror::Error;

/// The director cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// Why, in the words of the C library's `strerror` or of `ipvsadm`.
    pub reason: String,
    /// What to do about it: one sentence. Empty where the reason says it already, as in "Permission
    /// denied (you must be root)": `ipvsadm` knows that case too, and says no more.
    pub hint: String,
}

/// A change was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{refusal}")]
pub struct Refused {
    /// The reason that IPVS knows.
    pub refusal: Refusal,
    /// What that means here and what to do about it, where the reason does not tell; else empty.
    pub hint: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let hint = String::new();
        Self { refusal, hint }
    }
}

/// Something went wrong with the director.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectorError {
    /// It does not do what it is asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be reached, or not any more.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Connections, one after the other.
pub type Connections<'a> = Box<dyn Iterator<Item = Result<ConnectionEntry, DirectorError>> + 'a>;

/// A director, wherever it is.
pub trait Director {
    /// Makes sure that the director is there. Called once, before anything else.
    ///
    /// # Errors
    /// When it is not, or may not be spoken to.
    fn connect(&mut self) -> Result<(), Unavailable>;

    /// What the director says about itself.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn info(&mut self) -> Result<DirectorInfo, DirectorError>;

    /// Carries out changes in order, as one transaction. A refused one does not keep those after it
    /// from being carried out: there is an answer for each. They are taken one by one, so that
    /// there may be many.
    ///
    /// # Errors
    /// When the director cannot be reached. Nothing has changed then.
    fn apply_all(
        &mut self,
        commands: &mut dyn Iterator<Item = Command>,
    ) -> Result<Vec<Result<(), Refused>>, DirectorError>;

    /// Sets the counters of one service, or of all, to zero.
    ///
    /// # Errors
    /// When there is no such service.
    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), DirectorError>;

    /// All services, in the director's order.
    ///
    /// # Errors
    /// When the director cannot be reached.
    fn services(&mut self) -> Result<Vec<ServiceStatus>, DirectorError>;

    /// One service.
    ///
    /// # Errors
    /// When there is no such service.
    fn service(&mut self, key: ServiceKey) -> Result<ServiceStatus, DirectorError>;

    /// All connections, in the director's order. There may be millions.
    ///
    /// # Errors
    /// When the director cannot be reached.
    fn connections(&mut self) -> Result<Connections<'_>, DirectorError>;

    /// The timeouts.
    ///
    /// # Errors
    /// When the director cannot be reached.
    fn timeouts(&mut self) -> Result<Timeouts, DirectorError>;

    /// Changes timeouts.
    ///
    /// # Errors
    /// When the director cannot be reached.
    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), DirectorError>;

    /// The sync daemons that run.
    ///
    /// # Errors
    /// When the director cannot be reached.
    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, DirectorError>;

    /// Starts a sync daemon.
    ///
    /// # Errors
    /// When one of this role runs already, or its interface is not there.
    fn start_daemon(&mut self, request: SyncDaemonRequest) -> Result<(), DirectorError>;

    /// Stops a sync daemon.
    ///
    /// # Errors
    /// When none of this role runs.
    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), DirectorError>;
}
