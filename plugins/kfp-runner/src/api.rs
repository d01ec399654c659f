//! The requests to the Kubeflow Pipelines REST API (v2beta1), each with its operation name.

use kperf_plugin_sdk::{
    Failure,
    http::{Chunk, Error, Request, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::run::Run;

const BASE: &str = "/apis/v2beta1";
const BOUNDARY: &str = "kperf-6d1f0a7c42b94e58";

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub multi_user: bool,
    pub tag_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pipeline {
    pipeline_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    pipeline_version_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Experiment {
    experiment_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versions {
    pipeline_versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Experiments {
    experiments: Vec<Experiment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Runs {
    runs: Vec<Run>,
}

/// What starts a run.
#[derive(Serialize)]
pub struct NewRun<'a> {
    pub display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub experiment_id: &'a str,
    pub pipeline_version_reference: Reference<'a>,
    pub runtime_config: Config<'a>,
}

#[derive(Serialize)]
pub struct Reference<'a> {
    pub pipeline_id: &'a str,
    pub pipeline_version_id: &'a str,
}

#[derive(Serialize)]
pub struct Config<'a> {
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: &'a Map<String, Value>,
}

/// `GET /healthz`.
pub async fn health() -> Result<Health, Failure> {
    let response = Request::get("healthz", format!("{BASE}/healthz")).send().await?;
    success(response)?.json()
}

/// Uploads a pipeline with its first version; the host streams the file. Returns the pipeline's id.
pub async fn upload_pipeline(name: &str, namespace: &str, path: &str) -> Result<String, Failure> {
    let file = path.rsplit('/').next().unwrap_or(path).replace(['"', '\\', '\r', '\n'], "_");
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"{file}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let mut request =
        Request::post("upload_pipeline", query("/pipelines/upload", &[("name", name), ("namespace", namespace)]))
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(head);
    request.body.push(Chunk::File(path.to_owned()));
    let response = request.body(format!("\r\n--{BOUNDARY}--\r\n")).send().await?;
    Ok(success(response)?.json::<Pipeline>()?.pipeline_id)
}

/// The id of a pipeline's latest version.
pub async fn latest_version(pipeline: &str) -> Result<String, Failure> {
    let parameters = [("page_size", "1"), ("sort_by", "created_at desc")];
    let url = query(&format!("/pipelines/{pipeline}/versions"), &parameters);
    let response = success(Request::get("list_versions", url).send().await?)?;
    let version = response.json::<Versions>()?.pipeline_versions.into_iter().next();
    version.map(|version| version.pipeline_version_id).ok_or_else(|| {
        Failure::new(
            "no-version",
            format!("pipeline {pipeline} has no version right after its upload: look at the server's log"),
        )
    })
}

/// The id of the pipeline with a name, if there is one.
pub async fn find_pipeline(name: &str, namespace: &str) -> Result<Option<String>, Failure> {
    let url = query(&format!("/pipelines/names/{}", encode(name)), &[("namespace", namespace)]);
    let response = Request::get("find_pipeline", url).expect(200).expect(404).send().await?;
    if response.status == 404 {
        return Ok(None);
    }
    Ok(Some(success(response)?.json::<Pipeline>()?.pipeline_id))
}

/// The id of the experiment with a name, if there is one.
pub async fn find_experiment(name: &str, namespace: &str) -> Result<Option<String>, Failure> {
    let filter = filter(json!({"operation": "EQUALS", "key": "name", "string_value": name}));
    let url = query("/experiments", &[("namespace", namespace), ("page_size", "1"), ("filter", &filter)]);
    let response = success(Request::get("list_experiments", url).send().await?)?;
    Ok(response.json::<Experiments>()?.experiments.into_iter().next().map(|experiment| experiment.experiment_id))
}

/// Creates an experiment; none if another one has just taken the name.
pub async fn create_experiment(name: &str, namespace: &str) -> Result<Option<String>, Failure> {
    let request = Request::post("create_experiment", format!("{BASE}/experiments"))
        .json(&json!({"display_name": name, "namespace": namespace}))?
        .expect(200)
        .expect(409);
    let response = request.send().await?;
    if response.status == 409 {
        return Ok(None);
    }
    Ok(Some(success(response)?.json::<Experiment>()?.experiment_id))
}

/// Starts a run.
pub async fn create_run(run: &NewRun<'_>) -> Result<Run, Failure> {
    let request = Request::post("create_run", format!("{BASE}/runs")).json(run)?;
    success(request.send().await?)?.json()
}

/// One run.
pub async fn get_run(id: &str) -> Result<Run, Failure> {
    success(Request::get("get_run", format!("{BASE}/runs/{id}")).send().await?)?.json()
}

/// The runs with these ids.
pub async fn list_runs(ids: &[String], scope: Scope<'_>) -> Result<Vec<Run>, Failure> {
    let filter = filter(json!({"operation": "IN", "key": "run_id", "string_values": {"values": ids}}));
    runs("list_runs", &filter, "200", scope).await
}

/// Some of the runs whose name contains a text.
pub async fn find_runs(text: &str, scope: Scope<'_>) -> Result<Vec<Run>, Failure> {
    let filter = filter(json!({"operation": "IS_SUBSTRING", "key": "name", "string_value": text}));
    runs("find_runs", &filter, "100", scope).await
}

/// Where to look for runs; a multi-user server wants to know one of them. Empty is none.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub experiment: &'a str,
    pub namespace: &'a str,
}

async fn runs(operation: &str, filter: &str, page: &str, scope: Scope<'_>) -> Result<Vec<Run>, Failure> {
    // An experiment lies in one namespace, and a server that is given both looks at the experiment only.
    let namespace = if scope.experiment.is_empty() { scope.namespace } else { "" };
    let parameters =
        [("namespace", namespace), ("experiment_id", scope.experiment), ("page_size", page), ("filter", filter)];
    let response = success(Request::get(operation, query("/runs", &parameters)).send().await?)?;
    Ok(response.json::<Runs>()?.runs)
}

/// Deletes a run; one that is gone already is fine.
pub async fn delete_run(id: &str) -> Result<(), Failure> {
    delete("delete_run", format!("{BASE}/runs/{id}")).await
}

/// Deletes a pipeline with its versions.
pub async fn delete_pipeline(id: &str) -> Result<(), Failure> {
    delete("delete_pipeline", format!("{BASE}/pipelines/{id}?cascade=true")).await
}

/// Deletes an experiment; its runs stay.
pub async fn delete_experiment(id: &str) -> Result<(), Failure> {
    delete("delete_experiment", format!("{BASE}/experiments/{id}")).await
}

async fn delete(operation: &str, url: String) -> Result<(), Failure> {
    let response = Request::delete(operation, url).expect(200).expect(404).send().await?;
    if response.status == 404 { Ok(()) } else { success(response).map(|_| ()) }
}

/// A failed status becomes a failure with the server's own words: the user-facing text if there is one, else the chain of
/// causes, else what the upload routes say.
fn success(response: Response) -> Result<Response, Failure> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        message: String,
        #[serde(default)]
        error_message: String,
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(default)]
        message: String,
    }
    if response.is_success() {
        return Ok(response);
    }
    let Ok(body) = response.json::<Body>() else { return response.success() };
    let detail = body.details.into_iter().map(|detail| detail.message).find(|text| !text.is_empty());
    // For its own errors the server shows nothing but this text; the cause is in the chain.
    let detail = detail.filter(|text| text != "Internal Server Error");
    let text = detail.unwrap_or(if body.message.is_empty() { body.error_message } else { body.message });
    let line: String = text.lines().next().unwrap_or_default().chars().take(300).collect();
    Err(Failure::new("http-status", format!("the server answers {}: {line}", response.status)))
}

fn filter(predicate: Value) -> String {
    // The server decodes the value of a filter once more after HTTP has: only these two characters would change.
    json!({"predicates": [predicate]}).to_string().replace('%', "%25").replace('+', "%2B")
}

/// A path below the API's base with those query parameters that are not empty.
fn query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = format!("{BASE}{path}");
    let mut separator = '?';
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        url.push_str(&encode(value));
        separator = '&';
    }
    url
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3).
fn encode(text: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(HEX.get(usize::from(byte >> 4)).into_iter().chain(HEX.get(usize::from(byte & 15))));
        }
    }
    encoded
}

/// Whether a request failed because the run is being stopped: then there is no point in another one.
pub fn is_interrupted(failure: &Failure) -> bool {
    failure.kind == Failure::from(Error::Interrupted(String::new())).kind
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        success(Response { status, headers: Vec::new(), body: body.into(), timing }).err().unwrap()
    }

    #[test]
    fn failures_use_the_servers_words() {
        let user = r#"{"code":5,"message":"a: b: Run R not found","details":[{"message":"Run R not found"}]}"#;
        assert_eq!(failure(404, user).message, "the server answers 404: Run R not found");
        let internal = r#"{"code":13,"message":"a: b","details":[{"message":"Internal Server Error"}]}"#;
        assert_eq!(failure(500, internal).message, "the server answers 500: a: b");
        let upload = r#"{"error_message":"bad file","error_details":"stack"}"#;
        assert_eq!(failure(400, upload).message, "the server answers 400: bad file");
        assert_eq!(failure(502, "<html>").message, "answered 502: <html>");
    }

    #[test]
    fn queries_leave_empty_values_out() {
        assert_eq!(
            query("/runs", &[("a", ""), ("b", "x y"), ("c", "ü&=")]),
            "/apis/v2beta1/runs?b=x%20y&c=%C3%BC%26%3D"
        );
        assert_eq!(query("/runs", &[("a", "")]), "/apis/v2beta1/runs");
    }

    #[test]
    fn a_run_without_experiment_and_parameters_says_nothing_about_them() {
        let parameters = Map::new();
        let run = NewRun {
            display_name: "n",
            experiment_id: "",
            pipeline_version_reference: Reference { pipeline_id: "P", pipeline_version_id: "V" },
            runtime_config: Config { parameters: &parameters },
        };
        let expected = json!({"display_name": "n", "runtime_config": {},
            "pipeline_version_reference": {"pipeline_id": "P", "pipeline_version_id": "V"}});
        assert_eq!(serde_json::to_value(&run).unwrap(), expected);
    }
}
