//! How far a command has come: a line on the terminal that is drawn over and over, and gone when
//! the work is done. Where stderr is no terminal nothing is shown. It has no colour.

use std::cell::Cell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output;

/// Work that is over sooner shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// The count, the pace and the time left, behind a bar as wide as there is room.
const OF_MANY: &str = "{msg} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left";

/// The count and the pace, where nobody knows how many there are.
const OF_SOME: &str = "{msg} {human_pos}  {per_sec}";

/// A line that shows how far the work is. Dropped, it is taken away.
pub(super) struct Progress {
    bar: ProgressBar,
    is_shown: Cell<bool>,
}

impl Progress {
    /// Of so many things, which are counted; shown once the work takes longer than a second.
    pub(super) fn of(what: &str, total: usize) -> Self {
        Self::counted(what, Some(total as u64), OF_MANY)
    }

    /// Of things of which nobody knows how many there are; shown once the work takes longer than a
    /// second.
    pub(super) fn of_some(what: &str) -> Self {
        Self::counted(what, None, OF_SOME)
    }

    fn counted(what: &str, total: Option<u64>, template: &str) -> Self {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        bar.set_style(style);
        bar.set_message(what.to_owned());
        Self { bar, is_shown: Cell::new(false) }
    }

    /// Of words alone, shown at once.
    pub(super) fn of_words() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { bar, is_shown: Cell::new(true) }
    }

    /// Whether there is no terminal to show it on.
    pub(super) fn is_hidden(&self) -> bool {
        self.is_shown.get() && self.bar.is_hidden()
    }

    /// So many are done.
    pub(super) fn at(&self, done: usize) {
        if !self.is_shown.get() && self.bar.elapsed() >= SHOWN_AFTER {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.is_shown.set(true);
        }
        self.bar.set_position(done as u64);
    }

    /// Says something else.
    pub(super) fn say(&self, words: String) {
        self.bar.set_message(words);
    }

    /// Writes a line of talk above it.
    pub(super) fn talk(&self, line: &str) {
        self.bar.suspend(|| output::talk(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
