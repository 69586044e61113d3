//! The command line of shipit.

fn main() -> std::process::ExitCode {
    shipit::cli::run()
}
