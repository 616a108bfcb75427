//! JSON that keeps every digit: numbers stay text.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::limits::JSON_DEPTH_MAX;

/// A parsed JSON value; numbers, `true`, `false` and `null` as they are written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Json<'a> {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    String(String),
    Scalar(&'a str),
}

crate::debug_shows!(
    enum Json<'_> {
        Object,
        Array,
        String,
        Scalar,
    }
);

/// Why a text is not JSON that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON, or a string that is no Unicode.
    #[error("not JSON")]
    Malformed,
    /// Deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX}")]
    Depth,
    /// An object has one key twice.
    #[error("an object has one key twice")]
    DuplicateKey,
}

impl<'a> Json<'a> {
    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            Self::Array(_) | Self::String(_) | Self::Scalar(_) => None,
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Object(_) | Self::Array(_) | Self::Scalar(_) => None,
        }
    }

    /// The items of an array; a single value counts as one item.
    pub(crate) fn as_items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            Self::Object(_) | Self::String(_) | Self::Scalar(_) => core::slice::from_ref(self),
        }
    }

    /// The items of a member.
    pub(crate) fn items<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Self> + use<'s, 'a> {
        self.get(name).map(Json::as_items).unwrap_or_default().iter()
    }

    /// Every value at a path such as `participant.actor`, through arrays.
    pub(crate) fn at<'s>(&'s self, path: &str) -> Vec<&'s Self> {
        path.split('.').fold(vec![self], |values, name| {
            values.into_iter().flat_map(|value| value.items(name)).collect()
        })
    }

    /// The same value in one spelling: members sorted, no space, strings escaped one way.
    pub(crate) fn canonical(&self, out: &mut String) {
        self.put(out, true);
    }

    /// The same value, members in their order and numbers as they are written, without space.
    pub(crate) fn render(&self, out: &mut String) {
        self.put(out, false);
    }

    fn put(&self, out: &mut String, sorted: bool) {
        match self {
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if sorted {
                    members.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                let members = members.into_iter().map(|(name, value)| (name.as_str(), value));
                put_object(out, members, |out, value| value.put(out, sorted));
            }
            Self::Array(items) => put_array(out, items, |out, item| item.put(out, sorted)),
            Self::String(text) => quote(out, text),
            Self::Scalar(text) => out.push_str(text),
        }
    }
}

/// Appends a JSON object.
pub(crate) fn put_object<'a, T>(
    out: &mut String,
    members: impl IntoIterator<Item = (&'a str, T)>,
    mut put: impl FnMut(&mut String, T),
) {
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        quote(out, name);
        out.push(':');
        put(out, value);
    }
    out.push('}');
}

/// Appends a JSON array.
pub(crate) fn put_array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        put(out, item);
    }
    out.push(']');
}

/// Appends a JSON string.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Parses a JSON text.
pub(crate) fn parse(text: &str) -> Result<Json<'_>, JsonError> {
    // serde_json checks the grammar, without recursion, so that the walk below may trust it.
    let _checked: &RawValue = serde_json::from_str(text).map_err(|_| JsonError::Malformed)?;
    let mut walk = Walk { text, at: 0 };
    walk.value(0)
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
}

crate::debug_shows!(struct Walk<'_> { at });

impl<'a> Walk<'a> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        if depth > JSON_DEPTH_MAX {
            return Err(JsonError::Depth);
        }
        match self.peek().ok_or(JsonError::Malformed)? {
            b'{' => self.object(depth),
            b'[' => {
                let mut items = Vec::new();
                self.at += 1;
                while self.peek().ok_or(JsonError::Malformed)? != b']' {
                    items.push(self.value(depth + 1)?);
                    self.skip(b',');
                }
                self.at += 1;
                Ok(Json::Array(items))
            }
            b'"' => self.string().map(Json::String),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                self.at += end;
                Ok(Json::Scalar(rest.get(..end).unwrap_or_default()))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut members = Vec::new();
        let mut keys = BTreeSet::new();
        self.at += 1;
        while self.peek().ok_or(JsonError::Malformed)? != b'}' {
            let key = self.string()?;
            if !keys.insert(key.clone()) {
                return Err(JsonError::DuplicateKey);
            }
            self.skip(b':');
            members.push((key, self.value(depth + 1)?));
            self.skip(b',');
        }
        self.at += 1;
        Ok(Json::Object(members))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut escaped = true; // So that the opening quote is not taken for the closing one.
        for (index, byte) in rest.bytes().enumerate() {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                self.at += index + 1;
                let literal = rest.get(..=index).unwrap_or_default();
                return serde_json::from_str(literal).map_err(|_| JsonError::Malformed);
            }
        }
        Err(JsonError::Malformed)
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += space;
        rest.get(space).copied()
    }

    fn skip(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
        }
    }
}

/// The same text without space between tokens; everything else byte for byte.
pub(crate) fn compact(text: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            if inside {
                inside = escaped || *c != '"';
                escaped = !escaped && *c == '\\';
                return true;
            }
            inside = *c == '"';
            !matches!(c, ' ' | '\n' | '\r' | '\t')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compaction_touches_nothing_but_space() {
        let text =
            "{ \"a\" : [ 1.0 , 1.50,1e2, 12345678901234567890 ] ,\n \"b c\\\" \" : \"x  \\\\\" }";
        assert_eq!(
            compact(text),
            "{\"a\":[1.0,1.50,1e2,12345678901234567890],\"b c\\\" \":\"x  \\\\\"}"
        );
    }

    #[test]
    fn parsing_keeps_digits_and_finds_paths() {
        let json = parse("{\"a\":[{\"b\":1.0},{\"b\":[2,1e400]}],\"c\":\"\\u00e9\"}").unwrap();
        assert_eq!(
            json.at("a.b"),
            [&Json::Scalar("1.0"), &Json::Scalar("2"), &Json::Scalar("1e400")]
        );
        assert_eq!(json.get("c").unwrap().as_str(), Some("\u{e9}"));
        let mut canonical = String::new();
        parse("{ \"b\" : 1.0, \"a\": \"\\u0041\" }").unwrap().canonical(&mut canonical);
        assert_eq!(canonical, "{\"a\":\"A\",\"b\":1.0}");
    }

    #[test]
    fn bad_texts_are_errors() {
        assert_eq!(parse("{\"a\":1,\"a\":2}"), Err(JsonError::DuplicateKey));
        assert_eq!(parse("{"), Err(JsonError::Malformed));
        assert_eq!(parse("\"\\ud800\""), Err(JsonError::Malformed));
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(&deep), Err(JsonError::Depth));
    }
}
