//! Where an instance keeps the opened plugin.

/// Where an instance keeps its opened plugin: a thread-local, which the export macros make because
/// a static can't be generic.
pub trait Slot<T> {
    /// The opened plugin; none before it was opened.
    fn get() -> Option<&'static T>;
    /// Keeps the opened plugin for as long as the instance lives.
    fn set(opened: T);
}

/// Makes the thread-local that an instance keeps its opened plugin in. The plugin is leaked on purpose: it lives as long as
/// the instance, and a plain reference costs an iteration nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __slot {
    ($slot:ident, $type:ty) => {
        struct $slot;

        impl $crate::Slot<$type> for $slot {
            fn get() -> Option<&'static $type> {
                $slot::cell().get()
            }

            fn set(opened: $type) {
                $slot::cell().set(Some(Box::leak(Box::new(opened))));
            }
        }

        impl $slot {
            fn cell() -> &'static ::std::thread::LocalKey<::std::cell::Cell<Option<&'static $type>>> {
                ::std::thread_local! {
                    static OPENED: ::std::cell::Cell<Option<&'static $type>> = const { ::std::cell::Cell::new(None) };
                }
                &OPENED
            }
        }
    };
}
