//! Rust source as text: told from its comments, strings and tests, and the paths in it.

/// A file's code in two forms of one length, both without comments and `#[cfg(test)]` parts.
pub(crate) struct Code {
    /// With its strings.
    pub(crate) text: String,
    /// Without them.
    bare: String,
}

impl Code {
    pub(crate) fn new(source: &str) -> Self {
        let (mut text, mut bare) = blank(source);
        while let Some(start) = bare.find("#[cfg(test)]") {
            let end = item_end(&bare, start);
            for form in [&mut text, &mut bare] {
                form.replace_range(start..end, &" ".repeat(end - start));
            }
        }
        Self { text, bare }
    }

    /// Identifiers, and names of macros with their `!`.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '!';
        self.bare.split(move |letter| !is_word(letter)).filter(|word| !word.is_empty())
    }

    /// Every path, with the braces of `use` opened and the crate's root written as `crate`.
    pub(crate) fn paths(&self, file: &str) -> Vec<String> {
        let squeezed = squeeze(&self.bare);
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (mut paths, mut at) = (Vec::new(), 0);
        while let Some(found) = squeezed[at..].find(is_name) {
            at += found;
            let used = tree("", &squeezed, &mut at, &mut paths);
            assert!(used, "a path that cannot be read: {:?}", &squeezed[at..]);
        }
        let depth = file.strip_suffix("/mod.rs").unwrap_or(file).split('/').count();
        let root = "super::".repeat(depth);
        let rooted = |path: String| match path.strip_prefix(&root) {
            Some(rest) => format!("crate::{rest}"),
            None if file == "main.rs" => path.replacen("replyd::", "crate::", 1),
            None => path,
        };
        paths.into_iter().map(rooted).collect()
    }
}

/// Reads the path or tree of paths that begins at `at`; says whether there was one.
fn tree(before: &str, text: &str, at: &mut usize, paths: &mut Vec<String>) -> bool {
    let rest = &text[*at..];
    if let Some(inner) = rest.strip_prefix('{').filter(|_| !before.is_empty()) {
        *at += rest.len() - inner.len();
        while !text[*at..].starts_with('}') && *at < text.len() {
            let is_path = tree(before, text, at, paths);
            if is_path && let Some(alias) = text[*at..].strip_prefix(" as ") {
                let length = alias.find([',', '}']).unwrap_or(alias.len());
                *at = text.len() - alias.len() + length;
            } else if !is_path {
                *at += text[*at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        *at += 1;
        return true;
    }
    let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let name = &rest[..length.unwrap_or(rest.len())];
    if name.is_empty() {
        return false;
    }
    *at += name.len();
    let path = format!("{before}{name}");
    if text[*at..].starts_with("::") {
        *at += 2;
        if tree(&format!("{path}::"), text, at, paths) {
            return true;
        }
    }
    paths.push(path);
    true
}

/// The text without the white space around `::` and braces, so that a path is in one piece.
fn squeeze(text: &str) -> String {
    let mut squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for sign in ["::", "{", "}", ","] {
        squeezed = squeezed.replace(&format!(" {sign}"), sign).replace(&format!("{sign} "), sign);
    }
    squeezed
}

/// Where the item behind an attribute ends: at its `;`, or with its braces.
fn item_end(bare: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, letter) in bare[start..].char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(letter, ';' | '}') {
            return start + at + 1;
        }
    }
    bare.len()
}

/// The source with its comments blanked, and with its strings blanked too.
fn blank(source: &str) -> (String, String) {
    let (mut text, mut bare) = (String::new(), String::new());
    let mut rest = source;
    while !rest.is_empty() {
        let (kind, length) = token(rest);
        let (piece, behind) = rest.split_at(length);
        let blanked = " ".repeat(length);
        text += if kind == Kind::Comment { &blanked } else { piece };
        bare += if kind == Kind::Code { piece } else { &blanked };
        rest = behind;
    }
    (text, bare)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comment,
    Literal,
    Code,
}

/// What a text begins with, and the bytes of it.
fn token(text: &str) -> (Kind, usize) {
    if text.starts_with("//") {
        return (Kind::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Kind::Comment, block_comment(text));
    }
    let word = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let word = word.unwrap_or(text.len());
    let (prefix, rest) = text.split_at(word);
    if matches!(prefix, "r" | "br" | "cr") {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if rest[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = rest[hashes + 1..].find(&close).map(|at| hashes + 1 + at + close.len());
            return (Kind::Literal, word + end.unwrap_or(rest.len()));
        }
    }
    if matches!(prefix, "" | "b" | "c") && rest.starts_with('"') {
        return (Kind::Literal, word + closed_by(rest, '"'));
    }
    if matches!(prefix, "" | "b") && rest.starts_with('\'') {
        // A lifetime has no second quote behind its first letter.
        let mut letters = rest.chars().skip(1);
        let is_letter = letters.next() == Some('\\') || letters.next() == Some('\'');
        return match is_letter {
            true => (Kind::Literal, word + closed_by(rest, '\'')),
            false => (Kind::Code, word + 1),
        };
    }
    (Kind::Code, word.max(text.chars().next().map_or(1, char::len_utf8)))
}

/// The bytes up to the quote that closes the one at the beginning.
fn closed_by(text: &str, quote: char) -> usize {
    let mut is_escaped = true;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[test]
fn comments_strings_and_tests_are_told_from_code() {
    let source = r##"//! use crate::app;
use crate::time; /* use /* nested */ crate::cli; */
const A: &str = "use crate::cli; // \" /*";
const B: &str = r#"println!("x")"#;
fn f<'a>(x: &'a str) -> char { if x == "\\" { '"' } else { '\'' } }
#[cfg(test)]
mod tests { use crate::cli::Exit; fn brace() -> char { '}' } }
#[cfg(test)]
#[path = "other.rs"]
mod others;
fn last() { crate::clock::now() }
"##;
    let code = Code::new(source);
    assert_eq!((code.text.len(), code.bare.len()), (source.len(), source.len()));
    let paths = code.paths("app.rs");
    let crates: Vec<&String> = paths.iter().filter(|path| path.starts_with("crate::")).collect();
    assert_eq!(crates, ["crate::time", "crate::clock::now"]);
    assert!(code.text.contains("println!") && !code.bare.contains("println!"));
    assert!(!code.text.contains("others"));
}

#[test]
fn paths_are_found_in_whatever_form() {
    let check = |file: &str, source: &str, expected: &[&str]| {
        assert_eq!(Code::new(source).paths(file), expected, "{source}");
    };
    check(
        "cli/mod.rs",
        "crate::a::{self, b::{c, d as e}}",
        &["crate::a::self", "crate::a::b::c", "crate::a::b::d"][..],
    );
    check("app.rs", "super::cli::Exit", &["crate::cli::Exit"]);
    check("gateway/mod.rs", "super::{cli, app}", &["crate::cli", "crate::app"]);
    check("gateway/rx.rs", "super::status::Status", &["super::status::Status"]);
    check("gateway/rx.rs", "super::super::app", &["crate::app"]);
    check("main.rs", "replyd::cli::Exit", &["crate::cli::Exit"]);
    check("a/b.rs", "crate::\n    { time }", &["crate::time"]);
}
