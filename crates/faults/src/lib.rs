//! A simulated disk for SQLite. Tests order its failures and crashes.
//!
//! SQLite runs as always, on real files in a folder that is [mounted](Disk::mount) here. But nothing is synced: the disk remembers
//! what each file held at its last sync and what was done to it since. When the machine [loses its power](Disk::cut_power), that
//! decides what is [left](Disk::left): of what was not synced every sector may be as it was at any time since, whatever became of
//! its neighbours.
//!
//! Only simulations use this crate; no program is shipped with it. It has `unsafe`: it stands between SQLite and its files.

mod dice;
mod disk;
mod layer;

pub use dice::Dice;
pub use disk::{Contents, Disk, Failure, Loss};
pub use layer::install;

#[cfg(test)]
mod tests;
