//! What products' answers have in common: a body that decides, whatever the status, and a
//! refusal with a code.

use std::time::Duration;

use serde_json::Value;

use crate::delivery::target::{Answer, Verdict, Wish, plain};
use crate::store::attempt::{Disabled, Refusal, Trouble};

/// The longest wait that a product is taken to mean.
const WAIT_MAX: Duration = Duration::from_hours(24);
/// Letters of a product's words that are kept; the whole answer is kept beside them.
const MESSAGE_LETTERS_MAX: usize = 200;
/// No product has longer codes.
const CODE_LETTERS_MAX: usize = 40;

/// The product has it.
#[must_use]
pub fn delivered() -> Verdict {
    Verdict { trouble: None, wish: Wish::None }
}

/// A refusal in a product's words.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// The product's word.
    pub product: &'static str,
    /// Its code, if it gave one.
    pub code: &'a str,
    /// What it said.
    pub message: &'a str,
}

impl Refused<'_> {
    /// It was sent too much; it wants to be left alone for so long, where it says that.
    #[must_use]
    pub fn throttled(self, wait: Option<Duration>) -> Verdict {
        let wish = wait.map_or(Wish::None, |wait| Wish::Wait(wait.min(WAIT_MAX)));
        self.verdict(Refusal::Throttled, wish)
    }

    /// It may take it later.
    #[must_use]
    pub fn busy(self) -> Verdict {
        self.verdict(Refusal::Busy, Wish::None)
    }

    /// It never takes this one.
    #[must_use]
    pub fn for_good(self) -> Verdict {
        self.verdict(Refusal::Refused, Wish::Abort)
    }

    /// It takes nothing any more.
    #[must_use]
    pub fn gone(self) -> Verdict {
        self.verdict(Refusal::Gone, Wish::Disable(Disabled::Gone))
    }

    /// Whether it has this one is not known.
    #[must_use]
    pub fn unreadable(self) -> Verdict {
        self.verdict(Refusal::Unreadable, Wish::None)
    }

    fn verdict(self, refusal: Refusal, wish: Wish) -> Verdict {
        let trouble = Trouble::Product {
            product: self.product.to_owned(),
            code: short(self.code, CODE_LETTERS_MAX),
            message: short(self.message, MESSAGE_LETTERS_MAX),
            refusal,
        };
        Verdict { trouble: Some(trouble), wish }
    }
}

/// An answer that is not in the product's form: by its status, where that is no success, and else
/// one of which nobody knows what it means.
#[must_use]
pub fn unreadable(product: &'static str, answer: Answer<'_>) -> Verdict {
    if !(200..300).contains(&answer.status) {
        return by_status(answer);
    }
    let text = String::from_utf8_lossy(answer.body);
    Refused { product, code: "", message: &text }.verdict(Refusal::Unreadable, Wish::None)
}

/// An answer with a code of which `0` alone is a success, also where its status is one. `codes` are
/// the members in which the code may stand; what any other code means is the product's.
#[must_use]
pub fn coded(
    product: &'static str,
    answer: Answer<'_>,
    codes: &[&str],
    message: &str,
    meaning: impl FnOnce(Refused<'_>) -> Verdict,
) -> Verdict {
    let Some(body) = object(answer) else { return unreadable(product, answer) };
    let code = codes.iter().map(|key| text(&body, key)).find(|code| !code.is_empty());
    let (code, message) = (code.unwrap_or_default(), text(&body, message));
    match code.as_str() {
        "0" if (200..300).contains(&answer.status) => delivered(),
        "" | "0" => unreadable(product, answer),
        _ => meaning(Refused { product, code: &code, message: &message }),
    }
}

/// A failure of which only the status is known.
#[must_use]
pub fn by_status(answer: Answer<'_>) -> Verdict {
    let wish = match answer.status {
        410 => Wish::Disable(Disabled::Gone),
        _ => answer.retry_after.map_or(Wish::None, Wish::Wait),
    };
    Verdict { trouble: Some(Trouble::Status { status: answer.status }), wish }
}

/// The same, with what the answer's headers ask for: `webhook-delivery` before all else, and
/// `Retry-After` on any failure for which nothing else is wanted.
#[must_use]
pub fn heeding(verdict: Verdict, answer: Answer<'_>) -> Verdict {
    let asks = answer.webhook_delivery.map(str::trim_ascii).unwrap_or_default();
    let wish = match (&verdict.trouble, verdict.wish) {
        _ if asks.eq_ignore_ascii_case("disable") => Wish::Disable(Disabled::Asked),
        (Some(_), Wish::None | Wish::Wait(_)) if asks.eq_ignore_ascii_case("abort-message") => {
            Wish::Abort
        }
        (Some(_), Wish::None) => answer.retry_after.map_or(Wish::None, Wish::Wait),
        (_, wish) => wish,
    };
    Verdict { wish, ..verdict }
}

/// The body, where it is a JSON object.
#[must_use]
pub fn object(answer: Answer<'_>) -> Option<Value> {
    serde_json::from_slice(answer.body).ok().filter(Value::is_object)
}

/// A member as text, whether it is a text or a number; empty where it is neither.
#[must_use]
pub fn text(of: &Value, key: &str) -> String {
    match of.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Seconds, whole or not, as a wait.
#[must_use]
pub fn seconds(of: Option<&Value>) -> Option<Duration> {
    let seconds = of?.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The first of a text, on one line.
fn short(text: &str, letters_max: usize) -> String {
    let text = plain::visible(text.trim());
    let mut letters = text.chars();
    let shown: String = letters.by_ref().take(letters_max).collect();
    if letters.next().is_some() { shown + "…" } else { shown }
}
