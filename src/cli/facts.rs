//! Facts about one thing: a name and a value on each line, the values below each other.

use crate::cli::output;
use crate::cli::table::{visible, width};

/// Writes facts to stdout, each line behind `indent` blanks. Facts with no value are left out.
pub(super) fn print(indent: usize, facts: &[(&str, Option<String>)]) {
    for line in lines(indent, facts) {
        output::data(&line);
    }
}

fn lines(indent: usize, facts: &[(&str, Option<String>)]) -> Vec<String> {
    let there = || facts.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
    let widest = there().map(|(name, _)| width(name)).max().unwrap_or_default();
    let line = |(name, value): (&str, &String)| {
        let fill = " ".repeat(widest.saturating_sub(width(name)));
        format!("{:indent$}{name}{fill}  {}", "", visible(value))
    };
    there().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_each_other_and_steer_nothing() {
        let facts = [
            ("state", Some("held".to_owned())),
            ("为何等待", Some("a\nb".to_owned())),
            ("never", None),
        ];
        assert_eq!(lines(2, &facts), ["  state     held", r"  为何等待  a\nb"]);
        assert_eq!(lines(0, &[("never", None)]), Vec::<String>::new());
    }
}
