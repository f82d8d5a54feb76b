//! A change that was made by the HTTP API.

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::audit_entry::AuditEntry as Row;

/// A change that was made by the HTTP API.
#[derive(Serialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number.
    id: i64,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The name of the token by which it was made.
    token: String,
    /// What was done.
    action: String,
    /// To what.
    target: String,
    /// What came of it.
    outcome: String,
}

impl AuditEntry {
    /// The shape of an entry.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self {
            id: row.id,
            at: row.at.beijing().rfc3339(),
            token: row.token.clone(),
            action: row.action.clone(),
            target: row.target.clone(),
            outcome: row.outcome.clone(),
        }
    }
}
