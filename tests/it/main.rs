//! The service as its users run it: the real binary, over the simulator and real receivers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what goes wrong in a test's helpers is to panic, and they wait on the machine's clock"
)]

mod api;
mod backup;
mod bots;
mod by_hand;
mod chance;
mod chat;
mod chatwoot;
mod check;
mod cli;
mod coverage;
mod crash;
mod cuts;
mod damage;
mod deliveries;
mod delivery;
mod deploy;
#[cfg(target_os = "linux")]
mod disk;
mod doctor;
mod erase;
mod examples;
mod fallback;
mod flaky;
mod forty;
mod habits;
mod health;
mod help;
mod hostile;
mod init;
mod intake;
mod kill;
mod listen;
mod logs;
mod metrics;
mod newcomer;
mod outage;
mod pacing;
mod poll;
mod process;
mod products;
mod proxy;
mod reads;
mod receiver;
mod recovery;
mod refusals;
mod reload;
mod replay;
mod replay_jobs;
mod replies;
mod routes;
mod schemas;
mod send;
mod shared;
mod sim;
mod soak;
mod standing;
mod subscribers;
mod support;
mod terminal;
mod two_ways;
mod upgrades;
mod verify;
mod watching;
