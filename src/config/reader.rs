//! A typed reader over one section of the file: each key is asked for by name, what is wrong is
//! reported where it stands, and keys that nobody asked for are reported at the end.
//!
//! It knows TOML and places, and nothing of what the keys mean.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::report::{Fault, Report};
use crate::time::{format_duration, parse_duration};

/// One section: a table of the file and the keys that were asked for so far. An absent one is
/// read like an empty one, so that each default has one home.
pub(super) struct Section<'r, 'd> {
    kind: &'static str,
    prefix: String,
    at: usize,
    table: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    report: &'r mut Report<'d>,
}

impl<'r, 'd> Section<'r, 'd> {
    /// The whole file.
    pub(super) fn root(table: &'d DeTable<'d>, report: &'r mut Report<'d>) -> Self {
        Self {
            kind: "",
            prefix: String::new(),
            at: 0,
            table: Some(table),
            known: Vec::new(),
            report,
        }
    }

    /// The section `[key]`, which has the name `kind` in messages; empty when it is absent.
    pub(super) fn section(&mut self, key: &'static str, kind: &'static str) -> Section<'_, 'd> {
        let found = self.take(key);
        let at = found.as_ref().map_or(self.at, |value| value.at);
        let table = found.and_then(|value| match value.value {
            DeValue::Table(table) => Some(table),
            _ => {
                self.report.fault(value.fault(format_args!("must be the section {kind}")));
                None
            }
        });
        Section {
            kind,
            prefix: format!("{}{key}.", self.prefix),
            at,
            table,
            known: Vec::new(),
            report: self.report,
        }
    }

    /// The places and tables of `[[key]]`, in the order of the file; `None` when it is written
    /// in another form, which is reported.
    pub(super) fn tables(&mut self, key: &'static str) -> Option<Vec<(usize, &'d DeTable<'d>)>> {
        let Some(value) = self.take(key) else { return Some(Vec::new()) };
        let place = |item: &'d Spanned<DeValue<'d>>| {
            item.get_ref().as_table().map(|table| (item.span().start, table))
        };
        let items = value.value.as_array().map(|items| items.iter().map(place));
        let tables = items.and_then(Iterator::collect);
        if tables.is_none() {
            self.report.fault(value.fault(format_args!("must be written as [[{key}]]")));
        }
        tables
    }

    /// One of these tables; it is called by its number until it has a name.
    pub(super) fn item(
        &mut self,
        kind: &'static str,
        number: usize,
        (at, table): (usize, &'d DeTable<'d>),
    ) -> Section<'_, 'd> {
        let prefix = format!("{}[{number}]: ", kind.trim_matches(['[', ']']));
        Section { kind, prefix, at, table: Some(table), known: Vec::new(), report: self.report }
    }

    /// From now on messages call this section by its name: `account "main": …`.
    pub(super) fn call(&mut self, name: &str) {
        self.prefix = format!("{} \"{name}\": ", self.kind.trim_matches(['[', ']']));
    }

    /// Whether the key is there, right or wrong. Does not count as asking for it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reads a key; `None` when it is absent or wrong, and if it is wrong that is reported.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'d>) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.take(key)?;
        read(&value).map_err(|fault| self.report.fault(fault)).ok()
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'d>) -> Result<T, Fault>,
    ) -> Option<T> {
        if !self.has(key) {
            self.missing(key, "missing");
        }
        self.read(key, read)
    }

    /// Reads a list, every item of it, so that each wrong one is reported.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        lengths: RangeInclusive<usize>,
        read: impl Fn(&Value<'d>) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let items = self.read(key, |value| value.items(lengths))?;
        let results = items.iter().map(|item| self.note(read(item))).collect::<Vec<_>>();
        results.into_iter().collect()
    }

    /// Reads a duration within limits.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        limits: RangeInclusive<Duration>,
    ) -> Duration {
        self.read(key, |value| value.duration(limits)).unwrap_or(default)
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.read(key, Value::flag).unwrap_or(default)
    }

    /// Reads one of the words of a table.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        self.read(key, |value| value.choice(words)).unwrap_or(default)
    }

    /// Unwraps a result; an error is reported.
    pub(super) fn note<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.report.fault(fault)).ok()
    }

    /// Where a key stands, to report something of it when more is known; none where it is not there.
    /// Does not count as asking for it.
    pub(super) fn place(&self, key: &str) -> Option<Fault> {
        let value = self.table?.get(key)?;
        let key = format!("{}{key}", self.prefix);
        Some(Fault { at: value.span().start, key, message: String::new() })
    }

    /// Reports that a key is not there.
    pub(super) fn missing(&mut self, key: &str, message: &str) {
        let key = format!("{}{key}", self.prefix);
        self.report.absence(Fault { at: self.at, key, message: message.to_owned() });
    }

    /// Reports a key that is there and wrong for a reason outside of its value.
    pub(super) fn wrong(&mut self, key: &str, message: &str) {
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            let (at, key) = (value.span().start, format!("{}{key}", self.prefix));
            self.report.fault(Fault { at, key, message: message.to_owned() });
        }
    }

    /// Reports what is wrong because of something that is absent elsewhere.
    pub(super) fn absence(&mut self, fault: Fault) {
        self.report.absence(fault);
    }

    /// Reports something that the file as a whole lacks.
    pub(super) fn missing_in_file(&mut self, message: &str) {
        self.report.absence_in_file(message);
    }

    /// The line of a place in the file, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.report.line(at)
    }

    /// Every key has been asked for: what is left is unknown.
    pub(super) fn finish(self) {
        let keys = self.table.into_iter().flat_map(|table| table.keys());
        let found = keys.map(|key| (key.span().start, key.get_ref().as_ref()));
        self.report.keys((self.kind, &self.prefix), &self.known, found);
    }

    fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let value = self.table?.get(key)?;
        let path = format!("{}{key}", self.prefix);
        Some(Value { path, at: value.span().start, value: value.get_ref() })
    }
}

/// A value, where it stands, and the path of its key.
pub(super) struct Value<'d> {
    path: String,
    at: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Value<'d> {
    /// Something wrong with this value. The message must not hold it: it may be a secret.
    pub(super) fn fault(&self, message: impl Display) -> Fault {
        Fault { at: self.at, key: self.path.clone(), message: message.to_string() }
    }

    /// The value as TOML has it.
    pub(super) fn toml(&self) -> &'d DeValue<'d> {
        self.value
    }

    /// Where the value begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn text(&self) -> Result<&'d str, Fault> {
        self.value.as_str().ok_or_else(|| self.must_be("a string"))
    }

    /// A string that `parse` understands.
    pub(super) fn parse<T, E: Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Fault> {
        parse(self.text()?).map_err(|error| self.fault(error))
    }

    pub(super) fn duration(&self, limits: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let text = self.value.as_str().ok_or_else(|| self.must_be("a duration like \"10m\""))?;
        let span = parse_duration(text).map_err(|error| self.fault(error))?;
        if limits.contains(&span) {
            return Ok(span);
        }
        let (least, most) = (format_duration(*limits.start()), format_duration(*limits.end()));
        Err(self.fault(format_args!("must be from {least} to {most}")))
    }

    pub(super) fn integer(&self, limits: RangeInclusive<usize>) -> Result<usize, Fault> {
        let number = self.value.as_integer().ok_or_else(|| self.must_be("a whole number"))?;
        usize::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| limits.contains(number))
            .ok_or_else(|| {
                self.fault(format_args!("must be from {} to {}", limits.start(), limits.end()))
            })
    }

    pub(super) fn flag(&self) -> Result<bool, Fault> {
        self.value.as_bool().ok_or_else(|| self.must_be("true or false"))
    }

    /// One of the words of a table.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Fault> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.fault(format_args!("must be {}", known.join(" or ")))
        })
    }

    /// The items of a list, each with its number in its path.
    pub(super) fn items(&self, lengths: RangeInclusive<usize>) -> Result<Vec<Self>, Fault> {
        let items = self.value.as_array().ok_or_else(|| self.must_be("a list"))?;
        if !lengths.contains(&items.len()) {
            let (least, most) = (lengths.start(), lengths.end());
            return Err(self.fault(format_args!("must have {least} to {most} entries")));
        }
        let item = |(number, item): (usize, &'d Spanned<DeValue<'d>>)| Self {
            path: format!("{}[{number}]", self.path),
            at: item.span().start,
            value: item.get_ref(),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The keys and values of a table whose keys are the user's own. The values' paths do not
    /// have the keys in them: the caller knows which may be shown.
    pub(super) fn entries(&self) -> Result<Vec<(&'d str, Self)>, Fault> {
        let table = self.value.as_table().ok_or_else(|| self.must_be("a table"))?;
        let entry = |(key, value): (&'d Spanned<DeString<'d>>, &'d Spanned<DeValue<'d>>)| {
            let value =
                Self { path: self.path.clone(), at: value.span().start, value: value.get_ref() };
            (key.get_ref().as_ref(), value)
        };
        Ok(table.iter().map(entry).collect())
    }

    /// The same value with a key appended to its path.
    pub(super) fn named(self, key: &str) -> Self {
        Self { path: format!("{}.{key}", self.path), ..self }
    }

    fn must_be(&self, wanted: &str) -> Fault {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fault(format_args!("must be {wanted}, not {found}"))
    }
}
