//! The gateway's status codes: their numbers, their meaning, what they say of a read.

use std::fmt;

use crate::language::Language;

/// The code at the head of every answer. A code that no document lists is kept as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Success.
    pub const OK: Self = Self(100);
    /// The login was refused; repeating it gets the account locked.
    pub const LOGIN_FAILED: Self = Self(101);
    /// The operation failed, for no reason given.
    pub const OPERATION_FAILED: Self = Self(103);
    /// The caller's numbers are too many for one call.
    pub const TOO_MANY_NUMBERS: Self = Self(106);
    /// Asked again too soon.
    pub const TOO_FREQUENT: Self = Self(107);
    /// The number or the content is empty.
    pub const EMPTY: Self = Self(108);
    /// The account is frozen.
    pub const FROZEN: Self = Self(109);
    /// The number is none.
    pub const WRONG_NUMBER: Self = Self(112);
    /// The time to send at is not of the form.
    pub const WRONG_SCHEDULE: Self = Self(113);
    /// The account is locked for ten minutes.
    pub const LOCKED: Self = Self(114);
    /// The interface is closed to the account.
    pub const FORBIDDEN: Self = Self(116);
    /// The request came from an address that the account is not bound to.
    pub const WRONG_ADDRESS: Self = Self(117);

    /// Whether the gateway turned the caller away at the door: nothing was read, and nothing
    /// will be until somebody acts.
    #[must_use]
    pub fn refuses_account(self) -> bool {
        matches!(self, Self::LOGIN_FAILED | Self::FROZEN | Self::FORBIDDEN | Self::WRONG_ADDRESS)
    }

    /// Whether what it refuses can be tried again later as it is.
    #[must_use]
    pub fn is_of_the_moment(self) -> bool {
        !matches!(self.0, 100..=102 | 104..=106 | 108 | 109 | 112..=114 | 116 | 117 | 119)
    }

    /// The provider's meaning of the code, in English.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.entry().0
    }

    /// The provider's meaning of the code.
    #[must_use]
    pub fn meaning_in(self, language: Language) -> &'static str {
        let (en, zh, ..) = self.entry();
        language.pick(zh, en)
    }

    /// What to do about it; nothing where nothing is wrong.
    #[must_use]
    pub fn advice(self, language: Language) -> &'static str {
        let (_, _, en, zh) = self.entry();
        language.pick(zh, en)
    }

    /// Meaning and advice, each in English and Chinese.
    fn entry(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self.0 {
            100 => ("success", "成功", "", ""),
            101 => (
                "login failed",
                "验证失败",
                "check uid, password and password_scheme; repeating it gets the account locked",
                "请检查 uid、password 和 password_scheme；反复尝试会使账号被锁",
            ),
            102 => (
                "out of credit",
                "短信不足",
                "buy messages from the provider, then send again",
                "请向服务商充值后再发送",
            ),
            103 => ("operation failed", "操作失败", "try again later", "请稍后再试"),
            104 => (
                "illegal characters",
                "非法字符",
                "the provider forbids something in the text: word it differently",
                "短信内容含有服务商禁止的内容，请修改",
            ),
            105 => ("content too long", "内容过多", "shorten the text", "请缩短短信内容"),
            106 => (
                "too many numbers",
                "号码过多",
                "send to fewer numbers at once",
                "请减少每次发送的号码",
            ),
            107 => (
                "too frequent",
                "频率过快",
                "wait ten minutes, then try again",
                "请等待十分钟后再试",
            ),
            108 => (
                "number or content empty",
                "号码内容空",
                "give at least one number and a text",
                "请填写号码和内容",
            ),
            109 => (
                "account frozen",
                "账号冻结",
                "ask the provider why; nothing is read or sent until then",
                "请联系服务商；在此之前无法收发",
            ),
            110 => (
                "no frequent single sends",
                "禁止频繁单条发送",
                "wait, and put several numbers into one call",
                "请稍后再试，并将多个号码合并发送",
            ),
            111 => ("sending suspended", "系统暂定发送", "try again later", "请稍后再试"),
            112 => (
                "wrong number",
                "号码错误",
                "one of the numbers is none: none of this call was sent",
                "号码中有错误，本次的号码均未发送",
            ),
            113 => (
                "wrong schedule format",
                "定时时间格式不对",
                "give a time to come, as 2026-11-26 15:04",
                "请填写将来的时间，如 2026-11-26 15:04",
            ),
            114 => (
                "account locked, log in after ten minutes",
                "账号被锁，10 分钟后登录",
                "wait at least ten minutes; then check uid and password",
                "请至少等待十分钟，并检查 uid 和密码",
            ),
            115 => ("connection failed", "连接失败", "try again later", "请稍后再试"),
            116 => (
                "sending by interface forbidden",
                "禁止接口发送",
                "ask the provider to open the interface to this account",
                "请联系服务商开通该账号的接口",
            ),
            117 => (
                "the account is not bound to this address",
                "请求来自未绑定的 IP 地址",
                "have the provider bind the account to this machine's outside address",
                "请联系服务商将账号绑定到本机的出口 IP",
            ),
            119 => (
                "signature missing",
                "缺少签名",
                "put the signature that the provider knows into the text, as 【name】",
                "请在内容中加上已报备的签名，如【公司名】",
            ),
            120 => ("system upgrade", "系统升级", "try again later", "请稍后再试"),
            _ => (
                "a code that the provider's document does not list",
                "服务商文档未列出的代码",
                "try again later, or ask the provider what it means",
                "请稍后再试，或向服务商询问其含义",
            ),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_in_both_languages_what_it_means_and_what_to_do() {
        let unlisted = Status(999);
        for code in (100..=117).chain([119, 120]) {
            let status = Status(code);
            let is_chinese = |text: &str| text.chars().any(|letter| letter > '\u{2e80}');
            assert!(is_chinese(status.meaning_in(Language::Zh)), "{code}");
            assert!(
                !is_chinese(status.meaning()) && status.meaning() != unlisted.meaning(),
                "{code}"
            );
            for language in [Language::Zh, Language::En] {
                assert_eq!(status.advice(language).is_empty(), status == Status::OK, "{code}");
            }
        }
        assert_eq!(unlisted.to_string(), "999 (a code that the provider's document does not list)");
    }

    #[test]
    fn only_what_passes_by_itself_is_of_the_moment() {
        let of_the_moment: Vec<u16> =
            (100..=121).filter(|code| Status(*code).is_of_the_moment()).collect();
        assert_eq!(of_the_moment, [103, 107, 110, 111, 115, 118, 120, 121]);
    }
}
