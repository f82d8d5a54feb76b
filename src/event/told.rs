//! An event's body read back, for those who look at what was told.

use serde::Deserialize;

/// What of an event's data is shown beside its delivery; none where an event has no such thing. No
/// `Debug`: it holds what a stranger wrote.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The account that it is about.
    pub account: Option<String>,
    /// Who wrote, as it is told: the whole number.
    pub from: Option<String>,
    /// What was typed.
    pub content: Option<String>,
    /// What makes the reply doubtful.
    pub suspect: Option<String>,
}

impl Told {
    /// Reads a body; what is none of ours tells nothing.
    #[must_use]
    pub fn read(body: &str) -> Self {
        #[derive(Deserialize)]
        struct Body {
            data: Told,
        }
        serde_json::from_str::<Body>(body).map(|body| body.data).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_lacks_is_none() {
        let told = Told::read(
            r#"{"type":"reply.received","data":{"id":"rpl_1","account":"main","from":"13900000001","content":"好","suspect":null,"occurrence":1}}"#,
        );
        assert_eq!(told.account.as_deref(), Some("main"));
        assert_eq!(told.from.as_deref(), Some("13900000001"));
        assert_eq!((told.content.as_deref(), told.suspect), (Some("好"), None));
        let notice = Told::read(r#"{"data":{"id":"evt_1","account":"main","status":101}}"#);
        assert!(notice.account.is_some() && notice.from.is_none() && notice.content.is_none());
        for other in ["", "{}", "[]", r#"{"data":7}"#] {
            assert!(Told::read(other) == Told::default(), "{other}");
        }
    }
}
