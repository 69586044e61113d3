//! The words of haproxy's runtime API, read: pure functions from text to values.
//!
//! Whatever comes from the socket is untrusted. Nothing here panics, and a number that is none is an error, never a
//! zero: a garbled answer must not look like an idle server. Formats are those of haproxy's management guide, §9.3.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::{ServerState, clean};

/// An answer that does not read as what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

/// What is needed of `show info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// As haproxy writes it, such as `2.6.12-1+deb12u4`.
    pub version: String,
    /// The process that answered; another one answers after a reload.
    pub pid: u32,
    /// The process is on its way out; a reload has put another one in its place.
    pub stopping: bool,
    /// How long the process has run.
    pub uptime: u64,
}

/// A backend as `show servers state` has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendState {
    /// haproxy's number for it; 0 if it has no server.
    pub number: u32,
    /// Its servers by name.
    pub servers: BTreeMap<String, Standing>,
}

/// A server as `show servers state` has it: what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What somebody asked of it.
    pub state: ServerState,
    /// Its checks pass, or it has none, and its weight is not zero.
    pub up: bool,
    /// Its share of the traffic.
    pub weight: u32,
    /// It has a check.
    pub checked: bool,
    /// Where its traffic goes, without the port.
    pub address: String,
}

/// A server as `show stat` has it: what it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stat {
    /// haproxy's words, such as `DRAIN 1/3`.
    pub status: String,
    /// Why the last check ended as it did, such as `L4CON: Connection refused`.
    pub check: String,
    /// Requests at the server.
    pub current: u64,
    /// Requests that wait for the server.
    pub queued: u64,
    /// Clients stick to it by a cookie.
    pub sticky: bool,
    /// What it has done since the counters were cleared.
    pub counters: Counters,
}

/// Counters of a server; they only grow, until a reload or `clear counters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests given to the server.
    pub total: u64,
    /// Responses of the server.
    pub answers: u64,
    /// Responses 500 to 599.
    pub errors: u64,
    /// Requests that ended without a response because no connection could be made.
    pub unconnected: u64,
    /// Requests that ended without a proper response.
    pub unanswered: u64,
}

/// Splits what came for `commands` commands on one connection into their answers.
///
/// An answer is its lines and one empty line. The last one must have it too: else the text was cut short. Only `show
/// stat` could hold an empty line, inside quotes; then the number of answers is wrong and the text is refused.
pub fn answers(text: &str, commands: usize) -> Result<Vec<&str>, WireError> {
    let mut parts = Vec::with_capacity(commands);
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = if let Some(after) = rest.strip_prefix('\n') {
            ("", after)
        } else {
            let end = rest.find("\n\n").ok_or_else(|| WireError("the answer is cut short".to_owned()))?;
            (&rest[..=end], &rest[end + 2..])
        };
        parts.push(part);
        rest = after;
    }
    if parts.len() == commands {
        Ok(parts)
    } else {
        Err(WireError(format!("there are {} answers to {commands} questions", parts.len())))
    }
}

/// Reads `show info`.
pub fn info(text: &str) -> Result<Info, WireError> {
    let fields: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let field = |name: &str| fields.get(name).copied().ok_or_else(|| missing("show info", name));
    Ok(Info {
        version: field("Version")?.to_owned(),
        pid: number("Pid", field("Pid")?)?,
        stopping: fields.get("Stopping").is_some_and(|value| *value != "0"),
        uptime: number("Uptime_sec", field("Uptime_sec")?)?,
    })
}

/// The first two numbers of a version.
#[must_use]
pub fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Reads `show servers state BACKEND`. `None` if there is no such backend.
pub fn standings(text: &str) -> Result<Option<BackendState>, WireError> {
    if text.starts_with("Can't find backend") {
        return Ok(None);
    }
    let mut lines = text.lines();
    // The first line is the version of the format; fields have only ever been added behind the known ones.
    let header = lines.by_ref().find(|line| line.starts_with('#')).ok_or_else(|| odd("show servers state", text))?;
    let columns = Columns::new("show servers state", header.trim_start_matches('#').split_whitespace());
    let mut backend = BackendState::default();
    for line in lines.filter(|line| !line.is_empty()) {
        let row: Vec<&str> = line.split_whitespace().collect();
        let bits = |name| columns.of(name, &row).and_then(|value| number::<u32>(name, value));
        backend.number = bits("be_id")?;
        let operation = bits("srv_op_state")?;
        let weight = bits("srv_uweight")?;
        let standing = Standing {
            state: admin_state(bits("srv_admin_state")?),
            // 1 is a slow start and 2 is running; 0 is down and 3 a server that answered 404 to `disable-on-404`.
            up: matches!(operation, 1 | 2) && weight != 0,
            weight,
            // The bit for "configured"; the ones for enabled and paused come and go with `maint`.
            checked: bits("srv_check_state")? & 2 != 0,
            address: columns.of("srv_addr", &row)?.to_owned(),
        };
        backend.servers.insert(columns.of("srv_name", &row)?.to_owned(), standing);
    }
    Ok(Some(backend))
}

/// The state in `srv_admin_state`'s bits, which are those of haproxy's `enum srv_admin`.
///
/// 0x04 (was `disabled` in the file) and 0x40 (name set by hand) stay set while the server takes traffic.
fn admin_state(bits: u32) -> ServerState {
    if bits & 0x23 != 0 {
        ServerState::Maint
    } else if bits & 0x18 != 0 {
        ServerState::Drain
    } else {
        ServerState::Ready
    }
}

/// Reads `show stat BACKEND 4 -1`: the servers' numbers.
pub fn stats(text: &str) -> Result<BTreeMap<String, Stat>, WireError> {
    let mut records = records(text).into_iter();
    let header = records.next().filter(|header| header.first().is_some_and(|name| name.starts_with("# ")));
    let header = header.ok_or_else(|| odd("show stat", text))?;
    let columns = Columns::new("show stat", header.iter().map(|name| name.trim_start_matches("# ")));
    let mut servers = BTreeMap::new();
    for row in records {
        let row: Vec<&str> = row.iter().map(AsRef::as_ref).collect();
        let must = |name| columns.of(name, &row).and_then(|value| number(name, value));
        // A server of a TCP backend has none of the columns for HTTP.
        let count = |name| columns.of(name, &row).ok().filter(|value| !value.is_empty());
        let count = |name| count(name).map_or(Ok(0), |value| number::<u64>(name, value));
        let word = |name| columns.of(name, &row).unwrap_or_default();
        let mut responses = 0_u64;
        for class in ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"] {
            responses = responses.saturating_add(count(class)?);
        }
        let stat = Stat {
            status: columns.of("status", &row)?.to_owned(),
            check: [word("check_status"), word("last_chk")].join(": ").trim_matches([':', ' ']).to_owned(),
            current: must("scur")?,
            queued: must("qcur")?,
            sticky: !word("cookie").is_empty(),
            counters: Counters {
                total: count("stot")?,
                answers: responses,
                errors: count("hrsp_5xx")?,
                unconnected: count("econ")?,
                unanswered: count("eresp")?,
            },
        };
        servers.insert(columns.of("svname", &row)?.to_owned(), stat);
    }
    Ok(servers)
}

/// Where each column is, by its name in the header.
struct Columns<'a> {
    command: &'static str,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Columns<'a> {
    fn new(command: &'static str, header: impl Iterator<Item = &'a str>) -> Self {
        Self { command, places: header.enumerate().map(|(place, name)| (name, place)).collect() }
    }

    fn of<'r>(&self, name: &str, row: &[&'r str]) -> Result<&'r str, WireError> {
        let value = self.places.get(name).and_then(|place| row.get(*place));
        value.copied().ok_or_else(|| missing(self.command, name))
    }
}

/// The records of a CSV text; fields may be quoted, with `""` for a quote and any character inside.
fn records(text: &str) -> Vec<Vec<Cow<'_, str>>> {
    // haproxy quotes what holds a comma, a quote or a line end, which is next to never; and a poll of a large backend
    // has tens of thousands of fields.
    if !text.contains('"') {
        let lines = text.lines().filter(|line| !line.is_empty());
        return lines.map(|line| line.split(',').map(Cow::Borrowed).collect()).collect();
    }
    let mut records = Vec::new();
    let mut record: Vec<Cow<'_, str>> = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(Cow::Owned(std::mem::take(&mut field))),
            '\n' if !quoted => {
                record.push(Cow::Owned(std::mem::take(&mut field)));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !record.is_empty() || !field.is_empty() {
        record.push(Cow::Owned(field));
        records.push(record);
    }
    records.retain(|record| record.len() > 1 || !record[0].is_empty());
    records
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, WireError> {
    value.parse().map_err(|_| WireError(format!("`{name}` is `{}`, which is no number", excerpt(value))))
}

fn missing(command: &str, name: &str) -> WireError {
    WireError(format!("`{command}` does not say `{name}`"))
}

fn odd(command: &str, text: &str) -> WireError {
    WireError(format!("`{command}` was answered with `{}`", excerpt(text)))
}

/// The beginning of an answer, fit to be shown.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    clean(&line.chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests;
