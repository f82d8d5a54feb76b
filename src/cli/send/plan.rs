//! What is to be sent, checked before anything is.

use crate::cli::chosen;
use crate::cli::exit::Failure;
use crate::config::AccountConfig;
use crate::gateway::tx::{self, Encoded, NUMBERS_MAX};
use crate::reply::Mobile;
use crate::time::BeijingTime;

/// How many wrong numbers are named.
const WRONG_SHOWN: usize = 10;

/// What somebody wants to send.
pub(super) struct Asked {
    /// Lists of numbers.
    pub(super) to: Vec<String>,
    pub(super) text: String,
    pub(super) at: Option<String>,
    pub(super) mid: Option<String>,
}

/// What is sent.
pub(super) struct Plan {
    pub(super) text: String,
    pub(super) encoded: Encoded,
    /// The numbers of each call.
    pub(super) calls: Vec<Vec<Mobile>>,
    /// How many numbers stood there more than once.
    pub(super) repeated: usize,
    pub(super) at: Option<BeijingTime>,
    pub(super) mid: Option<String>,
}

impl Plan {
    /// Checks what was asked; the error is for its author.
    pub(super) fn new(asked: Asked, now: BeijingTime) -> Result<Self, String> {
        let read = tx::numbers(asked.to.iter().map(String::as_str));
        if !read.wrong.is_empty() {
            return Err(wrong(&read.wrong));
        }
        if read.numbers.is_empty() {
            return Err("no number to send to: give --to or --to-file".to_owned());
        }
        if asked.text.trim().is_empty() {
            return Err("the text is empty".to_owned());
        }
        if asked.mid.as_deref().is_some_and(|mid| !tx::is_mid(mid)) {
            return Err("--mid must be at most 20 digits".to_owned());
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
    pub(super) fn numbers(&self) -> usize {
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
fn time(text: &str, now: BeijingTime) -> Result<BeijingTime, String> {
    let at: BeijingTime = format!("{}:00", text.trim()).parse().map_err(|_| {
        format!("--at {text:?} must be of the form YYYY-MM-DD HH:MM, in Beijing time")
    })?;
    if at <= now {
        return Err(format!("--at {text:?} is over: it is {now} in Beijing"));
    }
    Ok(at)
}

/// The account that sends.
pub(super) fn account<'a>(
    accounts: &'a [AccountConfig],
    named: Option<&str>,
) -> Result<&'a AccountConfig, Failure> {
    let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    match (named, accounts) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format!(
            "name the account that sends: --account {}",
            names.join(" | ")
        ))),
        (Some(name), _) => {
            chosen::require("account", name, &names)?;
            let found = accounts.iter().find(|account| account.name == name);
            found.ok_or_else(|| Failure::usage("no such account"))
        }
    }
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
        Plan::new(asked, "2026-11-26 15:04:05".parse().unwrap())
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
            (one, "a", None, Some("x"), "--mid must be"),
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
