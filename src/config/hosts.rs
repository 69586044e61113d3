//! `[[hosts]]`: ranges written out, no name and no address twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Host, HostName, NameError, Role};

use super::diagnostic::Place;
use super::report::Wrong;
use super::table::Table;
use super::value::Value;
use super::{Diagnostic, range, take};

/// Reads all `[[hosts]]` of the inventory.
pub(super) fn read(root: &Table<'_>) -> Result<Vec<Host>, Wrong> {
    let tables = root.sections("hosts")?;
    if tables.is_empty() {
        let error = Diagnostic::new("there are no `[[hosts]]`").at(root.file().whole());
        let example = "add `[[hosts]]` with `name = \"web[1:8]\"` and `roles = [\"app\"]`";
        return Err(root.file().report(error.help(example)));
    }
    let mut hosts = Vec::new();
    let mut seen = Seen::default();
    let mut outcome = Ok(());
    for table in &tables {
        let result = entry(table).and_then(|entry| {
            let fresh = entry.iter().try_for_each(|host| seen.take(table, host));
            hosts.extend(entry);
            fresh
        });
        outcome = outcome.and(result);
        if hosts.len() > range::MOST as usize {
            let error = Diagnostic::new(format!("there are more than {} hosts", range::MOST));
            let place = table.place_of("name").label("with these it is one too many");
            return Err(root.file().report(error.at(place).help("split the inventory into several environments")));
        }
    }
    outcome.map(|()| hosts)
}

/// The hosts of one entry.
fn entry(table: &Table<'_>) -> Result<Vec<Host>, Wrong> {
    let names = table.required("name", "\"web[1:8]\"", names);
    let addresses = table.optional("address", |value| addresses(value).map(|addresses| (addresses, value.clone())));
    let roles = table.required("roles", "[\"app\"]", roles);
    let labels = table.section_or_empty("labels").and_then(|labels| read_labels(&labels));
    table.finish();
    let (names, addresses, roles, labels) = (names?, addresses?, roles?, labels?);
    if let Some((addresses, value)) = &addresses
        && addresses.len() != names.len()
    {
        let error = value
            .wrong("does not fit the names", count(addresses.len(), "address", "addresses"))
            .see(Some(table.place_of("name").label(count(names.len(), "host", "hosts"))))
            .help("both ranges must be of the same length, as in `web[1:8]` and `10.0.0.[11:18]`");
        return Err(value.fail_with(error));
    }
    let address =
        |at: usize, name: &HostName| addresses.as_ref().map_or_else(|| name.into(), |(all, _)| all[at].clone());
    let hosts = names.into_iter().enumerate();
    Ok(hosts
        .map(|(at, name)| Host { address: address(at, &name), name, roles: roles.clone(), labels: labels.clone() })
        .collect())
}

fn names(value: &Value<'_>) -> Result<Vec<HostName>, Wrong> {
    let names: Result<_, NameError> = expanded(value)?.iter().map(|name| name.parse()).collect();
    names.map_err(|error| value.fail("is not a name", error.to_string()))
}

fn addresses(value: &Value<'_>) -> Result<Vec<Address>, Wrong> {
    let addresses: Result<_, NameError> = expanded(value)?.iter().map(|address| address.parse()).collect();
    addresses.map_err(|error| {
        let text = value.string().unwrap_or_default();
        let error = value.wrong("is not an address", error.to_string());
        value.fail_with(match text {
            _ if text.contains('@') => error.help("the login belongs into `[ssh]`, as `user`"),
            _ if text.contains(':') => error.help("a port belongs into the ssh_config, as `Port`"),
            _ => error,
        })
    })
}

fn expanded(value: &Value<'_>) -> Result<Vec<String>, Wrong> {
    range::expand(value.string()?).map_err(|error| {
        let place = value.place_within(error.at, error.reason);
        value.fail_with(
            value.wrong("has a broken range", "").at(place).help("ranges are written like `[1:8]` or `[01:40]`"),
        )
    })
}

fn roles(value: &Value<'_>) -> Result<BTreeSet<Role>, Wrong> {
    let roles = value.list("a list of roles", take::name)?;
    if roles.is_empty() {
        return Err(value.fail("is empty", "a host without a role is never used"));
    }
    Ok(roles.into_iter().map(|(role, _)| role).collect())
}

/// Labels: anything that a selector `key=value` can name.
fn read_labels(table: &Table<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    let label = |key: &str, place: Place, value: &Value<'_>| {
        if key.parse::<HostName>().is_err() {
            let error = Diagnostic::new(format!("`{key}` can't be the name of a label"));
            let label = "names are made of letters, digits, `.`, `_` and `-`";
            return Err(value.fail_with(error.at(place.label(label))));
        }
        let text = take::line(value)?;
        if text.contains(',') || text.trim() != text {
            return Err(value.fail("is not a label", "a label has no comma, and no space at its ends"));
        }
        Ok((key.to_owned(), text.to_owned()))
    };
    let labels: Vec<_> = table.entries().into_iter().map(|(key, place, value)| label(key, place, &value)).collect();
    labels.into_iter().collect()
}

/// The names and addresses so far, by the place of the entry that made them.
#[derive(Debug, Default)]
struct Seen {
    names: BTreeMap<HostName, Place>,
    addresses: BTreeMap<Address, (HostName, Place)>,
}

impl Seen {
    /// Takes down `host` of the entry `table`, unless its name or its address was there.
    fn take(&mut self, table: &Table<'_>, host: &Host) -> Result<(), Wrong> {
        let (name, address) =
            (table.place_of("name"), table.place_of(if table.has("address") { "address" } else { "name" }));
        if let Some(first) = self.names.insert(host.name.clone(), name.clone()) {
            let error = Diagnostic::new(format!("there are two hosts called `{}`", host.name))
                .at(name.label("here again"))
                .see(Some(first.label("first here")));
            return Err(table.file().report(error.help("a name is one machine; give it all its roles in one entry")));
        }
        if let Some((other, first)) = self.addresses.insert(host.address.clone(), (host.name.clone(), address.clone()))
        {
            let error = Diagnostic::new(format!("`{other}` and `{}` have the same address", host.name))
                .at(address.label(format!("`{}` again", host.address)))
                .see(Some(first.label(format!("`{}` first", host.address))))
                .help("two names for one machine would take it out of service twice; use one name");
            return Err(table.file().report(error));
        }
        Ok(())
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
