//! `[hotswap]`: the local nginx, by an include file or by links.

use crate::model::{HotswapSpec, IncludeSpec, LinkSpec, Placeholder, Template};

use super::app::uses_port;
use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates, beginning};
use super::value::Value;

/// The keys of each form.
const INCLUDE: [&str; 6] = ["upstream", "server", "test", "reload", "pid", "error-log"];
const LINKS: [&str; 2] = ["link", "socket"];

/// Where Debian's nginx and nginx.org's have them.
const PID: &str = "/run/nginx.pid";
const ERROR_LOG: &str = "/var/log/nginx/error.log";

/// Reads `[hotswap]` for so many `instances` of the app.
pub(super) fn read(table: &Table<'_>, templates: Templates<'_>, instances: usize) -> Result<HotswapSpec, Wrong> {
    let first = |keys: &[&'static str]| keys.iter().copied().find(|key| table.has(key));
    match (first(&INCLUDE), first(&LINKS)) {
        (Some(one), Some(other)) => Err(two_forms(table, one, other)),
        (None, Some(_)) => links(table, templates, instances).map(HotswapSpec::Links),
        (_, None) => include(table, templates, instances).map(HotswapSpec::Include),
    }
}

/// The form with an include file. Whatever the release, it stays the same: a rollback needs it as well.
fn include(table: &Table<'_>, templates: Templates<'_>, instances: usize) -> Result<IncludeSpec, Wrong> {
    let path = |help| move |value: &Value<'_>| path(value, templates, Known::Host, help);
    let own = "it is a file of shipit's own that nginx.conf includes";
    let upstream = table.required("upstream", "\"/etc/nginx/shipit/app.upstream\"", path(own));
    let server = table.required("server", "\"127.0.0.1:{port}\"", |value| {
        let server = templates.line(value, Known::Port)?;
        let server = no_syntax(value, server, templates)?;
        uses_port(value, server, instances, "nginx would know one server only")
    });
    let command = |value: &Value<'_>| templates.command(value, Known::Host);
    let test = table.required("test", "\"sudo -n nginx -t\"", command);
    let reload = table.required("reload", "\"sudo -n nginx -s reload\"", command);
    let pid = table.or("pid", path("it is the file that `pid` in nginx.conf names"), plain(PID));
    let error_log =
        table.or("error-log", path("it is the file that `error_log` in nginx.conf names"), plain(ERROR_LOG));
    table.finish();
    Ok(IncludeSpec {
        upstream: upstream?,
        server: server?,
        test: test?,
        reload: reload?,
        pid: pid?,
        error_log: error_log?,
    })
}

/// The form with links.
fn links(table: &Table<'_>, templates: Templates<'_>, instances: usize) -> Result<LinkSpec, Wrong> {
    let path = |help, reason| {
        move |value: &Value<'_>| {
            let path = path(value, templates, Known::Port, help)?;
            uses_port(value, path, instances, reason)
        }
    };
    let link = table.required(
        "link",
        "\"/run/app/nginx-{port}.sock\"",
        path("it is a link of shipit's own that a `server unix:…` of nginx names", "nginx would know one server only"),
    );
    let socket = table.required(
        "socket",
        "\"/run/app/{port}.sock\"",
        path("it is the socket that the instance listens on", "only one process can listen on a socket"),
    );
    table.finish();
    let (link, socket) = (link?, socket?);
    if link == socket {
        let error = super::Diagnostic::new("`hotswap.link` and `hotswap.socket` are the same path")
            .at(table.place_of("socket").label("the app listens here"))
            .see(Some(table.place_of("link").label("nginx connects to this")))
            .help("let nginx's `server unix:…` name a path beside the socket: shipit makes a link there");
        return Err(table.file().report(error));
    }
    Ok(LinkSpec { link, socket })
}

/// Reports that the table has keys of both forms.
fn two_forms(table: &Table<'_>, one: &'static str, other: &'static str) -> Wrong {
    let error = super::Diagnostic::new("`hotswap` mixes two forms")
        .at(table.place_of(other).label("this is for links to sockets"))
        .see(Some(table.place_of(one).label("this is for an include file")))
        .help("with an include file: `upstream`, `server`, `test` and `reload`, and nginx is reloaded")
        .help("without reloads, where the app listens on unix sockets: `link` and `socket`");
    table.file().report(error)
}

/// A path from the root.
fn path(value: &Value<'_>, templates: Templates<'_>, known: Known, help: &'static str) -> Result<Template, Wrong> {
    let template = templates.line(value, known)?;
    let from_var = match template.placeholders().next() {
        Some(Placeholder::Var(name)) => templates.vars.and_then(|vars| vars.get(name)).cloned(),
        _ => None,
    };
    let start = beginning(&template);
    if start.starts_with('/') || (start.is_empty() && from_var.is_some_and(|var| var.starts_with('/'))) {
        return Ok(template);
    }
    let error = value.wrong("must be a path from the root", "this does not begin with `/`");
    Err(value.fail_with(error.help(help)))
}

/// A server's address goes into nginx's configuration as it is, so it must not end its directive.
fn no_syntax(value: &Value<'_>, template: Template, templates: Templates<'_>) -> Result<Template, Wrong> {
    let odd = |c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}' | '#' | '"' | '\'' | '\\' | '$');
    let written = template.render(|placeholder| match placeholder {
        Placeholder::Var(name) => templates.vars.and_then(|vars| vars.get(name)).cloned().unwrap_or_default(),
        _ => String::new(),
    });
    if !written.contains(odd) {
        return Ok(template);
    }
    let error = value.wrong("is not an address", "nginx would take this apart");
    Err(value.fail_with(error.help("write for example `\"127.0.0.1:{port}\"` or `\"unix:/run/app/{port}.sock\"`")))
}

/// A text of ours without placeholders.
fn plain(text: &str) -> Template {
    Template::parse(text).expect("it has no braces")
}
