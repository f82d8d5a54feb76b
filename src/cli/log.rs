//! The log: lines on stderr, as text or as JSON, for whoever runs the service.
//!
//! What stands in a line is decided where it is written; here it is only decided which lines are
//! shown and how.

use tracing::{Subscriber, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;
use crate::config::{LogConfig, LogFormat};

/// The variable that says which lines are shown, whatever the configuration says.
const FILTER: &str = "RUST_LOG";

/// Log lines show the time by which everything else here goes.
struct BeijingTimer;

impl FormatTime for BeijingTimer {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Clock::system().unix().beijing().rfc3339())
    }
}

/// Starts the log as it is configured.
pub(super) fn start(config: &LogConfig) {
    begin(&format!("warn,replyd={}", config.level.as_str()), config.format);
}

/// Starts a log that shows nothing, unless the environment asks for it.
pub(super) fn start_silent() {
    begin("off", LogFormat::Text);
}

fn begin(default: &str, format: LogFormat) {
    let asked = std::env::var(FILTER).unwrap_or_default();
    let wanted = (!asked.is_empty()).then(|| EnvFilter::try_new(&asked).ok()).flatten();
    let is_misunderstood = wanted.is_none() && !asked.is_empty();
    let filter = wanted.unwrap_or_else(|| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_timer(BeijingTimer);
    match format {
        LogFormat::Text => put(lines.with_ansi(has_colour()).finish()),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            put(lines.with_span_list(false).finish());
        }
    }
    if is_misunderstood {
        warn!("{FILTER} is not understood, so that the configured level counts");
    }
}

fn put(subscriber: impl Subscriber + Send + Sync) {
    // The only error is that a log was started already, in a process that runs two commands.
    drop(tracing::subscriber::set_global_default(subscriber));
}

fn has_colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}
