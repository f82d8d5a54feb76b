//! JSON as columns hold it, and as statements take lists of what they are about.

use rusqlite::Error::ToSqlConversionFailure;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::error::StoreError;

pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(broken)
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(broken)
}

fn broken(error: serde_json::Error) -> StoreError {
    StoreError::Other(ToSqlConversionFailure(error.into()))
}
