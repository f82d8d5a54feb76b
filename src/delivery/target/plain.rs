//! A stranger's words made harmless where people read them: they call nobody, lead nowhere, and
//! show what is invisible. And how long a text is, and how one that is too long is cut.

/// What stands where a text was cut, in Chinese and English.
pub const CUT: [&str; 2] = ["…（过长，已截断）", "… (too long, cut)"];

/// What was typed, on one line and in plain text: signs that call people (`@all`, `<at …>`,
/// `<!channel>`) and those that make an address a link are put as their full-width likenesses,
/// and what is invisible is shown.
#[must_use]
pub fn neutral(text: &str) -> String {
    let shown = visible(text);
    let mut plain = String::with_capacity(shown.len());
    let mut letters = shown.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        let behind = letters.peek().copied().unwrap_or(' ');
        plain.push(match letter {
            '@' => '＠',
            '<' => '＜',
            '>' => '＞',
            ':' if behind == '/' => '：',
            // What follows a dot without a blank may be the rest of a host's name.
            '.' if before.is_alphanumeric() && behind.is_alphabetic() => '．',
            other => other,
        });
        before = letter;
    }
    plain
}

/// The text on one line, with everything shown that would be invisible or move what is seen.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n");
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push_str(" ⏎ "),
            '\t' => shown.push(' '),
            '\0'..='\u{1f}' => {
                shown.push(char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => shown.push('␡'),
            _ if is_invisible(letter) => {
                shown.push_str(&format!("‹U+{:04X}›", u32::from(letter)));
            }
            _ => shown.push(letter),
        }
    }
    shown
}

/// Letters that are not seen or that turn the direction of others. The joiner of emoji and their
/// selectors are what phones send, and stay.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Words as they are, for products that show plain text.
#[must_use]
pub fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Words in which no sign of Markdown means anything.
#[must_use]
pub fn no_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(
            letter,
            '\\' | '*' | '_' | '~' | '`' | '|' | '#' | '[' | ']' | '(' | ')' | '-' | '+' | '!'
        ) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Bytes of UTF-8.
#[must_use]
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// Units of UTF-16: what products count whose servers or clients call them characters. A text has
/// never more characters than these.
#[must_use]
pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Bytes of the text as it stands in JSON, for products that measure the request.
#[must_use]
pub fn json_bytes(text: &str) -> usize {
    let escaped = |letter: char| match letter {
        '"' | '\\' | '\n' | '\t' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    };
    text.chars().map(escaped).sum()
}

/// The longest beginning of a text with which `fits` holds, on the boundary of a character. `fits`
/// must not hold of a longer one where it does not hold of a shorter.
pub fn longest(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let count = ends.partition_point(|end| text.get(..*end).is_some_and(&fits));
    let end = count.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_types_calls_nobody_and_leads_nowhere() {
        for (typed, expected) in [
            ("收到，3.5 元", "收到，3.5 元"),
            ("@all @所有人 @everyone", "＠all ＠所有人 ＠everyone"),
            ("<@U1> <!channel>", "＜＠U1＞ ＜!channel＞"),
            ("<at user_id=\"all\">所有人</at>", "＜at user_id=\"all\"＞所有人＜/at＞"),
            ("see https://evil.example.com/a.b", "see https：//evil．example．com/a．b"),
            ("www.example.com t.me/x", "www．example．com t．me/x"),
            ("ok. Yes.", "ok. Yes."),
            ("a\r\nb\nc\td\u{0}\u{7f}", "a ⏎ b ⏎ c d␀␡"),
            ("\u{202e}txt\u{200b}\u{85}", "‹U+202E›txt‹U+200B› ⏎ "),
            ("👨‍👩‍👧 ❤️", "👨‍👩‍👧 ❤️"),
        ] {
            assert_eq!(neutral(typed), expected, "{typed:?}");
        }
    }

    #[test]
    fn no_sign_of_markdown_means_anything() {
        assert_eq!(
            no_markdown("**a** [b](c) `d` - ~~e~~"),
            r"\*\*a\*\* \[b\]\(c\) \`d\` \- \~\~e\~\~"
        );
    }

    #[test]
    fn texts_are_measured_as_products_do() {
        let text = "a中😀\"\n";
        assert_eq!((bytes(text), utf16(text)), (10, 6));
        assert_eq!(json_bytes(text), serde_json::to_string(text).unwrap().len() - 2);
    }

    #[test]
    fn a_text_is_cut_on_a_boundary() {
        for (max, expected) in [(0, ""), (2, ""), (3, "中"), (5, "中"), (7, "中😀"), (100, "中😀a")]
        {
            assert_eq!(longest("中😀a", |text| text.len() <= max), expected, "{max}");
        }
    }
}
