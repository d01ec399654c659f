//! What the server answers when it refuses: the gateway's JSON shape and the other one of the upload routes.

use serde_json::json;

/// A gRPC status code, as far as this server uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// The caller's input is wrong.
    InvalidArgument = 3,
    /// No such resource, or no such route.
    NotFound = 5,
    /// The name is taken.
    AlreadyExists = 6,
    /// Not in this state.
    FailedPrecondition = 9,
    /// What the server's own helper calls a bad request.
    Aborted = 10,
    /// Known path, wrong method.
    Unimplemented = 12,
    /// Everything that the server does not blame on the caller, some wrong input included.
    Internal = 13,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// Nobody knows who the caller is.
    Unauthenticated = 16,
}

impl Code {
    /// The HTTP status that grpc-gateway makes of it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::Unimplemented => 501,
            Self::Internal => 500,
            Self::PermissionDenied => 403,
            Self::Unauthenticated => 401,
        }
    }

    /// The `grpc_code` label of the server's metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::Aborted => "Aborted",
            Self::Unimplemented => "Unimplemented",
            Self::Internal => "Internal",
            Self::PermissionDenied => "PermissionDenied",
            Self::Unauthenticated => "Unauthenticated",
        }
    }
}

/// A refusal by a gateway route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    /// The chain of contexts, outermost first.
    pub(crate) message: String,
    /// The text for the user; `None` where the gateway itself refuses.
    pub(crate) detail: Option<String>,
}

impl ApiError {
    fn new(code: Code, context: &str, kind: &str, text: String) -> Self {
        Self { code, message: format!("{context}: {kind}{text}"), detail: Some(text) }
    }

    /// `noun` `id` does not exist.
    pub(crate) fn not_found(context: &str, noun: &str, id: &str) -> Self {
        Self::new(Code::NotFound, context, "ResourceNotFoundError: ", format!("{noun} {id} not found"))
    }

    /// Wrong input.
    pub(crate) fn invalid(context: &str, text: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, context, "Invalid input error: ", text.into())
    }

    /// The name is taken.
    pub(crate) fn exists(context: &str, text: String) -> Self {
        Self::new(Code::AlreadyExists, context, "Already exist error: ", text)
    }

    /// Not now: answered as a conflict.
    pub(crate) fn aborted(context: &str, text: impl Into<String>) -> Self {
        Self::new(Code::Aborted, context, "Bad request error: ", text.into())
    }

    /// Not in this state.
    pub(crate) fn precondition(context: &str, text: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, context, "Failed precondition error: ", text.into())
    }

    /// The caller may not do this.
    pub(crate) fn denied(context: &str, text: String) -> Self {
        Self {
            code: Code::PermissionDenied,
            message: format!("{context}: PermissionDenied: {text}: unauthorized access"),
            detail: Some(text),
        }
    }

    /// Nobody knows who the caller is.
    pub(crate) fn unauthenticated(context: &str, text: &str) -> Self {
        Self {
            code: Code::Unauthenticated,
            message: format!("{context}: Unauthenticated: {text}: {text}"),
            detail: Some(text.to_owned()),
        }
    }

    /// The same refusal, seen from further outside.
    pub(crate) fn within(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What the server takes for its own fault; the cause shows only in the message.
    pub(crate) fn internal(context: &str, cause: &str) -> Self {
        Self {
            code: Code::Internal,
            message: format!("Internal error: {context}: {cause}"),
            detail: Some("Internal Server Error".to_owned()),
        }
    }

    /// The gateway refuses before any handler sees the request.
    pub(crate) fn gateway(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }

    /// A body that is no valid message; `body` must be what `error` came from.
    pub(crate) fn body(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let message = match unknown {
            Some((field, _)) => {
                // The parser stands behind the key, the server names where it begins.
                let column = error.column().saturating_sub(field.len() + 1);
                format!("proto: (line {}:{column}): unknown field \"{field}\"", error.line())
            }
            None => format!("proto: syntax error (line {}:{}): {text}", error.line(), error.column()),
        };
        Self::gateway(Code::InvalidArgument, message)
    }

    /// The JSON body.
    pub(crate) fn json(&self) -> Vec<u8> {
        let code = self.code as u8;
        let mut body = json!({"code": code, "message": self.message});
        if let (Some(detail), Some(object)) = (&self.detail, body.as_object_mut()) {
            let inner = if self.code == Code::Internal { 2 } else { code };
            let status = json!({"@type": "type.googleapis.com/google.rpc.Status", "code": inner, "message": detail});
            object.insert("details".to_owned(), json!([status]));
        }
        body.to_string().into_bytes()
    }
}

/// A refusal by one of the two upload routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) details: String,
}

impl UploadError {
    /// `message` is what the user sees, `details` the cause.
    pub(crate) fn new(status: u16, message: impl Into<String>, details: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: details.into() }
    }

    /// The JSON body.
    pub(crate) fn json(&self) -> Vec<u8> {
        json!({"error_message": self.message, "error_details": self.details}).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn gateway_shape() {
        let error = ApiError::not_found("Failed to get a run: Failed to fetch run R", "Run", "R");
        assert_eq!(
            String::from_utf8(error.json()).unwrap(),
            concat!(
                r#"{"code":5,"message":"Failed to get a run: Failed to fetch run R: ResourceNotFoundError: Run R not found","#,
                r#""details":[{"@type":"type.googleapis.com/google.rpc.Status","code":5,"message":"Run R not found"}]}"#
            )
        );
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let error = serde_json::from_str::<Empty>(r#"{"foo":1}"#).unwrap_err();
        assert_eq!(ApiError::body(&error).message, r#"proto: (line 1:2): unknown field "foo""#);
    }
}
