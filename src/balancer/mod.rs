//! Balancers: what spreads traffic over the hosts.

mod wire;
