//! Random numbers that can be repeated.

use wasmtime::AsContextMut as _;
use wasmtime::component::Access;

use super::GuestData;
use crate::bindings::random::{Host, HostWithStore};
use crate::component::guest::{self, Guest};

/// The most bytes at once.
const MOST: u32 = 64 << 10;

impl Host for Guest {}

impl<T: 'static> HostWithStore<T> for GuestData {
    fn next(mut access: Access<'_, T, Self>) -> u64 {
        let task = guest::caller(access.as_context_mut());
        access.get().calls.stream(task).next()
    }

    fn bytes(mut access: Access<'_, T, Self>, length: u32) -> Vec<u8> {
        let task = guest::caller(access.as_context_mut());
        access.get().calls.stream(task).bytes(length.min(MOST) as usize)
    }
}
