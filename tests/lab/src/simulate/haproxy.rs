//! The balancers: haproxy's states and checks, and what follows from them for the users.

use shipit::model::ServerState;

use super::fault::Fault;
use super::sabotage::Sabotage;
use super::state::{Drainer, State};

impl State {
    /// Lets everything follow that follows at once from the last change, and asks whether users notice.
    pub(super) fn settle(&mut self) {
        for host in 0..self.hosts.len() {
            self.turn_checks(host);
            self.settle_traffic(host);
            self.settle_service(host);
        }
    }

    /// Whether haproxy's check of the host would pass: whichever instance nginx gives it to.
    fn answers(&self, host: usize) -> bool {
        let Self { stations, hosts, .. } = self;
        let mut routed = hosts[host].apps.iter().zip(&hosts[host].routed).filter(|(_, routed)| **routed).peekable();
        stations[host].is_up && routed.peek().is_some() && routed.all(|(app, _)| app.is_healthy)
    }

    /// haproxy changes its mind after some checks in a row; in `maint` it does not check.
    fn turn_checks(&mut self, host: usize) {
        let answers = self.answers(host);
        for balancer in 0..self.balancers.len() {
            let server = &self.balancers[balancer].servers[host];
            let turns = server.state != ServerState::Maint && server.is_up != answers;
            match (turns, server.turning) {
                (true, None) => self.turn(balancer, host, answers),
                (false, Some(_)) => self.balancers[balancer].servers[host].turning = None,
                _ => {}
            }
        }
    }

    fn turn(&mut self, balancer: usize, host: usize, up: bool) {
        let number = self.number();
        self.balancers[balancer].servers[host].turning = Some(number);
        let checks = if up { self.setup.rise } else { self.setup.fall };
        // The next check is some part of an interval away.
        let first = self.random.millis(0, 1000) * u32::try_from(self.setup.check.as_millis()).unwrap_or(1) / 1000;
        let after = self.setup.check * (checks - 1) + first;
        self.later(after, move |fleet| {
            fleet.with(|state| {
                let server = &mut state.balancers[balancer].servers[host];
                if server.turning == Some(number) {
                    server.turning = None;
                    server.is_up = up;
                    let word = if up { "up" } else { "down" };
                    state.say("check", host, || format!("lb{} says that web{} is {word}", balancer + 1, host + 1));
                }
            });
        });
    }

    /// Who gets requests. Users notice if an instance has traffic that shipit has stopped and that is not healthy again.
    fn settle_traffic(&mut self, host: usize) {
        let mut servers = self.balancers.iter().map(|balancer| &balancer.servers[host]);
        let comes = servers.any(|server| server.state == ServerState::Ready && server.is_up && !server.is_excused);
        for app in 0..self.hosts[host].apps.len() {
            let has_traffic = comes && self.hosts[host].routed[app];
            let process = &self.hosts[host].apps[app];
            let had = process.has_traffic;
            if had && !has_traffic && process.is_healthy {
                let lasts = self.longest_request(host);
                self.hosts[host].apps[app].busy_until = self.now + lasts;
            }
            self.hosts[host].apps[app].has_traffic = has_traffic;
            let process = &mut self.hosts[host].apps[app];
            if has_traffic && !process.is_healthy && process.by_shipit {
                // Said once.
                process.by_shipit = false;
                let name = self.app_name(host, app);
                self.broken(format!("1: {name} gets traffic before it is healthy"));
            }
        }
    }

    fn longest_request(&mut self, host: usize) -> std::time::Duration {
        if self.strikes(Fault::LongRequests, 300) {
            self.fired(Fault::LongRequests, host, String::new);
            return self.random.millis(7000, 20_000);
        }
        self.random.millis(0, 2500)
    }

    /// Who serves, and who has left service without shipit's doing.
    fn settle_service(&mut self, host: usize) {
        let serves = self.serves(host);
        if self.hosts[host].serves && !serves && !self.hosts[host].is_moving {
            self.hosts[host].lost_at = Some(self.now);
        }
        self.hosts[host].serves = serves;
    }

    /// Whether the host takes traffic on every balancer.
    pub(super) fn serves(&self, host: usize) -> bool {
        let mut servers = self.balancers.iter().map(|balancer| &balancer.servers[host]);
        servers.all(|server| server.state == ServerState::Ready && server.is_up)
    }

    /// Sets a server's state by hand.
    pub(super) fn set(&mut self, balancer: usize, host: usize, wanted: ServerState, by: Option<Drainer>) {
        self.say("set", balancer * 8 + host, || format!("lb{} has web{} in {wanted}", balancer + 1, host + 1));
        let server = &mut self.balancers[balancer].servers[host];
        let was = server.state;
        server.state = wanted;
        server.is_excused = false;
        server.drained_by = by;
        if wanted != ServerState::Maint && was == ServerState::Maint {
            // haproxy does not wait for the first check (measured).
            server.is_up = true;
            server.turning = None;
        }
        if wanted == ServerState::Maint {
            server.turning = None;
        }
    }

    /// Makes a server ready of whose app nobody knows how it is. `health down` in the same line, and after it, has haproxy ask the
    /// app before it sends it anything: it may not have noticed a restart of a moment ago.
    pub(super) fn make_ready(&mut self, balancer: usize, host: usize) {
        self.set(balancer, host, ServerState::Ready, None);
        if !self.sabotaged(Sabotage::ReadyUnasked) {
            let server = &mut self.balancers[balancer].servers[host];
            server.is_up = false;
            server.turning = None;
        }
    }

    /// Somebody else has haproxy read its configuration anew: all states that were set by hand are lost, and all servers up
    /// until their checks fail. Requests that come to a host through that are not shipit's doing.
    pub(super) fn reload(&mut self, balancer: usize) {
        let haproxy = &mut self.balancers[balancer];
        haproxy.pid += 1;
        for server in &mut haproxy.servers {
            server.is_excused |= server.state != ServerState::Ready || !server.is_up;
            server.state = ServerState::Ready;
            server.is_up = true;
            server.turning = None;
            server.drained_by = None;
        }
    }
}

impl State {
    /// Whether no balancer is about to change its mind about the host.
    pub(super) fn is_settled(&self, host: usize) -> bool {
        self.balancers.iter().all(|balancer| balancer.servers[host].turning.is_none())
    }
}
