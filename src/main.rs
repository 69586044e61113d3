//! The command line of shipit.

fn main() {}
