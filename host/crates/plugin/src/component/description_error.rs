//! A description that is none.

/// What is wrong with a description. It is the plugin's author who has to act.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the plugin's description is wrong: {0}")]
pub struct DescriptionError(String);

impl DescriptionError {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}
