//! Changing a file of the project: a fragment of TOML is laid over it.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::error::{Error, Result};

/// Lays a fragment over a TOML file: tables are merged, everything else is replaced.
pub fn overlay(path: &Path, fragment: &Table) -> Result<()> {
    if fragment.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let mut table: Table = toml::from_str(&text).map_err(|error| Error::content(path, &error))?;
    merge(&mut table, fragment);
    let text = toml::to_string(&table).map_err(|error| Error::content(path, &error))?;
    fs::write(path, text).map_err(Error::file("write", path))
}

fn merge(into: &mut Table, fragment: &Table) {
    for (key, value) in fragment {
        match (into.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}
