//! JSON printed again as others print it: token by token, so that keys, numbers and their order
//! stay as they are.

use serde_json::Value;

/// Where white space stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    AsIs,
    /// Nowhere.
    Compact,
    /// A blank behind each comma and colon.
    Spaced,
    /// A line for each value, indented by so much for each depth.
    Lines(&'static str),
}

/// How strings are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Strings {
    AsIs,
    /// Nothing is escaped that need not be, but perhaps slashes.
    Raw {
        slashes: bool,
    },
    /// Whatever is not ASCII is escaped, and perhaps slashes.
    Ascii {
        slashes: bool,
    },
}

/// The keys of our events, in the order in which they are sent.
const KEYS: [&str; 14] = [
    "type",
    "timestamp",
    "data",
    "id",
    "account",
    "from",
    "content",
    "replied_at",
    "gateway",
    "occurrence",
    "lossy",
    "suspect",
    "extension",
    "in_reply_to",
];

/// Prints JSON again.
pub(super) fn print(json: &str, layout: Layout, strings: Strings) -> String {
    let mut printer = Printer { out: String::with_capacity(json.len()), layout, depth: 0 };
    let keeps_blanks = matches!(layout, Layout::AsIs);
    let is_kept = |token: &&str| keeps_blanks || !token.starts_with(is_blank);
    let mut tokens = Tokens(json).filter(is_kept).peekable();
    let mut is_empty = false;
    while let Some(token) = tokens.next() {
        let next = tokens.peek().copied();
        match token {
            "{" | "[" => {
                is_empty = matches!(next, Some("}" | "]"));
                printer.open(token, is_empty);
            }
            "}" | "]" => printer.close(token, std::mem::take(&mut is_empty)),
            "," => printer.comma(),
            ":" => printer.colon(),
            _ if token.starts_with('"') => printer.out += &string(token, strings),
            _ => printer.out += token,
        }
    }
    printer.out
}

struct Printer {
    out: String,
    layout: Layout,
    depth: usize,
}

impl Printer {
    fn open(&mut self, token: &str, is_empty: bool) {
        self.out += token;
        self.depth += 1;
        if !is_empty {
            self.line();
        }
    }

    fn close(&mut self, token: &str, is_empty: bool) {
        self.depth = self.depth.saturating_sub(1);
        if !is_empty {
            self.line();
        }
        self.out += token;
    }

    fn comma(&mut self) {
        self.out += ",";
        if matches!(self.layout, Layout::Spaced) {
            self.out += " ";
        }
        self.line();
    }

    fn colon(&mut self) {
        self.out += ":";
        if matches!(self.layout, Layout::Spaced | Layout::Lines(_)) {
            self.out += " ";
        }
    }

    fn line(&mut self) {
        if let Layout::Lines(indent) = self.layout {
            self.out += "\n";
            self.out += &indent.repeat(self.depth);
        }
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r')
}

/// The tokens of a text that is JSON; runs of white space are tokens, too.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0;
        let is_mark = |letter: char| "{}[],:\"".contains(letter);
        let length = match rest.chars().next()? {
            '"' => string_length(rest),
            letter if is_mark(letter) => 1,
            letter => {
                let blank = is_blank(letter);
                rest.find(|letter| is_mark(letter) || is_blank(letter) != blank)
                    .unwrap_or(rest.len())
            }
        };
        let (token, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(token)
    }
}

/// The bytes up to the quote that ends the string at the beginning.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A string's token, written in another way; as it is where it is half a character.
fn string(token: &str, strings: Strings) -> String {
    let (is_ascii, slashes) = match strings {
        Strings::AsIs => return token.to_owned(),
        Strings::Raw { slashes } => (false, slashes),
        Strings::Ascii { slashes } => (true, slashes),
    };
    let text = serde_json::from_str::<String>(token);
    let Some(json) = text.ok().and_then(|text| serde_json::to_string(&text).ok()) else {
        return token.to_owned();
    };
    let mut written = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '/' if slashes => written += "\\/",
            _ if is_ascii && !letter.is_ascii() => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    written += &format!("\\u{unit:04x}");
                }
            }
            _ => written.push(letter),
        }
    }
    written
}

/// An event whose keys somebody has sorted, as it was sent; none where that is no event.
pub(super) fn ordered(json: &str) -> Option<String> {
    let event: Value = serde_json::from_str(json).ok()?;
    event.get("data")?.get("id")?;
    let mut out = String::with_capacity(json.len());
    write(&event, &mut out);
    Some(out)
}

fn write(value: &Value, out: &mut String) {
    let Value::Object(members) = value else {
        *out += &value.to_string();
        return;
    };
    let rank = |key: &str| KEYS.iter().position(|known| *known == key).unwrap_or(KEYS.len());
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(key, _)| rank(key));
    *out += "{";
    for (at, (key, value)) in members.into_iter().enumerate() {
        *out += if at > 0 { "," } else { "" };
        *out += &Value::from(key.as_str()).to_string();
        *out += ":";
        write(value, out);
    }
    *out += "}";
}
