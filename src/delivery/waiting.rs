//! Why a delivery has not gone out: decided from what the store knows, and told in plain words.

use crate::delivery::explain;
use crate::delivery::pace::Pace;
use crate::language::Language;
use crate::store::attempt::Disabled;
use crate::store::by_hand::DeliveryDetail;
use crate::store::delivery::DeliveryState;
use crate::store::subscribers::SubscriberRow;
use crate::time::UnixMs;

/// Why a subscriber takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It takes deliveries.
    Enabled,
    /// The configuration says `enabled = false`.
    SwitchedOff,
    /// It was disabled while the service ran.
    Disabled {
        /// Since when.
        since: UnixMs,
        /// Why.
        why: Disabled,
    },
    /// The configuration has it no more.
    Absent,
    /// Its deliveries are being handed on to another name.
    Renamed {
        /// The other name.
        to: String,
    },
}

impl Readiness {
    /// How a subscriber stands.
    #[must_use]
    pub fn of(row: &SubscriberRow) -> Self {
        match (&row.renamed_to, row.disabled) {
            (Some(to), _) if row.absent => Self::Renamed { to: to.clone() },
            _ if row.absent => Self::Absent,
            _ if !row.enabled => Self::SwitchedOff,
            (_, Some((since, why))) => Self::Disabled { since, why },
            _ => Self::Enabled,
        }
    }

    /// The word for it in lists and in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::SwitchedOff | Self::Disabled { .. } => "disabled",
            Self::Absent | Self::Renamed { .. } => "absent",
        }
    }

    /// Why it takes nothing; none where it does.
    #[must_use]
    pub fn words(&self, language: Language) -> Option<String> {
        let both = |zh: String, en: String| Some(language.pick(zh, en));
        match self {
            Self::Enabled => None,
            Self::SwitchedOff => both(
                "配置中 enabled = false".to_owned(),
                "`enabled = false` in the configuration".to_owned(),
            ),
            Self::Disabled { since, why } => {
                let (since, why) = (since.beijing(), explain::disabled(*why, language));
                both(format!("自 {since} 起：{why}"), format!("since {since}: {why}"))
            }
            Self::Absent => both(
                "服务读取的配置中没有它".to_owned(),
                "it is not in the configuration that the service read".to_owned(),
            ),
            Self::Renamed { to } => both(
                format!("正在改名为 {to}，尚未完成；请再次运行 subscribers rename"),
                format!(
                    "it is being renamed to {to}, and that is not finished: run `subscribers rename` again"
                ),
            ),
        }
    }
}

/// Until when a subscriber is left alone, because it fails or wants fewer requests; none where it
/// is not.
#[must_use]
pub fn left_alone_until(row: &SubscriberRow, now: UnixMs) -> Option<UnixMs> {
    let until = Pace::kept(row.pace.as_deref()).not_before();
    Some(until).filter(|until| *until > now)
}

/// What a delivery that has not gone out waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For somebody to release it.
    Release,
    /// For its subscriber.
    Subscriber(Readiness),
    /// For this delivery of the same person's earlier reply.
    Behind(i64),
    /// For the time of its next attempt.
    Time(UnixMs),
    /// For the end of its subscriber's quiet hours.
    Quiet(UnixMs),
    /// Until its subscriber, which fails or wants fewer requests, is sent to again.
    Pause(UnixMs),
    /// For nothing but its turn.
    Turn,
    /// For the attempt that is under way, until then at the latest.
    Attempt(UnixMs),
}

impl Waits {
    /// What the delivery waits for; none where it is done.
    #[must_use]
    pub fn of(delivery: &DeliveryDetail, now: UnixMs) -> Option<Self> {
        let row = &delivery.row;
        match row.state {
            DeliveryState::Held => return Some(Self::Release),
            DeliveryState::Sending if row.due > now => return Some(Self::Attempt(row.due)),
            DeliveryState::Waiting | DeliveryState::Sending => {}
            DeliveryState::Delivered | DeliveryState::Failed | DeliveryState::Cancelled => {
                return None;
            }
        }
        let readiness = Readiness::of(&delivery.subscriber);
        let alone = left_alone_until(&delivery.subscriber, now);
        let quiet = delivery.quiet_until.filter(|until| *until > row.due && Some(*until) > alone);
        Some(match (delivery.behind, quiet) {
            _ if readiness != Readiness::Enabled => Self::Subscriber(readiness),
            (_, Some(until)) => Self::Quiet(until),
            (Some(ahead), None) => Self::Behind(ahead),
            (None, None) => match alone {
                Some(until) if until > row.due => Self::Pause(until),
                _ if row.due > now => Self::Time(row.due),
                _ => Self::Turn,
            },
        })
    }

    /// The word for it in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Subscriber(_) => "subscriber",
            Self::Behind(_) => "behind",
            Self::Time(_) => "time",
            Self::Quiet(_) => "quiet_hours",
            Self::Pause(_) => "pause",
            Self::Turn => "turn",
            Self::Attempt(_) => "attempt",
        }
    }

    /// What it waits for, in plain words.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let both = |zh: String, en: String| language.pick(zh, en);
        match self {
            Self::Release => both(
                "等待人工放行（回复可疑）：replyd deliveries release".to_owned(),
                "for somebody to release it, because the reply is suspect: replyd deliveries release"
                    .to_owned(),
            ),
            Self::Subscriber(readiness) => {
                let why = readiness.words(language).unwrap_or_default();
                both(
                    format!("等待订阅方恢复接收（{why}）"),
                    format!("until its subscriber takes deliveries again ({why})"),
                )
            }
            Self::Behind(ahead) => both(
                format!("等待同一号码更早的投递 {ahead}"),
                format!("behind delivery {ahead} of the same person's earlier reply"),
            ),
            Self::Time(due) => {
                let due = due.beijing();
                both(format!("等待到 {due} 再试"), format!("for its next attempt, at {due}"))
            }
            Self::Quiet(until) => {
                let until = until.beijing();
                both(
                    format!("订阅方免打扰（quiet_hours），{until} 之后发送"),
                    format!("for the end of its subscriber's quiet hours, at {until}"),
                )
            }
            Self::Pause(until) => {
                let until = until.beijing();
                both(
                    format!("订阅方失败或限流，暂停发送到 {until}"),
                    format!("until {until}, when its subscriber, which fails or wants fewer requests, is sent to again"),
                )
            }
            Self::Turn => both(
                "已到时间，轮到即发（由运行中的服务发送）".to_owned(),
                "for its turn: it is due, and the running service sends it".to_owned(),
            ),
            Self::Attempt(until) => {
                let until = until.beijing();
                both(
                    format!("正在发送，最迟到 {until}"),
                    format!("for the attempt that is under way, until {until} at the latest"),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Told;
    use crate::store::by_hand::DeliveryRow;
    use crate::store::delivery::Trigger;

    const NOW: UnixMs = UnixMs(1_000_000);
    const LATER: UnixMs = UnixMs(2_000_000);

    fn subscriber() -> SubscriberRow {
        SubscriberRow {
            name: "crm".to_owned(),
            enabled: true,
            absent: false,
            disabled: None,
            failing_since: None,
            renamed_to: None,
            pace: None,
        }
    }

    fn delivery(state: DeliveryState, due: UnixMs) -> DeliveryDetail {
        DeliveryDetail {
            row: DeliveryRow {
                id: 7,
                subscriber: "crm".to_owned(),
                event_id: "rpl_1".to_owned(),
                event_type: "reply.received".to_owned(),
                trigger: Trigger::Auto,
                state,
                attempts: 0,
                created: UnixMs(0),
                due,
                told: Told::default(),
                stands_in_for: None,
                taken_over_by: None,
            },
            released: None,
            behind: None,
            quiet_until: None,
            subscriber: subscriber(),
            attempts: Vec::new(),
        }
    }

    #[test]
    fn what_stops_everything_is_told_before_what_stops_one() {
        use DeliveryState::{Cancelled, Delivered, Failed, Held, Sending, Waiting};
        for (state, due, expected) in [
            (Held, NOW, Some(Waits::Release)),
            (Waiting, LATER, Some(Waits::Time(LATER))),
            (Waiting, NOW, Some(Waits::Turn)),
            (Sending, LATER, Some(Waits::Attempt(LATER))),
            // Its sender is no more.
            (Sending, NOW, Some(Waits::Turn)),
            (Delivered, NOW, None),
            (Failed, LATER, None),
            (Cancelled, LATER, None),
        ] {
            assert_eq!(Waits::of(&delivery(state, due), NOW), expected, "{state:?}");
        }
        let mut alone = delivery(Waiting, NOW);
        alone.subscriber.pace = Some(r#"{"not_before_ms":1500000}"#.to_owned());
        assert_eq!(Waits::of(&alone, NOW), Some(Waits::Pause(UnixMs(1_500_000))));
        assert_eq!(Waits::of(&alone, UnixMs(1_500_000)), Some(Waits::Turn));
        alone.row.due = LATER;
        assert_eq!(Waits::of(&alone, NOW), Some(Waits::Time(LATER)));
        let mut quiet = delivery(Waiting, NOW);
        quiet.quiet_until = Some(LATER);
        quiet.behind = Some(3);
        assert_eq!(Waits::of(&quiet, NOW), Some(Waits::Quiet(LATER)));
        // What lasts longer is told.
        quiet.row.due = UnixMs(LATER.0 + 1);
        quiet.behind = None;
        assert_eq!(Waits::of(&quiet, NOW), Some(Waits::Time(quiet.row.due)));
        quiet.row.due = NOW;
        quiet.subscriber.pace = Some(r#"{"not_before_ms":2000001}"#.to_owned());
        assert_eq!(Waits::of(&quiet, NOW), Some(Waits::Pause(UnixMs(2_000_001))));
        let mut waiting = delivery(Waiting, LATER);
        waiting.behind = Some(3);
        assert_eq!(Waits::of(&waiting, NOW), Some(Waits::Behind(3)));
        waiting.subscriber.disabled = Some((NOW, Disabled::Gone));
        let gone = Readiness::Disabled { since: NOW, why: Disabled::Gone };
        assert_eq!(Waits::of(&waiting, NOW), Some(Waits::Subscriber(gone)));
        waiting.row.state = Held;
        assert_eq!(Waits::of(&waiting, NOW), Some(Waits::Release));
    }

    #[test]
    fn a_subscriber_stands_as_the_configuration_says_first() {
        let disabled = Some((NOW, Disabled::ByHand));
        let to = || Some("erp".to_owned());
        for (absent, enabled, disabled, renamed_to, expected) in [
            (false, true, None, None, "enabled"),
            (false, true, disabled, None, "disabled"),
            (false, false, disabled, None, "disabled"),
            (true, false, disabled, None, "absent"),
            (true, true, None, to(), "absent"),
            (false, true, None, to(), "enabled"),
        ] {
            let row = SubscriberRow { absent, enabled, disabled, renamed_to, ..subscriber() };
            let readiness = Readiness::of(&row);
            assert_eq!(readiness.as_str(), expected, "{row:?}");
            for language in [Language::Zh, Language::En] {
                assert_eq!(readiness.words(language).is_none(), expected == "enabled", "{row:?}");
            }
        }
        let row = SubscriberRow { absent: true, renamed_to: to(), ..subscriber() };
        assert_eq!(Readiness::of(&row), Readiness::Renamed { to: "erp".to_owned() });
    }
}
