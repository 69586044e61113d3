//! Where a repository is, and what of it is shipped.

use super::report::Wrong;
use super::take;
use super::value::Value;

/// A repository, as the hosts reach it. It becomes an argument of git, so it must be nothing but an address.
pub(super) fn url(value: &Value<'_>) -> Result<String, Wrong> {
    let text = take::line(value)?;
    let example =
        "write for example `\"https://git.example.com/acme/web.git\"` or `\"git@git.example.com:acme/web.git\"`";
    let wrong = |label: &str| value.fail_with(value.wrong("is not the address of a repository", label).help(example));
    if text.starts_with('-') {
        return Err(wrong("git would take this for an option"));
    }
    // `ext::sh -c …` and its like run commands.
    let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c));
    if let Some((transport, _)) = text.split_once("::").filter(|(transport, _)| word(transport)) {
        return Err(wrong(&format!("`{transport}::` would run a helper program on the hosts")));
    }
    if text.contains(char::is_whitespace) {
        return Err(wrong("there is a space in it"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.starts_with('/') || text.contains(':') {
            Ok(text.to_owned())
        } else {
            Err(wrong("a path on the hosts begins with `/`"))
        };
    };
    if !["https", "http", "ssh", "git", "file"].contains(&scheme) {
        return Err(wrong(&format!("`{scheme}` is none of `https`, `http`, `ssh`, `git` and `file`")));
    }
    let host = &rest[..rest.find('/').unwrap_or(rest.len())];
    if host.starts_with('-') {
        return Err(wrong("the host begins with `-`"));
    }
    if host.is_empty() && scheme != "file" {
        return Err(wrong("there is no host in it"));
    }
    check_login(value, text, scheme, host)?;
    Ok(text.to_owned())
}

/// A password is refused, and over http so is a name, because services take tokens there.
fn check_login(value: &Value<'_>, text: &str, scheme: &str, host: &str) -> Result<(), Wrong> {
    let Some((login, _)) = host.rsplit_once('@') else { return Ok(()) };
    if !login.contains(':') && !scheme.starts_with("http") {
        return Ok(());
    }
    let start = scheme.len() + "://".len();
    let end = (start + login.len()).min(text.len());
    let error = value
        .wrong("holds a login", "")
        .at(value.place_within(start..end, "secrets in files end up in logs and backups"))
        .help("give the hosts a deploy key and use `\"git@HOST:PATH\"`, or give them a git credential helper");
    Err(value.fail_with(error))
}

/// A branch, a tag or a commit, by git's own rules (`git check-ref-format`).
pub(super) fn reference(value: &Value<'_>) -> Result<String, Wrong> {
    let text = take::line(value)?;
    let odd = text.chars().find(|c| c.is_whitespace() || "~^:?*[\\".contains(*c));
    let fault = if text.starts_with('-') {
        "git would take this for an option".to_owned()
    } else if let Some(odd) = odd {
        format!("a name in git has no `{odd}`")
    } else if let Some(part) = ["..", "@{", "//", "/."].into_iter().find(|part| text.contains(part)) {
        format!("a name in git has no `{part}`")
    } else if text == "@" || text.starts_with(['/', '.']) || text.ends_with(['/', '.']) {
        "a name in git begins and ends with neither `/` nor `.`".to_owned()
    } else if text.split('/').any(|part| part.strip_suffix(".lock").is_some()) {
        "a name in git does not end in `.lock`".to_owned()
    } else {
        return Ok(text.to_owned());
    };
    let error = value.wrong("is not a branch, a tag or a commit", fault);
    Err(value.fail_with(error.help("write for example `\"main\"`, `\"v1.2.3\"` or a commit of 40 digits")))
}
