//! `replyd verify`: why a webhook's signature holds or does not.

mod headers;

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::given::{self, Given};
use crate::cli::output;
use crate::cli::spoken::Spoken;
use crate::clock::Clock;
use crate::delivery::diagnosis::{Diagnosis, Question, Twist, diagnose, words};
use crate::language::Language;
use headers::Headers;

/// The most that is read of headers or a body: a webhook is a thousandth of it.
const INPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The header webhook-id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The header webhook-timestamp
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<String>,
    /// The header webhook-signature
    #[arg(long, value_name = "SIGNATURES")]
    signature: Option<String>,
    /// A file of header lines, in any case and order; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
    /// The file of the body's raw bytes; else it is what follows the headers in their file, or
    /// the standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// When it came, in seconds of the Unix epoch; else now
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    at: Option<i64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    spoken: Spoken,
    #[command(flatten)]
    secrets: given::Arguments,
}

const AFTER_HELP: &str = "\
Examples:
  replyd verify --subscriber crm --headers headers.txt --body body.bin
  replyd verify --secret-env REPLYD_CRM_SECRET --id rpl_… --timestamp 1614265330 \\
      --signature 'v1,…' < body.bin

Exit codes: 0 it holds, 1 it does not, 2 usage, 66 a file or subscriber is not there.";

/// Says why the signature holds or does not.
pub(super) fn verify(config: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let language = arguments.spoken.language();
    let given = arguments.secrets.fetch(config, language)?;
    let headers = headers(arguments)?;
    let now = Clock::system().unix().seconds();
    let diagnosis = diagnose(&Question {
        secrets: &given.secrets,
        id: headers.id.as_deref(),
        timestamp: headers.timestamp.as_deref(),
        signature: headers.signature.as_deref(),
        body: &headers.body,
        now: arguments.at.unwrap_or(now),
    });
    if arguments.json {
        output::json(&as_json(&diagnosis, &given, language));
    } else {
        for sentence in words::sentences(&diagnosis, &given.names, language) {
            output::data(&sentence);
        }
    }
    Ok(if diagnosis.holds { Exit::Done } else { Exit::Failed })
}

fn as_json(diagnosis: &Diagnosis, given: &Given, language: Language) -> serde_json::Value {
    let found = diagnosis.found.as_ref();
    let changes = found.map(|found| match &found.twist {
        Twist::Body(changes) => changes.iter().map(|change| change.as_str()).collect(),
        _ => Vec::new(),
    });
    json!({
        "holds": diagnosis.holds,
        "reason": words::reason(diagnosis),
        "secret": found.map(|found| found.secret + 1),
        "secrets": given.names,
        "clock_ahead_seconds": diagnosis.ahead,
        "body_changes": changes.unwrap_or_default(),
        "explanation": words::sentences(diagnosis, &given.names, language),
    })
}

/// The headers and the body, from wherever the arguments say.
fn headers(arguments: &Arguments) -> Result<Headers, Failure> {
    let Arguments { id, timestamp, signature, headers, body, .. } = arguments;
    if headers.is_none() && id.is_none() && timestamp.is_none() && signature.is_none() {
        return Err(Failure::usage(
            "no headers: give --headers FILE, or --id, --timestamp and --signature",
        ));
    }
    let is_input = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    if is_input(headers) && is_input(body) {
        return Err(Failure::usage("headers and body cannot both be the standard input"));
    }
    let mut found = match headers {
        Some(path) => headers::read(&bytes(Some(path))?),
        None => Headers::default(),
    };
    let or = |given: &Option<String>, found: Option<String>| given.clone().or(found);
    found.id = or(id, found.id);
    found.timestamp = or(timestamp, found.timestamp);
    found.signature = or(signature, found.signature);
    if body.is_some() || (found.body.is_empty() && !is_input(headers)) {
        found.body = bytes(body.as_deref())?;
    }
    Ok(found)
}

/// A file's bytes, or those of the standard input.
fn bytes(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)),
        None if io::stdin().is_terminal() => {
            return Err(Failure::usage("no body: give --body FILE, or pipe it to this command"));
        }
        None => io::stdin().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes),
    };
    let shown =
        path.map_or_else(|| "the standard input".to_owned(), |path| path.display().to_string());
    read.map_err(|error| {
        Failure::new(Exit::NotFound, format!("replyd: {shown} cannot be read: {error}"))
    })?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format_args!(
            "{shown} is larger than 1 MiB, which no webhook is"
        )));
    }
    Ok(bytes)
}
