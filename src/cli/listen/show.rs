//! What the listening receiver says of each webhook, and at the end.

use serde_json::{Value, json};

use crate::cli::listen::desk::{Tally, Webhook};
use crate::cli::output;
use crate::cli::receiving::Sighting;
use crate::cli::table::visible;
use crate::delivery::diagnosis::words;
use crate::language::Language;
use crate::reply::Mobile;

/// How webhooks are shown.
pub(super) struct Show {
    pub(super) language: Language,
    /// What each secret is called.
    pub(super) names: Vec<String>,
    /// Whether full numbers and texts are shown.
    pub(super) content: bool,
    pub(super) json: bool,
}

impl Show {
    /// Shows a webhook.
    pub(super) fn webhook(&self, webhook: &Webhook) {
        if self.json {
            output::json(&self.as_json(webhook));
            return;
        }
        output::data(&self.head(webhook));
        for line in self.lines(webhook) {
            output::data(&line);
        }
    }

    fn as_json(&self, webhook: &Webhook) -> Value {
        let (request, event) = (&webhook.request, &webhook.event);
        let data = &event["data"];
        let mut json = json!({
            "at": request.at.beijing().rfc3339(),
            "verified": webhook.diagnosis.holds,
            "reason": words::reason(&webhook.diagnosis),
            "explanation": words::sentences(&webhook.diagnosis, &self.names, self.language),
            "id": request.id,
            "attempt": request.attempt.as_deref().and_then(|text| text.parse::<u32>().ok()),
            "trigger": request.trigger,
            "type": event["type"],
            "timestamp": event["timestamp"],
            "account": data["account"],
            "from": data["from"].as_str().map(|from| self.number(from)),
            "suspect": data["suspect"],
            "seen": webhook.sighting.map(word),
            "body_bytes": request.body.len(),
            "answered": webhook.answer,
        });
        if let (true, Some(fields)) = (self.content, json.as_object_mut()) {
            fields.insert("content".to_owned(), data["content"].clone());
        }
        json
    }

    /// The line that says how it stands.
    fn head(&self, webhook: &Webhook) -> String {
        let language = self.language;
        let stands = match webhook.sighting {
            None => language.pick("未通过验证", "NOT VERIFIED").to_owned(),
            Some(Sighting::New) => language.pick("已验证，新", "verified, new").to_owned(),
            Some(Sighting::Again(times)) => language.pick(
                format!("已验证，第 {times} 次收到，字节相同"),
                format!("verified, seen {times} times with the same bytes"),
            ),
            Some(Sighting::OtherBytes) => language
                .pick(
                    "编号相同，字节不同：同一编号的正文绝不应改变，请报告",
                    "SAME ID, OTHER BYTES: this must never be; please report it",
                )
                .to_owned(),
        };
        let at = webhook.request.at.beijing().to_string();
        let time = at.split(' ').next_back().unwrap_or_default();
        let stands = if output::is_coloured() {
            let colour = if webhook.is_good() { 32 } else { 31 };
            format!("\u{1b}[{colour}m{stands}\u{1b}[0m")
        } else {
            stands
        };
        format!("{time}  #{}  {stands} → {}", webhook.number, webhook.answer)
    }

    fn lines(&self, webhook: &Webhook) -> Vec<String> {
        let (request, event) = (&webhook.request, &webhook.event);
        let data = &event["data"];
        let mut lines = Vec::new();
        let mut line = |zh: &str, en: &str, text: String| {
            let label = self.language.pick(format!("{zh}  "), format!("{en:<10}"));
            lines.push(format!("    {label}{}", visible(&text)));
        };
        if !webhook.diagnosis.holds {
            let sentences = words::sentences(&webhook.diagnosis, &self.names, self.language);
            for sentence in sentences.into_iter().skip(1) {
                line("原因", "why", sentence);
            }
        }
        line("编号", "id", request.id.clone().unwrap_or_default());
        let attempt = request.attempt.as_deref().unwrap_or("?");
        let trigger = request.trigger.as_deref().unwrap_or("?");
        line("次数", "attempt", format!("{attempt} ({trigger})"));
        for (zh, en, value) in [
            ("类型", "type", &event["type"]),
            ("时间", "when", &event["timestamp"]),
            ("账号", "account", &data["account"]),
        ] {
            if let Some(text) = value.as_str() {
                line(zh, en, text.to_owned());
            }
        }
        if let Some(from) = data["from"].as_str() {
            line("来自", "from", self.number(from));
        }
        if let Some(suspect) = data["suspect"].as_str() {
            line("可疑", "suspect", suspect.to_owned());
        }
        match data["content"].as_str() {
            Some(content) if self.content => line("内容", "content", content.to_owned()),
            Some(content) => line("内容", "content", self.length(content)),
            None if self.content && !event.is_null() => line("数据", "data", data.to_string()),
            None => {}
        }
        lines
    }

    /// A sender's number, masked unless numbers are to be shown.
    fn number(&self, from: &str) -> String {
        match Mobile::parse(from) {
            _ if self.content => from.to_owned(),
            Some(mobile) => mobile.to_string(),
            // What is masked already for this subscriber is no number any more.
            None if from.contains("****") => from.to_owned(),
            None => "****".to_owned(),
        }
    }

    fn length(&self, content: &str) -> String {
        let letters = content.chars().count();
        self.language.pick(
            format!("{letters} 个字符（加 --content 显示）"),
            format!("{} (--content shows it)", output::count(letters, "character", "characters")),
        )
    }

    /// Says what there was in all.
    pub(super) fn summary(&self, tally: &Tally) {
        let Tally { webhooks, new, again, other_bytes, unverified, failed } = tally;
        output::talk(&self.language.pick(
            format!(
                "共 {webhooks} 个 Webhook：{new} 个新的，{again} 个重复，{unverified} 个未通过验证，{other_bytes} 个编号相同而字节不同；{failed} 个按要求回答了失败。"
            ),
            format!(
                "{}: {new} new, {again} seen before, {unverified} not verified, {other_bytes} with the same id and other bytes; {failed} answered with a failure, as asked.",
                output::count(usize::try_from(*webhooks).unwrap_or(usize::MAX), "webhook", "webhooks")
            ),
        ));
    }
}

/// A sighting's word in JSON.
fn word(sighting: Sighting) -> &'static str {
    match sighting {
        Sighting::New => "new",
        Sighting::Again(_) => "again",
        Sighting::OtherBytes => "other_bytes",
    }
}
