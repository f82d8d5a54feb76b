//! `match`: the patterns of a subscriber's replies.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::reader::Section;
use crate::route::{Expression, Filter, Glob};

/// Patterns of one thing; each is tried on every reply.
const PATTERNS: RangeInclusive<usize> = 0..=100;

/// Reads the table; what is empty or absent lets everything through.
pub(super) fn read(mut section: Section<'_, '_>) -> Filter {
    let content = section.read("content", |value| match value.text()? {
        "" => Ok(None),
        _ => value.parse(Expression::parse).map(Some),
    });
    let filter = Filter {
        from: globs(&mut section, "from"),
        content: content.flatten(),
        gateway: globs(&mut section, "gateway"),
        extension: globs(&mut section, "extension"),
    };
    section.finish();
    filter
}

/// One pattern, or a list of them.
fn globs(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Glob> {
    let items = section.read(key, |value| match value.toml() {
        DeValue::Array(_) => Ok((Vec::new(), value.items(PATTERNS)?)),
        _ if value.text()?.is_empty() => Ok((Vec::new(), Vec::new())),
        _ => Ok((vec![value.parse(Glob::parse)?], Vec::new())),
    });
    let (mut globs, items) = items.unwrap_or_default();
    globs.extend(items.iter().filter_map(|item| section.note(item.parse(Glob::parse))));
    globs
}
