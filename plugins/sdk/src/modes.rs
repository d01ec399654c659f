//! Runners with several modes: each mode is a type, and [`runner_modes!`](crate::runner_modes) finds the one that a scenario
//! names.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Description, Failure, Finding, Iteration, Scenario};

/// One mode of a runner. A value of the type lives in every instance that makes load in this mode.
pub trait RunnerMode: Sized {
    /// The name by which suites choose the mode.
    const NAME: &'static str;
    /// One sentence for people.
    const DESCRIPTION: &'static str;
    /// What `setup` hands to the instances; it travels as JSON.
    type State: Serialize + DeserializeOwned;

    /// The JSON Schema (draft 2020-12) of the mode's `params`.
    fn parameters() -> String;

    /// What only the mode knows about its parameters, for the preflight. Sends nothing.
    fn check(_scenario: &Scenario) -> Vec<Finding> {
        Vec::new()
    }

    /// Prepares a scenario.
    fn setup(scenario: &Scenario) -> impl Future<Output = Result<Self::State, Failure>>;

    /// A fresh instance learns what it works on.
    ///
    /// # Errors
    /// When the parameters make no sense.
    fn open(scenario: &Scenario, state: Self::State) -> Result<Self, Failure>;

    /// One iteration of one virtual user.
    fn iterate(&self, iteration: &Iteration) -> impl Future<Output = Result<(), Failure>>;
}

impl Scenario {
    /// The failure of a scenario whose mode the plugin does not have.
    #[must_use]
    pub fn unknown_mode(&self) -> Failure {
        Failure::new("mode", format!("there is no mode `{}`", self.mode))
    }
}

/// Adds a mode to a description.
#[doc(hidden)]
pub fn describe<M: RunnerMode>(description: Description) -> Description {
    description.mode(M::NAME, M::DESCRIPTION, &M::parameters())
}

/// Prepares a scenario, and writes the state down.
#[doc(hidden)]
pub async fn setup<M: RunnerMode>(scenario: &Scenario) -> Result<Vec<u8>, Failure> {
    let state = M::setup(scenario).await?;
    serde_json::to_vec(&state).map_err(|error| Failure::new("state", error.to_string()))
}

/// Reads the state, and opens a scenario.
#[doc(hidden)]
pub fn open<M: RunnerMode>(scenario: &Scenario, state: &[u8]) -> Result<M, Failure> {
    let state = serde_json::from_slice(state).map_err(|error| Failure::new("state", error.to_string()))?;
    M::open(scenario, state)
}

/// Makes the enum of a runner's modes, with a function for each step in a scenario's life.
///
/// ```ignore
/// runner_modes! {
///     /// The opened plugin, by mode.
///     enum Mode {
///         Read(read::Read),
///         Write(write::Write),
///     }
/// }
///
/// impl Runner for MyRunner {
///     fn describe() -> Description {
///         Mode::describe(Description::new("my-runner", "0.1.0", "Reads and writes"))
///     }
///
///     async fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
///         Mode::setup(&scenario).await
///     }
///
///     async fn open(scenario: Scenario, state: Vec<u8>) -> Result<Self, Failure> {
///         Mode::open(&scenario, &state).map(Self)
///     }
///
///     async fn iterate(&self, iteration: Iteration) -> Result<(), Failure> {
///         self.0.iterate(&iteration).await
///     }
/// }
/// ```
#[macro_export]
macro_rules! runner_modes {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($variant:ident($mode:ty)),+ $(,)? }) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($variant($mode),)+
        }

        #[allow(dead_code, reason = "not every runner needs every function")]
        impl $name {
            /// Adds every mode to a description, in the order of the enum.
            $visibility fn describe(description: $crate::Description) -> $crate::Description {
                $(let description = $crate::modes::describe::<$mode>(description);)+
                description
            }

            /// What only the scenario's mode knows about its parameters.
            $visibility fn check(scenario: &$crate::Scenario) -> ::std::vec::Vec<$crate::Finding> {
                match scenario.mode.as_str() {
                    $(<$mode as $crate::RunnerMode>::NAME => <$mode as $crate::RunnerMode>::check(scenario),)+
                    _ => ::std::vec::Vec::new(),
                }
            }

            /// Prepares a scenario, and writes down what the instances need.
            $visibility async fn setup(
                scenario: &$crate::Scenario,
            ) -> ::std::result::Result<::std::vec::Vec<u8>, $crate::Failure> {
                match scenario.mode.as_str() {
                    $(<$mode as $crate::RunnerMode>::NAME => $crate::modes::setup::<$mode>(scenario).await,)+
                    _ => ::std::result::Result::Err(scenario.unknown_mode()),
                }
            }

            /// Opens a scenario in an instance.
            $visibility fn open(
                scenario: &$crate::Scenario,
                state: &[u8],
            ) -> ::std::result::Result<Self, $crate::Failure> {
                match scenario.mode.as_str() {
                    $(<$mode as $crate::RunnerMode>::NAME => $crate::modes::open(scenario, state).map(Self::$variant),)+
                    _ => ::std::result::Result::Err(scenario.unknown_mode()),
                }
            }

            /// One iteration of one virtual user.
            $visibility async fn iterate(
                &self,
                iteration: &$crate::Iteration,
            ) -> ::std::result::Result<(), $crate::Failure> {
                match self {
                    $(Self::$variant(mode) => $crate::RunnerMode::iterate(mode, iteration).await,)+
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo(String);

    impl RunnerMode for Echo {
        const NAME: &str = "echo";
        const DESCRIPTION: &str = "Says what it was told";
        type State = String;

        fn parameters() -> String {
            "{}".into()
        }

        async fn setup(scenario: &Scenario) -> Result<String, Failure> {
            Ok(scenario.name.clone())
        }

        fn open(_: &Scenario, state: String) -> Result<Self, Failure> {
            Ok(Self(state))
        }

        async fn iterate(&self, _: &Iteration) -> Result<(), Failure> {
            Err(Failure::new("echo", &*self.0))
        }
    }

    runner_modes! {
        enum Mode {
            Echo(Echo),
        }
    }

    fn scenario(mode: &str) -> Scenario {
        Scenario {
            name: "s".into(),
            mode: mode.into(),
            parameters: "{}".into(),
            target: String::new(),
            run: "r".into(),
            users: 1,
        }
    }

    #[test]
    fn a_mode_is_found_by_its_name_and_gets_its_state() {
        let Mode::Echo(echo) = Mode::open(&scenario("echo"), b"\"from setup\"").ok().unwrap();
        assert_eq!(echo.0, "from setup");
        assert_eq!(Mode::open(&scenario("echo"), b"7").err().unwrap().kind, "state");
        assert_eq!(Mode::open(&scenario("other"), b"\"\"").err().unwrap().kind, "mode");
        let modes = Mode::describe(Description::new("p", "0.1.0", "")).modes;
        assert_eq!(modes.iter().map(|mode| mode.name.as_str()).collect::<Vec<_>>(), ["echo"]);
    }
}
