//! Lists: paging with tokens, sorting and filters, as all list routes share them.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::kfp::error::{ApiError, Code};
use crate::kfp::table::{Position, Row, Table};
use crate::query::Query;
use crate::timestamp;

const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 200;

/// A column of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum ColumnValue<'a> {
    /// Numbers, and instants as seconds since the epoch.
    Number(i64),
    /// An id; a text to everybody outside.
    Id(Uuid),
    /// Compared like the database does by default, without regard to case.
    Text(Cow<'a, str>),
}

impl<'a> ColumnValue<'a> {
    /// A column of text.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    fn order(&self, other: &ColumnValue<'_>) -> Option<Ordering> {
        let mut buffer = Uuid::encode_buffer();
        match (self, other) {
            (Self::Number(a), ColumnValue::Number(b)) => Some(a.cmp(b)),
            (Self::Text(a), ColumnValue::Text(b)) => Some(order_of_texts(a, b)),
            (Self::Id(a), ColumnValue::Id(b)) => Some(a.cmp(b)),
            (Self::Id(a), ColumnValue::Text(b)) => Some(order_of_texts(a.hyphenated().encode_lower(&mut buffer), b)),
            (Self::Text(a), ColumnValue::Id(b)) => Some(order_of_texts(a, b.hyphenated().encode_lower(&mut buffer))),
            _ => None,
        }
    }

    fn into_owned(self) -> ColumnValue<'static> {
        match self {
            Self::Number(number) => ColumnValue::Number(number),
            Self::Id(id) => ColumnValue::Id(id),
            Self::Text(text) => ColumnValue::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// Without regard to case, and without a copy where no letter needs one.
fn order_of_texts(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.bytes().map(|c| c.to_ascii_lowercase()).cmp(b.bytes().map(|c| c.to_ascii_lowercase()));
    }
    a.to_lowercase().cmp(&b.to_lowercase())
}

/// Whether `text` holds `part`, which is in lower case.
fn contains_ignoring_case(text: &str, part: &str) -> bool {
    if text.is_ascii() {
        return part.is_empty() || text.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()));
    }
    text.to_lowercase().contains(part)
}

/// What lists of one kind of row have in common.
pub(crate) struct ListSchema<T> {
    /// The server's name for the type of row.
    pub(crate) noun: &'static str,
    /// Columns to sort and to filter by.
    pub(crate) keys: &'static [&'static str],
    pub(crate) column: for<'a> fn(&'a T, &str) -> Option<ColumnValue<'a>>,
    /// The column whose value is a parent of the row in its table, so that a filter for it need not read all rows.
    pub(crate) parent: Option<&'static str>,
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    pub(crate) rows: Vec<&'a T>,
    /// Rows on all pages.
    pub(crate) total: usize,
    /// Absent on the last page.
    pub(crate) next: Option<String>,
}

/// Where the next page begins. Its JSON in base64 is the page token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Cursor {
    sort_by_field_name: String,
    sort_by_field_value: ColumnValue<'static>,
    key_field_value: Uuid,
    is_desc: bool,
    filter: String,
}

impl Cursor {
    /// Where it points to in a list in order of creation.
    fn place(&self) -> Option<Position> {
        match self.sort_by_field_value {
            ColumnValue::Number(at) => Some((u32::try_from(at).ok()?, self.key_field_value)),
            ColumnValue::Id(_) | ColumnValue::Text(_) => None,
        }
    }
}

/// How much of a list is wanted, in which order, and from where on.
struct ListOptions {
    size: usize,
    sort: String,
    descending: bool,
    filter: String,
    cursor: Option<Cursor>,
}

impl ListOptions {
    fn new(query: &Query, noun: &str, keys: &[&str]) -> Result<Self, ApiError> {
        let context = "Failed to create list options";
        let size = match number(query, "page_size")?.unwrap_or(0) {
            0 => DEFAULT_PAGE,
            n if n < 0 => {
                return Err(ApiError::invalid(context, format!("The page size should be greater than 0. Got {n}")));
            }
            n => usize::try_from(n).unwrap_or(MAX_PAGE).min(MAX_PAGE),
        };
        let sort_by = query.get("sort_by").unwrap_or_default().to_lowercase();
        let filter = query.get("filter").unwrap_or_default().to_owned();
        let (sort, descending) = match sort_by.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] => ("created_at".to_owned(), false),
            [field] | [field, "asc"] => ((*field).to_owned(), false),
            [field, "desc"] => ((*field).to_owned(), true),
            _ => {
                let text = format!(
                    "Received invalid sort by format \"{sort_by}\". Supported format: \"field_name\", \"field_name desc\", or \"field_name asc\""
                );
                return Err(ApiError::invalid(context, text));
            }
        };
        if !keys.contains(&sort.as_str()) {
            return Err(ApiError::invalid(
                context,
                format!("Invalid sorting field: \"{sort}\" on listable type {noun}"),
            ));
        }
        let mut options = Self { size, sort, descending, filter, cursor: None };
        if let Some(token) = query.get("page_token").filter(|token| !token.is_empty()) {
            let bytes = STANDARD.decode(token).map_err(|_| ApiError::invalid(context, "Invalid page token"))?;
            let cursor: Cursor =
                serde_json::from_slice(&bytes).map_err(|_| ApiError::invalid(context, "Invalid page token"))?;
            let other_sort = !sort_by.is_empty()
                && (options.sort != cursor.sort_by_field_name || options.descending != cursor.is_desc);
            if other_sort || (!options.filter.is_empty() && options.filter != cursor.filter) {
                let text = "page token does not match the supplied sort by and/or filtering criteria. Either provide \
                            the same criteria or leave the latter empty if page token is specified";
                return Err(ApiError::invalid(context, text));
            }
            options.sort.clone_from(&cursor.sort_by_field_name);
            options.descending = cursor.is_desc;
            options.filter.clone_from(&cursor.filter);
            options.cursor = Some(cursor);
        }
        Ok(options)
    }
}

impl<T: Row> ListSchema<T> {
    /// The page that `query` asks for, of all rows or those of `parent`. `column` gives the
    /// columns that the row itself does not hold.
    pub(crate) fn page<'a>(
        &self,
        table: &'a Table<T>,
        parent: Option<Uuid>,
        query: &Query,
        column: impl Fn(&T, &str) -> Option<ColumnValue<'static>>,
    ) -> Result<Page<'a, T>, ApiError> {
        let options = ListOptions::new(query, self.noun, self.keys)?;
        let filter = Filter::parse(&options.filter, self.keys)?;
        let column_of = |row: &'a T, key: &str| column(row, key).or_else(|| (self.column)(row, key));
        let matches = |row: &&'a T| filter.0.iter().all(|p| p.matches(column_of(row, &p.key).as_ref()));
        let parent = self.parent.and_then(|key| filter.id(key)).or(parent);
        let (first, last) = filter.seconds();
        if first > last {
            return Ok(Page { rows: Vec::new(), total: 0, next: None });
        }
        let places = table.places(parent);
        let within = places.range((first, Uuid::nil())..=(last, Uuid::max())).filter_map(|(_, at)| table.at(*at));
        let value = |row: &'a T| column_of(row, &options.sort).unwrap_or(ColumnValue::text(""));
        if options.sort != "created_at" {
            let (rows, total) = sorted(within.filter(matches), &options, value);
            return Ok(Self::cut(rows, total, &options, value));
        }
        let start = options.cursor.as_ref().and_then(Cursor::place);
        let (rows, total) = if filter.0.is_empty() {
            // Only the rows of the page are read.
            let at = |(_, at): (&_, &usize)| table.at(*at);
            let wanted = options.size + 1;
            let rows = match (options.descending, start) {
                (false, None) => places.iter().filter_map(at).take(wanted).collect(),
                (true, None) => places.iter().rev().filter_map(at).take(wanted).collect(),
                (false, Some(from)) => places.range(from..).filter_map(at).take(wanted).collect(),
                (true, Some(from)) => places.range(..=from).rev().filter_map(at).take(wanted).collect(),
            };
            (rows, places.len())
        } else if options.descending {
            picked(within.rev().filter(matches), &options, start)
        } else {
            picked(within.filter(matches), &options, start)
        };
        Ok(Self::cut(rows, total, &options, value))
    }

    /// Makes a page of `rows`, which hold one more than fit if there is a next page.
    fn cut<'a>(
        mut rows: Vec<&'a T>,
        total: usize,
        options: &ListOptions,
        value: impl Fn(&'a T) -> ColumnValue<'a>,
    ) -> Page<'a, T> {
        let beyond = if rows.len() > options.size { rows.pop() } else { None };
        let next = beyond.and_then(|row| {
            let cursor = Cursor {
                sort_by_field_name: options.sort.clone(),
                sort_by_field_value: value(row).into_owned(),
                key_field_value: row.id(),
                is_desc: options.descending,
                filter: options.filter.clone(),
            };
            Some(STANDARD.encode(serde_json::to_vec(&cursor).ok()?))
        });
        Page { rows, total, next }
    }
}

/// The rows of a page with one more, out of rows in their order, and how many rows there are in all.
fn picked<'a, T: Row>(
    rows: impl Iterator<Item = &'a T>,
    options: &ListOptions,
    start: Option<Position>,
) -> (Vec<&'a T>, usize) {
    let mut page = Vec::with_capacity(options.size + 1);
    let mut total = 0;
    for row in rows {
        total += 1;
        let place = (row.created(), row.id());
        let before = start.is_some_and(|start| if options.descending { place > start } else { place < start });
        if page.len() <= options.size && !before {
            page.push(row);
        }
    }
    (page, total)
}

/// Sorting by anything but the creation reads every row, like a database without an index, but orders only
/// those of the page.
fn sorted<'a, T: Row>(
    rows: impl Iterator<Item = &'a T>,
    options: &ListOptions,
    value: impl Fn(&'a T) -> ColumnValue<'a>,
) -> (Vec<&'a T>, usize) {
    let order = |a: (&ColumnValue<'_>, Uuid), b: (&ColumnValue<'_>, Uuid)| {
        let ascending = a.0.order(b.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1));
        if options.descending { ascending.reverse() } else { ascending }
    };
    let cursor = options.cursor.as_ref().map(|c| (&c.sort_by_field_value, c.key_field_value));
    let mut total = 0;
    let mut keyed: Vec<(ColumnValue<'a>, &T)> = Vec::new();
    for row in rows {
        total += 1;
        let field = value(row);
        if cursor.is_none_or(|cursor| order((&field, row.id()), cursor) != Ordering::Less) {
            keyed.push((field, row));
        }
    }
    let by = |a: &(ColumnValue<'a>, &T), b: &(ColumnValue<'a>, &T)| order((&a.0, a.1.id()), (&b.0, b.1.id()));
    if keyed.len() > options.size + 1 {
        keyed.select_nth_unstable_by(options.size, by);
        keyed.truncate(options.size + 1);
    }
    keyed.sort_by(by);
    (keyed.into_iter().map(|(_, row)| row).collect(), total)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Equals,
    NotEquals,
    GreaterThan,
    GreaterThanEquals,
    LessThan,
    LessThanEquals,
    In,
    IsSubstring,
}

impl Operation {
    fn parse(value: &Value) -> Option<Self> {
        // The numbers are those of the protocol buffer; 4 was never used.
        Some(match (value.as_str().unwrap_or_default(), value.as_u64().unwrap_or_default()) {
            ("EQUALS", _) | (_, 1) => Self::Equals,
            ("NOT_EQUALS", _) | (_, 2) => Self::NotEquals,
            ("GREATER_THAN", _) | (_, 3) => Self::GreaterThan,
            ("GREATER_THAN_EQUALS", _) | (_, 5) => Self::GreaterThanEquals,
            ("LESS_THAN", _) | (_, 6) => Self::LessThan,
            ("LESS_THAN_EQUALS", _) | (_, 7) => Self::LessThanEquals,
            ("IN", _) | (_, 8) => Self::In,
            ("IS_SUBSTRING", _) | (_, 9) => Self::IsSubstring,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Predicate {
    operation: Operation,
    key: String,
    values: Vec<ColumnValue<'static>>,
}

impl Predicate {
    fn matches(&self, field: Option<&ColumnValue<'_>>) -> bool {
        let Some(field) = field else { return false };
        let compare = |value: &ColumnValue<'_>| field.order(value);
        let first = self.values.first().and_then(compare);
        match self.operation {
            Operation::Equals => first == Some(Ordering::Equal),
            Operation::NotEquals => first != Some(Ordering::Equal),
            Operation::GreaterThan => first == Some(Ordering::Greater),
            Operation::GreaterThanEquals => first.is_some_and(Ordering::is_ge),
            Operation::LessThan => first == Some(Ordering::Less),
            Operation::LessThanEquals => first.is_some_and(Ordering::is_le),
            Operation::In => self.values.iter().any(|v| compare(v) == Some(Ordering::Equal)),
            Operation::IsSubstring => match (field, self.values.first()) {
                (ColumnValue::Text(text), Some(ColumnValue::Text(part))) => contains_ignoring_case(text, part),
                (ColumnValue::Id(id), Some(ColumnValue::Text(part))) => contains_ignoring_case(&id.to_string(), part),
                _ => false,
            },
        }
    }
}

/// A filter that can't be used; the text is the server's.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error("failed to parse valid filter from \"{text}\": {source}")]
    Json { text: String, source: serde_json::Error },
    #[error("a predicate must be an object")]
    NoObject,
    #[error("no support for filtering on unrecognized field \"{0}\"")]
    UnknownField(String),
    #[error("invalid predicate operation")]
    Operation,
    #[error("a predicate must have a value")]
    NoValue,
    #[error("cannot use {kind} with operation {operation:?}")]
    ValueKind { kind: String, operation: Operation },
    #[error("cannot use a non-string value with operation IS_SUBSTRING")]
    NoSubstring,
    #[error("invalid {0}")]
    Value(String),
}

/// Predicates that must all hold.
#[derive(Debug)]
struct Filter(Vec<Predicate>);

impl Filter {
    /// Reads a filter as the server does: URL-decoded once more, then JSON.
    fn parse(text: &str, keys: &[&str]) -> Result<Self, ApiError> {
        let bad = |error: FilterError| ApiError::invalid("Failed to create list options", error.to_string());
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let decoded = decode(text);
        let json: Value = serde_json::from_str(&decoded)
            .map_err(|source| bad(FilterError::Json { text: decoded.clone(), source }))?;
        let predicates = json.get("predicates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        predicates.iter().map(|p| predicate(p, keys).map_err(bad)).collect::<Result<_, _>>().map(Self)
    }

    /// The first and the last second of creation that can match.
    fn seconds(&self) -> (u32, u32) {
        let (mut first, mut last) = (0, i64::from(u32::MAX));
        for predicate in self.0.iter().filter(|p| p.key == "created_at") {
            let Some(ColumnValue::Number(at)) = predicate.values.first() else { continue };
            match predicate.operation {
                Operation::Equals => (first, last) = (first.max(*at), last.min(*at)),
                Operation::GreaterThan => first = first.max(at.saturating_add(1)),
                Operation::GreaterThanEquals => first = first.max(*at),
                Operation::LessThan => last = last.min(at.saturating_sub(1)),
                Operation::LessThanEquals => last = last.min(*at),
                _ => {}
            }
        }
        let none = (1, 0);
        match (u32::try_from(first), u32::try_from(last)) {
            (Ok(first), Ok(last)) => (first, last),
            _ => none,
        }
    }

    /// The id that `key` must equal.
    fn id(&self, key: &str) -> Option<Uuid> {
        let wanted = self.0.iter().find(|p| p.key == key && p.operation == Operation::Equals)?;
        match wanted.values.first()? {
            ColumnValue::Text(text) => Uuid::try_parse(text).ok(),
            _ => None,
        }
    }
}

fn decode(text: &str) -> String {
    // The parser below splits at `&`, which here is part of the value.
    let guarded = format!("v={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(guarded.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

fn predicate(json: &Value, keys: &[&str]) -> Result<Predicate, FilterError> {
    let object = json.as_object().ok_or(FilterError::NoObject)?;
    let key = object.get("key").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if !keys.contains(&key.as_str()) && !key.starts_with("tags.") {
        return Err(FilterError::UnknownField(key));
    }
    let operation = object.get("operation").and_then(Operation::parse).ok_or(FilterError::Operation)?;
    let (kind, value) = object
        .iter()
        .find(|(name, _)| name.ends_with("alue") || name.ends_with("alues"))
        .ok_or(FilterError::NoValue)?;
    let is_list = kind.ends_with('s');
    if is_list != (operation == Operation::In) {
        return Err(FilterError::ValueKind { kind: kind.clone(), operation });
    }
    let number = |v: &Value| v.as_i64().or_else(|| v.as_str()?.parse().ok()).map(ColumnValue::Number);
    let text = |v: &Value| v.as_str().map(|s| ColumnValue::Text(Cow::Owned(s.to_owned())));
    let instant = |v: &Value| v.as_str().and_then(timestamp::parse).map(ColumnValue::Number);
    let read: &dyn Fn(&Value) -> Option<ColumnValue<'static>> = match kind.get(..1) {
        Some("i" | "l") => &number,
        Some("t") => &instant,
        _ => &text,
    };
    if operation == Operation::IsSubstring && !kind.starts_with("string") {
        return Err(FilterError::NoSubstring);
    }
    let list = value.get("values").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let scalars = if is_list { list } else { std::slice::from_ref(value) };
    let mut values: Vec<ColumnValue<'static>> =
        scalars.iter().map(read).collect::<Option<_>>().ok_or_else(|| FilterError::Value(kind.clone()))?;
    for value in &mut values {
        if let (Operation::IsSubstring, ColumnValue::Text(text)) = (operation, value) {
            *text = Cow::Owned(text.to_lowercase());
        }
    }
    Ok(Predicate { operation, key, values })
}

/// A query parameter that must be a whole number if it is there.
///
/// # Errors
/// It is no number; in the gateway's words.
fn number(query: &Query, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let message =
            format!("type mismatch, parameter: {name}, error: strconv.ParseInt: parsing {text:?}: invalid syntax");
        ApiError::gateway(Code::InvalidArgument, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Item(u32, u128, String);

    impl Row for Item {
        fn id(&self) -> Uuid {
            Uuid::from_u128(self.1)
        }
        fn created(&self) -> u32 {
            self.0
        }
        fn parents(&self) -> [Option<Uuid>; 3] {
            [Some(Uuid::from_u128(self.1 % 2)), None, None]
        }
    }

    const LISTING: ListSchema<Item> = ListSchema {
        noun: "Item",
        keys: &["created_at", "name"],
        parent: None,
        column: |row, key| match key {
            "name" => Some(ColumnValue::text(&row.2)),
            "created_at" => Some(ColumnValue::Number(row.0.into())),
            _ => None,
        },
    };

    fn table() -> Table<Item> {
        let mut table = Table::default();
        // Three rows share each second, and names run against the order of creation.
        for i in 0..30_u32 {
            table.insert(Item(i / 3, u128::from(i), format!("Name-{:02}", 29 - i)));
        }
        table
    }

    fn names(page: &Page<'_, Item>) -> Vec<u32> {
        page.rows.iter().map(|r| r.2.trim_start_matches("Name-").parse().unwrap()).collect()
    }

    fn ask(query: &str) -> Result<(Vec<u32>, usize, Option<String>), ApiError> {
        let table = table();
        let page = LISTING.page(&table, None, &Query::parse(Some(query)), |_, _| None)?;
        Ok((names(&page), page.total, page.next))
    }

    fn walk(query: &str) -> Vec<u32> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
            let (names, _, next) = ask(&format!("{query}&page_token={encoded}")).unwrap();
            all.extend(names);
            match next {
                Some(next) => token = next,
                None => return all,
            }
        }
    }

    #[test]
    fn pages_join_to_the_whole_list_in_any_order() {
        let down: Vec<u32> = (0..30).rev().collect();
        let up: Vec<u32> = (0..30).collect();
        assert_eq!(walk("page_size=7"), down);
        assert_eq!(walk("page_size=7&sort_by=created_at+desc"), up);
        assert_eq!(walk("page_size=4&sort_by=name"), up);
        assert_eq!(walk("page_size=30&sort_by=name+DESC"), down);
    }

    #[test]
    fn sizes_are_defaulted_clamped_and_refused() {
        assert_eq!(ask("").unwrap().0.len(), 20);
        assert_eq!(ask("page_size=1000").unwrap().0.len(), 30);
        assert_eq!(ask("page_size=-1").unwrap_err().detail.unwrap(), "The page size should be greater than 0. Got -1");
        assert_eq!(ask("page_size=x").unwrap_err().detail, None);
    }

    #[test]
    fn a_token_must_fit_the_rest_of_the_request() {
        let token = ask("page_size=2&sort_by=name").unwrap().2.unwrap();
        let token: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        assert_eq!(ask(&format!("page_size=1&page_token={token}")).unwrap().0, [2]);
        assert!(ask(&format!("page_token={token}&sort_by=name+desc")).unwrap_err().message.contains("does not match"));
        assert_eq!(ask("page_token=nonsense").unwrap_err().detail.unwrap(), "Invalid page token");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(
            ask("sort_by=age").unwrap_err().message.contains("Invalid sorting field: \"age\" on listable type Item")
        );
        assert!(ask("sort_by=a+b+c").unwrap_err().message.contains("invalid sort by format"));
    }

    fn filtered(predicates: &str) -> Result<Vec<u32>, String> {
        let json = format!("{{\"predicates\":[{predicates}]}}");
        let encoded: String = url::form_urlencoded::byte_serialize(json.as_bytes()).collect();
        let answer = ask(&format!("page_size=200&filter={encoded}")).map_err(|e| e.message)?;
        assert_eq!(answer.0.len(), answer.1, "total_size counts what the filter lets through");
        Ok(answer.0)
    }

    #[test]
    fn filters_compare_as_the_server_does() {
        assert_eq!(filtered(r#"{"operation":1,"key":"name","stringValue":"name-03"}"#).unwrap(), [3]);
        assert_eq!(filtered(r#"{"operation":"IS_SUBSTRING","key":"name","string_value":"-2"}"#).unwrap().len(), 10);
        let both = r#"{"operation":"IN","key":"name","string_values":{"values":["Name-01","Name-02"]}},
                      {"operation":"NOT_EQUALS","key":"name","string_value":"Name-02"}"#;
        assert_eq!(filtered(both).unwrap(), [1]);
        let early = r#"{"operation":"LESS_THAN","key":"created_at","timestamp_value":"1970-01-01T00:00:01Z"}"#;
        assert_eq!(filtered(early).unwrap(), [29, 28, 27]);
    }

    #[test]
    fn wrong_filters_are_refused() {
        let unknown = filtered(r#"{"operation":1,"key":"age","int_value":3}"#).unwrap_err();
        assert!(unknown.ends_with("no support for filtering on unrecognized field \"age\""), "{unknown}");
        assert!(filtered(r#"{"operation":"IN","key":"name","string_value":"a"}"#).is_err());
        assert!(filtered(r#"{"operation":"IS_SUBSTRING","key":"created_at","int_value":3}"#).is_err());
        assert!(filtered(r#"{"operation":"LIKE","key":"name","string_value":"a"}"#).is_err());
    }
}
