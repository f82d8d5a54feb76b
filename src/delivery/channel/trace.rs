//! What is noted of an attempt while it goes on, so that it is known however the attempt ends.

use std::net::SocketAddr;

use crate::clock::Stopwatch;
use crate::store::attempt::{Phase, Timings};
use crate::time::UnixMs;

/// The part that an attempt is in, how long its parts took, and the address it goes to.
#[derive(Default)]
pub(super) struct Trace {
    part: Option<(Phase, Stopwatch)>,
    timings: Timings,
    /// The address that was reached, or else the one that was tried last.
    pub(super) address: Option<SocketAddr>,
    /// When the certificate ends that the server showed.
    pub(super) certificate_end: Option<UnixMs>,
}

impl Trace {
    /// What is noted on a connection that was kept.
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { address: Some(address), ..Self::default() }
    }

    /// A part begins, and the one before it ends.
    pub(super) fn begin(&mut self, part: Phase) {
        self.end();
        self.part = Some((part, Stopwatch::start()));
    }

    /// The part ends. One that comes twice, as the names of a destination and of a proxy are
    /// resolved one after the other, took both times together.
    pub(super) fn end(&mut self) {
        if let Some((part, since)) = self.part.take() {
            let took = match part {
                Phase::Resolve => &mut self.timings.resolve,
                Phase::Connect => &mut self.timings.connect,
                Phase::Tls => &mut self.timings.tls,
                Phase::Answer => &mut self.timings.first_byte,
            };
            *took = Some(took.unwrap_or_default() + since.elapsed());
        }
    }

    /// The part that is going on.
    pub(super) fn part(&self) -> Option<Phase> {
        self.part.map(|(part, _)| part)
    }

    /// What is noted when the attempt is over. A part that it broke off in counts until then.
    pub(super) fn close(mut self) -> (Option<SocketAddr>, Timings) {
        self.end();
        (self.address, self.timings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_timed_until_they_end_or_break_off() {
        let mut trace = Trace::default();
        trace.begin(Phase::Connect);
        trace.begin(Phase::Tls);
        assert_eq!(trace.part(), Some(Phase::Tls));
        let (address, timings) = trace.close();
        assert_eq!(address, None);
        assert!(timings.connect.is_some() && timings.tls.is_some());
        assert_eq!((timings.resolve, timings.first_byte), (None, None));
    }

    #[test]
    fn a_part_that_comes_twice_took_both_times() {
        let mut trace = Trace::default();
        trace.timings.resolve = Some(std::time::Duration::from_hours(1));
        trace.begin(Phase::Resolve);
        trace.end();
        assert_eq!(trace.part(), None);
        assert!(trace.close().1.resolve > Some(std::time::Duration::from_hours(1)));
    }
}
