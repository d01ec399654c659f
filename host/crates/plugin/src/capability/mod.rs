//! What the host offers to guests: one file per interface of the contract.
//!
//! Guest input is hostile: every capability clamps what it takes and says why. What a guest may reach is in its grants;
//! while a plugin describes itself, nothing is granted.

pub(crate) mod artifacts;
pub(crate) mod clock;
pub(crate) mod delivery;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod notes;
pub(crate) mod random;
pub(crate) mod records;

use wasmtime::component::{HasData, Linker};

use crate::bindings::{self, types};
use crate::component::guest::Guest;

/// Tells the bindings that every capability works on the whole of a guest's store data.
pub(crate) struct GuestData;

impl HasData for GuestData {
    type Data<'a> = &'a mut Guest;
}

impl types::Host for Guest {}

/// Links all capabilities, once per engine.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::http::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::metrics::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::clock::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::log::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::artifacts::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::random::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::ledger::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::records::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::delivery::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    bindings::notes::add_to_linker::<_, GuestData>(linker, |guest| guest)?;
    types::add_to_linker::<_, GuestData>(linker, |guest| guest)
}
