//! Calling a guest: the three worlds, instances shared by groups of virtual users, and how a call may end.

pub(crate) mod bounded;
pub(crate) mod collector;
pub(crate) mod duration;
pub(crate) mod fault;
pub(crate) mod group;
pub(crate) mod iteration_outcome;
pub(crate) mod reporter;
pub(crate) mod runner;
pub(crate) mod stopped;
