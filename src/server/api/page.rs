//! Where a page ends and the next begins, in one word that says nothing to clients: pure.
//!
//! A word is of one list only; which filter it came with does not matter, because it names a row's
//! place in an order and no number of rows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest word: a place has some numbers and a name of at most 64 letters.
pub(super) const CURSOR_LETTERS_MAX: usize = 256;
/// Rows of a page where nobody says how many.
pub(super) const LIMIT_DEFAULT: usize = 50;
/// The most rows of a page: together with what a row may hold, a few MiB.
pub(super) const LIMIT_MAX: usize = 500;

/// The word for a place in this list.
pub(super) fn write<T: Serialize>(list: &str, place: &T) -> String {
    let json = serde_json::to_string(&(list, place)).unwrap_or_default();
    BASE64.encode(json)
}

/// The place for which a word stands; none where it is no word of this list.
pub(super) fn read<T: DeserializeOwned>(list: &str, word: &str) -> Option<T> {
    if word.len() > CURSOR_LETTERS_MAX {
        return None;
    }
    let json = BASE64.decode(word).ok()?;
    let (of, place): (String, T) = serde_json::from_slice(&json).ok()?;
    (of == list).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_by_its_own_list_only() {
        let place = (1_700_000_000_i64, "main".to_owned(), 17_i64);
        let word = write("replies", &place);
        assert!(word.len() <= CURSOR_LETTERS_MAX);
        assert_eq!(read("replies", &word), Some(place));
        assert_eq!(read::<(i64, String, i64)>("deliveries", &word), None);
        assert_eq!(read::<i64>("replies", &word), None);
        for wrong in ["", "17", "%", &word[1..], &"A".repeat(300)] {
            assert_eq!(read::<(i64, String, i64)>("replies", wrong), None, "{wrong}");
        }
        let longest = write("deliveries", &(i64::MIN, "a".repeat(64), i64::MIN));
        assert!(longest.len() <= CURSOR_LETTERS_MAX, "{}", longest.len());
    }
}
