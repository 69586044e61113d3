//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lab::app::Place;
use lab::bench::Contest;
use lab::error::{Error, Result};
use lab::fleet::{Fleet, Spec};
use lab::load::Load;
use lab::{bench, crash, demo, packages, scenario, simulate, span, suite};

/// Fleets of real servers on this machine, to try shipit on.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a fleet and leave it standing.
    Up(Spec),
    /// End a fleet and remove its files.
    Down {
        /// The fleet's name.
        #[arg(long, default_value = "lab")]
        name: String,
    },
    /// Deploy under load, and say how many requests failed.
    Demo(demo::Options),
    /// Measure shipit against bare shell.
    #[command(subcommand)]
    Bench(Bench),
    /// Play the scenarios of `tests/lab/scenarios` on real servers.
    Scenarios(scenario::Options),
    /// End shipit in the middle of deploys under load, and see that the fleet is whole again.
    Crash(crash::Options),
    /// Deploy to thousands of fleets that are not there, with everything that can go wrong.
    Simulate(simulate::Options),
    /// Run all tests; with --all everything that CI runs.
    Test(suite::Options),
    /// Send requests without pause, and count what is lost.
    Load(LoadArguments),
    /// Have a balancer's haproxy read its configuration anew.
    #[command(hide = true)]
    Reload {
        /// The balancer's host name.
        balancer: String,
        /// The fleet's name.
        #[arg(long, default_value = "lab")]
        name: String,
    },
    /// The app that fleets run; in the directory of its release.
    #[command(hide = true)]
    App(Place),
    /// What answers for the apps of all hosts of a bare fleet.
    #[command(hide = true)]
    StandIn {
        /// The directory of the hosts.
        hosts: PathBuf,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Rolling deploys, one host at a time.
    Rolling(bench::FloorOptions),
    /// Hot-swap, all hosts at once.
    Hotswap(bench::FloorOptions),
    /// Hot-swap, by Capistrano and by Ansible.
    Peers(bench::PeersOptions),
    /// Preboot against hot-swap, on one fleet.
    Preboot(bench::PrebootOptions),
    /// A deploy to hundreds of hosts on which there is nothing to wait for.
    Scale(bench::ScaleOptions),
    /// An archive on its way to all hosts.
    Upload(bench::UploadOptions),
}

#[derive(clap::Args)]
struct LoadArguments {
    /// The fleet to send to.
    #[arg(long, default_value = "lab")]
    name: String,
    /// Send to this address instead; may be given several times.
    #[arg(long, value_name = "http://ADDRESS:PORT", value_parser = address_of)]
    url: Vec<SocketAddr>,
    /// How long, such as `30s`.
    #[arg(long = "for", value_parser = span::parse, default_value = "10s")]
    lasting: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Does what the command line says.
pub fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Up(spec) => up(spec),
        Command::Down { name } => standing(&name)?.down(),
        Command::Demo(options) => demo::run(&options),
        Command::Bench(Bench::Rolling(options)) => bench::against_floor(Contest::Rolling, &options),
        Command::Bench(Bench::Hotswap(options)) => bench::against_floor(Contest::Hotswap, &options),
        Command::Bench(Bench::Peers(options)) => bench::peers(&options),
        Command::Bench(Bench::Preboot(options)) => bench::preboot(&options),
        Command::Bench(Bench::Scale(options)) => bench::scale(&options),
        Command::Bench(Bench::Upload(options)) => bench::upload(&options),
        Command::Scenarios(options) => scenario::run(&options),
        Command::Crash(options) => crash::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Test(options) => suite::run(options),
        Command::Load(arguments) => load(arguments),
        Command::Reload { balancer, name } => {
            let fleet = standing(&name)?;
            lab::fleet::haproxy::reload(&fleet.layout, &fleet.host(&balancer)?)
        }
        Command::App(place) => lab::app::run(&place),
        Command::StandIn { hosts } => lab::fleet::stand_in(&hosts),
    }
}

/// The clients choose their paths themselves; of a URL only the place counts.
fn address_of(url: &str) -> std::result::Result<SocketAddr, String> {
    let place = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    place.parse().map_err(|_| format!("`{url}` is not of the form http://127.0.0.1:8000"))
}

fn standing(name: &str) -> Result<Fleet> {
    let none = || Error::Refused(format!("there is no fleet `{name}`; start one: cargo lab up --name {name}"));
    Fleet::find(name)?.ok_or_else(none)
}

fn up(spec: Spec) -> Result<()> {
    packages::install(packages::FLEETS)?;
    let fleet = Fleet::up(spec)?;
    let project = fleet.layout.project();
    println!(
        "The fleet `{}` stands: {} hosts behind {} haproxy.",
        fleet.spec.name,
        fleet.web.len(),
        fleet.balancers.len()
    );
    println!();
    println!("  deploy    shipit -C {} deploy lab", project.display());
    println!("  log in    ssh -F {} web1", fleet.layout.ssh_config().display());
    println!("  look      curl http://{}/", fleet.frontends()[0]);
    println!("  load      cargo lab load --name {}", fleet.spec.name);
    println!("  change    {}/app/app.toml: how the next release behaves", project.display());
    println!("  end       cargo lab down --name {}", fleet.spec.name);
    fleet.leave()
}

fn load(arguments: LoadArguments) -> Result<()> {
    let targets = if arguments.url.is_empty() { standing(&arguments.name)?.frontends() } else { arguments.url };
    let load = Load::start(targets)?;
    std::thread::sleep(arguments.lasting);
    let report = load.stop()?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| Error::Failed(error.to_string()))?);
    } else {
        print!("{report}");
    }
    if report.failed() > 0 {
        return Err(Error::Failed(format!("{} of {} requests failed", report.failed(), report.sent())));
    }
    Ok(())
}
