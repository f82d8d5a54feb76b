//! What holds for every answer to `/mm`: it is read as the provider's document shows it, or not at
//! all.

use replyd::gateway::mm::{self, Figures};

/// Checks these bytes as an answer, and what was read in them as another.
pub(crate) fn check(bytes: &[u8]) {
    let found = mm::parse(bytes);
    assert_eq!(found.map(plain), figures_of(bytes));
    if let Some(figures) = found {
        let written = match figures.count {
            Some(count) => format!("{}||{count}", figures.status.0),
            None => figures.status.0.to_string(),
        };
        assert_eq!(mm::parse(written.as_bytes()), found, "{written}");
    }
}

fn plain(figures: Figures) -> (u16, Option<u64>) {
    (figures.status.0, figures.count)
}

/// The code and the figure, by the letter: `100||22348`, or a code alone.
fn figures_of(bytes: &[u8]) -> Option<(u16, Option<u64>)> {
    let text = bytes.trim_ascii();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    let text = std::str::from_utf8(text).ok()?;
    let is_number = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (code, figure) = match text.split_once("||") {
        Some((code, figure)) => (code, Some(figure.trim_ascii())),
        None => (text, None),
    };
    if !is_number(code, 4) || figure.is_some_and(|figure| !is_number(figure, 18)) {
        return None;
    }
    Some((code.parse().unwrap(), figure.map(|figure| figure.parse().unwrap())))
}
