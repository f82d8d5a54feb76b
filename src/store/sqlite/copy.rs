//! A copy of the whole store, as it is at one moment.
//!
//! `VACUUM INTO` reads the store in one look, whatever is written meanwhile, and writes what is in
//! it and nothing that was: no page of what was erased is in a copy.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::delivery::Figures;
use crate::store::error::StoreError;
use crate::store::sqlite::check::{self, CheckLook};
use crate::store::sqlite::{figures, schema};

/// Copies into a file that is there and empty, looks whether the copy is whole, and says what is in
/// it.
pub(super) fn copy(
    connection: &Connection,
    target: &Path,
    look: &CheckLook,
) -> Result<Figures, StoreError> {
    figures::figures(&copy_whole(connection, target, look)?)
}

/// Copies into a file that is there and empty, and looks whether the copy is whole.
pub(super) fn copy_whole(
    connection: &Connection,
    target: &Path,
    look: &CheckLook,
) -> Result<Connection, StoreError> {
    let at_target = |source: io::Error| StoreError::Path { path: target.to_owned(), source };
    // A path from the root is never taken for a URI.
    let whole = std::path::absolute(target).map_err(at_target)?;
    let name = whole.to_str().ok_or_else(|| at_target(io::ErrorKind::InvalidFilename.into()))?;
    if !look.begin(connection) {
        return Err(StoreError::Closed);
    }
    match connection.execute("VACUUM INTO ?1", [name]).map_err(StoreError::from) {
        Ok(_) => {}
        Err(StoreError::Unwritable(error)) => return Err(at_target(io::Error::other(error))),
        Err(error) => return Err(error),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(&whole, flags)?;
    schema::vet(&mut copy)?;
    match check::damages(&copy, look)? {
        None => Ok(copy),
        Some(found) => Err(StoreError::Broken { path: target.to_owned(), found }),
    }
}

/// About how many bytes a copy has: those of the pages that are in use.
pub(super) fn bytes(connection: &Connection) -> Result<u64, StoreError> {
    let figure = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let pages = figure("page_count")?.saturating_sub(figure("freelist_count")?);
    Ok(pages.saturating_mul(figure("page_size")?))
}
