//! What happens in the demo: who writes what when, and what goes wrong.

use std::time::Duration;

use crate::gateway::simulator::{Fault, NewReply};
use crate::time::UnixMs;

/// The gateway number of the demo's account, as the provider's example has it.
pub(super) const NUMBER: &str = "1068112227282";

/// One thing that happens.
pub(super) enum Scene {
    /// A customer writes.
    Reply { mobile: &'static str, text: &'static str, extension: &'static str },
    /// The next answer of the gateway breaks after so many bytes.
    Cut { after: usize },
}

/// When, in seconds of the demo's clock since its start, and what. Replies show what such
/// answers have held: Chinese, separators that customers type, characters whose bytes are
/// separators, and the same words twice within a second.
pub(super) const STORY: [(u64, Scene); 13] = [
    (0, reply("13900000001", "好的，收到", "")),
    (0, reply("13900000002", "TD", "01")),
    (70, reply("13900000003", "请问几点送货？", "")),
    (95, reply("13900000004", "a||b{&}c || 1,2", "02")),
    (130, reply("13900000005", "预算一億，和珅", "")),
    (150, reply("13900000006", "1", "03")),
    (150, reply("13900000006", "1", "03")),
    (185, Scene::Cut { after: 60 }),
    (186, reply("13900000007", "改到明天上午", "")),
    (187, reply("13900000008", "好", "")),
    (188, reply("13900000009", "谢谢😀", "")),
    (260, reply("13900000001", "再发一次资料", "")),
    (320, reply("13900000010", "退订", "")),
];

const fn reply(mobile: &'static str, text: &'static str, extension: &'static str) -> Scene {
    Scene::Reply { mobile, text, extension }
}

impl Scene {
    /// The reply that arrives, if one does.
    pub(super) fn reply(&self, now: UnixMs) -> Option<NewReply> {
        match self {
            Self::Cut { .. } => None,
            Self::Reply { mobile, text, extension } => {
                Some(NewReply::text(mobile, text, now.beijing(), &format!("{NUMBER}{extension}")))
            }
        }
    }

    /// The fault that the gateway is asked for, if it is.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Cut { after } => Some(Fault::CutBody { after: *after }),
            Self::Reply { .. } => None,
        }
    }
}

/// A scene's distance from the start.
pub(super) fn offset(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
