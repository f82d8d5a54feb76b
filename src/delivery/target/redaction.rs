//! What must not be kept of an answer: the tokens of the URL that it came from. Some servers quote
//! the request that they refuse.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::ProductConfig;

/// Shorter pieces of a URL are words, such as `webhook`, and no tokens.
const TOKEN_BYTES_MIN: usize = 12;
/// The same of a configured secret, which is surely one.
const SECRET_BYTES_MIN: usize = 4;
const SHOWN: &[u8] = b"***";

/// The tokens of one subscriber.
pub struct Redaction(Vec<SecretString>);

impl Redaction {
    /// Every token that a URL and a product's configuration hold.
    #[must_use]
    pub fn new(url: &Url, product: &ProductConfig) -> Self {
        let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let pieces = segments.chain(values).flat_map(|piece| {
            let bare = piece.strip_prefix("bot").map(str::to_owned);
            std::iter::once(piece).chain(bare)
        });
        let tokens = pieces.filter(|piece| piece.len() >= TOKEN_BYTES_MIN);
        let own = product.secret.iter().chain(product.options.values());
        let own = own.map(|secret| secret.expose_secret().to_owned());
        let own = own.filter(|secret| secret.len() >= SECRET_BYTES_MIN);
        let mut all: Vec<String> = tokens.chain(own).collect();
        // What holds another goes first.
        all.sort_by_key(|token| std::cmp::Reverse(token.len()));
        Self(all.into_iter().map(SecretString::from).collect())
    }

    /// The same with another word that must not be kept.
    #[must_use]
    pub fn and(mut self, word: &str) -> Self {
        if word.len() >= SECRET_BYTES_MIN {
            self.0.push(SecretString::from(word.to_owned()));
        }
        self
    }

    /// An answer without them.
    #[must_use]
    pub fn clean(&self, answer: Vec<u8>) -> Vec<u8> {
        self.0.iter().fold(answer, |answer, token| without(&answer, token.expose_secret()))
    }
}

fn without(answer: &[u8], token: &str) -> Vec<u8> {
    let mut clean = Vec::with_capacity(answer.len());
    let mut rest = answer;
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(token.as_bytes()) {
            Some(after) => {
                clean.extend_from_slice(SHOWN);
                rest = after;
            }
            None => {
                clean.push(*first);
                rest = behind;
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_without_the_tokens_that_it_quotes() {
        let url = "https://example.com/bot123456:ABCDEFGH/sendMessage?access_token=0123456789ab";
        let product =
            ProductConfig { secret: Some("SEC0".to_owned().into()), ..ProductConfig::default() };
        let redaction = Redaction::new(&Url::parse(url).unwrap(), &product);
        let clean =
            |answer: &str| String::from_utf8(redaction.clean(answer.as_bytes().to_vec())).unwrap();
        assert_eq!(
            clean(
                "no /bot123456:ABCDEFGH/sendMessage, 123456:ABCDEFGH, 0123456789ab0123456789ab SEC0"
            ),
            "no /***/sendMessage, ***, ****** ***"
        );
        assert_eq!(clean("{\"ok\":true} 收到"), "{\"ok\":true} 收到");
    }
}
