//! Addresses of pages and of downloads.

use crate::model::Template;

use super::report::Wrong;
use super::take;
use super::template::{Known, Templates};
use super::value::Value;

/// A page of the app, asked on its host.
pub(super) fn of_a_page(value: &Value<'_>, templates: Templates<'_>) -> Result<Template, Wrong> {
    let template = templates.line(value, Known::Instance)?;
    check(value, "\"http://127.0.0.1:{port}/up\"", "let the page answer without a login on the host itself")
        .map(|_| template)
}

/// A file that hosts fetch.
pub(super) fn of_a_download<'d>(value: &Value<'d>) -> Result<&'d str, Wrong> {
    take::line(value)?;
    let way_out = "use a link that needs none, or ship the archive from here: `{ archive = \"web.tar.zst\" }`";
    check(value, "\"https://artifacts.example.com/web.tar.zst\"", way_out)
}

/// An address with `http` or `https`, a host and no login.
fn check<'d>(value: &Value<'d>, example: &str, without_login: &str) -> Result<&'d str, Wrong> {
    let text = value.string()?;
    let wrong = |label: &str| {
        value.fail_with(value.wrong("is not a URL", label).help(format!("write for example `{example}`")))
    };
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else { return Err(wrong("this does not begin with `http://` or `https://`")) };
    if text.contains(char::is_whitespace) {
        return Err(wrong("there is a space in it"));
    }
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if let Some(at) = host.rfind('@') {
        let start = text.len() - rest.len();
        let error = value
            .wrong("holds a login", "")
            .at(value.place_within(start..start + at, "secrets in files end up in logs and backups"))
            .help(without_login);
        return Err(value.fail_with(error));
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(wrong("there is no host in it"));
    }
    Ok(text)
}
