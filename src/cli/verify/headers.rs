//! Headers as people have them: raw lines, what `curl` shows, what a framework logs.

/// The three headers of a signature, where they are there, and what follows the empty line that
/// ends headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Reads headers. Of a header that stands there twice, the first counts.
pub(super) fn read(bytes: &[u8]) -> Headers {
    let mut headers = Headers::default();
    let (mut rest, mut is_begun) = (bytes, false);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = behind;
        let line = String::from_utf8_lossy(line);
        // `curl -v` puts a mark before each line.
        let line = line.trim().trim_start_matches(['>', '<']).trim();
        if line.is_empty() && is_begun {
            headers.body = rest.to_vec();
            break;
        }
        is_begun |= !line.is_empty();
        if let Some((name, value)) = line.split_once(':').or_else(|| line.split_once('=')) {
            headers.take(&normal(name), bare(value));
        }
    }
    headers
}

impl Headers {
    fn take(&mut self, name: &str, value: &str) {
        let place = match name {
            "webhook-id" => &mut self.id,
            "webhook-timestamp" => &mut self.timestamp,
            "webhook-signature" => &mut self.signature,
            _ => return,
        };
        place.get_or_insert_with(|| value.to_owned());
    }
}

/// A header's name in lower case; CGI and its heirs write it as `HTTP_WEBHOOK_ID`.
fn normal(name: &str) -> String {
    let name = without_quotes(name.trim()).to_ascii_lowercase().replace('_', "-");
    name.strip_prefix("http-").unwrap_or(&name).to_owned()
}

/// A value without what JSON and the like put around it.
fn bare(value: &str) -> &str {
    let value = value.trim();
    without_quotes(value.strip_suffix(',').filter(|quoted| is_quoted(quoted)).unwrap_or(value))
}

fn is_quoted(text: &str) -> bool {
    without_quotes(text).len() < text.len()
}

fn without_quotes(text: &str) -> &str {
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_in_whatever_form() {
        for text in [
            "webhook-id: rpl_1\nwebhook-timestamp: 1614265330\nwebhook-signature: v1,a= v1,b=\n",
            "POST /hooks HTTP/1.1\r\nHost: a:80\r\nWEBHOOK-ID:rpl_1\r\nWebhook-Timestamp:  1614265330 \r\nWebhook-Signature: v1,a= v1,b=\r\n\r\n",
            "> POST / HTTP/1.1\n> webhook-id: rpl_1\n> webhook-timestamp: 1614265330\n> webhook-signature: v1,a= v1,b=\n>\n",
            "HTTP_WEBHOOK_ID=rpl_1\nHTTP_WEBHOOK_TIMESTAMP=1614265330\nHTTP_WEBHOOK_SIGNATURE=v1,a= v1,b=",
            "{\n  'webhook-id': 'rpl_1',\n  \"webhook-timestamp\": \"1614265330\",\n  'webhook-signature': 'v1,a= v1,b='\n}",
            "\n\nwebhook-id: rpl_1\nwebhook-id: rpl_2\nwebhook-timestamp: 1614265330\nwebhook-signature: v1,a= v1,b=",
        ] {
            let headers = read(text.as_bytes());
            assert_eq!(headers.id.as_deref(), Some("rpl_1"), "{text}");
            assert_eq!(headers.timestamp.as_deref(), Some("1614265330"), "{text}");
            assert_eq!(headers.signature.as_deref(), Some("v1,a= v1,b="), "{text}");
            assert_eq!(headers.body, b"", "{text}");
        }
    }

    #[test]
    fn what_follows_the_empty_line_is_the_body() {
        let headers = read(b"webhook-id: a\r\n\r\n{\"webhook-timestamp\": 1}\n\n\xff");
        assert_eq!(headers.id.as_deref(), Some("a"));
        assert_eq!(headers.timestamp, None);
        assert_eq!(headers.body, b"{\"webhook-timestamp\": 1}\n\n\xff");
        assert_eq!(read(b""), Headers::default());
        assert_eq!(read(b"\xff\n:\n"), Headers::default());
    }
}
