//! A subscriber as the configuration and the store know it: either may lack it.

use crate::config::{Config, SubscriberConfig};
use crate::delivery::waiting::Readiness;
use crate::language::Language;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::subscribers::SubscriberRow;

/// One subscriber.
pub struct Known<'a> {
    /// Its name.
    pub name: String,
    /// As the configuration has it.
    pub config: Option<&'a SubscriberConfig>,
    /// As the store has it.
    pub row: Option<SubscriberRow>,
}

/// Every subscriber that the configuration or the store knows: first those of the configuration,
/// in its order.
///
/// # Errors
/// The store's own.
pub async fn all<'a>(config: &'a Config, store: &Store) -> Result<Vec<Known<'a>>, StoreError> {
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

impl Known<'_> {
    /// How it stands; none where the store lacks it.
    #[must_use]
    pub fn readiness(&self) -> Option<Readiness> {
        let readiness = self.row.as_ref().map(Readiness::of)?;
        let is_renamed = matches!(readiness, Readiness::Renamed { .. });
        Some(if self.config.is_none() && !is_renamed { Readiness::Absent } else { readiness })
    }

    /// The word for how it stands.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.readiness().map_or("new", |readiness| readiness.as_str())
    }

    /// Why it takes nothing; none where it does.
    #[must_use]
    pub fn why(&self, language: Language) -> Option<String> {
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
}
