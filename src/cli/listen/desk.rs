//! What the listening receiver makes of each webhook: verified or why not, seen before or not,
//! and which answer it gets. It decides; nothing here listens or prints.

use serde_json::Value;

use crate::cli::receiving::{Seen, Sighting};
use crate::delivery::diagnosis::Diagnosis;
use crate::time::UnixMs;

/// The longest text of a header that is kept: anything longer is not ours.
const TEXT_MAX: usize = 200;

/// How the receiver was told to answer webhooks that are verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    /// The answer.
    pub(super) status: u16,
    /// So many first ones get another.
    pub(super) fail: u64,
    /// Which.
    pub(super) fail_status: u16,
}

impl Answers {
    /// From the arguments: `--status` alone is every answer, with `--fail` that of the failures.
    pub(super) fn new(status: Option<u16>, fail: Option<u64>) -> Self {
        match fail {
            None => Self { status: status.unwrap_or(204), fail: 0, fail_status: 0 },
            Some(fail) => Self { status: 204, fail, fail_status: status.unwrap_or(503) },
        }
    }
}

/// A request that came in.
pub(super) struct Request {
    pub(super) id: Option<String>,
    pub(super) attempt: Option<String>,
    pub(super) trigger: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) at: UnixMs,
}

/// A webhook as the receiver sees it.
pub(super) struct Webhook {
    pub(super) number: u64,
    pub(super) request: Request,
    /// The body, where it is JSON.
    pub(super) event: Value,
    pub(super) diagnosis: Diagnosis,
    /// How its id was seen before, where it is verified.
    pub(super) sighting: Option<Sighting>,
    pub(super) answer: u16,
}

impl Webhook {
    /// Whether a receiver can use it or knows it already.
    pub(super) fn is_good(&self) -> bool {
        self.diagnosis.holds && self.sighting != Some(Sighting::OtherBytes)
    }
}

/// The receiver's memory.
pub(super) struct Desk {
    answers: Answers,
    seen: Seen,
    taken: u64,
    most: Option<u64>,
}

impl Desk {
    /// One that takes so many webhooks at most.
    pub(super) fn new(answers: Answers, most: Option<u64>) -> Self {
        Self { answers, seen: Seen::default(), taken: 0, most }
    }

    /// Judges a webhook; none when there have been enough.
    pub(super) fn take(&mut self, mut request: Request, diagnosis: Diagnosis) -> Option<Webhook> {
        if self.most.is_some_and(|most| self.taken >= most) {
            return None;
        }
        self.taken += 1;
        let event = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let id = request.id.as_deref().filter(|_| diagnosis.holds);
        let sighting = id.map(|id| self.seen.note(id, &request.body));
        let answer = match sighting {
            None => 401,
            Some(Sighting::OtherBytes) => 409,
            Some(_) if self.answers.fail > 0 => {
                self.answers.fail -= 1;
                self.answers.fail_status
            }
            Some(_) => self.answers.status,
        };
        for text in [&mut request.id, &mut request.attempt, &mut request.trigger] {
            *text = text.take().map(|text| text.chars().take(TEXT_MAX).collect());
        }
        Some(Webhook { number: self.taken, request, event, diagnosis, sighting, answer })
    }
}

/// What there was in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) webhooks: u64,
    pub(super) new: u64,
    pub(super) again: u64,
    pub(super) other_bytes: u64,
    pub(super) unverified: u64,
    /// Answers that were no 2xx though the webhook was verified.
    pub(super) failed: u64,
}

impl Tally {
    /// Counts a webhook.
    pub(super) fn count(&mut self, webhook: &Webhook) {
        self.webhooks += 1;
        match webhook.sighting {
            None => self.unverified += 1,
            Some(Sighting::New) => self.new += 1,
            Some(Sighting::Again(_)) => self.again += 1,
            Some(Sighting::OtherBytes) => self.other_bytes += 1,
        }
        let is_2xx = (200..300).contains(&webhook.answer);
        self.failed += u64::from(webhook.is_good() && !is_2xx);
    }

    /// Whether each could be believed.
    pub(super) fn is_good(&self) -> bool {
        self.unverified == 0 && self.other_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::config::WebhookSecret;
    use crate::delivery::diagnosis::{Question, diagnose};
    use crate::delivery::sign::{Signed, sign};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn take(desk: &mut Desk, id: &str, body: &str, is_signed: bool) -> Option<Webhook> {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let signed = Signed { id, timestamp: 7, body: body.as_bytes() };
        let signature = if is_signed { sign(&[secret], signed) } else { "v1,AAAA".to_owned() };
        let diagnosis = diagnose(&Question {
            secrets: &[SecretString::from(SECRET)],
            id: Some(id),
            timestamp: Some("7"),
            signature: Some(&signature),
            body: body.as_bytes(),
            now: 7,
        });
        let request = Request {
            id: Some(id.to_owned()),
            attempt: None,
            trigger: None,
            body: body.as_bytes().to_vec(),
            at: UnixMs(7000),
        };
        desk.take(request, diagnosis)
    }

    /// The answers to a run of webhooks, and what there was in all.
    fn run(desk: &mut Desk, webhooks: &[(&str, &str, bool)]) -> (Vec<Option<u16>>, Tally) {
        let mut tally = Tally::default();
        let answers = webhooks.iter().map(|(id, body, is_signed)| {
            let webhook = take(desk, id, body, *is_signed)?;
            tally.count(&webhook);
            Some(webhook.answer)
        });
        (answers.collect(), tally)
    }

    #[test]
    fn each_webhook_gets_its_answer() {
        let webhooks = [
            ("a", "1", true),
            ("a", "1", true),
            ("b", "2", false),
            ("a", "2", true),
            ("b", "2", true),
            ("c", "3", true),
        ];
        for (status, fail, expected) in [
            (None, None, [204, 204, 401, 409, 204, 204]),
            (Some(500), None, [500, 500, 401, 409, 500, 500]),
            (None, Some(3), [503, 503, 401, 409, 503, 204]),
            (Some(429), Some(1), [429, 204, 401, 409, 204, 204]),
        ] {
            let mut desk = Desk::new(Answers::new(status, fail), Some(6));
            let (answers, tally) = run(&mut desk, &webhooks);
            assert_eq!(answers, expected.map(Some), "{status:?} {fail:?}");
            let failed =
                expected.iter().filter(|answer| ![204, 401, 409].contains(*answer)).count();
            let counts =
                [tally.webhooks, tally.new, tally.again, tally.other_bytes, tally.unverified];
            assert_eq!(counts, [6, 3, 1, 1, 1]);
            assert_eq!(tally.failed, failed as u64);
            assert!(!tally.is_good());
        }
    }

    #[test]
    fn enough_is_enough() {
        let mut desk = Desk::new(Answers::new(None, None), Some(2));
        let all = [("a", "1", true), ("b", "1", true), ("c", "1", true)];
        let (answers, tally) = run(&mut desk, &all);
        assert_eq!(answers, [Some(204), Some(204), None]);
        assert_eq!((tally.webhooks, tally.is_good()), (2, true));
    }

    #[test]
    fn texts_of_headers_are_cut() {
        let mut desk = Desk::new(Answers::new(None, None), None);
        let webhook = take(&mut desk, &"a".repeat(100_000), "1", true).unwrap();
        assert_eq!(webhook.request.id.unwrap().len(), TEXT_MAX);
    }
}
