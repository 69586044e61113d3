//! The words of shipit: what an inventory, a recipe, a release and a look at the fleet are.
//!
//! Everybody may import this layer; it imports nothing of ours, does no I/O and knows no clock.

mod amount;
mod discreet;
mod duration;
mod host;
mod inventory;
mod journal;
mod name;
mod observation;
mod options;
mod paint;
mod ranges;
mod recipe;
mod release;
mod result;
mod run;
mod selector;
mod table;
mod template;
mod text;

pub use amount::{Amount, AmountError, Rounding};
pub use discreet::discreet;
pub use duration::friendly;
pub use host::{Address, Host, Instance};
pub use inventory::{BalancerKind, BalancerSpec, Inventory, LimitSpec, SshSpec};
pub use journal::{Journal, Record};
pub use name::{BackendName, EnvironmentName, HostName, NameError, RecipeName, Role, ServerName, TaskName};
pub use observation::{
    BadRelease, BalancerFacts, BalancerKey, HostFacts, InstanceFacts, Observation, Problem, Reach, ServerFacts,
    ServerState, Servers, Until, View,
};
pub use options::{Options, StrategyName};
pub use paint::{Colour, Letters, Paint, Sign, Tone};
pub use ranges::ranges;
pub use recipe::{
    AppSpec, DrainSpec, HealthSpec, HotswapSpec, IncludeSpec, Leftover, LinkSpec, Moment, PrebootSpec, Recipe,
    ReleaseProof, ReleaseSpec, Source, Task, WarmSpec, WatchSpec,
};
pub use release::{Fingerprint, Release, ReleaseId, ReleaseIdError, Size};
pub use result::{Failure, StepResult};
pub use run::{Run, RunId, Verb};
pub use selector::{Selector, SelectorError, Term};
pub use table::Table;
pub use template::{Piece, Placeholder, Scope, Template, TemplateError};
pub use text::{clean, is_hidden};
