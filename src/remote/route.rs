//! The local nginx: the scripts that say where its traffic goes, with their data.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::answer::words;
use super::facts::{problem, run_by_sudo};
use super::render::command;
use super::{COMMON, Site, seconds};
use crate::model::{Host, HotswapSpec, IncludeSpec, Instance, Leftover, LinkSpec, Problem, Scope, Template};
use crate::transport::{Output, Script, word};

const ROUTED: &str = include_str!("scripts/routed.sh");
const NGINX: &str = include_str!("scripts/nginx.sh");
pub(super) const CONNECTIONS: &str = include_str!("scripts/connections.sh");

/// How long nginx may take to apply its configuration, in seconds: it took 0.6 s at most where it was measured, and it
/// tries for 2.5 s to get a port that another program has.
const APPLY_TIMEOUT: &str = "5";

/// The command that prints nginx's whole configuration where the recipe has none to test it.
const DUMP: &str = "nginx -T";

/// Reads the lines `route PORT up|down` of a look: the instances that get traffic.
#[must_use]
pub fn read_routed(text: &str) -> Vec<Instance> {
    let up = words(text, "route").filter_map(|line| line.strip_suffix(" up"));
    up.filter_map(|port| port.parse().ok().map(Instance)).collect()
}

/// What a look at the local nginx showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteCheck {
    /// What stands in the way of telling it where to send traffic.
    pub problems: Vec<Problem>,
    /// What does not, and costs something.
    pub notes: Vec<Problem>,
}

/// Reads the answer of [`Site::check_route`].
#[must_use]
pub fn read_check(output: &Output) -> RouteCheck {
    let all = |word| words(&output.stdout, word).map(problem).collect();
    if output.code == 0 {
        return RouteCheck { problems: all("problem"), notes: all("note") };
    }
    let why = words(&output.stdout, "fail").next().map_or_else(|| output.stderr.trim().to_owned(), str::to_owned);
    let what = format!("the look at nginx failed: {why}");
    RouteCheck { problems: vec![Problem { what, help: None }], notes: Vec::new() }
}

impl Site<'_> {
    /// The script that sends the traffic of the local nginx on `host` to the instances `to` and to no other.
    ///
    /// Connections are waited for on the others of their set: what a preboot has left in the idle set is none of its business.
    pub(super) fn route(&self, host: &Host, to: &[Instance]) -> Script {
        let set = to.first().map_or(&[][..], |one| self.recipe.set_of(*one));
        self.move_to(host, to, set)
    }

    /// The same without a wait for what is left on the others.
    pub(super) fn flip(&self, host: &Host, to: &[Instance]) -> Script {
        self.move_to(host, to, &[])
    }

    fn move_to(&self, host: &Host, to: &[Instance], drained: &[Instance]) -> Script {
        let drain = &self.recipe.drain;
        let script = Script::new(include_str!("scripts/route.sh")).using(CONNECTIONS).using(NGINX);
        let script =
            self.exported(host, None).into_iter().fold(script, |script, (name, value)| script.export(&name, value));
        let script = self.nginx(self.with_routes(script, host).using(COMMON), host);
        self.watching(script, host)
            .with("ROOT", self.root(host))
            .with("ROUTE_TO", ports(to))
            .with("ROUTE_DRAIN", ports(drained))
            .with("APPLY_TIMEOUT", APPLY_TIMEOUT)
            .with("DRAIN_TIMEOUT", seconds(drain.timeout))
            .with("LEFTOVER", if drain.leftover == Leftover::Cut { "cut" } else { "abort" })
    }

    /// Gives `script` what the connections to each instance are told by.
    pub(super) fn watching(&self, script: Script, host: &Host) -> Script {
        self.recipe.instances().into_iter().fold(script, |script, instance| {
            script.with(&format!("ROUTE_WATCH_{instance}"), self.watched(host, instance))
        })
    }

    /// Gives `script` the function `look_at_routes`, which prints for each instance `route PORT up` or `route PORT down`, and
    /// its data.
    #[must_use]
    pub fn with_routes(&self, script: Script, host: &Host) -> Script {
        let instances = self.recipe.instances();
        let script = script.using(ROUTED).with("ROUTE_PORTS", ports(&instances));
        let script = script.with("ROUTE_SECOND", ports(self.recipe.second_set()));
        let each = |script: Script, name: &str, template: &Template| {
            instances.iter().fold(script, |script, instance| {
                script.with(&format!("ROUTE_{name}_{instance}"), self.of_instance(host, *instance, template))
            })
        };
        match &self.recipe.hotswap {
            None => script.with("ROUTE_FORM", ""),
            Some(HotswapSpec::Include(IncludeSpec { upstream, server, .. })) => {
                let script = script.with("ROUTE_FORM", "include").with("ROUTE_FILE", upstream.plain(&self.scope(host)));
                each(script, "SERVER", server)
            }
            Some(HotswapSpec::Links(LinkSpec { link, socket })) => {
                let script = script.with("ROUTE_FORM", "links");
                each(each(script, "LINK", link), "SOCKET", socket)
            }
        }
    }

    /// The script that looks whether [`crate::plan::Action::Route`] can work on `host`; `None` without `[hotswap]`. It
    /// changes nothing; [`read_check`] reads its answer.
    #[must_use]
    pub fn check_route(&self, host: &Host) -> Option<Script> {
        let spec = self.recipe.hotswap.as_ref()?;
        let script = Script::new(include_str!("scripts/check_route.sh")).using(NGINX);
        let script = self.nginx(self.with_routes(script, host).using(COMMON), host);
        let backends: BTreeSet<String> =
            self.inventory.balancers_of(host).map(|balancer| format!("`{}`", balancer.backend)).collect();
        let script = script
            .with("DRAIN_TIMEOUT", seconds(self.recipe.drain.timeout))
            .with("BACKENDS", backends.into_iter().collect::<Vec<_>>().join(" and "));
        Some(match spec {
            HotswapSpec::Links(_) => script.with("SUDO", "").with("ROUTE_DUMP", DUMP),
            HotswapSpec::Include(include) => {
                let commands = [&include.test, &include.reload].map(|one| command(one, &self.scope(host)));
                let dump = dump(&commands[0]).unwrap_or_default();
                script.with_lines("SUDO", commands.iter().flat_map(|one| run_by_sudo(one))).with("ROUTE_DUMP", dump)
            }
        })
    }

    /// The data about nginx itself.
    fn nginx(&self, script: Script, host: &Host) -> Script {
        let Some(HotswapSpec::Include(IncludeSpec { test, reload, pid, error_log, .. })) = &self.recipe.hotswap else {
            return script;
        };
        let scope = self.scope(host);
        script
            .with("ROUTE_TEST", command(test, &scope))
            .with("ROUTE_RELOAD", command(reload, &scope))
            .with("ROUTE_PID", pid.plain(&scope))
            .with("ROUTE_LOG", error_log.plain(&scope))
    }

    /// What the connections to `instance` are told by.
    fn watched(&self, host: &Host, instance: Instance) -> String {
        match &self.recipe.hotswap {
            None => String::new(),
            Some(HotswapSpec::Include(include)) => watch(&self.of_instance(host, instance, &include.server)),
            Some(HotswapSpec::Links(links)) => format!("unix {}", self.of_instance(host, instance, &links.socket)),
        }
    }

    fn of_instance(&self, host: &Host, instance: Instance, template: &Template) -> String {
        template.plain(&Scope { instance: Some(instance), ..self.scope(host) })
    }
}

pub(super) fn ports(instances: &[Instance]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What connections to a `server` of nginx are told by, in the form that `scripts/connections.sh` describes.
fn watch(server: &str) -> String {
    if let Some(path) = server.strip_prefix("unix:") {
        return format!("unix {path}");
    }
    // What nginx assumes without a port.
    let colon = server.rfind(':').filter(|at| !server[*at..].contains(']'));
    let (name, port) = colon.map_or((server, 80), |at| (&server[..at], server[at + 1..].parse().unwrap_or(80)));
    let addresses: Vec<IpAddr> = match name.trim_matches(['[', ']']) {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        name => name.parse().into_iter().collect(),
    };
    let form = |address: &IpAddr| format!("{}:{port:04X} ={}", hex(*address), SocketAddr::new(*address, port));
    // None for a name that only the host can resolve.
    let forms = if addresses.is_empty() {
        format!(":{port:04X} =:{port}")
    } else {
        addresses.iter().map(form).collect::<Vec<_>>().join(" ")
    };
    format!("tcp {forms}")
}

/// `address` as proc(5) describes it: each group of 32 bits in the host's byte order, which is little-endian by now.
fn hex(address: IpAddr) -> String {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let groups =
        bytes.chunks(4).flat_map(|group| group.iter().rev().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>());
    groups.collect()
}

/// The command that prints the configuration that the command `test` checks, if it is plain enough to be changed.
fn dump(test: &str) -> Option<String> {
    if test.contains([';', '|', '&', '<', '>', '$', '`', '~', '(', '*', '\n']) {
        return None;
    }
    let words = shlex::split(test)?;
    if words.iter().filter(|one| *one == "-t").count() != 1 {
        return None;
    }
    let words = words.iter().map(|one| if one == "-t" { "-T".to_owned() } else { word(one) });
    Some(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_told_by_the_forms_of_proc() {
        for (server, forms) in [
            ("127.0.0.1:4040", "tcp 0100007F:0FC8 =127.0.0.1:4040"),
            ("[::1]:4040", "tcp 00000000000000000000000001000000:0FC8 =[::1]:4040"),
            ("[fd00::12]", "tcp 000000FD000000000000000012000000:0050 =[fd00::12]:80"),
            ("localhost:80", "tcp 0100007F:0050 =127.0.0.1:80 00000000000000000000000001000000:0050 =[::1]:80"),
            ("app.internal:4040", "tcp :0FC8 =:4040"),
            ("unix:/run/a b/4040.sock", "unix /run/a b/4040.sock"),
        ] {
            assert_eq!(watch(server), forms, "{server}");
        }
    }

    #[test]
    fn the_configuration_is_printed_by_the_command_that_tests_it() {
        assert_eq!(dump("sudo -n nginx -t").as_deref(), Some("sudo -n nginx -T"));
        assert_eq!(dump("'/a b/nginx' -t -c '/a b/c'").as_deref(), Some("'/a b/nginx' -T -c '/a b/c'"));
        assert_eq!(dump("nginx -t && true"), None);
        assert_eq!(dump("make check"), None);
    }
}
