//! Accounts and subscribers as `run` configures them, and the slot.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::reply::IdKey;
use crate::route::Route;
use crate::store::delivery::SubscriberSpec;
use crate::store::error::StoreError;
use crate::store::read::{AccountSettings, AccountSpec, ReadId};
use crate::store::slot::Slot;
use crate::store::sqlite::{json, subscribers};
use crate::time::UnixMs;
use crate::time::millis;

/// An account's settings in their stored form.
#[derive(Serialize, Deserialize)]
struct StoredSettings {
    number: Option<String>,
    min_interval_ms: i64,
    recover_ms: i64,
    /// Empty in a store of the first version, which knew no pauses.
    #[serde(default)]
    schedule: String,
}

/// Writes what is configured over what was. An account that is gone keeps its row and replies.
pub(crate) fn put_accounts(
    connection: &Connection,
    accounts: &[AccountSpec],
    now: &Moment,
) -> Result<(), StoreError> {
    for account in accounts {
        if let (Some(kept), Some(configured)) =
            (stored_key(connection, &account.name)?, &account.configured_key)
            && kept != *configured.as_bytes()
        {
            return Err(StoreError::Refused(format!(
                "store.id_key is not the key with which account {:?} was begun: under it every reply that is read \
                 again would get a second id. Configure the former key, or none",
                account.name
            )));
        }
        let key = account.configured_key.as_ref().unwrap_or(&account.derived_key);
        connection
            .prepare_cached(
                "INSERT INTO account (name, id_key, settings, login, box) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, login = excluded.login, box = excluded.box,
                     refusals = iif(login = excluded.login, refusals, min(refusals, 1)),
                     refused_until_ms = iif(login = excluded.login, refused_until_ms, NULL),
                     refused_status = iif(login = excluded.login, refused_status, NULL)",
            )?
            .execute(params![account.name, key.as_bytes(), to_json(&account.settings)?, account.login.as_bytes(), account.mailbox.as_bytes()])?;
        inherit_slot(connection, account, now)?;
    }
    Ok(())
}

/// An account waits as others of its box do, so under a new name as it did under its former one:
/// the gateway knows it by its uid.
fn inherit_slot(
    connection: &Connection,
    account: &AccountSpec,
    now: &Moment,
) -> Result<(), StoreError> {
    let mut wait =
        slot(connection, &account.name)?.map_or(Duration::ZERO, |(slot, _)| slot.wait(now));
    let mut statement =
        connection.prepare_cached("SELECT name FROM account WHERE box = ?1 AND name != ?2")?;
    let others = statement
        .query_map(params![account.mailbox.as_bytes(), account.name], |row| {
            row.get::<_, String>(0)
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for other in others {
        match slot(connection, &other)? {
            Some((other, _)) if other.wait(now) > wait => {
                wait = other.wait(now);
                put_slot(connection, &account.name, &other, None)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn stored_key(connection: &Connection, account: &str) -> Result<Option<[u8; 32]>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id_key FROM account WHERE name = ?1")?;
    Ok(statement.query_row([account], |row| row.get(0)).optional()?)
}

fn to_json(settings: &AccountSettings) -> Result<String, StoreError> {
    let stored = StoredSettings {
        number: settings.number.clone(),
        min_interval_ms: millis(settings.min_interval),
        recover_ms: millis(settings.recover),
        schedule: settings.schedule.clone(),
    };
    json::write(&stored)
}

/// The names of all accounts that were ever configured.
pub(crate) fn names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name FROM account ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// The settings with which an account's replies are kept, and the key of their ids.
pub(crate) fn settings(
    connection: &Connection,
    account: &str,
) -> Result<Option<(AccountSettings, IdKey)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT settings, id_key FROM account WHERE name = ?1")?;
    let row: Option<(String, [u8; 32])> =
        statement.query_row([account], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((settings, key)) = row else { return Ok(None) };
    let stored: StoredSettings = json::read(&settings)?;
    let settings = AccountSettings {
        number: stored.number,
        min_interval: duration(stored.min_interval_ms),
        recover: duration(stored.recover_ms),
        schedule: stored.schedule,
    };
    Ok(Some((settings, IdKey::from_stored(key))))
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

/// The account's slot, and the read that took it.
pub(super) fn slot(
    connection: &Connection,
    account: &str,
) -> Result<Option<(Slot, Option<ReadId>)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT slot_boot, slot_boot_ms, slot_unix_ms, slot_wait_ms, slot_read_id FROM account
         WHERE name = ?1 AND slot_boot IS NOT NULL",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let boot: String = row.get(0)?;
        let slot = Slot::stored(&boot, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((slot, row.get::<_, Option<i64>>(4)?.map(ReadId)))
    };
    Ok(statement.query_row([account], read).optional()?)
}

/// Writes the account's slot.
pub(super) fn put_slot(
    connection: &Connection,
    account: &str,
    slot: &Slot,
    read: Option<ReadId>,
) -> Result<(), StoreError> {
    let at = &slot.free_at;
    connection.prepare_cached(
        "UPDATE account SET slot_boot = ?2, slot_boot_ms = ?3, slot_unix_ms = ?4, slot_wait_ms = ?5, slot_read_id = ?6
         WHERE name = ?1",
    )?
    .execute(params![account, &*at.boot, at.boot_ms, at.unix.0, slot.wait_ms, read.map(|read| read.0)])?;
    Ok(())
}

/// Counts what is left of a former boot's wait on this boot's clock.
pub(crate) fn anchor_slot(
    connection: &Connection,
    account: &str,
    now: &Moment,
) -> Result<(), StoreError> {
    match slot(connection, account)? {
        Some((slot, read)) if slot.free_at.boot != now.boot => {
            put_slot(connection, account, &slot.anchored(now), read)
        }
        _ => Ok(()),
    }
}

/// Writes the configured subscribers over those that were. One that is gone is absent: its
/// deliveries stay. One that is back, and took none, takes them again from now on.
pub(crate) fn put_subscribers(
    connection: &Connection,
    subscribers: &[SubscriberSpec],
    now: UnixMs,
) -> Result<(), StoreError> {
    for subscriber in subscribers {
        let route = json::write(&subscriber.route)?;
        let was_away = connection
            .prepare_cached("SELECT 1 FROM subscriber WHERE name = ?1 AND (absent OR NOT enabled)")?
            .exists([&subscriber.name])?;
        connection.prepare_cached(
            "INSERT INTO subscriber (name, route, enabled) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET route = excluded.route, enabled = excluded.enabled, absent = 0,
                 removed_ms = NULL",
        )?
        .execute(params![subscriber.name, route, subscriber.enabled])?;
        if was_away && subscriber.enabled {
            subscribers::resume(connection, &subscriber.name, now)?;
        }
    }
    let names: Vec<&str> = subscribers.iter().map(|subscriber| subscriber.name.as_str()).collect();
    let names = json::write(&names)?;
    connection.execute(
        "UPDATE subscriber SET absent = 1 WHERE name NOT IN (SELECT value FROM json_each(?1))",
        [names],
    )?;
    Ok(())
}

/// Every subscriber that is told of new replies, by name. A disabled one is: its deliveries wait.
pub(super) fn routes(connection: &Connection) -> Result<Vec<(String, Route)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT name, route FROM subscriber WHERE absent = 0 ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let mut routes = Vec::new();
    for row in rows {
        let (name, route) = row?;
        routes.push((name, json::read(&route)?));
    }
    Ok(routes)
}
