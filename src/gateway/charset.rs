//! The two charsets in which gateways speak, and how bytes become text and text bytes.

use encoding_rs::{Encoding, GBK, UTF_8};

/// The charset of an account's answers. Configured, never guessed: the GBK bytes of some short
/// texts are valid UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// What the provider's document promises. Four-byte GB18030 sequences are read too.
    #[default]
    Gbk,
    /// What some hosts answer when asked by `encode=utf8`.
    Utf8,
}

/// Text read from bytes. No `Debug`: it may be personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, with U+FFFD in the place of what could not be read.
    pub text: String,
    /// Whether anything could not be read.
    pub lossy: bool,
}

impl Charset {
    /// Its name in the configuration and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gbk => "gbk",
            Self::Utf8 => "utf-8",
        }
    }

    /// The charset of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Gbk, Self::Utf8].into_iter().find(|charset| charset.as_str() == name)
    }

    /// Reads one field by itself. A byte-order mark in it is text like any other: obeying it
    /// would let a customer choose the charset.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Decoded {
        let (text, lossy) = self.encoding().decode_without_bom_handling(bytes);
        let lossy = lossy || (self == Self::Gbk && holds_unassigned(bytes));
        Decoded { text: text.into_owned(), lossy }
    }

    /// Writes text; `None` when the charset has no bytes for some character of it.
    #[must_use]
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        let (bytes, _, unmappable) = self.encoding().encode(text);
        (!unmappable).then(|| bytes.into_owned())
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Gbk => GBK,
            Self::Utf8 => UTF_8,
        }
    }
}

/// The one two-byte code that has no character of its own: decoders read it as the ideographic
/// space, which is A1 A1.
const UNASSIGNED: &[u8] = b"\xa3\xa0";

/// Whether that code is among those of a text that can be read.
fn holds_unassigned(text: &[u8]) -> bool {
    let mut left = text;
    while let [lead, ..] = left {
        if left.starts_with(UNASSIGNED) {
            return true;
        }
        // Codes have one byte or two; GB18030's of four are two pairs, each of which begins alike.
        let length = if matches!(lead, 0x81..=0xfe) { 2 } else { 1 };
        left = left.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_marked_and_its_neighbours_stand() {
        let decoded = Charset::Gbk.decode(b"\xd6\xd0\xb9");
        assert_eq!((decoded.text.as_str(), decoded.lossy), ("中\u{fffd}", true));
    }

    #[test]
    fn a_code_without_a_character_is_marked() {
        assert!(Charset::Gbk.decode(b"a\xa3\xa0b").lossy);
        assert!(Charset::Gbk.decode(b"\xd6\xd0\x81\x30\x81\x30\x80\xa3\xa0").lossy);
        // The same two bytes across two characters are no code: 耍 (CB A3), 牎 (A0 8E); nor are
        // they behind a character of four bytes, or beside the euro sign in its other form.
        for whole in [
            &b"\xcb\xa3\xa0\x8e"[..],
            b"\x81\x30\x81\x30\xcb\xa3\xa0\x8e",
            b"\xcb\xa3\xa0\x8e\x80",
            b"\x80\xcb\xa3\xa0\x8e",
        ] {
            assert!(!Charset::Gbk.decode(whole).lossy, "{}", whole.escape_ascii());
        }
    }

    #[test]
    fn a_byte_order_mark_is_text() {
        let decoded = Charset::Gbk.decode(b"\xef\xbb\xbfTD");
        assert_eq!(decoded.text, "锘縏D");
        assert_eq!(Charset::Utf8.decode(b"\xef\xbb\xbfTD").text, "\u{feff}TD");
    }

    #[test]
    fn what_gbk_cannot_say_is_not_written_as_something_else() {
        assert_eq!(Charset::Gbk.encode("中国").as_deref(), Some(&b"\xd6\xd0\xb9\xfa"[..]));
        assert_eq!(Charset::Gbk.encode("😀"), None);
        assert_eq!(Charset::Utf8.encode("😀").as_deref(), Some("😀".as_bytes()));
    }
}
