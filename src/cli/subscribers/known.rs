//! A subscriber as the configuration and the store know it: either may lack it.

use serde_json::{Value, json};

use crate::cli::attempt::with_words;
use crate::cli::chosen;
use crate::cli::exit::{Exit, Failure};
use crate::config::{Config, SubscriberConfig};
use crate::delivery::waiting::Readiness;
use crate::language::Language;
use crate::store::Store;
use crate::store::subscribers::SubscriberRow;

/// One subscriber.
pub(super) struct Known<'a> {
    pub(super) name: String,
    pub(super) config: Option<&'a SubscriberConfig>,
    pub(super) row: Option<SubscriberRow>,
}

/// Every subscriber that the configuration or the store knows: first those of the configuration,
/// in its order.
pub(super) async fn all<'a>(config: &'a Config, store: &Store) -> Result<Vec<Known<'a>>, Failure> {
    let mut rows = store.subscribers().await?;
    let mut known = Vec::new();
    for config in &config.subscribers {
        let at = rows.iter().position(|row| row.name == config.name);
        let row = at.map(|at| rows.remove(at));
        known.push(Known { name: config.name.clone(), config: Some(config), row });
    }
    let former =
        |row: SubscriberRow| Known { name: row.name.clone(), config: None, row: Some(row) };
    known.extend(rows.into_iter().map(former));
    Ok(known)
}

/// The subscriber that has this name.
///
/// # Errors
/// Where there is none: with the names that there are.
pub(super) async fn one<'a>(
    config: &'a Config,
    store: &Store,
    name: &str,
) -> Result<Known<'a>, Failure> {
    let mut all = all(config, store).await?;
    match all.iter().position(|known| known.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(unknown(name, all.iter().map(|known| known.name.as_str()))),
    }
}

/// What is said of a name that nobody has.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::new(Exit::NotFound, format!("replyd: no subscriber {name:?}; there is {known}"))
}

impl Known<'_> {
    /// Its row.
    ///
    /// # Errors
    /// Where no `run` has put it into the store.
    pub(super) fn require_row(&self) -> Result<&SubscriberRow, Failure> {
        self.row.as_ref().ok_or_else(|| chosen::not_stored("subscriber", &self.name))
    }

    /// How it stands; none where the store lacks it.
    pub(super) fn readiness(&self) -> Option<Readiness> {
        let readiness = self.row.as_ref().map(Readiness::of)?;
        let is_renamed = matches!(readiness, Readiness::Renamed { .. });
        Some(if self.config.is_none() && !is_renamed { Readiness::Absent } else { readiness })
    }

    /// The word for how it stands.
    pub(super) fn state(&self) -> &'static str {
        self.readiness().map_or("new", |readiness| readiness.as_str())
    }

    /// Why it takes nothing; none where it does.
    pub(super) fn why(&self, language: Language) -> Option<String> {
        match self.readiness() {
            None => Some(
                language
                    .pick(
                        "尚未写入存储：服务读取配置后才有",
                        "not in the store yet: the service puts it there when it reads the configuration",
                    )
                    .to_owned(),
            ),
            Some(Readiness::Absent) if self.config.is_none() => Some(
                language.pick("配置中没有它", "it is not in the configuration").to_owned(),
            ),
            Some(readiness) => readiness.words(language),
        }
    }

    /// Why it takes nothing, in both languages.
    pub(super) fn why_as_json(&self) -> Option<Value> {
        self.why(Language::En)?;
        Some(with_words(json!({}), |language| self.why(language).unwrap_or_default()))
    }
}
