//! `replyd subscribers enable NAME` and `disable NAME`.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::subscribers::known;
use crate::cli::subscribers::one::Arguments;
use crate::cli::table::visible;
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::delivery::waiting::Readiness;
use crate::shape::Switched;
use crate::store::{OpenMode, Store};

pub(super) const AFTER_HELP: &str = "\
A running service heeds it within a second, and it outlives restarts. What comes for a disabled
subscriber waits, and goes out in order when it is enabled; the time to be given up counts from then.
Where it has a `fallback`, that takes over what waits.
`enabled = false` in the configuration can be changed there only: then `enable` exits with 1.

Examples:
  replyd subscribers disable crm
  replyd subscribers enable crm";

/// Lets a subscriber take deliveries again.
pub(super) async fn enable(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    set(path, arguments, true).await
}

/// Makes a subscriber take nothing.
pub(super) async fn disable(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    set(path, arguments, false).await
}

async fn set(path: &Path, arguments: &Arguments, enabled: bool) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let name = arguments.name.as_str();
    known::require_row(&known::one(&config, &store, name).await?)?;
    let now = Clock::system().unix();
    match enabled {
        true => store.enable(name, now).await?,
        false => store.disable(name, now).await?,
    }
    let known = known::one(&config, &store, name).await?;
    if arguments.json {
        output::json(&json!(Switched::of(&known)));
    } else {
        let why = known.why(arguments.language.language());
        let why = why.map(|why| format!(": {}", visible(&why))).unwrap_or_default();
        output::data(&format!("{name} is {}{why}", known.state()));
    }
    if let (false, Some(fallback)) = (enabled, config.fallbacks_of(name).first()) {
        output::talk(&arguments.language.language().pick(
            format!("它的备用订阅方 {fallback} 接替：等待中的投递会转给 {fallback}"),
            format!("its fallback {fallback} takes over what waits"),
        ));
    }
    let is_enabled = known.readiness() == Some(Readiness::Enabled);
    Ok(if enabled && !is_enabled { Exit::Failed } else { Exit::Done })
}
