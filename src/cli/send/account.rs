//! The account by which a message goes out.

use crate::cli::chosen;
use crate::cli::exit::Failure;
use crate::config::AccountConfig;

/// The account that sends.
pub(super) fn account<'a>(
    accounts: &'a [AccountConfig],
    named: Option<&str>,
) -> Result<&'a AccountConfig, Failure> {
    let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    match (named, accounts) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format!(
            "name the account that sends: --account {}",
            names.join(" | ")
        ))),
        (Some(name), _) => {
            chosen::require("account", name, &names)?;
            let found = accounts.iter().find(|account| account.name == name);
            found.ok_or_else(|| Failure::usage("no such account"))
        }
    }
}
