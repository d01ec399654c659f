//! What the host lends to a plugin: its context and a worker's, grants, limits, credentials, the HTTP client.

pub(crate) mod context;
pub(crate) mod delivery;
pub(crate) mod grants;
pub(crate) mod http_target;
pub(crate) mod limits;
pub(crate) mod log_line;
pub(crate) mod random;
pub(crate) mod redactor;
pub(crate) mod secret;
pub(crate) mod sender;
pub(crate) mod services;
