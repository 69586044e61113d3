//! `[[balancers]]`: what spreads traffic over the hosts.

use std::collections::BTreeMap;

use crate::model::{BackendName, BalancerKind, BalancerSpec, EnvironmentName, Host, Scope, ServerName, Template};

use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates, beginning};
use super::value::Value;
use super::{Diagnostic, roles, take};

/// Reads all `[[balancers]]`; what depends on `hosts` is checked if they could be read.
pub(super) fn read(
    root: &Table<'_>,
    templates: Templates<'_>,
    environment: &EnvironmentName,
    hosts: Option<&[Host]>,
) -> Result<Vec<BalancerSpec>, Wrong> {
    let tables = root.sections("balancers")?;
    let mut specs: Vec<BalancerSpec> = Vec::new();
    let mut outcome = Ok(());
    for table in &tables {
        let result = one(table, templates, hosts).and_then(|spec| {
            let first = specs.iter().position(|other| {
                (&other.role, &other.backend, &other.socket) == (&spec.role, &spec.backend, &spec.socket)
            });
            let distinct = servers_are_distinct(table, &spec, templates, environment, hosts);
            let backend = spec.backend.clone();
            specs.push(spec);
            let Some(first) = first else { return distinct };
            let error = Diagnostic::new(format!("the backend `{backend}` is there twice"))
                .at(table.place_of("backend").label("here again"))
                .see(Some(tables[first].place_of("backend").label("first here")))
                .help("if two roles share a backend, give their hosts one more role and let the balancer serve that");
            Err(table.file().report(error))
        });
        outcome = outcome.and(result);
    }
    outcome.map(|()| specs)
}

fn one(table: &Table<'_>, templates: Templates<'_>, hosts: Option<&[Host]>) -> Result<BalancerSpec, Wrong> {
    let kind =
        table.required("kind", "\"haproxy\"", |value| take::one_of(value, &[("haproxy", BalancerKind::Haproxy)]));
    let role = table.required("role", "\"lb\"", |value| roles::of_a_host(value, hosts));
    let socket = table.required("socket", "\"/run/haproxy/admin.sock\"", |value| socket(value, templates));
    let backend = table.required("backend", "\"app\"", take::name::<BackendName>);
    let server = table.required("server", "\"{host}\"", |value| templates.line(value, Known::Host));
    let balanced = table.required("serves", "\"app\"", |value| roles::of_a_host(value, hosts));
    table.finish();
    Ok(BalancerSpec {
        kind: kind?,
        role: role?,
        socket: socket?,
        backend: backend?,
        server: server?,
        serves: balanced?,
    })
}

fn socket(value: &Value<'_>, templates: Templates<'_>) -> Result<Template, Wrong> {
    let template = templates.line(value, Known::Host)?;
    if beginning(&template).starts_with('/') {
        return Ok(template);
    }
    let error = value.wrong("must be the path of a socket", "this does not begin with `/`");
    Err(value.fail_with(error.help("it is the path of `stats socket … level admin` in haproxy.cfg")))
}

/// Whether `server` makes a name of its own for each host that is served.
fn servers_are_distinct(
    table: &Table<'_>,
    spec: &BalancerSpec,
    templates: Templates<'_>,
    environment: &EnvironmentName,
    hosts: Option<&[Host]>,
) -> Result<(), Wrong> {
    let (Some(hosts), Some(vars), Some(value)) = (hosts, templates.vars, table.get("server")) else { return Ok(()) };
    let mut names = BTreeMap::new();
    for host in hosts.iter().filter(|host| host.roles.contains(&spec.serves)) {
        let scope = Scope { host, environment, vars, instance: None, release: None };
        let name = spec.server.plain(&scope);
        if let Err(error) = name.parse::<ServerName>() {
            let error = value.wrong("makes no name that haproxy could have", format!("`{name}` {error}"));
            return Err(value.fail_with(error));
        }
        if let Some(other) = names.insert(name.clone(), &host.name) {
            let label = format!("`{name}` is both `{other}` and `{}`", host.name);
            let error = value.wrong("makes the same name for two hosts", label);
            return Err(value.fail_with(error.help("use `{host}` or `{address}` in it")));
        }
    }
    Ok(())
}
