//! A value as plain data: built only where one has to be kept, turned around or compared (sorting, patterns, checks).
//!
//! Streams never come here; they stay text (`bcp::Message`).

use std::collections::BTreeMap;

/// A JSON value. Numbers are their digits, so none is rounded; objects keep their order and what they hold twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, BCP's `NoneType:`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is spelled.
    Number(String),
    /// A string, as it is meant.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object's members in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Sorts the members of all objects by the code points of their names; members of one name keep their order.
    pub fn sort_names(&mut self) {
        match self {
            Value::List(items) => items.iter_mut().for_each(Value::sort_names),
            Value::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.sort_names());
                // UTF-8 sorts as the code points do.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            _ => {}
        }
    }

    /// The one value of all that mean the same, so that `==` compares as design.md, sections 7 and 11, say: integers of
    /// any length by their digits, floats as doubles, NaN equal to NaN, objects in any order, of a member given twice
    /// the last one. For comparing only: a float becomes Rust's spelling of it.
    ///
    /// ```
    /// use backbox::bcp::Value;
    /// let number = |digits: &str| Value::Number(digits.into()).canonical();
    /// assert_eq!(number("-0"), number("0"));
    /// assert_eq!(number("1.50"), number("15e-1"));
    /// assert_ne!(number("1"), number("1.0"));
    /// ```
    #[must_use]
    pub fn canonical(self) -> Value {
        self.with_numbers(typed_canonical)
    }

    /// The same where 1 is 1.0, as Python would say: OBE_Socket's messages have no types besides JSON's (design.md,
    /// section 11).
    ///
    /// ```
    /// use backbox::bcp::Value;
    /// let number = |digits: &str| Value::Number(digits.into()).canonical_untyped();
    /// assert_eq!(number("1"), number("1.0"));
    /// assert_ne!(number("9007199254740993"), number("9007199254740992.0"));
    /// ```
    #[must_use]
    pub fn canonical_untyped(self) -> Value {
        self.with_numbers(canonical_untyped)
    }

    fn with_numbers(self, canonical: fn(String) -> String) -> Value {
        match self {
            Value::Number(digits) => Value::Number(canonical(digits)),
            Value::List(items) => Value::List(items.into_iter().map(|item| item.with_numbers(canonical)).collect()),
            Value::Object(members) => {
                let mut last = BTreeMap::new();
                last.extend(members.into_iter().map(|(name, value)| (name, value.with_numbers(canonical))));
                Value::Object(last.into_iter().collect())
            }
            other => other,
        }
    }
}

fn typed_canonical(digits: String) -> String {
    if digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return if digits == "-0" { "0".to_owned() } else { digits };
    }
    // Adding 0 makes 0.0 of -0.0; Rust's digits always have a point or a word, so that no float is an integer.
    digits.parse::<f64>().map_or(digits, |number| format!("{:?}", number + 0.0))
}

/// A float that is an integer is exactly that one.
fn canonical_untyped(digits: String) -> String {
    let digits = typed_canonical(digits);
    let whole = digits.parse().ok().filter(|number: &f64| digits.contains(['.', 'e']) && number.fract() == 0.0);
    whole.map_or(digits, |number| format!("{number:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> Value {
        Value::Number(digits.to_string())
    }

    #[test]
    fn numbers_are_compared_by_value_and_type() {
        for (a, b, same) in [
            ("5", "5", true),
            ("0", "-0", true),
            ("5", "-5", false),
            ("NaN", "NaN", true),
            ("Infinity", "1e400", true),
            ("Infinity", "-Infinity", false),
            ("0.0", "-0.0", true),
            ("1e5", "100000.0", true),
            ("1e5", "100000", false),
            ("123456789012345678901234567890", "123456789012345678901234567891", false),
        ] {
            assert_eq!(number(a).canonical() == number(b).canonical(), same, "{a} {b}");
        }
    }

    #[test]
    fn objects_are_compared_by_name_and_the_last_of_two() {
        let member = |name: &str, digits: &str| (name.to_string(), number(digits));
        let twice = Value::Object(vec![member("a", "1"), member("b", "3"), member("a", "2")]);
        let once = Value::Object(vec![member("b", "3"), member("a", "2")]);
        assert_eq!(twice.clone().canonical(), once.clone().canonical());
        assert_ne!(twice.canonical(), Value::Object(vec![member("a", "2")]));
        assert_ne!(once.canonical(), Value::List(vec![]));
    }
}
