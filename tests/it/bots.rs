//! Chat products as they behave: a stand-in on loopback for each, which checks signature and shape,
//! enforces its limit and the block that follows it, and answers in the product's own words.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use replyd::clock::Clock;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::chatwoot::{self, Desk};
use crate::support::until;

/// In every URL that a product gives: it must be seen nowhere.
pub(crate) const TOKEN: &str = "t0ken-0123456789abcdef";
/// With what those sign that do, and where a product wants its token apart.
pub(crate) const SECRET: &str = "SEC0123456789abcdef";
/// How far a timestamp may be off.
const STALE_MS: i64 = 60 * 60 * 1000;
const HTML: &str = "<html><body>unknown</body></html>";

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Product {
    DingTalk,
    Feishu,
    WeCom,
    Slack,
    Discord,
    Teams,
    Telegram,
    Chatwoot,
    Mattermost,
    ServerChan,
    PushPlus,
    Bark,
    Ntfy,
    Gotify,
    Apprise,
}

impl Product {
    pub(crate) const ALL: [Self; 15] = [
        Self::DingTalk,
        Self::Feishu,
        Self::WeCom,
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Telegram,
        Self::Chatwoot,
        Self::Mattermost,
        Self::ServerChan,
        Self::PushPlus,
        Self::Bark,
        Self::Ntfy,
        Self::Gotify,
        Self::Apprise,
    ];

    /// Its word in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::DingTalk => "dingtalk",
            Self::Feishu => "feishu",
            Self::WeCom => "wecom",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Telegram => "telegram",
            Self::Chatwoot => "chatwoot",
            Self::Mattermost => "mattermost",
            Self::ServerChan => "serverchan",
            Self::PushPlus => "pushplus",
            Self::Bark => "bark",
            Self::Ntfy => "ntfy",
            Self::Gotify => "gotify",
            Self::Apprise => "apprise",
        }
    }

    /// Path and query of the URL that it gives.
    fn path(self) -> String {
        match self {
            Self::DingTalk => format!("/robot/send?access_token={TOKEN}"),
            Self::Feishu => format!("/open-apis/bot/v2/hook/{TOKEN}"),
            Self::WeCom => format!("/cgi-bin/webhook/send?key={TOKEN}"),
            Self::Slack => format!("/services/T0/B0/{TOKEN}"),
            Self::Discord => format!("/api/webhooks/1/{TOKEN}"),
            Self::Teams => format!("/workflows/1/triggers/manual/paths/invoke?sig={TOKEN}"),
            Self::Telegram => String::new(),
            Self::Chatwoot => format!("/public/api/v1/inboxes/{TOKEN}"),
            Self::Mattermost => format!("/hooks/{TOKEN}"),
            Self::ServerChan => format!("/{TOKEN}.send"),
            Self::PushPlus => "/send".to_owned(),
            Self::Bark => "/push".to_owned(),
            Self::Ntfy => "/sms-replies".to_owned(),
            Self::Gotify => "/message".to_owned(),
            Self::Apprise => format!("/notify/{TOKEN}"),
        }
    }

    /// What its subscriber has beside.
    fn keys(self) -> String {
        match self {
            Self::DingTalk | Self::Feishu | Self::Chatwoot => format!("secret = \"{SECRET}\"\n"),
            Self::Telegram => {
                format!("secret = \"{TOKEN}\"\noptions = {{ chat_id = -100 }}\n")
            }
            Self::PushPlus | Self::Bark | Self::Ntfy | Self::Gotify => {
                format!("secret = \"{TOKEN}\"\n")
            }
            _ => String::new(),
        }
    }
}

/// How many messages in which time; who sends more is blocked for so long.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) count: usize,
    pub(crate) per: Duration,
    pub(crate) blocked: Duration,
}

#[derive(Default)]
struct Inside {
    texts: Vec<String>,
    times: Vec<Instant>,
    stamps: HashSet<String>,
    limit: Option<Limit>,
    blocked_until: Option<Instant>,
    /// How many requests came over the limit or while it was blocked.
    too_many: usize,
    is_gone: bool,
    is_a_wall: bool,
    /// Whether the next message is refused, whatever it is.
    refuses_next: bool,
    /// Chatwoot's contacts and conversations.
    desk: Desk,
}

/// A robot of a product.
#[derive(Clone)]
pub(crate) struct Bot {
    product: Product,
    origin: String,
    inside: Arc<Mutex<Inside>>,
}

/// What a product answers.
enum Refusal {
    Signature,
    Shape,
    TooLong,
    TooMany(Duration),
    Gone,
}

impl Bot {
    pub(crate) async fn start(product: Product) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let bot = Self { product, origin, inside: Arc::default() };
        let router = Router::new().fallback(answer).with_state(bot.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        bot
    }

    pub(crate) fn limit(&self, limit: Limit) {
        self.inside.lock().unwrap().limit = Some(limit);
    }

    /// Somebody else has used the robot up.
    pub(crate) fn block(&self, span: Duration) {
        self.inside.lock().unwrap().blocked_until = Some(Instant::now() + span);
    }

    /// Removes the robot, or puts it back.
    pub(crate) fn remove(&self, is_gone: bool) {
        self.inside.lock().unwrap().is_gone = is_gone;
    }

    /// Refuses the next message for good.
    pub(crate) fn refuse_next(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.refuses_next = true;
        inside.desk.trouble = Some(("message", 0, chatwoot::Trouble::Status(422)));
    }

    /// Puts a page before it that answers everything with 200.
    pub(crate) fn wall(&self, is_a_wall: bool) {
        self.inside.lock().unwrap().is_a_wall = is_a_wall;
    }

    /// The messages that it showed.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.inside.lock().unwrap().texts.clone()
    }

    pub(crate) fn too_many(&self) -> usize {
        self.inside.lock().unwrap().too_many
    }

    pub(crate) async fn wait_for(&self, texts: usize) -> Vec<String> {
        let what = format!("{texts} messages at {}", self.product.word());
        until(&what, || self.texts().len() >= texts).await;
        self.texts()
    }

    /// The section of a configuration that sends to it.
    pub(crate) fn subscription(&self, name: &str, further: &str) -> String {
        format!(
            "[[subscriber]]\nname = \"{name}\"\nformat = \"{}\"\nurl = \"{}{}\"\nallow_private = true\n\
             retry = [\"50ms\"]\n{}{further}\n",
            self.product.word(),
            self.origin,
            self.product.path(),
            self.product.keys(),
        )
    }

    /// Looks into Chatwoot, and changes what it does.
    pub(crate) fn desk(&self, look: impl FnOnce(&mut Desk)) {
        look(&mut self.inside.lock().unwrap().desk);
    }

    fn judge(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        let mut inside = self.inside.lock().unwrap();
        inside.admit()?;
        if std::mem::take(&mut inside.refuses_next) {
            return Err(Refusal::Shape);
        }
        let json = self.product.read(headers, body)?;
        let text = self.product.text(uri, &json, body.len(), &mut inside.stamps)?;
        inside.texts.push(text);
        Ok(())
    }
}

impl Inside {
    /// Whether it is there, and was not sent too much.
    fn admit(&mut self) -> Result<(), Refusal> {
        if self.is_gone {
            return Err(Refusal::Gone);
        }
        let now = Instant::now();
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            self.too_many += 1;
            return Err(Refusal::TooMany(until - now));
        }
        if let Some(limit) = self.limit {
            self.times.retain(|at| now - *at < limit.per);
            self.times.push(now);
            if self.times.len() > limit.count {
                self.too_many += 1;
                self.blocked_until = Some(now + limit.blocked);
                return Err(Refusal::TooMany(limit.blocked));
            }
        }
        Ok(())
    }

    /// A request of Chatwoot's; what it is asked first counts.
    fn serve(&mut self, request: (&Method, &Uri, &[u8])) -> Result<chatwoot::Answer, Refusal> {
        let (method, uri, _) = request;
        if *method == Method::POST && uri.path().ends_with("/contacts") {
            self.admit()?;
        }
        Ok(self.desk.take(request, &mut self.texts))
    }
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn mac(key: &str, data: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(data.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn is_stale(stamp_ms: i64) -> bool {
    (Clock::system().unix().0 - stamp_ms).abs() > STALE_MS
}

fn text_of(value: &Value) -> Result<String, Refusal> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or(Refusal::Shape)
}

fn no_longer_than(text: String, length: usize, max: usize) -> Result<String, Refusal> {
    if length > max { Err(Refusal::TooLong) } else { Ok(text) }
}

fn within_letters(text: String, max: usize) -> Result<String, Refusal> {
    let length = text.chars().count();
    no_longer_than(text, length, max)
}

impl Product {
    /// The body, in whatever form the product takes, with its token where that is in a header.
    fn read(self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let form = header("content-type").unwrap();
        let has = |name: &str, expected: String| match header(name) {
            Some(value) if value == expected => Ok(()),
            _ => Err(Refusal::Gone),
        };
        match self {
            Self::ServerChan => {
                assert_eq!(form, "application/x-www-form-urlencoded");
                let fields = url::form_urlencoded::parse(body).into_owned();
                Ok(fields.map(|(name, value)| (name, Value::from(value))).collect())
            }
            Self::Ntfy => {
                has("authorization", format!("Bearer {TOKEN}"))?;
                Ok(String::from_utf8(body.to_vec()).map_err(|_| Refusal::Shape)?.into())
            }
            _ if !form.starts_with("application/json") => Err(Refusal::Shape),
            Self::Gotify => {
                has("x-gotify-key", TOKEN.to_owned())?;
                serde_json::from_slice(body).map_err(|_| Refusal::Shape)
            }
            _ => serde_json::from_slice(body).map_err(|_| Refusal::Shape),
        }
    }

    /// The text of a message, where all about it is as the product wants it.
    fn text(
        self,
        uri: &Uri,
        body: &Value,
        bytes: usize,
        stamps: &mut HashSet<String>,
    ) -> Result<String, Refusal> {
        let is_at = |path: &str| if uri.path() == path { Ok(()) } else { Err(Refusal::Gone) };
        let has = |name: &str| match parameter(uri, name).as_deref() {
            Some(TOKEN) => Ok(()),
            _ => Err(Refusal::Gone),
        };
        match self {
            Self::DingTalk => {
                is_at("/robot/send")?;
                has("access_token")?;
                let stamp = parameter(uri, "timestamp").ok_or(Refusal::Signature)?;
                let sign = parameter(uri, "sign").ok_or(Refusal::Signature)?;
                let stamp_ms = stamp.parse().map_err(|_| Refusal::Signature)?;
                let is_new = stamps.insert(stamp.clone());
                if sign != mac(SECRET, &format!("{stamp}\n{SECRET}"))
                    || is_stale(stamp_ms)
                    || !is_new
                {
                    return Err(Refusal::Signature);
                }
                assert_eq!(body["msgtype"], "text");
                no_longer_than(text_of(&body["text"]["content"])?, bytes, 20_000)
            }
            Self::Feishu => {
                is_at(&format!("/open-apis/bot/v2/hook/{TOKEN}"))?;
                let stamp = body["timestamp"].as_str().ok_or(Refusal::Signature)?;
                let seconds: i64 = stamp.parse().map_err(|_| Refusal::Signature)?;
                if body["sign"] != mac(&format!("{stamp}\n{SECRET}"), "")
                    || is_stale(seconds * 1000)
                {
                    return Err(Refusal::Signature);
                }
                assert_eq!(body["msg_type"], "text");
                no_longer_than(text_of(&body["content"]["text"])?, bytes, 20 * 1024)
            }
            Self::WeCom => {
                is_at("/cgi-bin/webhook/send")?;
                has("key")?;
                assert_eq!(body["msgtype"], "text");
                let text = text_of(&body["text"]["content"])?;
                let length = text.len();
                no_longer_than(text, length, 2_048)
            }
            Self::Slack => {
                is_at(&format!("/services/T0/B0/{TOKEN}"))?;
                within_letters(text_of(&body["text"])?, 40_000)
            }
            Self::Discord => {
                is_at(&format!("/api/webhooks/1/{TOKEN}"))?;
                assert_eq!(parameter(uri, "wait").as_deref(), Some("true"));
                assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
                within_letters(text_of(&body["content"])?, 2_000)
            }
            Self::Teams => {
                is_at("/workflows/1/triggers/manual/paths/invoke")?;
                has("sig")?;
                let card = &body["attachments"][0];
                assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
                let blocks = card["content"]["body"].as_array().ok_or(Refusal::Shape)?;
                let lines: Result<Vec<_>, _> =
                    blocks.iter().map(|block| text_of(&block["text"])).collect();
                no_longer_than(lines?.join("\n"), bytes, 28 * 1024)
            }
            Self::Mattermost => {
                is_at(&format!("/hooks/{TOKEN}"))?;
                within_letters(text_of(&body["text"])?, 16_383)
            }
            Self::ServerChan => {
                is_at(&format!("/{TOKEN}.send"))?;
                text_of(&body["title"])?;
                let text = text_of(&body["desp"])?;
                let length = text.len();
                no_longer_than(text, length, 32 * 1024)
            }
            Self::PushPlus | Self::Bark => {
                let (path, token, text) = match self {
                    Self::PushPlus => ("/send", "token", "content"),
                    _ => ("/push", "device_key", "body"),
                };
                is_at(path)?;
                if body[token] != TOKEN {
                    return Err(Refusal::Gone);
                }
                text_of(&body["title"])?;
                let max = if self == Self::Bark { 4_096 } else { 20_000 };
                no_longer_than(text_of(&body[text])?, bytes, max)
            }
            Self::Ntfy => {
                is_at("/sms-replies")?;
                no_longer_than(text_of(body)?, bytes, 4_096)
            }
            Self::Gotify => {
                is_at("/message")?;
                text_of(&body["message"])
            }
            Self::Apprise => {
                is_at(&format!("/notify/{TOKEN}"))?;
                assert_eq!(body["type"], "info");
                text_of(&body["body"])
            }
            Self::Chatwoot => Err(Refusal::Shape),
            Self::Telegram => {
                is_at(&format!("/bot{TOKEN}/sendMessage"))?;
                assert_eq!(body["chat_id"], "-100");
                assert!(body.get("parse_mode").is_none(), "plain text");
                within_letters(text_of(&body["text"])?, 4_096)
            }
        }
    }

    /// How it says that it has a message, or what is wrong. Some quote the token, as products do
    /// that tell of the URL they were asked at.
    fn says(self, refusal: Option<&Refusal>) -> (u16, String) {
        let errcode = |code: i64, words: &str| {
            (200, json!({ "errcode": code, "errmsg": format!("{words}, at {TOKEN}") }).to_string())
        };
        let of_feishu = |status: u16, code: i64, words: &str| {
            (status, json!({ "code": code, "msg": words, "data": {} }).to_string())
        };
        let error = |status: u16, words: &str| {
            let body = json!({ "ok": false, "error_code": status, "description": words });
            (status, body.to_string())
        };
        match (self, refusal) {
            (Self::DingTalk | Self::WeCom, None) => {
                (200, json!({ "errcode": 0, "errmsg": "ok" }).to_string())
            }
            (Self::DingTalk, Some(refusal)) => match refusal {
                Refusal::Signature => errcode(310_000, "sign not match"),
                Refusal::Shape => errcode(40_035, "缺少参数"),
                Refusal::TooLong => errcode(460_101, "message too long"),
                Refusal::TooMany(_) => errcode(130_101, "send too fast"),
                Refusal::Gone => errcode(300_001, "token is not exist"),
            },
            (Self::WeCom, Some(refusal)) => match refusal {
                Refusal::Signature | Refusal::Gone => errcode(93_000, "invalid webhook url"),
                Refusal::Shape => errcode(40_058, "invalid Request Parameter"),
                Refusal::TooLong => errcode(45_002, "content size out of limit"),
                Refusal::TooMany(_) => errcode(45_009, "api freq out of limit"),
            },
            (Self::Feishu, None) => of_feishu(200, 0, "success"),
            (Self::Feishu, Some(refusal)) => match refusal {
                Refusal::Signature => of_feishu(200, 19_021, "sign match fail"),
                Refusal::Shape | Refusal::TooLong => of_feishu(400, 9_499, "Bad Request"),
                Refusal::TooMany(_) => of_feishu(200, 11_232, "frequency limited"),
                Refusal::Gone => of_feishu(200, 19_001, "incoming webhook access token invalid"),
            },
            (Self::Slack, None) => (200, "ok".to_owned()),
            (Self::Slack, Some(refusal)) => match refusal {
                Refusal::TooMany(_) => (429, String::new()),
                Refusal::Gone => (404, "no_service".to_owned()),
                _ => (400, "invalid_payload".to_owned()),
            },
            (Self::Discord, None) => (200, json!({ "id": "1" }).to_string()),
            (Self::Discord, Some(refusal)) => match refusal {
                Refusal::TooMany(wait) => {
                    let body =
                        json!({ "message": "rate limited", "retry_after": wait.as_secs_f64() });
                    (429, body.to_string())
                }
                Refusal::Gone => {
                    (404, json!({ "message": "Unknown Webhook", "code": 10_015 }).to_string())
                }
                _ => (400, json!({ "message": "Invalid Form Body", "code": 50_035 }).to_string()),
            },
            (Self::Teams, None) => (202, String::new()),
            (Self::Teams, Some(refusal)) => match refusal {
                Refusal::TooMany(_) => (429, String::new()),
                Refusal::Gone => (
                    404,
                    json!({ "error": { "code": "WorkflowNotFound", "message": "gone" } })
                        .to_string(),
                ),
                _ => (400, String::new()),
            },
            (Self::Chatwoot, refusal) => match refusal {
                Some(Refusal::TooMany(_)) => (429, "Retry later\n".to_owned()),
                Some(Refusal::Gone) => (404, chatwoot::missing().1),
                _ => (500, String::new()),
            },
            (Self::Mattermost | Self::Apprise, None) => (200, "ok".to_owned()),
            (Self::ServerChan, None) => (200, json!({ "code": 0, "message": "" }).to_string()),
            (Self::PushPlus | Self::Bark, None) => (200, json!({ "code": 200 }).to_string()),
            (Self::Ntfy | Self::Gotify, None) => (200, json!({ "id": 1 }).to_string()),
            (Self::Mattermost, Some(refusal)) => match refusal {
                Refusal::TooMany(_) => (429, String::new()),
                Refusal::Gone => {
                    let id = "web.incoming_webhook.invalid.app_error";
                    (
                        400,
                        json!({ "id": id, "message": "Invalid webhook.", "status_code": 400 })
                            .to_string(),
                    )
                }
                _ => (
                    400,
                    json!({ "id": "api.context.invalid_body", "status_code": 400 }).to_string(),
                ),
            },
            (Self::ServerChan, Some(refusal)) => {
                let words = match refusal {
                    Refusal::TooMany(_) => "[INPUT]超过当天的发送次数限制",
                    Refusal::Gone => "[AUTH]错误的Key",
                    _ => "[INPUT]格式错误",
                };
                (400, json!({ "code": 40_001, "message": words }).to_string())
            }
            (Self::PushPlus, Some(refusal)) => {
                let (code, words) = match refusal {
                    Refusal::TooMany(_) => (900, "用户账号使用受限"),
                    Refusal::Gone => (903, "无效的用户令牌"),
                    _ => (999, "服务端验证错误"),
                };
                (200, json!({ "code": code, "msg": words }).to_string())
            }
            (Self::Bark, Some(refusal)) => {
                let (code, words) = match refusal {
                    Refusal::TooMany(_) => (429, "too many requests"),
                    Refusal::Gone => (400, "failed to get device token: no such key"),
                    _ => (400, "request bind failed"),
                };
                (code, json!({ "code": code, "message": words }).to_string())
            }
            (Self::Ntfy | Self::Gotify | Self::Apprise, Some(refusal)) => {
                let status = match (self, refusal) {
                    (_, Refusal::TooMany(_)) => 429,
                    (Self::Ntfy, Refusal::Gone) => 403,
                    (Self::Gotify, Refusal::Gone) => 401,
                    (Self::Apprise, Refusal::Gone) => 204,
                    (Self::Ntfy, Refusal::TooLong) => 413,
                    _ => 400,
                };
                let body = json!({ "error": "no", "errorDescription": "no" }).to_string();
                (status, if status == 204 { String::new() } else { body })
            }
            (Self::Telegram, None) => (200, json!({ "ok": true, "result": {} }).to_string()),
            (Self::Telegram, Some(refusal)) => match refusal {
                Refusal::TooMany(wait) => {
                    let seconds = wait.as_secs_f64().ceil();
                    let body = json!({
                        "ok": false, "error_code": 429, "description": "Too Many Requests",
                        "parameters": { "retry_after": seconds },
                    });
                    (429, body.to_string())
                }
                Refusal::Gone => error(403, "Forbidden: bot was kicked from the group chat"),
                Refusal::TooLong => error(400, "Bad Request: message is too long"),
                _ => error(400, "Bad Request: message text is empty"),
            },
        }
    }
}

async fn answer(
    State(bot): State<Bot>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let mut more = HeaderMap::new();
    if bot.inside.lock().unwrap().is_a_wall {
        return (StatusCode::OK, more, HTML.to_owned());
    }
    let refusal = if bot.product == Product::Chatwoot {
        let served = bot.inside.lock().unwrap().serve((&method, &uri, &body));
        match served {
            Ok(Some((status, body))) => return (status, more, body),
            Ok(None) => std::future::pending().await,
            Err(refusal) => Some(refusal),
        }
    } else {
        bot.judge(&uri, &headers, &body).err()
    };
    if let Some(Refusal::TooMany(wait)) = &refusal {
        let seconds = wait.as_secs_f64().ceil() as u64;
        more.insert("retry-after", seconds.into());
    }
    let (status, body) = bot.product.says(refusal.as_ref());
    (StatusCode::from_u16(status).unwrap(), more, body)
}
