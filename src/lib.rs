//! Deploys a release to a fleet of servers without one failed request.
