//! Who may use the HTTP API.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::reads::named;
use crate::store::token::{NewToken, NotMade, Scope, TokenDigest, TokenRow};
use crate::time::UnixMs;

const COLUMNS: &str = "id, name, digest, scopes, created_ms, expires_ms, revoked_ms, used_ms";

/// Keeps a new token.
pub(crate) fn put(
    connection: &Connection,
    token: &NewToken,
    now: UnixMs,
) -> Result<Result<i64, NotMade>, StoreError> {
    let in_use: usize = connection
        .prepare_cached("SELECT count(*) FROM token WHERE revoked_ms IS NULL")?
        .query_row([], |row| row.get(0))?;
    if in_use >= Store::TOKENS_MAX {
        return Ok(Err(NotMade::TooMany));
    }
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let made = connection
        .prepare_cached(
            "INSERT INTO token (name, handle, digest, scopes, created_ms, expires_ms)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6
             WHERE NOT EXISTS (SELECT 1 FROM token WHERE name = ?1 AND revoked_ms IS NULL)",
        )?
        .execute(params![
            token.name,
            token.digest.handle(),
            token.digest.0,
            scopes.join(" "),
            now.0,
            token.expires.map(|at| at.0),
        ])?;
    Ok(if made == 1 { Ok(connection.last_insert_rowid()) } else { Err(NotMade::Taken) })
}

/// Every token, by name; of one name the newest first.
pub(crate) fn all(connection: &Connection) -> Result<Vec<TokenRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM token ORDER BY name, id DESC");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], token_row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The tokens whose digest begins as this one.
pub(crate) fn like(
    connection: &Connection,
    digest: TokenDigest,
) -> Result<Vec<TokenRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM token INDEXED BY token_handle WHERE handle = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([digest.handle()], token_row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The token of this number.
pub(crate) fn one(connection: &Connection, id: i64) -> Result<Option<TokenRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM token WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], token_row).optional()?)
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let scopes: String = row.get(3)?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        digest: TokenDigest(row.get(2)?),
        scopes: scopes
            .split_whitespace()
            .map(|word| named(3, word, Scope::parse))
            .collect::<Result<_, _>>()?,
        created: UnixMs(row.get(4)?),
        expires: time(5)?,
        revoked: time(6)?,
        used: time(7)?,
    })
}

/// Makes the token of this name worthless.
pub(crate) fn revoke(connection: &Connection, name: &str, now: UnixMs) -> Result<bool, StoreError> {
    let revoked = connection
        .prepare_cached("UPDATE token SET revoked_ms = ?2 WHERE name = ?1 AND revoked_ms IS NULL")?
        .execute(params![name, now.0])?;
    Ok(revoked > 0)
}

/// Keeps that a token was used.
pub(crate) fn used(connection: &Connection, id: i64, now: UnixMs) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE token SET used_ms = ?2 WHERE id = ?1")?
        .execute(params![id, now.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::token::TokenState;

    fn token(name: &str, byte: u8) -> NewToken {
        NewToken {
            name: name.to_owned(),
            digest: TokenDigest([byte; 32]),
            scopes: vec![Scope::Read, Scope::Admin],
            expires: Some(UnixMs(1_000)),
        }
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_digest_until_it_is_forgotten_and_its_name_is_free_when_revoked()
     {
        let store = Store::in_memory().unwrap();
        let id = store.put_token(token("crm", 7), UnixMs(5)).await.unwrap().unwrap();
        let taken = store.put_token(token("crm", 8), UnixMs(5)).await.unwrap();
        assert_eq!(taken, Err(NotMade::Taken));
        assert_eq!(store.tokens_like(TokenDigest([8; 32])).await.unwrap(), []);
        store.token_used(id, UnixMs(77)).await.unwrap();
        let [found] = store.tokens_like(TokenDigest([7; 32])).await.unwrap().try_into().unwrap();
        assert_eq!((found.id, found.used), (id, Some(UnixMs(77))));
        assert_eq!(found.scopes, [Scope::Read, Scope::Admin]);
        let at = |ms| found.state(UnixMs(ms));
        assert_eq!((at(999), at(1_000)), (TokenState::Valid, TokenState::Expired));
        assert!(store.revoke_token("crm", UnixMs(9)).await.unwrap());
        assert!(!store.revoke_token("crm", UnixMs(9)).await.unwrap());
        store.put_token(token("crm", 8), UnixMs(5)).await.unwrap().unwrap();
        let states: Vec<TokenState> =
            store.tokens().await.unwrap().iter().map(|row| row.state(UnixMs(9))).collect();
        assert_eq!(states, [TokenState::Valid, TokenState::Revoked]);
    }

    #[tokio::test]
    async fn there_are_so_many_tokens_and_no_more() {
        let store = Store::in_memory().unwrap();
        for number in 0..Store::TOKENS_MAX {
            let byte = u8::try_from(number).unwrap();
            store.put_token(token(&format!("t{number}"), byte), UnixMs(5)).await.unwrap().unwrap();
        }
        let more = store.put_token(token("more", 255), UnixMs(5)).await.unwrap();
        assert_eq!(more, Err(NotMade::TooMany));
    }
}
