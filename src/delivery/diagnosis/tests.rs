use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use encoding_rs::WINDOWS_1252;

use super::*;
use crate::config::WebhookSecret;
use crate::delivery::sign::{self, Signed};
use crate::language::Language;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ID: &str = "rpl_5bdc6d2f7a0e4c1f9b3e8d7c6a5f4e3d";
const TIME: i64 = 1_614_265_330;
const TIME_TEXT: &str = "1614265330";
const BODY: &str = r#"{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"rpl_5bdc6d2f7a0e4c1f9b3e8d7c6a5f4e3d","account":"main","from":"13900000001","content":"收到 a/b {\"x\", [1 ,2]}\n😀","replied_at":"2008-05-27T12:10:11+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}"#;

fn signed_by(secret: &str, body: &[u8]) -> String {
    let secret = WebhookSecret::parse(secret).unwrap();
    sign::sign(&[secret], Signed { id: ID, timestamp: TIME, body })
}

/// Everything as it was sent; a test changes what it is about.
#[derive(Clone)]
struct Case {
    secrets: Vec<String>,
    id: Option<String>,
    timestamp: Option<String>,
    signature: Option<String>,
    body: Vec<u8>,
    now: i64,
}

impl Case {
    fn sent() -> Self {
        Self::of(BODY.as_bytes())
    }

    fn of(body: &[u8]) -> Self {
        Self {
            secrets: vec![SECRET.to_owned()],
            id: Some(ID.to_owned()),
            timestamp: Some(TIME_TEXT.to_owned()),
            signature: Some(signed_by(SECRET, body)),
            body: body.to_vec(),
            now: TIME,
        }
    }

    fn diagnose(&self) -> Diagnosis {
        let secrets: Vec<_> =
            self.secrets.iter().map(|secret| SecretString::from(secret.as_str())).collect();
        let diagnosis = diagnose(&Question {
            secrets: &secrets,
            id: self.id.as_deref(),
            timestamp: self.timestamp.as_deref(),
            signature: self.signature.as_deref(),
            body: &self.body,
            now: self.now,
        });
        let names: Vec<_> = (1..=secrets.len()).map(|number| format!("number {number}")).collect();
        for language in [Language::Zh, Language::En] {
            let said = words::sentences(&diagnosis, &names, language).join("\n");
            for secret in &self.secrets {
                let shown = secret.len() > 4 && said.contains(secret.as_str());
                assert!(!shown, "a secret is shown: {said}");
            }
            let verdict = if diagnosis.holds {
                ["签名有效", "holds,"]
            } else {
                ["签名无效", "not hold"]
            };
            assert!(said.contains(language.pick(verdict[0], verdict[1])), "{said}");
            assert!(diagnosis.holds || said.lines().count() > 1, "no explanation: {diagnosis:?}");
        }
        diagnosis
    }
}

/// What a case comes to: the reason's word, and in what was signed differs from what was given.
#[track_caller]
fn check(case: &Case, reason: &str, twist: Option<Twist>) {
    let diagnosis = case.diagnose();
    assert_eq!(words::reason(&diagnosis), reason, "{diagnosis:?}");
    assert_eq!(diagnosis.holds, reason == "holds", "{diagnosis:?}");
    assert_eq!(diagnosis.found.map(|found| found.twist), twist);
}

#[test]
fn what_was_sent_holds_within_five_minutes_in_both_directions() {
    for (now, reason, ahead) in [
        (TIME, "holds", 0),
        (TIME + 300, "holds", 300),
        (TIME - 300, "holds", -300),
        (TIME + 301, "clock", 301),
        (TIME - 301, "clock", -301),
        (TIME + BEIJING_SECONDS, "clock", BEIJING_SECONDS),
        (i64::MIN, "clock", i64::MIN),
    ] {
        let case = Case { now, ..Case::sent() };
        check(&case, reason, Some(Twist::None));
        assert_eq!(case.diagnose().ahead, Some(ahead));
    }
}

#[test]
fn a_diagnosis_agrees_with_verification() {
    let secret = WebhookSecret::parse(SECRET).unwrap();
    let sent = signed_by(SECRET, BODY.as_bytes());
    let stale = sent.replace("v1,", "v1,AAAA");
    for header in [sent.as_str(), &format!("v1,AAAA {sent} v2,x"), &stale, "", "v1,", "v1", " "] {
        for now in [TIME, TIME + 301] {
            let what = Signed { id: ID, timestamp: TIME, body: BODY.as_bytes() };
            let verified = sign::verify(&secret, what, header, now).is_ok();
            let case = Case { signature: Some(header.to_owned()), now, ..Case::sent() };
            assert_eq!(case.diagnose().holds, verified, "{header} {now}");
        }
    }
}

#[test]
fn it_says_by_which_secret_of_a_rotation_it_is() {
    let by = |secrets: &[&str], signature: String| {
        let secrets = secrets.iter().map(|&secret| secret.to_owned()).collect();
        let case = Case { secrets, signature: Some(signature), ..Case::sent() };
        let diagnosis = case.diagnose();
        assert!(diagnosis.holds, "{diagnosis:?}");
        let names = ["the new".to_owned(), "the former".to_owned()];
        let said = words::sentences(&diagnosis, &names, Language::En);
        let found = diagnosis.found.unwrap();
        (found.secret, found.entry, said)
    };
    let (former, next) = (signed_by(SECRET, BODY.as_bytes()), signed_by(NEXT, BODY.as_bytes()));
    let (secret, entry, said) = by(&[NEXT, SECRET], former.clone());
    assert_eq!((secret, entry), (1, 0));
    assert_eq!(said[0], "The signature holds, by the former.");
    assert!(said[1].contains("secret 2 of 2"), "{said:?}");
    let (secret, entry, _) = by(&[NEXT, SECRET], format!("{former} {next}"));
    assert_eq!((secret, entry), (0, 1));
    // One that is wrong beside the right one is told, and does no harm.
    let (secret, _, said) = by(&["whsec_", SECRET], former);
    assert_eq!(secret, 1);
    assert!(said[1].contains("(the new) holds 0 bytes"), "{said:?}");
}

#[test]
fn secrets_in_a_wrong_form_are_told() {
    let short = format!("whsec_{}", STANDARD.encode([7; 23]));
    let bare = SECRET.trim_start_matches("whsec_");
    for (given, fault, twist) in [
        ("", SecretFault::Empty, None),
        (" \n", SecretFault::Empty, None),
        (&format!("{SECRET}\n"), SecretFault::Surrounded, Some(Twist::None)),
        (&format!("\"{SECRET}\""), SecretFault::Surrounded, Some(Twist::None)),
        (bare, SecretFault::Prefix, Some(Twist::None)),
        (&SECRET.to_uppercase(), SecretFault::Prefix, None),
        ("whsec_***", SecretFault::Base64, None),
        (&short, SecretFault::Length(23), None),
        (&SECRET[..SECRET.len() - 4], SecretFault::Length(21), None),
    ] {
        let case = Case { secrets: vec![given.to_owned()], ..Case::sent() };
        check(&case, "secret", twist);
        assert_eq!(case.diagnose().secrets, [(0, fault)], "{given:?}");
    }
    let url_safe = "whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_";
    let standard = url_safe.replace('-', "+").replacen('_', "/", 99).replace("whsec/", "whsec_");
    let case = Case {
        secrets: vec![url_safe.to_owned()],
        signature: Some(signed_by(&standard, BODY.as_bytes())),
        ..Case::sent()
    };
    check(&case, "secret", Some(Twist::None));
    assert_eq!(case.diagnose().secrets, [(0, SecretFault::Base64)]);
}

#[test]
fn headers_that_are_missing_are_named() {
    let sent = Case::sent();
    for empty in [None, Some(String::new()), Some(" ".to_owned())] {
        let case = Case { timestamp: empty.clone(), ..sent.clone() };
        check(&case, "header_missing", None);
        assert_eq!(case.diagnose().missing, [Header::Timestamp]);
        let case = Case { signature: empty.clone(), ..sent.clone() };
        check(&case, "header_missing", None);
        assert_eq!(case.diagnose().missing, [Header::Signature]);
        // The body names its id.
        let case = Case { id: empty, ..sent.clone() };
        check(&case, "header_missing", Some(Twist::Id(ID.to_owned())));
        assert_eq!(case.diagnose().missing, [Header::Id]);
    }
}

#[test]
fn timestamps_in_a_wrong_form_are_told() {
    for (given, fault) in [
        ("1614265330000", TimestampFault::Finer),
        ("1614265330999", TimestampFault::Finer),
        ("1614265330123456", TimestampFault::Finer),
        ("1614265330123456789", TimestampFault::Finer),
        ("1614265330.25", TimestampFault::Fraction),
        ("01614265330", TimestampFault::NoTime),
        ("+1614265330", TimestampFault::NoTime),
        ("2021-02-25T15:02:10Z", TimestampFault::Date),
        ("2021-02-25T23:02:10+08:00", TimestampFault::Date),
        ("Thu, 25 Feb 2021 15:02:10 GMT", TimestampFault::Date),
    ] {
        let case = Case { timestamp: Some(given.to_owned()), ..Case::sent() };
        check(&case, "timestamp_malformed", Some(Twist::Timestamp(TIME)));
        assert_eq!(case.diagnose().timestamp, Some(fault), "{given}");
    }
    let case = Case { timestamp: Some("now".to_owned()), ..Case::sent() };
    assert_eq!(case.diagnose().timestamp, Some(TimestampFault::NoTime));
    // Signed as it stands, it is no time that a receiver can judge.
    let key = WebhookSecret::parse(SECRET).unwrap();
    let parts = [ID.as_bytes(), b"1614265330000", BODY.as_bytes()];
    let signature = mac(key.key(), &parts).finalize().into_bytes();
    let case = Case {
        timestamp: Some("1614265330000".to_owned()),
        signature: Some(format!("v1,{}", STANDARD.encode(signature))),
        ..Case::sent()
    };
    check(&case, "timestamp_malformed", Some(Twist::None));
}

#[test]
fn signatures_in_a_wrong_form_are_told() {
    let sent = signed_by(SECRET, BODY.as_bytes());
    let bare = sent.strip_prefix("v1,").unwrap();
    let bytes = STANDARD.decode(bare).unwrap();
    let digits = hex::encode(&bytes);
    let url_safe = URL_SAFE_NO_PAD.encode(&bytes);
    for (given, fault, found) in [
        (bare, SignatureFault::Version, true),
        (&format!("v1={bare}"), SignatureFault::Version, true),
        (&format!("sha256={digits}"), SignatureFault::Version, true),
        (&digits, SignatureFault::Version, true),
        (&format!("v1,{digits}"), SignatureFault::Hex, true),
        (&format!("v1,{url_safe}"), SignatureFault::OtherBase64, true),
        (&format!("v1a,{bare}"), SignatureFault::Asymmetric, false),
        (&format!("v2,{bare}"), SignatureFault::Version, false),
        ("v1,!", SignatureFault::Base64, false),
        ("v1,", SignatureFault::Length(0), false),
        (&format!("v1,{}", STANDARD.encode(&bytes[..30])), SignatureFault::Length(30), false),
    ] {
        let case = Case { signature: Some(given.to_owned()), ..Case::sent() };
        check(&case, "signature_malformed", found.then_some(Twist::None));
        assert_eq!(case.diagnose().signature, [fault], "{given}");
    }
    // Beside one that is in order the others do no harm.
    let case = Case { signature: Some(format!("v1a,x {digits} v1, {sent}")), ..Case::sent() };
    assert_eq!(case.diagnose().found.unwrap().entry, 1, "the first that fits");
    let case = Case { signature: Some(format!("v1a,x v1, {sent}")), ..Case::sent() };
    check(&case, "holds", Some(Twist::None));
}

#[test]
fn what_was_changed_in_the_headers_is_found() {
    let sent = Case::sent();
    let swapped = Case { id: sent.timestamp.clone(), timestamp: sent.id.clone(), ..sent.clone() };
    check(&swapped, "swapped", Some(Twist::Swapped));
    let other = Case { id: Some("rpl_other".to_owned()), ..sent.clone() };
    check(&other, "id_changed", Some(Twist::Id(ID.to_owned())));
    for off in [1, -1, 40, -3600, BEIJING_SECONDS, -BEIJING_SECONDS] {
        let given = TIME + off;
        let case = Case { timestamp: Some(given.to_string()), now: given, ..sent.clone() };
        check(&case, "timestamp_changed", Some(Twist::Timestamp(TIME)));
        assert_eq!(case.diagnose().ahead, Some(off), "by the timestamp that was signed");
    }
    let case = Case { timestamp: Some((TIME + 3601).to_string()), ..sent };
    check(&case, "no_match", None);
}

#[test]
fn what_was_made_in_another_way_is_found() {
    let key = WebhookSecret::parse(SECRET).unwrap();
    let (id, time, body) = (ID.as_bytes(), TIME_TEXT.as_bytes(), BODY.as_bytes());
    let made = |key: &[u8], parts: &[&[u8]]| {
        let signature = mac(key, parts).finalize().into_bytes();
        Case { signature: Some(format!("v1,{}", STANDARD.encode(signature))), ..Case::sent() }
    };
    let behind = SECRET.strip_prefix("whsec_").unwrap();
    for (text, twist) in [(SECRET, KeyText::Whole), (behind, KeyText::BehindPrefix)] {
        let case = made(text.as_bytes(), &[id, time, body]);
        check(&case, "key_not_decoded", Some(Twist::Key(twist)));
    }
    for (parts, twist) in [
        (&[body][..], Parts::Body),
        (&[time, body], Parts::TimestampBody),
        (&[id, body], Parts::IdBody),
        (&[&[id, time, body].concat()], Parts::Undotted),
    ] {
        check(&made(key.key(), parts), "other_parts_signed", Some(Twist::Parts(twist)));
    }
}

/// A body that came in another form than it was sent: what leads back.
#[track_caller]
fn check_body(sent: &[u8], came: impl Into<Vec<u8>>, expected: &[Change]) {
    let case = Case { body: came.into(), ..Case::of(sent) };
    let shown = String::from_utf8_lossy(&case.body).into_owned();
    let diagnosis = case.diagnose();
    assert_eq!(words::reason(&diagnosis), "body_changed", "{shown}\n{diagnosis:?}");
    let twist = diagnosis.found.map(|found| found.twist);
    assert_eq!(twist, Some(Twist::Body(expected.to_vec())), "{shown}");
}

#[test]
fn a_body_that_was_changed_at_its_ends_or_in_its_encoding_is_found() {
    use Change::*;
    let check = |came: Vec<u8>, expected: &[Change]| check_body(BODY.as_bytes(), came, expected);
    let text = |text: String| text.into_bytes();
    check(text(format!("{BODY}\n")), &[LineEndRemoved]);
    check(text(format!("{BODY}\r\n")), &[LineEndRemoved]);
    check(text(format!("{BODY}  ")), &[Trimmed]);
    check(text(format!("\n{BODY}\n\n")), &[Trimmed]);
    check(text(format!("\u{feff}{BODY}")), &[MarkRemoved]);
    check(text(format!("\u{feff}{BODY}\r\n")), &[MarkRemoved, LineEndRemoved]);
    let wide = |units: &mut dyn Iterator<Item = u16>| units.flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{BODY}\r\n");
    check(wide(&mut marked.encode_utf16()), &[FromUtf16, LineEndRemoved]);
    check(wide(&mut BODY.encode_utf16()), &[FromUtf16]);
    let big = |units: &mut dyn Iterator<Item = u16>| units.flat_map(u16::to_be_bytes).collect();
    check(big(&mut marked.trim_end().encode_utf16()), &[FromUtf16]);
    let twice: String = BODY.bytes().map(char::from).collect();
    check(text(twice), &[DecodedOnceMore]);
    let (twice, _) = WINDOWS_1252.decode_without_bom_handling(BODY.as_bytes());
    check(text(twice.into_owned()), &[DecodedOnceMore]);
    check(text(serde_json::to_string(BODY).unwrap()), &[Unquoted]);
    check(text(format!("POST / HTTP/1.1\r\nhost: a\r\n\r\n{BODY}")), &[HeadRemoved]);
    check(text(format!("HTTP/1.1 200 OK\nhost: a\n\n{BODY}\n")), &[HeadRemoved, LineEndRemoved]);
    let plain = BODY.replace('😀', "");
    let (gbk, _, failed) = encoding_rs::GBK.encode(&plain);
    assert!(!failed);
    check_body(plain.as_bytes(), gbk.into_owned(), &[FromGbk]);
    // Bodies of others, which end with a line.
    for (sent, came, expected) in [
        ("{}\n", "{}", LineEndAdded),
        ("{}\r\n", "{}", CrlfAdded),
        ("a\nb", "a\r\nb", ToLf),
        ("a\r\nb", "a\nb", ToCrlf),
        ("\u{feff}a", "a", MarkAdded),
    ] {
        check_body(sent.as_bytes(), came, &[expected]);
    }
}

#[test]
fn a_body_that_was_parsed_and_printed_again_is_found() {
    use Change::*;
    let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let ascii = |json: &str| {
        let escape = |letter: char| match letter.is_ascii() {
            true => letter.to_string(),
            false => {
                let units: Vec<u16> = letter.encode_utf16(&mut [0; 2]).to_vec();
                units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }
        };
        json.chars().map(escape).collect::<String>()
    };
    let check = |came: String, expected: &[Change]| check_body(BODY.as_bytes(), came, expected);
    check(ascii(BODY), &[Unescaped]);
    check(BODY.replace('/', "\\/"), &[Unescaped]);
    check(ascii(BODY).replace('/', "\\/").to_uppercase_escapes(), &[Unescaped]);
    check(ascii(BODY) + "\n", &[Compact, Unescaped]);
    // As the tools of others print it: their keys stay in order where the language keeps it.
    for (layout, _) in printed_by_others() {
        check(layout, &[Compact]);
    }
    check(ascii(&printed_by_others()[0].0), &[Compact, Unescaped]);
    check(value.to_string(), &[KeysOrdered]);
    check(serde_json::to_string_pretty(&value).unwrap(), &[KeysOrdered]);
    // The other way round: what was sent by others was spaced, indented, escaped or ordered.
    let compact = BODY.as_bytes();
    for (sent, change) in printed_by_others() {
        check_body(sent.as_bytes(), compact, &[change]);
        check_body(format!("{sent}\n").as_bytes(), compact, &[change, LineEndAdded]);
        check_body(ascii(&sent).as_bytes(), compact, &[change, AsciiOnly]);
    }
    check_body(ascii(BODY).as_bytes(), compact, &[AsciiOnly]);
    check_body(BODY.replace('/', "\\/").as_bytes(), compact, &[SlashesEscaped]);
    let both = ascii(BODY).replace('/', "\\/");
    check_body(both.as_bytes(), compact, &[AsciiOnly, SlashesEscaped]);
}

trait UppercaseEscapes {
    fn to_uppercase_escapes(&self) -> String;
}

impl UppercaseEscapes for String {
    /// `\u6536` as others write it: `\u6536` with upper-case digits.
    fn to_uppercase_escapes(&self) -> String {
        let mut parts = self.split("\\u");
        let first = parts.next().unwrap().to_owned();
        let escaped = parts.map(|part| {
            let (digits, rest) = part.split_at(4);
            format!("\\u{}{rest}", digits.to_uppercase())
        });
        first + &escaped.collect::<String>()
    }
}

/// [`BODY`] as printers of other languages lay it out.
fn printed_by_others() -> [(String, Change); 4] {
    let members = |text: &str, colon: &str, comma: &str| {
        // Nothing within its strings looks like a seam.
        text.replace("\":", &format!("\"{colon}")).replace(",\"", &format!("{comma}\""))
    };
    let lines = |indent: &str| {
        let (head, data) = BODY.split_once(r#""data":{"#).unwrap();
        let data = data.strip_suffix("}}").unwrap();
        let head = members(head.strip_prefix('{').unwrap(), ": ", &format!(",\n{indent}"));
        let head = head.strip_suffix(',').unwrap();
        let data = members(data, ": ", &format!(",\n{indent}{indent}"));
        format!("{{\n{indent}{head},\n{indent}\"data\": {{\n{indent}{indent}{data}\n{indent}}}\n}}")
    };
    [
        (members(BODY, ": ", ", "), Change::Spaced),
        (lines("  "), Change::Indented(2)),
        (lines("    "), Change::Indented(4)),
        (lines("\t"), Change::Tabbed),
    ]
}

#[test]
fn what_cannot_be_explained_says_what_was_tried() {
    let other = Case { secrets: vec![NEXT.to_owned()], ..Case::sent() };
    check(&other, "no_match", None);
    let diagnosis = other.diagnose();
    assert!(diagnosis.tried > 7000, "{diagnosis:?}");
    let said = words::sentences(&diagnosis, &["mine".to_owned()], Language::En).join("\n");
    for part in ["(mine)", "JSON printed again", "another webhook", "Most likely the secret"] {
        assert!(said.contains(part), "{said}");
    }
    for (body, id, hint) in [
        (&b""[..], ID, Hint::EmptyBody),
        (br#"{"type":"reply."#, ID, Hint::NoJson),
        (BODY.as_bytes(), "rpl_other", Hint::OtherEvent),
    ] {
        let (body, id) = (body.to_vec(), Some(id.to_owned()));
        let case = Case { body, id, ..other.clone() };
        check(&case, "no_match", None);
        assert_eq!(case.diagnose().hints, [hint]);
    }
}

#[test]
fn a_large_body_is_not_tried_for_ever() {
    let body = format!("[\"{}\"]", "a".repeat(1024 * 1024)).into_bytes();
    let case = Case { body, secrets: vec![NEXT.to_owned()], ..Case::sent() };
    let diagnosis = case.diagnose();
    assert_eq!(diagnosis.hints, [Hint::Large]);
    assert!(diagnosis.tried < 32, "{}", diagnosis.tried);
}
