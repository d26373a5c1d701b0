//! The rules that give packets marks.

use model::{MarkChange, MarkError, MarkRules};

use crate::director::Director;
use crate::nexthops::Network;
use crate::{Plane, marks};

impl<P: Plane> Director<P> {
    /// The rules that give packets marks.
    pub fn marks(&self) -> &MarkRules {
        &self.marks
    }

    /// Changes them: packets go by all of the new rules or by the old ones.
    ///
    /// # Errors
    /// When they cannot be so; then nothing has changed.
    pub fn mark(&mut self, change: &MarkChange, network: &impl Network) -> Result<(), MarkError> {
        self.marks = self.marks.changed(change, marks::LIMIT)?;
        self.follow_marks(network);
        Ok(())
    }

    /// Takes in which interfaces there are: rules of those that are not fit no packet.
    pub(super) fn follow_marks(&mut self, network: &impl Network) {
        let values = marks::values(&self.marks, |name| network.ifindex(name));
        if self.marked.as_ref() != Some(&values) {
            marks::publish(&self.plane, &values);
            self.marked = Some(values);
        }
    }
}
