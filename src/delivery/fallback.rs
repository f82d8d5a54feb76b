//! When a subscriber's fallback takes over, and what: decided from how the two do.
//!
//! A subscriber is down when it was disabled, by hand or by what its receiver answered, when the
//! configuration switches it off, or in an outage: for a minute all its attempts have failed. Of one
//! in an outage everything goes to the fallback while it is left alone; when that is over, what is
//! new waits until one attempt has shown whether it is there again. So it gets its own again by
//! itself.

use crate::delivery::pace::Pace;
use crate::delivery::waiting::Readiness;
use crate::store::attempt::{Phase, Refusal, Step, Trouble};
use crate::store::fallback::{Judgement, Relief};
use crate::store::subscribers::SubscriberRow;
use crate::time::UnixMs;

/// What the store is handed.
pub const JUDGEMENT: Judgement = Judgement { relief, leaves_doubt };

/// How a subscriber is, as one that others rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// It takes what comes.
    Well,
    /// It was in an outage, and is tried again.
    OnTrial,
    /// It is in an outage, and left alone.
    LeftAlone,
    /// It takes nothing until somebody changes that.
    Off,
    /// The configuration does not have it.
    Absent,
}

fn health(row: &SubscriberRow, now: UnixMs) -> Health {
    let pace = Pace::kept(row.pace.as_deref());
    match Readiness::of(row) {
        Readiness::Absent | Readiness::Renamed { .. } => Health::Absent,
        Readiness::SwitchedOff | Readiness::Disabled { .. } => Health::Off,
        Readiness::Enabled if !pace.is_outage() => Health::Well,
        Readiness::Enabled if pace.not_before() > now => Health::LeftAlone,
        Readiness::Enabled => Health::OnTrial,
    }
}

/// Who takes over what of a subscriber, given those of its chain: the first that is not down. One
/// that was in an outage itself gets one delivery, to see whether it is there again.
fn relief(first: &SubscriberRow, chain: &[Option<SubscriberRow>], now: UnixMs) -> Option<Relief> {
    let untried = match health(first, now) {
        // What waits for one that the configuration lacks waits for its return.
        Health::Well | Health::Absent => return None,
        Health::OnTrial => false,
        Health::LeftAlone | Health::Off => true,
    };
    let healths =
        chain.iter().map(|row| row.as_ref().map_or(Health::Absent, |row| health(row, now)));
    let mut trial = None;
    for (by, health) in healths.enumerate() {
        match health {
            Health::Well => return Some(Relief { by, untried, is_trial: false }),
            Health::OnTrial => trial = trial.or(Some(Relief { by, untried, is_trial: true })),
            Health::LeftAlone | Health::Off | Health::Absent => {}
        }
    }
    trial
}

/// Whether a receiver may have what it was tried to be told: the request went out, and what came
/// back does not say that it was not taken.
fn leaves_doubt(trouble: Option<&Trouble>) -> bool {
    match trouble {
        // It went well, and its delivery has not heard of it.
        None => true,
        Some(Trouble::Timeout { phase, .. }) => *phase == Phase::Answer,
        Some(Trouble::Broken { .. } | Trouble::Told { .. }) => true,
        // Whoever answers for another does not know what that one did.
        Some(Trouble::Status { status }) => matches!(status, 502 | 504),
        Some(Trouble::Product { refusal, .. }) => *refusal == Refusal::Unreadable,
        // Of several requests one brings it.
        Some(Trouble::Step { step: Step::Message, of }) => leaves_doubt(Some(of)),
        Some(Trouble::Step { .. }) => false,
        Some(
            Trouble::Inside { .. }
            | Trouble::Resolve { .. }
            | Trouble::Connect { .. }
            | Trouble::Tls { .. }
            | Trouble::Proxy { .. },
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::attempt::Disabled;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn row(pace: Option<&str>) -> SubscriberRow {
        SubscriberRow {
            name: "crm".to_owned(),
            enabled: true,
            absent: false,
            disabled: None,
            failing_since: None,
            renamed_to: None,
            pace: pace.map(str::to_owned),
        }
    }

    /// Subscribers of each kind.
    fn of(health: Health) -> Vec<SubscriberRow> {
        let off = |why| SubscriberRow { disabled: Some((NOW, why)), ..row(None) };
        match health {
            Health::Well => vec![
                row(None),
                // It failed a while; it wants fewer requests.
                row(Some(r#"{"streak":9,"down_since_ms":1000,"down_until_ms":60999}"#)),
                row(Some(r#"{"not_before_ms":2000000}"#)),
            ],
            Health::OnTrial => {
                vec![row(Some(
                    r#"{"not_before_ms":999999,"down_since_ms":1,"down_until_ms":60001}"#,
                ))]
            }
            Health::LeftAlone => {
                vec![row(Some(
                    r#"{"not_before_ms":1000001,"down_since_ms":1,"down_until_ms":60001}"#,
                ))]
            }
            Health::Off => vec![
                off(Disabled::ByHand),
                off(Disabled::Gone),
                off(Disabled::Asked),
                off(Disabled::Failing),
                SubscriberRow { enabled: false, ..row(None) },
            ],
            Health::Absent => vec![
                SubscriberRow { absent: true, ..row(None) },
                SubscriberRow {
                    absent: true,
                    renamed_to: Some("erp".to_owned()),
                    ..off(Disabled::Gone)
                },
            ],
        }
    }

    #[test]
    fn the_first_that_is_not_down_takes_over_from_one_that_is() {
        use Health::{Absent, LeftAlone, Off, OnTrial, Well};
        let all = |by| Some((by, true, false));
        type Expected = Option<(usize, bool, bool)>;
        let cases: [(Health, &[Health], Expected); 14] = [
            (Well, &[Well], None),
            (Absent, &[Well], None),
            (Off, &[Well], all(0)),
            (LeftAlone, &[Well], all(0)),
            // Its next attempt shows whether it is there again; what failed does not wait for that.
            (OnTrial, &[Well], Some((0, false, false))),
            (Off, &[], None),
            (Off, &[Off], None),
            (Off, &[LeftAlone, Absent], None),
            (Off, &[Off, Well], all(1)),
            (LeftAlone, &[LeftAlone, Absent, Well], all(2)),
            (Off, &[OnTrial], Some((0, true, true))),
            (OnTrial, &[OnTrial], Some((0, false, true))),
            (Off, &[OnTrial, Well], all(1)),
            (Off, &[Off, OnTrial, OnTrial], Some((1, true, true))),
        ];
        for (first, chain, expected) in cases {
            for row in of(first) {
                let chain: Vec<_> = chain.iter().map(|health| of(*health).pop()).collect();
                let found = relief(&row, &chain, NOW);
                let found = found.map(|found| (found.by, found.untried, found.is_trial));
                assert_eq!(found, expected, "{row:?} {chain:?}");
            }
        }
        assert_eq!(relief(&of(Off)[0], &[None], NOW), None, "the store does not have it");
    }

    #[test]
    fn what_went_out_and_was_not_refused_leaves_a_doubt() {
        let detail = String::new;
        let timeout = |phase| Trouble::Timeout { phase, within_ms: 1 };
        let of_step = |step, of| Trouble::Step { step, of: Box::new(of) };
        let product = |refusal| Trouble::Product {
            product: "wecom".to_owned(),
            code: detail(),
            message: detail(),
            refusal,
        };
        for (trouble, expected) in [
            (timeout(Phase::Resolve), false),
            (timeout(Phase::Connect), false),
            (timeout(Phase::Tls), false),
            (timeout(Phase::Answer), true),
            (Trouble::Broken { detail: detail() }, true),
            (Trouble::Told { words: detail() }, true),
            (Trouble::Connect { detail: detail() }, false),
            (Trouble::Proxy { detail: detail() }, false),
            (Trouble::Status { status: 500 }, false),
            (Trouble::Status { status: 502 }, true),
            (Trouble::Status { status: 503 }, false),
            (Trouble::Status { status: 504 }, true),
            (product(Refusal::Busy), false),
            (product(Refusal::Gone), false),
            (product(Refusal::Unreadable), true),
            (of_step(Step::Message, timeout(Phase::Answer)), true),
            (of_step(Step::Message, timeout(Phase::Connect)), false),
            (of_step(Step::Contact, timeout(Phase::Answer)), false),
            (of_step(Step::Look, timeout(Phase::Answer)), false),
        ] {
            assert_eq!(leaves_doubt(Some(&trouble)), expected, "{trouble:?}");
        }
        assert!(leaves_doubt(None));
    }
}
