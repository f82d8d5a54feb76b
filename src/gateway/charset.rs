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

/// Text read from bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text, with U+FFFD in the place of what could not be read.
    pub text: String,
    /// Whether anything could not be read.
    pub lossy: bool,
}

impl Charset {
    /// Reads one field by itself. A byte-order mark in it is text like any other: obeying it
    /// would let a customer choose the charset.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Decoded {
        let (text, lossy) = self.encoding().decode_without_bom_handling(bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_marked_and_its_neighbours_stand() {
        let decoded = Charset::Gbk.decode(b"\xd6\xd0\xb9");
        assert_eq!(decoded, Decoded { text: "中\u{fffd}".into(), lossy: true });
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
