//! IPVS's estimator: counters per second, averaged exponentially (`ip_vs_est.c`).

use model::{Rates, Stats};

/// Seconds between two ticks of every estimator.
pub const ESTIMATE_SECONDS: u32 = 2;

/// Binary digits after the point of an average of connections and packets. The same as in the
/// kernel, so that the same traffic gives the same figures.
const COUNT_DIGITS: u32 = 10;
/// Those of an average of bytes.
const BYTE_DIGITS: u32 = 5;

/// The averages of one service or destination.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Estimator {
    last: Stats,
    connections: u64,
    in_packets: u64,
    out_packets: u64,
    in_bytes: u64,
    out_bytes: u64,
}

impl Estimator {
    /// An estimator for counters that stand at `stats` already.
    pub(crate) fn starting_at(stats: Stats) -> Self {
        Self {
            last: stats,
            ..Self::default()
        }
    }

    /// What the counters said at the last tick.
    pub(crate) const fn last(&self) -> Stats {
        self.last
    }

    /// Takes in what the counters say two seconds after the last time.
    pub(crate) fn tick(&mut self, now: Stats) {
        let last = std::mem::replace(&mut self.last, now);
        let count = |average: &mut u64, now: u64, last: u64, digits: u32| {
            // Over two seconds, hence one digit less.
            let rate = now.wrapping_sub(last) << (digits - 1);
            let step = (rate as i64).wrapping_sub(*average as i64) >> 2;
            *average = average.wrapping_add_signed(step);
        };
        count(
            &mut self.connections,
            now.connections,
            last.connections,
            COUNT_DIGITS,
        );
        count(
            &mut self.in_packets,
            now.in_packets,
            last.in_packets,
            COUNT_DIGITS,
        );
        count(
            &mut self.out_packets,
            now.out_packets,
            last.out_packets,
            COUNT_DIGITS,
        );
        count(&mut self.in_bytes, now.in_bytes, last.in_bytes, BYTE_DIGITS);
        count(
            &mut self.out_bytes,
            now.out_bytes,
            last.out_bytes,
            BYTE_DIGITS,
        );
    }

    /// The averages, rounded as the kernel rounds them.
    pub(crate) fn rates(&self) -> Rates {
        let shown =
            |average: u64, digits: u32| average.wrapping_add((1 << (digits - 1)) - 1) >> digits;
        Rates {
            connections: shown(self.connections, COUNT_DIGITS),
            in_packets: shown(self.in_packets, COUNT_DIGITS),
            out_packets: shown(self.out_packets, COUNT_DIGITS),
            in_bytes: shown(self.in_bytes, BYTE_DIGITS),
            out_bytes: shown(self.out_bytes, BYTE_DIGITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(in_bytes: u64, in_packets: u64) -> Stats {
        Stats {
            in_bytes,
            in_packets,
            ..Stats::default()
        }
    }

    /// 57 packets and 3057 bytes (the oracle's nat-wrr) in one estimator interval show, after the
    /// second, as 5 packets/s and 287 bytes/s: (57 << 9) / 4 * 3 / 4 >> 10 and so on.
    #[test]
    fn a_burst_fades_by_a_quarter_every_two_seconds() {
        let mut estimator = Estimator::default();
        estimator.tick(bytes(3057, 57));
        assert_eq!(
            (estimator.rates().in_packets, estimator.rates().in_bytes),
            (7, 382)
        );
        estimator.tick(bytes(3057, 57));
        assert_eq!(
            (estimator.rates().in_packets, estimator.rates().in_bytes),
            (5, 287)
        );
    }

    #[test]
    fn a_steady_flow_shows_its_rate() {
        let mut estimator = Estimator::default();
        for second in 1..60 {
            estimator.tick(bytes(second * 2000, second * 20));
        }
        assert_eq!(
            (estimator.rates().in_packets, estimator.rates().in_bytes),
            (10, 1000)
        );
    }

    #[test]
    fn an_estimator_that_starts_late_does_not_count_what_was_before() {
        let mut estimator = Estimator::starting_at(bytes(1 << 40, 1 << 30));
        estimator.tick(bytes(1 << 40, 1 << 30));
        assert_eq!(estimator.rates(), Rates::default());
    }
}
