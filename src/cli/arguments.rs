//! How arguments are read that several commands have.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::reply::Mobile;
use crate::store::delivery::DeliveryState;

/// A number, in whichever form: with a prefix or without.
pub(super) fn mobile(text: &str) -> Result<Mobile, &'static str> {
    Mobile::parse(text).ok_or("not a number of 3 to 20 digits, perhaps behind a +")
}

/// Where a delivery stands.
pub(super) fn delivery_state() -> impl TypedValueParser<Value = DeliveryState> {
    PossibleValuesParser::new(DeliveryState::ALL.map(DeliveryState::as_str))
        .try_map(|word| DeliveryState::parse(&word).ok_or("no such state"))
}
