//! Tables of the fleet: what `shipit status` and `shipit hosts` print.

use std::collections::BTreeMap;

use crate::model::{
    BalancerKey, Host, HostFacts, HostName, Inventory, Observation, Paint, Reach, Recipe, ReleaseId, ServerFacts,
    Servers, Table, Tone, clean, friendly, ranges,
};

/// What the fleet of an environment looks like, as `observed`, and what is wrong there.
#[must_use]
pub fn status(inventory: &Inventory, recipe: &Recipe, observed: &Observation, paint: Paint) -> String {
    let hosts: Vec<&Host> = inventory.with_role(&recipe.app.role).collect();
    let problems = problems(&hosts, observed, paint);
    let table = fleet(inventory, recipe, observed, paint);
    if problems.is_empty() { table } else { format!("{table}\n{}\n", problems.join("\n")) }
}

/// What runs where, as `observed`.
#[must_use]
pub fn fleet(inventory: &Inventory, recipe: &Recipe, observed: &Observation, paint: Paint) -> String {
    let hosts: Vec<&Host> = inventory.with_role(&recipe.app.role).collect();
    let view = observed.view(inventory, recipe);
    let serving = hosts.iter().filter(|host| view.serving.contains(&host.name)).count();
    let tone = if serving == hosts.len() { Tone::Good } else { Tone::Wait };
    let words = paint.tone(tone, format!("{serving} of {} serve", hosts.len()));
    let mut lines =
        vec![format!("{}: {words}; {}", paint.bold(&inventory.environment), releases(&hosts, observed)), String::new()];
    let mut table = Table::default();
    table.row(["host", "release", "balancers", "health", ""].map(|heading| (Tone::Dim, heading.to_owned())));
    let servers = observed.servers(inventory);
    for host in &hosts {
        let facts = observed.hosts.get(&host.name).cloned().unwrap_or_default();
        table.row([
            (Tone::Bold, host.name.to_string()),
            release(&facts),
            balancers(&servers, host),
            health(&facts),
            (Tone::Wait, remark(&facts)),
        ]);
    }
    lines.extend(table.lines("  ", paint));
    lines.join("\n") + "\n"
}

/// `hosts` with what the inventory says about each.
pub fn hosts<'a>(hosts: impl IntoIterator<Item = &'a Host>, paint: Paint) -> String {
    let mut table = Table::default();
    table.row(["host", "address", "roles", "labels"].map(|heading| (Tone::Dim, heading.to_owned())));
    for host in hosts {
        let roles = host.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let labels = host.labels.iter().map(|(key, value)| format!("{}={}", clean(key), clean(value)));
        let address =
            if host.address.as_str() == host.name.as_str() { String::new() } else { host.address.to_string() };
        table.row([
            (Tone::Bold, host.name.to_string()),
            (Tone::Plain, address),
            (Tone::Plain, roles),
            (Tone::Dim, labels.collect::<Vec<_>>().join(" ")),
        ]);
    }
    table.lines("", paint).join("\n") + "\n"
}

/// The release that runs.
fn release(facts: &HostFacts) -> (Tone, String) {
    match facts.running() {
        Some(running) => (Tone::Plain, running.to_string()),
        None if facts.instances.iter().any(|one| one.running.is_some()) => (Tone::Wait, "mixed".to_owned()),
        None => (Tone::Wait, "unknown".to_owned()),
    }
}

/// The host's state on its balancers, in one word where they agree.
fn balancers(entries: &Servers<'_>, host: &Host) -> (Tone, String) {
    let mut states: Vec<(String, Vec<String>, bool)> = Vec::new();
    let of = |place: &HostName| entries.of(host).filter(|(facts, _)| facts.key.host == *place).count();
    for (facts, name) in entries.of(host) {
        let server = facts.servers.get(&name);
        let state = match (server, &facts.reach) {
            (Some(server), _) if server.status.eq_ignore_ascii_case(&server.state.to_string()) => {
                server.state.to_string()
            }
            (Some(server), _) => format!("{} {}", server.state, clean(&server.status)),
            (None, Reach::Reached) => "missing".to_owned(),
            (None, Reach::Unreachable(_)) => "unknown".to_owned(),
        };
        let BalancerKey { host: place, backend } = &facts.key;
        let place = if of(place) > 1 { format!("{place}/{backend}") } else { place.to_string() };
        match states.iter_mut().find(|(known, ..)| *known == state) {
            Some((_, places, _)) => places.push(place),
            None => states.push((state, vec![place], server.is_some_and(ServerFacts::serves))),
        }
    }
    match &states[..] {
        [] => (Tone::Dim, "none".to_owned()),
        [(state, _, serves)] => (if *serves { Tone::Good } else { Tone::Wait }, state.clone()),
        several => {
            let each = several.iter().map(|(state, places, _)| format!("{}: {state}", places.join(" ")));
            (Tone::Wait, each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn health(facts: &HostFacts) -> (Tone, String) {
    let healthy = facts.instances.iter().filter(|one| one.healthy).count();
    match facts.instances.len() {
        0 => (Tone::Wait, "unknown".to_owned()),
        all if healthy == all => (Tone::Good, "ok".to_owned()),
        all => (Tone::Bad, format!("{healthy} of {all}")),
    }
}

/// What the reader would not guess from the other columns.
fn remark(facts: &HostFacts) -> String {
    if facts.reach != Reach::Reached {
        return String::new();
    }
    let each = facts.instances.iter().map(|one| {
        let release = one.running.as_ref().map_or("nothing known", ReleaseId::as_str);
        format!("{} on {release}", one.instance)
    });
    let mut remarks: Vec<String> = if facts.running().is_some() { Vec::new() } else { each.collect() };
    remarks.extend(
        facts.current.iter().filter(|current| facts.running() != Some(current)).map(|it| format!("`current` is {it}")),
    );
    let out: Vec<String> = facts.unrouted().map(|one| one.to_string()).collect();
    if !out.is_empty() {
        remarks.push(format!("nginx sends nothing to {}", out.join(", ")));
    }
    let strays: Vec<String> = facts.strays().map(|one| one.to_string()).collect();
    if !strays.is_empty() {
        remarks.push(format!("nginx sends traffic to {}, which are to be idle", strays.join(", ")));
    }
    remarks.extend(warm(facts));
    remarks.join(", ")
}

/// What still runs in the idle set of instances, and for how long.
fn warm(facts: &HostFacts) -> Option<String> {
    let running = facts.idle.iter().find_map(|one| one.running.as_ref())?;
    let rest =
        facts.warm_for.map_or_else(|| ", with no end set".to_owned(), |rest| format!(" for {} more", friendly(rest)));
    Some(format!("{running} is kept warm{rest}"))
}

/// `6 on 20261120-…, 2 unknown`.
fn releases(hosts: &[&Host], observed: &Observation) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for facts in hosts.iter().filter_map(|host| observed.hosts.get(&host.name)) {
        *counts.entry(release(facts).1).or_default() += 1;
    }
    let words = counts.iter().rev().map(|(release, count)| match release.as_str() {
        "mixed" | "unknown" => format!("{count} {release}"),
        id => format!("{count} on {id}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A thing that was found, and the way out, with the hosts that it was found on.
type Found<'a> = Vec<(String, Option<String>, Vec<&'a HostName>)>;

fn add<'a>(found: &mut Found<'a>, host: &'a HostName, what: String, help: Option<String>) {
    match found.iter_mut().find(|(known, ..)| *known == what) {
        Some((.., places)) => places.push(host),
        None => found.push((what, help, vec![host])),
    }
}

/// What stands in nobody's way and costs something, each thing once.
#[must_use]
pub fn notes(observed: &Observation, paint: Paint) -> Vec<String> {
    let mut found = Found::new();
    for (host, facts) in &observed.hosts {
        for note in &facts.notes {
            add(&mut found, host, clean(&note.what), note.help.as_deref().map(clean));
        }
    }
    told(found, &paint.bold("note:"), paint)
}

/// What stands in the way, each thing once with all the hosts that it stands on.
fn problems(hosts: &[&Host], observed: &Observation, paint: Paint) -> Vec<String> {
    let mut found = Found::new();
    let mut add = |host, what, help| add(&mut found, host, what, help);
    for host in hosts {
        let Some(facts) = observed.hosts.get(&host.name) else { continue };
        if let Reach::Unreachable(why) = &facts.reach {
            add(&host.name, format!("not reachable: {}", clean(why)), None);
        }
        for problem in &facts.problems {
            add(&host.name, clean(&problem.what), problem.help.as_deref().map(clean));
        }
    }
    for facts in &observed.balancers {
        let backend = &facts.key.backend;
        // What keeps haproxy from answering is told as its problem.
        if let Reach::Unreachable(why) = &facts.reach
            && facts.problems.is_empty()
        {
            add(&facts.key.host, format!("backend `{backend}` can't be asked: {}", clean(why)), None);
        }
        for problem in &facts.problems {
            add(
                &facts.key.host,
                format!("backend `{backend}`: {}", clean(&problem.what)),
                problem.help.as_deref().map(clean),
            );
        }
    }
    told(found, &paint.bad("problem:"), paint)
}

fn told(found: Found<'_>, word: &str, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, help, places) in found {
        lines.push(format!("{word} {}: {what}", ranges(places)));
        lines.extend(help.map(|help| format!("  {} {help}", paint.good("help:"))));
    }
    lines
}
