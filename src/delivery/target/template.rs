//! Requests made of templates: a subscriber's own, and those of the presets.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use crate::config::{FormatFacts, OptionFacts, Secret};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Method, Reads, Recipient, Request, Target, TextRules, Verdict, own, path_and_query,
    plain,
};
use crate::template::{Case, Definition, Escape, Field, Means, Says, Template};

/// Whatever a subscriber makes of it: what is sent and what success looks like it says itself.
pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: FormatFacts::TEMPLATE,
        url: any_url,
        options: &[OptionFacts { name: OptionFacts::ANY, is_required: false }],
        rate: None,
        needs_number: false,
        read: Some(own::read),
    },
    name: ["模板", "the template"],
    rules: TextRules { measure: plain::bytes, max: 16 * 1024, escape: plain::as_it_is },
    request: nothing,
    judge: answer::by_status,
    advice: |_| None,
    definition: None,
    flow: None,
};

pub(super) fn any_url(_: &Url, _: bool) -> Result<(), &'static str> {
    Ok(())
}

/// The request where there is no template: none is configured without one.
pub(super) fn nothing(message: &Message, to: Recipient<'_>) -> Request {
    let body = serde_json::json!({ "text": message.text });
    Request::json(path_and_query(to.url, ""), &body)
}

/// The request that brings a message.
pub(super) fn request(of: &Definition, message: &Message, to: Recipient<'_>) -> Request {
    let value = |field: &Field| match field {
        Field::Text => message.text.clone(),
        Field::Title => message.title.clone(),
        Field::Id => message.id.clone(),
        Field::OfEvent(key) => message.word(key),
        Field::Secret => shown(to.product.secret.as_ref()),
        Field::Option(name) => shown(to.product.options.get(name)),
    };
    let has_value = |template: &Template| {
        let mut fields = template.fields().peekable();
        fields.peek().is_none() || fields.any(|field| !value(field).is_empty())
    };
    let headers = of.headers.iter().filter(|(_, template)| has_value(template));
    let headers = headers.map(|(name, template)| (*name, template.fill(Escape::Header, value)));
    let content_type = ("content-type", of.form.content_type().to_owned());
    let content_type = (!of.is_typed).then_some(content_type);
    Request {
        method: Method::Post,
        path_and_query: path_and_query(to.url, ""),
        headers: content_type.into_iter().chain(headers).collect(),
        body: of.body.fill(of.form.escape(), value),
        reads: Reads::First,
    }
}

fn shown(secret: Option<&Secret>) -> String {
    secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default()
}

/// What an answer means: a 2xx is a success where it says what it is to say.
pub(super) fn judge(of: &Definition, product: &'static str, answer: Answer<'_>) -> Verdict {
    let is_said = |says: &Says| says.is_said(answer.body);
    let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    let at = |pointer: Option<&str>| match pointer.and_then(|pointer| body.pointer(pointer)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let code = match &of.success {
        Some(Says::Json { pointer, .. }) => at(Some(pointer)),
        _ => String::new(),
    };
    let said = at(of.message.as_deref());
    let text = String::from_utf8_lossy(answer.body);
    let message = if said.is_empty() { text.trim() } else { &said };
    let status = answer.status.to_string();
    let code = if code.is_empty() && of.cases.iter().any(|case| is_case(case, answer)) {
        &status
    } else {
        &code
    };
    let refused = Refused { product, code, message };
    if let Some(case) = of.cases.iter().find(|case| is_case(case, answer)) {
        return match case.means {
            Means::Throttled(wait) => refused.throttled(wait.max(answer.retry_after)),
            Means::Refused => refused.for_good(),
            Means::Gone => refused.gone(),
        };
    }
    if !(200..300).contains(&answer.status) {
        return answer::by_status(answer);
    }
    match of.success.as_ref().map(is_said) {
        None | Some(Some(true)) => answer::delivered(),
        Some(Some(false)) => refused.busy(),
        Some(None) => answer::unreadable(product, answer),
    }
}

fn is_case(case: &Case, answer: Answer<'_>) -> bool {
    case.status.is_none_or(|status| status == answer.status)
        && case.says.as_ref().is_none_or(|says| says.is_said(answer.body) == Some(true))
}

/// The longest wait that a preset may ask for.
pub(super) const WAIT_MAX: Duration = Duration::from_hours(24);
