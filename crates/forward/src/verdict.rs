//! What becomes of a packet.

use abi::{Reason, Stage};

/// What the host does with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leaves it to the director's own network stack, untouched.
    Pass,
    /// Discards it.
    Drop,
    /// Sends it the way that [`crate::Host::leave_by`] was told.
    Send,
    /// Goes on with the stage of [`Verdict::next`].
    GoOn,
    /// Discards it, as copies of it were sent in its place.
    Consume,
}

/// An action and why: one word, so that BPF functions can return it in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    number: u32,
}

const SEND: u32 = 1 << 31;
const PASS: u32 = 1 << 30;
const GO_ON: u32 = 1 << 29;
const CONSUME: u32 = 1 << 28;

impl Verdict {
    /// The packet, or an answer in its place, leaves.
    #[inline(always)]
    pub(crate) const fn send(reason: Reason) -> Self {
        Self::send_for(reason as u32)
    }

    /// As [`Self::send`], by the reason's number.
    #[inline(always)]
    pub(crate) const fn send_for(reason: u32) -> Self {
        Self {
            number: reason | SEND,
        }
    }

    /// Copies of the packet have left already.
    #[inline(always)]
    pub(crate) const fn sent(reason: Reason) -> Self {
        Self {
            number: reason as u32 | CONSUME,
        }
    }

    /// The packet's way goes on.
    #[inline(always)]
    pub(crate) const fn go_on(stage: Stage) -> Self {
        Self {
            number: stage as u32 | GO_ON,
        }
    }

    /// The packet stays: up the stack or nowhere, as the reason says.
    #[inline(always)]
    pub(crate) const fn stay(reason: Reason) -> Self {
        Self::stay_for(reason as u32)
    }

    /// As [`Self::stay`], by the reason's number.
    #[inline(always)]
    pub(crate) const fn stay_for(reason: u32) -> Self {
        let passes = Reason::PASSES >> (reason & 63) & 1 == 1;
        Self {
            number: if passes { reason | PASS } else { reason },
        }
    }

    /// What to do.
    #[inline(always)]
    pub const fn action(self) -> Action {
        if self.number & SEND != 0 {
            Action::Send
        } else if self.number & PASS != 0 {
            Action::Pass
        } else if self.number & GO_ON != 0 {
            Action::GoOn
        } else if self.number & CONSUME != 0 {
            Action::Consume
        } else {
            Action::Drop
        }
    }

    /// Number of the [`Stage`] that the packet's way goes on with, where it does.
    #[inline(always)]
    pub const fn next(self) -> u32 {
        self.number & !GO_ON
    }

    /// Why the packet's way ends where the stage that it goes on with is not there. While nothing
    /// needs IPv6 none of its stages is, and no such packet is ours.
    #[inline(always)]
    pub const fn unmet(self) -> Reason {
        let next = self.next();
        if next == Stage::EnterV6 as u32 || next == Stage::DepartV6 as u32 {
            Reason::NotOurs
        } else {
            Reason::StageMissing
        }
    }

    /// Number of the [`Reason`], which is counted once for every packet.
    #[inline(always)]
    pub const fn reason_number(self) -> u32 {
        self.number & !(SEND | PASS | GO_ON | CONSUME)
    }

    /// Why.
    pub fn reason(self) -> Reason {
        let number = self.reason_number();
        let found = Reason::ALL.iter().find(|reason| **reason as u32 == number);
        *found.expect("a verdict is made of a reason's number")
    }
}

/// A step on a packet's way: on, or the reason for which it stays.
pub(crate) type Step<T> = Result<T, Reason>;
