//! What is told of a message that was sent, or would be.

use serde_json::json;

use super::exit_of;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::gateway::charset::Charset;
use crate::gateway::tx::Outcome;
use crate::language::Language;
use crate::sending::plan::Plan;
use crate::shape::Message;

/// A message, and what became of its calls.
pub(super) struct Told {
    account: String,
    pub(super) plan: Plan,
    language: Language,
    /// Its id; none where it is not sent.
    pub(super) id: Option<String>,
    /// Of the calls that were made.
    pub(super) outcomes: Vec<Outcome>,
}

impl Told {
    pub(super) fn new(account: &str, plan: Plan, language: Language) -> Self {
        Self { account: account.to_owned(), plan, language, id: None, outcomes: Vec::new() }
    }

    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        let accepted =
            self.outcomes.iter().filter(|outcome| **outcome == Outcome::Accepted).count();
        if accepted == self.plan.calls.len() {
            return Exit::Done;
        }
        match self.outcomes.last() {
            // Where some went out, the rest is not to be tried again as a whole.
            _ if accepted > 0 => Exit::Failed,
            Some(Outcome::Refused(status)) => exit_of(*status),
            Some(Outcome::Unsent(_)) => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }

    /// Says it: data to stdout, and what went wrong to stderr.
    pub(super) fn say(&self, as_json: bool) {
        if as_json {
            let id = self.id.as_deref();
            let shape = Message::planned(&self.account, &self.plan, id, &self.outcomes);
            return output::json(&json!(shape));
        }
        output::data(&self.headline());
        for (outcome, numbers) in self.outcomes.iter().zip(&self.plan.calls) {
            if let Some(trouble) = self.trouble(outcome, numbers.len()) {
                output::talk(&trouble);
            }
        }
        let left: usize = self.plan.calls.iter().skip(self.outcomes.len()).map(Vec::len).sum();
        if self.id.is_some() && left > 0 {
            output::talk(&match self.language {
                Language::Zh => format!("其余 {left} 个号码未发送"),
                Language::En => format!("{left} more were not sent to"),
            });
        }
    }

    fn headline(&self) -> String {
        let plan = &self.plan;
        let charset = match plan.encoded.charset {
            Charset::Gbk => "GBK",
            Charset::Utf8 => "UTF-8",
        };
        let (numbers, letters) = (plan.numbers(), plan.text.chars().count());
        let accepted: usize = self.accepted();
        let at = plan.at.map(|at| at.to_string());
        let (account, calls) = (&self.account, plan.calls.len());
        let of = |en: &str, zh: &str| self.language.pick(zh, en).to_owned();
        let head = match &self.id {
            None => of("would send to", "将发送给"),
            Some(_) => of("accepted for", "已受理"),
        };
        let to = if self.id.is_none() { numbers } else { accepted };
        let at = match (&at, self.language) {
            (None, _) => String::new(),
            (Some(at), Language::En) => format!(", at {at} Beijing time"),
            (Some(at), Language::Zh) => format!("，定时 {at}"),
        };
        let id = self.id.as_ref().map(|id| format!(": {id}")).unwrap_or_default();
        match self.language {
            Language::En => format!(
                "{head} {to} of {} by {account}, in {}, {letters} characters as {charset}{at}{id}",
                output::count(numbers, "number", "numbers"),
                output::count(calls, "call", "calls"),
            ),
            Language::Zh => format!(
                "{head} {to}/{numbers} 个号码，账号 {account}，{calls} 次请求，{letters} 个字，{charset} 编码{at}{id}"
            ),
        }
    }

    fn accepted(&self) -> usize {
        let calls = self.outcomes.iter().zip(&self.plan.calls);
        calls.filter(|(outcome, _)| **outcome == Outcome::Accepted).map(|(_, to)| to.len()).sum()
    }

    fn trouble(&self, outcome: &Outcome, numbers: usize) -> Option<String> {
        let language = self.language;
        let words = match outcome {
            Outcome::Accepted => return None,
            Outcome::Refused(status) => {
                format!("{} {}. {}", status.0, status.meaning_in(language), status.advice(language))
            }
            Outcome::Unsent(detail) => {
                let said = language
                    .pick("无法连接网关，未发送", "the gateway was not reached, nothing was sent");
                format!("{said}: {detail}")
            }
            Outcome::Unclear(detail) => {
                let said = language.pick(
                    "网关没有明确答复，可能已发送；请先查询余额或向服务商核实，不要直接重发",
                    "the gateway did not say: it may have been sent. Look at the balance or ask the provider \
                     before you send it again",
                );
                format!("{said}: {detail}")
            }
        };
        Some(match language {
            Language::En => format!("{}: {words}", output::count(numbers, "number", "numbers")),
            Language::Zh => format!("{numbers} 个号码：{words}"),
        })
    }
}
