//! Prometheus' HTTP API: instant and range queries.

use std::collections::BTreeMap;
use std::time::Duration;

use kperf_plugin_sdk::{
    Failure,
    http::{self, Request, Response},
};
use serde::Deserialize;

/// A series of an answer; points are milliseconds since the Unix epoch and values, which may be no numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    pub points: Vec<(i64, f64)>,
}

/// An answer.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub series: Vec<Series>,
    /// What the server has to say about it.
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    #[serde(default)]
    result: serde_json::Value,
}

type Point = (f64, String);

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// The points of a range query.
    #[serde(default)]
    values: Vec<Point>,
    /// The point of an instant query.
    value: Option<Point>,
    /// Native histograms, which are no numbers.
    #[serde(default)]
    histograms: Vec<serde::de::IgnoredAny>,
    histogram: Option<serde::de::IgnoredAny>,
}

/// A server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub timeout: Duration,
}

impl Server {
    /// The value of an expression at an instant, in milliseconds since the Unix epoch.
    pub async fn instant(self, expr: &str, at: i64) -> Result<Answer, Failure> {
        self.ask("query", &[("query", expr), ("time", &seconds(at))]).await
    }

    /// The values of an expression at each step from one instant to another.
    pub async fn range(self, expr: &str, from: i64, to: i64, step: i64) -> Result<Answer, Failure> {
        let (from, to, step) = (seconds(from), seconds(to), seconds(step));
        self.ask("query_range", &[("query", expr), ("start", &from), ("end", &to), ("step", &step)]).await
    }

    async fn ask(self, endpoint: &str, form: &[(&str, &str)]) -> Result<Answer, Failure> {
        let body = http::form(form.iter().copied());
        let mut request = Request::post(endpoint, format!("/api/v1/{endpoint}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(body);
        request.timeout = u64::try_from(self.timeout.as_nanos()).ok();
        read(request.send().await?)
    }
}

/// An instant or a duration, as the API takes it.
fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

fn read(response: Response) -> Result<Answer, Failure> {
    let Ok(body) = serde_json::from_slice::<Body>(&response.body) else {
        response.success()?;
        return Err(Failure::new("no-prometheus", "the answer is not that of a Prometheus server: is the URL right?"));
    };
    if body.status != "success" {
        let kind = if body.error_type == "bad_data" { "bad-query" } else { "query-failed" };
        return Err(Failure::new(kind, format!("{}: {}", body.error_type, body.error)));
    }
    let data = body.data.ok_or_else(|| Failure::new("no-prometheus", "the answer has no data"))?;
    let wrong = |error: serde_json::Error| Failure::new("json", format!("the answer has another form: {error}"));
    let series = match data.result_type.as_str() {
        "matrix" | "vector" => {
            let found: Vec<Found> = serde_json::from_value(data.result).map_err(wrong)?;
            if found.iter().any(|it| it.histogram.is_some() || !it.histograms.is_empty()) {
                let text = "the query answers with native histograms; take a number of them, by `histogram_quantile` for example";
                return Err(Failure::new("bad-query", text));
            }
            found.into_iter().map(|it| Series::new(it.metric, it.values.into_iter().chain(it.value))).collect()
        }
        "scalar" => {
            let point: Point = serde_json::from_value(data.result).map_err(wrong)?;
            vec![Series::new(BTreeMap::new(), [point])]
        }
        other => return Err(Failure::new("bad-query", format!("the query answers with a {other}, not with numbers"))),
    };
    Ok(Answer { series, warnings: body.warnings })
}

impl Series {
    fn new(mut labels: BTreeMap<String, String>, points: impl IntoIterator<Item = Point>) -> Self {
        labels.remove("__name__");
        let read = |(at, value): Point| ((at * 1000.0).round() as i64, value.parse().unwrap_or(f64::NAN));
        Self { labels, points: points.into_iter().map(read).collect() }
    }
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        read(Response { status, headers: Vec::new(), body: body.into(), timing })
    }

    #[test]
    fn ranges_instants_and_scalars_are_series() {
        let range = r#"{"status":"success","warnings":["partial"],"data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"up","job":"a"},"values":[[1700000000.5,"1"],[1700000001.5,"NaN"],[1700000002.5,"+Inf"]]}]}}"#;
        let Answer { series, warnings } = answer(200, range).unwrap();
        assert_eq!(warnings, ["partial"]);
        assert_eq!(series[0].labels, [("job".to_owned(), "a".to_owned())].into());
        assert_eq!(series[0].points[0], (1_700_000_000_500, 1.0));
        assert!(series[0].points[1].1.is_nan() && series[0].points[2].1.is_infinite());
        let instant =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[5,"2.5"]}]}}"#;
        assert_eq!(answer(200, instant).unwrap().series[0].points, [(5000, 2.5)]);
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[5,"7"]}}"#;
        assert_eq!(answer(200, scalar).unwrap().series[0].points, [(5000, 7.0)]);
    }

    #[test]
    fn what_is_no_answer_has_a_name() {
        let kind = |status, body| answer(status, body).unwrap_err().kind;
        let bad = r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error: unexpected end of input"}"#;
        let failure = answer(400, bad).unwrap_err();
        assert_eq!(failure, Failure::new("bad-query", "bad_data: 1:4: parse error: unexpected end of input"));
        assert_eq!(
            kind(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
            "query-failed"
        );
        assert_eq!(kind(503, "overloaded"), "http-status");
        assert_eq!(kind(200, "<html>"), "no-prometheus");
        assert_eq!(kind(200, r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#), "bad-query");
        let histogram =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
        assert_eq!(kind(200, histogram), "bad-query");
    }

    #[test]
    fn milliseconds_are_sent_as_seconds() {
        assert_eq!(seconds(1_700_000_000_050), "1700000000.050");
    }
}
