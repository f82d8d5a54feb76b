//! What is to be sent, checked before anything is: pure.

use crate::gateway::tx::{self, Encoded, NUMBERS_MAX};
use crate::reply::Mobile;
use crate::time::BeijingTime;

/// How many wrong numbers are named.
const WRONG_SHOWN: usize = 10;

/// What somebody wants to send.
pub struct Asked {
    /// Lists of numbers.
    pub to: Vec<String>,
    /// What it says.
    pub text: String,
    /// When it is to be sent, as YYYY-MM-DD HH:MM in Beijing; else at once.
    pub at: Option<String>,
    /// The sub-extension from which it is to go out.
    pub mid: Option<String>,
}

/// What is wrong with a wish to send. Nothing was sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// These are no numbers to send to.
    #[error("{}", wrong(.0))]
    WrongNumbers(Vec<String>),
    /// It goes to nobody.
    #[error("no number to send to")]
    NoNumber,
    /// It says nothing.
    #[error("the text is empty")]
    NoText,
    /// No sub-extension is like that.
    #[error("mid must be at most 20 digits")]
    Mid,
    /// The time is of another form.
    #[error("at must be of the form YYYY-MM-DD HH:MM, in Beijing time")]
    AtForm,
    /// The time is over.
    #[error("at, {at}, is over: it is {now} in Beijing")]
    AtOver {
        /// When it was to be sent.
        at: BeijingTime,
        /// The time.
        now: BeijingTime,
    },
}

/// What is sent.
pub struct Plan {
    /// What it says.
    pub text: String,
    /// The same as it goes out.
    pub encoded: Encoded,
    /// The numbers of each call.
    pub calls: Vec<Vec<Mobile>>,
    /// How many numbers stood there more than once.
    pub repeated: usize,
    /// When the gateway is to send it; at once where none is given.
    pub at: Option<BeijingTime>,
    /// The sub-extension from which it goes out.
    pub mid: Option<String>,
}

impl Plan {
    /// Checks what was asked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(asked: Asked, now: BeijingTime) -> Result<Self, PlanError> {
        let read = tx::numbers(asked.to.iter().map(String::as_str));
        if !read.wrong.is_empty() {
            return Err(PlanError::WrongNumbers(read.wrong));
        }
        if read.numbers.is_empty() {
            return Err(PlanError::NoNumber);
        }
        if asked.text.trim().is_empty() {
            return Err(PlanError::NoText);
        }
        if asked.mid.as_deref().is_some_and(|mid| !tx::is_mid(mid)) {
            return Err(PlanError::Mid);
        }
        let at = asked.at.map(|at| time(&at, now)).transpose()?;
        Ok(Self {
            encoded: tx::encode(&asked.text),
            text: asked.text,
            calls: read.numbers.chunks(NUMBERS_MAX).map(<[Mobile]>::to_vec).collect(),
            repeated: read.repeated,
            at,
            mid: asked.mid,
        })
    }

    /// How many numbers there are.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.calls.iter().map(Vec::len).sum()
    }
}

fn wrong(numbers: &[String]) -> String {
    let shown: Vec<String> =
        numbers.iter().take(WRONG_SHOWN).map(|number| format!("{number:?}")).collect();
    let more = match numbers.len().saturating_sub(WRONG_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let is = if numbers.len() == 1 { "is no number" } else { "are no numbers" };
    format!(
        "{}{more} {is} to send to: nothing was sent. A number is a mainland mobile of 11 digits, or a \
         landline with its area code",
        shown.join(", ")
    )
}

/// A minute to come, in Beijing.
fn time(text: &str, now: BeijingTime) -> Result<BeijingTime, PlanError> {
    let at: BeijingTime = format!("{}:00", text.trim()).parse().map_err(|_| PlanError::AtForm)?;
    if at <= now { Err(PlanError::AtOver { at, now }) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::charset::Charset;

    fn plan(to: &str, text: &str, at: Option<&str>, mid: Option<&str>) -> Result<Plan, String> {
        let asked = Asked {
            to: vec![to.to_owned()],
            text: text.to_owned(),
            at: at.map(str::to_owned),
            mid: mid.map(str::to_owned),
        };
        Plan::new(asked, "2026-11-26 15:04:05".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn thousands_go_out_in_calls_of_two_thousand() {
        let to: Vec<String> = (0..4_001).map(|number| format!("1390000{number:04}")).collect();
        let plan = plan(&to.join(","), "好", None, None).unwrap();
        assert_eq!(plan.calls.iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 2_000, 1]);
        assert_eq!((plan.numbers(), plan.encoded.charset), (4_001, Charset::Gbk));
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_is_sent() {
        let one = "13900000001";
        for (to, text, at, mid, expected) in [
            ("", "a", None, None, "no number to send to"),
            ("1,2,13900000001", "a", None, None, r#""1", "2" are no numbers to send to"#),
            (one, " \n", None, None, "the text is empty"),
            (one, "a", Some("2026-11-26 15:04"), None, "is over: it is 2026-11-26 15:04:05"),
            (one, "a", Some("2026-11-31 15:04"), None, "must be of the form"),
            (one, "a", Some("tomorrow"), None, "must be of the form"),
            (one, "a", None, Some("x"), "mid must be"),
        ] {
            let error = plan(to, text, at, mid).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
        let many = ["x"; 12].join(",");
        assert!(plan(&many, "a", None, None).err().unwrap().contains(r#""x" and 2 more are"#));
        let at = plan(one, "a", Some("2026-11-26 15:05"), Some("00")).unwrap().at;
        assert_eq!(at.unwrap().to_string(), "2026-11-26 15:05:00");
    }
}
