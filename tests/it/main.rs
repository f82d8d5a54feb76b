//! The service as its users run it: the real binary, over the simulator and real receivers.

mod delivery;
mod kill;
mod support;
