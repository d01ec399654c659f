//! Lists and watches of the Kubernetes API.
//!
//! A watch is asked for about a second and then read as a whole: all changes since the version before it, in order. The next
//! one goes on where it ended, so nothing depends on a connection that lives long.

use std::time::Duration;

use kperf_plugin_sdk::{
    Failure, clock,
    http::{Error, Request, Response, encode},
};

use serde::de::DeserializeOwned;

use crate::object::{List, Status, WatchEvent};

/// How long a watch lasts.
const WATCH_SECONDS: u32 = 1;
/// How often a request with a token that has expired is tried again, and after what time: the host looks once a second
/// whether the token's file has changed.
const RENEWALS: u32 = 4;
const RENEWAL: Duration = Duration::from_millis(1200);
/// How often a request whose connection broke is sent again at once.
const REPEATS: u32 = 2;

/// Objects and the version at which they were so.
#[derive(Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub version: String,
}

/// A change of an object.
#[derive(Debug)]
pub enum Change<T> {
    /// The object's new state.
    Updated(T),
    /// The last state of an object that is gone.
    Deleted(T),
}

/// What came of a watch.
#[derive(Debug)]
pub enum Watch<T> {
    /// All changes up to a version.
    Changes {
        changes: Vec<Change<T>>,
        version: String,
        /// Why objects could not be read, one text for each.
        unread: Vec<String>,
    },
    /// The server has forgotten the version: only a fresh list helps.
    Expired,
}

/// Something that can be listed and watched.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The operation of its lists: `list_pods`.
    pub list: &'static str,
    /// The operation of its watches: `watch_pods`.
    pub watch: &'static str,
    /// The path of the API: `/api/v1/namespaces/kubeflow/pods`.
    pub path: String,
    /// `labelSelector=..&`, encoded, or nothing.
    pub selector: String,
}

impl Resource {
    /// Everything that is there now, in pages of `page`. A page that has become too old begins the list anew.
    pub async fn list<T: DeserializeOwned>(&self, page: u32) -> Result<Listed<T>, Failure> {
        'anew: for _ in 0..3 {
            let (mut items, mut next) = (Vec::new(), String::new());
            loop {
                let url = format!("{}?{}limit={page}{next}", self.path, self.selector);
                let response = send(self.list, &url).await?;
                if response.status == 410 {
                    continue 'anew;
                }
                let mut list: List<T> = accepted(response, &self.path)?.json()?;
                items.extend(list.items.take().into_iter().flatten());
                match list.metadata.next.filter(|token| !token.is_empty()) {
                    Some(token) => next = format!("&continue={}", encode(&token)),
                    None => return Ok(Listed { items, version: list.metadata.resource_version }),
                }
            }
        }
        Err(Failure::new("list-expired", format!("{}: three lists in a row became too old half-way", self.path)))
    }

    /// The version of now, without the objects.
    pub async fn version(&self) -> Result<String, Failure> {
        let response = send(self.list, &format!("{}?{}limit=1", self.path, self.selector)).await?;
        let list: List<serde::de::IgnoredAny> = accepted(response, &self.path)?.json()?;
        Ok(list.metadata.resource_version)
    }

    /// The changes since a version.
    pub async fn watch<T: DeserializeOwned>(&self, version: &str) -> Result<Watch<T>, Failure> {
        let url = format!(
            "{}?{}watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            self.path,
            self.selector,
            encode(version)
        );
        let response = send(self.watch, &url).await?;
        if response.status == 410 {
            return Ok(Watch::Expired);
        }
        read(&accepted(response, &self.path)?.body, version)
    }
}

/// Reads a watch's lines.
fn read<T: DeserializeOwned>(body: &[u8], version: &str) -> Result<Watch<T>, Failure> {
    let (mut changes, mut version, mut unread) = (Vec::new(), version.to_owned(), Vec::new());
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let wrong = |error| Failure::new("json", format!("a line of a watch is not what was expected: {error}"));
        let event: WatchEvent = serde_json::from_slice(line).map_err(wrong)?;
        if event.kind == "ERROR" {
            let status: Status = serde_json::from_value(event.object).unwrap_or_default();
            if status.code == 410 {
                return Ok(Watch::Expired);
            }
            let Status { code, reason, message } = status;
            return Err(Failure::new("watch-failed", format!("the watch ended with {code} {reason}: {message}")));
        }
        if let Some(newer) = event.object.pointer("/metadata/resourceVersion").and_then(serde_json::Value::as_str) {
            newer.clone_into(&mut version);
        }
        let change = match event.kind.as_str() {
            "ADDED" | "MODIFIED" => Change::Updated,
            "DELETED" => Change::Deleted,
            _ => continue,
        };
        // One that can't be read must not keep back those after it.
        match serde_json::from_value(event.object) {
            Ok(object) => changes.push(change(object)),
            Err(error) => unread.push(error.to_string()),
        }
    }
    Ok(Watch::Changes { changes, version, unread })
}

/// The body of a `GET`.
pub async fn get<T: DeserializeOwned>(operation: &str, path: &str) -> Result<T, Failure> {
    accepted(send(operation, path).await?, path)?.json()
}

/// Sends a `GET`, again if the connection broke or the token had expired. Reading twice does no harm.
async fn send(operation: &str, url: &str) -> Result<Response, Failure> {
    let (mut repeats, mut renewals) = (0, 0);
    loop {
        let request = Request::get(operation, url).header("accept", "application/json").expect(200).expect(410);
        match request.send().await {
            Ok(response) if response.status == 401 && renewals < RENEWALS => {
                renewals += 1;
                if !clock::sleep(RENEWAL).await {
                    return Ok(response);
                }
            }
            Err(Error::Protocol(_)) if repeats < REPEATS => repeats += 1,
            answer => return Ok(answer?),
        }
    }
}

/// The response, if it was a success; else a failure that says what to do.
fn accepted(response: Response, path: &str) -> Result<Response, Failure> {
    let path = path.split('?').next().unwrap_or(path);
    let said = || serde_json::from_slice::<Status>(&response.body).unwrap_or_default().message;
    match response.status {
        200 => Ok(response),
        401 => {
            Err(Failure::new("unauthorized", format!("{path}: answered 401: the target's credential is not accepted")))
        }
        403 => Err(Failure::new(
            "forbidden",
            format!("{path}: {}; the credential needs `get`, `list` and `watch` there", said()),
        )),
        _ => response.success(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Pod;

    fn pod(name: &str, version: u32) -> String {
        format!(r#"{{"kind":"Pod","metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}"#)
    }

    #[test]
    fn a_watch_goes_on_where_its_last_line_ended() {
        let body = format!(
            "{{\"type\":\"ADDED\",\"object\":{}}}\n{{\"type\":\"DELETED\",\"object\":{}}}\n\n{{\"type\":\"BOOKMARK\",\"object\":{}}}\n",
            pod("a", 5),
            pod("b", 7),
            pod("", 9)
        );
        let Watch::Changes { changes, version, .. } = read::<Pod>(body.as_bytes(), "1").unwrap() else { panic!() };
        assert_eq!(version, "9");
        assert!(matches!(&changes[..], [Change::Updated(a), Change::Deleted(b)]
            if a.metadata.name == "a" && b.metadata.name == "b"));
        let Watch::Changes { changes, version, .. } = read::<Pod>(b"", "1").unwrap() else { panic!() };
        assert_eq!((changes.len(), version.as_str()), (0, "1"));
    }

    #[test]
    fn an_object_that_can_not_be_read_keeps_back_no_other() {
        let odd = r#"{"metadata":{"resourceVersion":"5","creationTimestamp":"yesterday"}}"#;
        let body =
            format!("{{\"type\":\"ADDED\",\"object\":{odd}}}\n{{\"type\":\"ADDED\",\"object\":{}}}\n", pod("b", 7));
        let Watch::Changes { changes, version, unread } = read::<Pod>(body.as_bytes(), "1").unwrap() else { panic!() };
        assert_eq!((changes.len(), version.as_str()), (1, "7"));
        assert!(unread.len() == 1 && unread[0].contains("`yesterday` is no instant"), "{unread:?}");
    }

    #[test]
    fn a_version_that_is_forgotten_is_an_error_in_the_watch() {
        let gone = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
        assert!(matches!(read::<Pod>(gone, "1"), Ok(Watch::Expired)));
        let other = br#"{"type":"ERROR","object":{"code":500,"reason":"InternalError","message":"etcd"}}"#;
        let failure = read::<Pod>(other, "1").unwrap_err();
        assert_eq!(
            (failure.kind.as_str(), failure.message.as_str()),
            ("watch-failed", "the watch ended with 500 InternalError: etcd")
        );
        assert_eq!(read::<Pod>(b"{\"type\":", "1").unwrap_err().kind, "json");
    }
}
