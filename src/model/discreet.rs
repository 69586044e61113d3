//! Secrets in addresses: a recipe's URL may hold a password or a signed query, and what fails is told with its URL.

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// `text` with the secrets taken out of the URLs in it: who logs in there, and the values of a query. `fail` in `remote/scripts/common.sh`
/// does the same on the hosts.
#[must_use]
pub fn discreet(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(after.len());
        told.push_str(before);
        told.push_str(&without_query(&without_login(&after[..end])));
        rest = &after[end..];
    }
    told + rest
}

/// Every repository on GitHub is `git`'s.
fn without_login(url: &str) -> String {
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    match url[..authority].rfind('@') {
        Some(at) if &url[..at] != "git" => format!("{HIDDEN}{}", &url[at..]),
        _ => url.to_owned(),
    }
}

fn without_query(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_told() {
        for (text, told) in [
            ("main of https://ann:pass@git.example.com/web.git", "main of https://***@git.example.com/web.git"),
            ("'https://ghp_token@github.com/a/b': not found", "'https://***@github.com/a/b': not found"),
            ("ssh://git@example.com/web.git", "ssh://git@example.com/web.git"),
            ("git@example.com:web.git", "git@example.com:web.git"),
            ("from http://127.0.0.1:4040/up?token=a1&b, 3 tries", "from http://127.0.0.1:4040/up?token=***&b, 3 tries"),
            ("https://s3/x?sig=a/b@c and ftp://u:p@h?k=v#f", "https://s3/x?sig=*** and ftp://***@h?k=***"),
            ("://", "://"),
            ("is a=b?c=d", "is a=b?c=d"),
        ] {
            assert_eq!(discreet(text), told);
        }
    }
}
