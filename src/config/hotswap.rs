//! `[hotswap]`: the local nginx.

use crate::model::{HotswapSpec, Template};

use super::app::uses_port;
use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates, beginning};
use super::value::Value;

/// Reads `[hotswap]` for so many `instances` of the app.
pub(super) fn read(table: &Table<'_>, templates: Templates<'_>, instances: usize) -> Result<HotswapSpec, Wrong> {
    let upstream = table.required("upstream", "\"/etc/nginx/shipit/app.upstream\"", |value| file(value, templates));
    let server = table.required("server", "\"127.0.0.1:{port}\"", |value| {
        let server = templates.line(value, Known::Instance)?;
        let server = no_syntax(value, server)?;
        uses_port(value, server, instances, "nginx would know one server only")
    });
    let test = table.required("test", "\"sudo -n nginx -t\"", |value| templates.command(value, Known::Release));
    let reload =
        table.required("reload", "\"sudo -n nginx -s reload\"", |value| templates.command(value, Known::Release));
    table.finish();
    Ok(HotswapSpec { upstream: upstream?, server: server?, test: test?, reload: reload? })
}

/// The path of a file that stays the same from release to release.
fn file(value: &Value<'_>, templates: Templates<'_>) -> Result<Template, Wrong> {
    let template = templates.line(value, Known::Host)?;
    if beginning(&template).starts_with('/') {
        return Ok(template);
    }
    let error = value.wrong("must be a path from the root", "this does not begin with `/`");
    Err(value.fail_with(error.help("it is a file of shipit's own that nginx.conf includes")))
}

/// A server's address goes into nginx's configuration as it is, so it must not end its directive.
fn no_syntax(value: &Value<'_>, template: Template) -> Result<Template, Wrong> {
    let odd = |c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}' | '#' | '"' | '\'' | '\\' | '$');
    if !template.to_string().replace(['{', '}'], "").contains(odd) {
        return Ok(template);
    }
    let error = value.wrong("is not an address", "nginx would take this apart");
    Err(value.fail_with(error.help("write for example `\"127.0.0.1:{port}\"` or `\"unix:/run/app/{port}.sock\"`")))
}
