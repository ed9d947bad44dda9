//! The parameters of a message by their names, when many are asked for.
//!
//! A pattern or a template may name thousands of parameters, and a line may hold 60,000: walking along the line for
//! each name takes seconds (design.md, section 14). Few names are still found by walking, which needs no preparation.

use std::collections::HashMap;

use super::parts::Message;
use super::spell::push_text;
use super::spelled::JsonValue;
use crate::limits::NAMES_COMPARED_MAX;

/// Finds the parameters of one message.
///
/// ```ignore
/// use backbox::bcp::{Message, ParseOptions};
/// let mut parts = Message::new();
/// parts.parse_line(b"switch?name=s_left&state=int:1", &ParseOptions::default()).unwrap();
/// let names = parts.lookup(1_000);
/// assert_eq!(names.find("State").unwrap().text(), "1");
/// assert_eq!(names.find("none"), None);
/// ```
#[derive(Debug)]
pub struct Lookup<'p> {
    parts: &'p Message,
    /// The values by their names as they are spelled, in lower case.
    index: Option<HashMap<Vec<u8>, JsonValue<'p>>>,
}

impl Message {
    /// What finds so many parameters by their names.
    pub fn lookup(&self, names: usize) -> Lookup<'_> {
        let index = (names > NAMES_COMPARED_MAX).then(|| {
            let mut index = HashMap::new();
            for param in self.params() {
                index.entry(param.name_json().to_ascii_lowercase()).or_insert(param.value);
            }
            index
        });
        Lookup { parts: self, index }
    }
}

impl<'p> Lookup<'p> {
    /// The value of a parameter, as [`Message::find`] gives it.
    pub fn find(&self, name: &str) -> Option<JsonValue<'p>> {
        let Some(index) = &self.index else { return self.parts.find(name) };
        let mut wanted = Vec::with_capacity(name.len());
        push_text(name.as_bytes(), &mut wanted);
        wanted.make_ascii_lowercase();
        index.get(&wanted).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    #[test]
    fn both_ways_find_the_same() {
        let mut parts = Message::new();
        let keep_case = ParseOptions { keep_case: true, ..ParseOptions::default() };
        parts.parse_line("t?Ab=1&ab=2&%0A\"N=3&=4&\u{c9}=5".as_bytes(), &keep_case).unwrap();
        for name in ["ab", "AB", "\n\"n", "", "\u{c9}", "\u{e9}", "b"] {
            let few = parts.lookup(NAMES_COMPARED_MAX).find(name);
            assert_eq!(parts.lookup(NAMES_COMPARED_MAX + 1).find(name), few, "{name}");
        }
        assert_eq!(parts.lookup(100).find("AB").unwrap().text(), "1");
    }
}
