//! The mode's parameter table, as it is written. `requests.schema.json` says the same to the host.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub requests: Vec<RequestParams>,
    #[serde(default)]
    pub order: Order,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Weighted,
    Sequence,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestParams {
    pub name: String,
    #[serde(default = "get")]
    pub method: String,
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    pub json: Option<Value>,
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub expect: Expect,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub status: Option<Statuses>,
    #[serde(default)]
    pub json: BTreeMap<String, Value>,
    pub contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Statuses {
    One(u16),
    Many(Vec<u16>),
}

impl Statuses {
    pub fn into_vec(self) -> Vec<u16> {
        match self {
            Self::One(status) => vec![status],
            Self::Many(statuses) => statuses,
        }
    }
}

fn get() -> String {
    "GET".into()
}

fn one() -> u32 {
    1
}
